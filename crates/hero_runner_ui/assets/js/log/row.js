// One row of a log, as elements. Text becomes text nodes and nothing else.

import { runs } from '../ansi.js';
import { button, h } from '../dom.js';
import { clock, exact, grouped, size } from '../time.js';
import { KINDS, SYSTEM } from './store.js';

/** Characters of a line that are shown; what is beyond them opens by a button. */
export const SHOWN = 2000;
export const COLOURS = 8;

/**
 * @param {import('./store.js').Entry} entry
 * @param {object} look
 * @param {string[]} look.names what the sessions are called; one alone is not named
 * @param {RegExp|null} look.expression what is searched for
 * @param {boolean} look.continues whether it goes on from the line before
 * @param {boolean} look.current whether it is the match that is shown
 * @param {(entry: import('./store.js').Entry) => void} look.whole shows a long line whole
 */
export function rowOf(entry, { names, expression, continues, current, whole }) {
  const system = entry.kind === SYSTEM;
  const tone = system ? ` tone-${entry.tone}` : '';
  return h(
    'div',
    { class: `log-row kind-${KINDS[entry.kind]}${tone}${current ? ' current' : ''}` },
    h('span', { class: 'log-number' }, system ? '' : continues ? '↪' : grouped(entry.seq + 1)),
    h('span', { class: 'log-time', title: entry.ts ? exact(entry.ts) : '' }, entry.ts ? clock(entry.ts) : ''),
    names.length > 1 && h('span', { class: `log-who who-${entry.session % COLOURS}` }, names[entry.session]),
    h('span', { class: 'log-kind' }, entry.kind === 0 ? '' : KINDS[entry.kind]),
    textOf(entry, expression),
    entry.text.length > SHOWN &&
      button('btn-link', 'arrows-angle-expand', `${size(entry.text.length - SHOWN)} more`, {
        class: 'log-more',
        onclick: () => whole(entry),
      }),
  );
}

function textOf(entry, expression) {
  const cut = entry.text.length > SHOWN ? entry.text.slice(0, SHOWN) : entry.text;
  const span = h('span', { class: 'log-text' });
  const parts = entry.kind === SYSTEM ? [{ text: cut, classes: '' }] : runs(cut);
  const marked = expression ? marks(parts.map((part) => part.text).join(''), expression) : [];
  let at = 0;
  let mark = 0;
  for (const { text, classes } of parts) {
    const end = at + text.length;
    const pieces = [];
    let from = at;
    while (mark < marked.length && marked[mark][0] < end) {
      const [start, stop] = marked[mark];
      if (start > from) pieces.push(text.slice(from - at, start - at));
      pieces.push(h('mark', {}, text.slice(Math.max(start, from) - at, Math.min(stop, end) - at)));
      from = Math.min(stop, end);
      // It goes on in the next colour.
      if (stop > end) break;
      mark += 1;
    }
    if (from < end) pieces.push(text.slice(from - at));
    if (classes) span.append(h('span', { class: classes }, ...pieces));
    else span.append(...pieces);
    at = end;
  }
  return span;
}

/** Where a word is in a text. @returns {[number, number][]} */
function marks(text, expression) {
  const found = [];
  expression.lastIndex = 0;
  for (const match of text.matchAll(expression)) {
    if (match[0] !== '') found.push([match.index, match.index + match[0].length]);
    if (found.length >= 200) break;
  }
  return found;
}
