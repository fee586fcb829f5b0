// The reference: a filter of methods, examples to edit, and "Try it" against the server.

import { busy } from '../actions.js';
import { ask } from '../dialog.js';
import { button, h } from '../dom.js';
import { colour, showJson } from '../highlight.js';
import { rpc } from '../rpc.js';
import { asCurl } from '../quote.js';
import { copy } from '../copy.js';
import { span } from '../time.js';

/** Methods that only look. All others ask first. */
const READING =
  /^(health|stats|stats_history|rpc\.discover|server_settings|module_inspect|service_versions|session_result|\w+_(list|get|logs|wait))$/;

/** @param {HTMLTextAreaElement} area with `data-try` */
function wire(area) {
  const method = area.dataset.try;
  const result = h('pre', { class: 'try-result', tabIndex: 0, hidden: true, 'aria-label': `What ${method} answered` });
  const took = h('span', { class: 'muted', role: 'status' });
  const there = area.closest('form, section')?.querySelector('[data-try-run]');
  const run = there ?? button('btn-primary', 'play-fill', 'Try it');
  const share = button('btn-outline-secondary', 'copy', 'Copy as curl');
  area.spellcheck = false;
  area.after(h('div', { class: 'try-actions' }, run, share, took), result);

  const params = () => {
    const text = area.value.trim();
    return text === '' ? {} : JSON.parse(text);
  };
  const fault = (words) => {
    result.hidden = false;
    result.classList.add('failed');
    result.textContent = words;
  };
  run.addEventListener('click', async (event) => {
    event.preventDefault();
    let given;
    try {
      given = params();
      area.classList.remove('is-invalid');
    } catch (error) {
      area.classList.add('is-invalid');
      fault(`The parameters are no JSON: ${error.message}`);
      area.focus();
      return;
    }
    const changing = area.dataset.reading === undefined && !READING.test(method);
    if (
      changing &&
      !(await ask(`Call ${method}?`, { text: 'It changes something on the server.', yes: 'Call it', danger: false }))
    )
      return;
    await busy(run, async () => {
      const began = performance.now();
      took.textContent = 'calling…';
      try {
        const value = await rpc(method, given);
        result.classList.remove('failed');
        result.hidden = false;
        showJson(result, value);
        took.textContent = `answered in ${span(performance.now() - began)}`;
      } catch (error) {
        fault(
          [error.message, error.hint, [error.code, error.code_name].filter(Boolean).join(' ')]
            .filter(Boolean)
            .join('\n'),
        );
        took.textContent = `refused after ${span(performance.now() - began)}`;
      }
    });
  });
  share.addEventListener('click', () => {
    try {
      copy(asCurl(method, params()), share);
    } catch {
      area.focus();
    }
  });
  area.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) run.click();
  });
}

/** A field above the list that leaves the methods in which a word is. @param {HTMLElement} head */
function filter(head) {
  const items = [...document.querySelectorAll('.methods > div')];
  const count = h('span', { class: 'muted', role: 'status' });
  const field = h('input', {
    type: 'search',
    class: 'form-control form-control-sm',
    'aria-label': 'Filter the methods',
    placeholder: 'Filter the methods',
    autocomplete: 'off',
    spellcheck: false,
  });
  field.addEventListener('input', () => {
    const word = field.value.trim().toLowerCase();
    for (const item of items) item.hidden = !item.textContent.toLowerCase().includes(word);
    for (const section of document.querySelectorAll('section:has(> .methods)')) {
      section.hidden = !section.querySelector('.methods > div:not([hidden])');
    }
    const shown = items.filter((item) => !item.hidden).length;
    count.textContent = word ? `${shown} of ${items.length}` : '';
  });
  field.addEventListener('keydown', (event) => {
    if (event.key === 'Enter')
      items
        .find((item) => !item.hidden)
        ?.querySelector('a')
        ?.click();
  });
  head.append(h('div', { class: 'actions' }, count, field));
}

const wired = new WeakSet();

export function mount() {
  for (const area of document.querySelectorAll('textarea[data-try]')) {
    if (wired.has(area)) continue;
    wired.add(area);
    wire(area);
  }
  const head = document.querySelector('.page-head');
  if (head && document.querySelector('.methods') && !wired.has(head)) {
    wired.add(head);
    filter(head);
  }
  for (const code of document.querySelectorAll('code.language-json')) {
    if (wired.has(code)) continue;
    wired.add(code);
    colour(code, 'json');
  }
}
