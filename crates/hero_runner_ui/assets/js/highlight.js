// Colours for code. What comes out of the highlighter is escaped by it; what goes in is only ever the person's own text or
// the server's JSON.

import hljs from '../vendor/highlight.js';
import javascript from '../vendor/highlight-javascript.js';
import json from '../vendor/highlight-json.js';
import python from '../vendor/highlight-python.js';
import rust from '../vendor/highlight-rust.js';

/** Rhai reads much like Rust, with a few words of its own. */
function rhai(hl) {
  const grammar = rust(hl);
  return {
    ...grammar,
    name: 'Rhai',
    keywords: {
      keyword:
        'let const if else switch do while until loop for in break continue return throw try catch fn private import export as this global is_def_var call curry type_of eval',
      literal: 'true false',
      built_in: 'print debug Fn',
    },
  };
}

for (const [name, grammar] of Object.entries({ javascript, json, python, rhai })) hljs.registerLanguage(name, grammar);

/** Longer texts stay plain: colouring them would hold up the page. */
const LONGEST = 200_000;
const NAMES = {
  js: 'javascript',
  qjs: 'javascript',
  quickjs: 'javascript',
  py: 'python',
  micropython: 'python',
  rhai: 'rhai',
};

/** The language of a runtime, by its name. @param {string} runtime */
export function languageOf(runtime) {
  const word = String(runtime).toLowerCase();
  const known = Object.keys(NAMES).find((name) => word === name);
  if (known) return NAMES[known];
  return ['javascript', 'python', 'rhai', 'json'].find((name) => word.includes(name)) ?? null;
}

/**
 * Colours an element's text.
 * @param {HTMLElement} element
 * @param {string|null} language
 */
export function colour(element, language) {
  const text = element.textContent;
  if (!language || !hljs.getLanguage(language) || text.length > LONGEST) {
    element.textContent = text;
    return;
  }
  element.innerHTML = hljs.highlight(text, { language, ignoreIllegals: true }).value;
}

/** A value as coloured JSON. @param {HTMLElement} element @param {any} value */
export function showJson(element, value) {
  element.textContent = JSON.stringify(value, null, 2);
  colour(element, 'json');
}
