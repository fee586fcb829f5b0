// `data-copy="text"` and `data-copy-from="#id"` are buttons that copy; `pre.copy` and `code.copy` get one.

import { button } from './dom.js';
import { failed } from './toast.js';

/** @param {string} text @param {HTMLElement} [element] the button that shows that it is done */
export async function copy(text, element) {
  try {
    await write(text);
  } catch (error) {
    failed(error, 'Copying');
    return;
  }
  if (!element) return;
  element.dataset.copied = '';
  const said = document.createElement('span');
  said.setAttribute('role', 'status');
  said.className = 'visually-hidden';
  element.after(said);
  said.textContent = 'Copied';
  setTimeout(() => {
    delete element.dataset.copied;
    said.remove();
  }, 1500);
}

/** Without a secure context (a name that is not this machine) there is no clipboard object, only the old command. */
async function write(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = document.createElement('textarea');
  field.value = text;
  field.className = 'visually-hidden';
  document.body.append(field);
  field.select();
  const done = document.execCommand('copy');
  field.remove();
  if (!done) throw new Error('the browser does not allow it');
  return undefined;
}

/** Text that is there to be copied gets a button, which is ours: a fresh rendering leaves it. */
function enhance() {
  for (const element of document.querySelectorAll('pre.copy, code.copy')) {
    const inside = element.tagName === 'PRE';
    const there = inside ? element.querySelector(':scope > button') : element.nextElementSibling;
    if (there?.matches('.copy-button')) continue;
    const made = button('btn-icon', 'copy', null, {
      class: 'copy-button',
      'aria-label': 'Copy',
      title: 'Copy',
      'data-own': '',
    });
    made.addEventListener('click', () => copy((element.querySelector('code') ?? element).textContent.trim(), made));
    if (inside) element.append(made);
    else element.after(made);
  }
}

export function start() {
  enhance();
  document.addEventListener('hero:morphed', enhance);
  document.addEventListener('click', (event) => {
    const element = event.target.closest?.('[data-copy], [data-copy-from]');
    if (!element) return;
    event.preventDefault();
    const from = element.dataset.copyFrom && document.querySelector(element.dataset.copyFrom);
    copy(from ? (from.value ?? from.textContent) : element.dataset.copy, element);
  });
}
