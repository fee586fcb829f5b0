// Lines that are too long for a row: they come in pieces, and are put together again when somebody wants to see them.

import { dialogOf, show } from '../dialog.js';
import { button, h } from '../dom.js';
import { save } from './download.js';

/** Rows in which the other pieces of a line are looked for. */
const NEIGHBOURS = 2000;
/** What is shown of a line in one piece. */
const SHOWN = 4 * 1024 * 1024;

/**
 * The row before or behind of the same session and stream.
 * @param {import('./store.js').LineStore} store @param {number} absolute @param {1|-1} step
 * @returns {number|null} its absolute number
 */
function neighbour(store, absolute, step) {
  const { session, kind } = store.at(absolute);
  for (let at = absolute + step, left = NEIGHBOURS; left > 0; at += step, left -= 1) {
    const entry = store.at(at);
    if (!entry) return null;
    if (entry.session === session && entry.kind === kind) return at;
  }
  return null;
}

/** Whether a row goes on from one before. @param {import('./store.js').LineStore} store @param {number} absolute */
export function continues(store, absolute) {
  const before = neighbour(store, absolute, -1);
  return before !== null && store.at(before).partial;
}

/**
 * Shows a line with all of its pieces.
 * @param {import('./store.js').LineStore} store @param {number} absolute @param {string} name the session's
 */
export function showWhole(store, absolute, name) {
  let first = absolute;
  while (continues(store, first)) first = neighbour(store, first, -1);
  const pieces = [];
  for (let at = first; at !== null; at = store.at(at).partial ? neighbour(store, at, 1) : null) {
    pieces.push(store.at(at).text);
  }
  const text = pieces.join('');
  const number = store.at(first).seq + 1;
  const file = new Blob([text], { type: 'text/plain' });
  const dialog = dialogOf(
    `Line ${number}`,
    h('pre', { class: 'dialog-text', tabIndex: 0 }, text.slice(0, SHOWN)),
    h(
      'div',
      { class: 'dialog-actions' },
      text.length > SHOWN && h('span', { class: 'muted' }, 'Its end is only in the file.'),
      button('btn-outline-secondary', 'download', 'Download', {
        onclick: () => save(file, `${name}-line-${number}.txt`),
      }),
      button('btn-primary', 'x-lg', 'Close', { autofocus: true, onclick: () => dialog.close() }),
    ),
  );
  dialog.classList.add('dialog-wide');
  show(dialog);
}
