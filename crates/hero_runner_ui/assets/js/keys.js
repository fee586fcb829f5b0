// Keys, for hands that stay on them. None works while something is being typed or a dialog is open.

import { dialogOf, show } from './dialog.js';
import { button, h } from './dom.js';

const PAGES = {
  s: ['/sessions', 'Sessions'],
  r: ['/run', 'Run'],
  v: ['/services', 'Services'],
  c: ['/schedules', 'Schedules'],
  m: ['/modules', 'Modules'],
  l: ['/logs', 'Logs'],
  t: ['/stats', 'Stats'],
  a: ['/admin', 'Admin'],
  d: ['/docs', 'Docs'],
};
const KEYS = [
  ['/', 'Search'],
  ['j k', 'Next, previous row'],
  ['Enter', 'Open the row'],
  ['x', 'Select the row'],
  ['f', 'Follow the log'],
  ['n N', 'Next, previous match in the log'],
  ['Esc', 'Leave the field or the dialog'],
  ['?', 'This list'],
];
/** How long `g` waits for the letter behind it. */
const PREFIX_MS = 1500;

let prefix = 0;

function typing(target) {
  return target.isContentEditable || target.matches?.('input:not([type=checkbox]):not([type=radio]), textarea, select');
}

function rows() {
  return [...document.querySelectorAll('table[data-keys] tbody tr')];
}

/** @param {number} step */
function move(step) {
  const all = rows();
  if (all.length === 0) return false;
  const at = all.indexOf(document.activeElement?.closest?.('tr'));
  const next = at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + step));
  all[next].focus();
  all[next].scrollIntoView({ block: 'nearest' });
  return true;
}

function select() {
  const box = document.activeElement?.closest?.('tr')?.querySelector('input[name=select]');
  if (!box) return false;
  box.click();
  return true;
}

function open() {
  const row = document.activeElement?.matches?.('tr[data-href]') ? document.activeElement : null;
  if (!row) return false;
  location.assign(row.dataset.href);
  return true;
}

function search() {
  const field = document.querySelector('main input[type=search]') ?? document.querySelector('input[type=search]');
  if (!field) return false;
  field.focus();
  field.select();
  return true;
}

/** @param {KeyboardEvent} event @returns {boolean} whether it was one of ours */
function pressed(event) {
  if (Date.now() < prefix) {
    prefix = 0;
    const page = PAGES[event.key];
    if (page) location.assign(page[0]);
    return Boolean(page);
  }
  switch (event.key) {
    case 'g':
      prefix = Date.now() + PREFIX_MS;
      return true;
    case 'j':
      return move(1);
    case 'k':
      return move(-1);
    case 'x':
      return select();
    case 'Enter':
      return open();
    case '/':
      return search();
    case '?':
      list();
      return true;
    default:
      return false;
  }
}

/** Shows all keys. */
export function list() {
  if (document.querySelector('dialog[open]')) return;
  const entry = ([keys, what]) => [
    h('dt', {}, ...keys.split(' ').flatMap((key) => [h('kbd', {}, key), ' '])),
    h('dd', {}, what),
  ];
  const pages = Object.entries(PAGES).map(([key, [, name]]) => [`g ${key}`, name]);
  const dialog = dialogOf(
    'Keys',
    h('div', { class: 'keys' }, h('dl', {}, ...KEYS.flatMap(entry)), h('dl', {}, ...pages.flatMap(entry))),
    h(
      'div',
      { class: 'dialog-actions' },
      button('btn-primary', 'x-lg', 'Close', { autofocus: true, onclick: () => dialog.close() }),
    ),
  );
  dialog.id = 'keys';
  show(dialog);
}

export function start() {
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
    if (document.querySelector('dialog[open]')) return;
    if (event.key === 'Escape' && typing(event.target) && !event.target.isContentEditable) {
      event.target.blur();
      return;
    }
    if (typing(event.target)) return;
    if (pressed(event)) event.preventDefault();
  });
  // A row is a link as wide as the table, but not where there is another thing to press or text to select.
  document.addEventListener('click', (event) => {
    const row = event.target.closest?.('tr[data-href]');
    if (!row || event.target.closest('a, button, input, label, summary, select') || String(getSelection())) return;
    if (event.ctrlKey || event.metaKey) window.open(row.dataset.href, '_blank', 'noopener');
    else location.assign(row.dataset.href);
  });
}
