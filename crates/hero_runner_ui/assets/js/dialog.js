// Questions, in the browser's own modal dialogs: focus stays inside, Escape says no, and focus returns to where it was.

import { h } from './dom.js';

/**
 * Shows a dialog until it is closed, then removes it.
 * @param {HTMLDialogElement} dialog
 * @returns {Promise<string>} its return value
 */
export function show(dialog) {
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
  });
}

let count = 0;

/**
 * A dialog with a title; a click beside it closes it as Escape does.
 * @param {string} title
 * @param {...Node} children
 * @returns {HTMLDialogElement}
 */
export function dialogOf(title, ...children) {
  const id = `dialog-${(count += 1)}`;
  const dialog = h('dialog', { class: 'dialog', 'aria-labelledby': id }, h('h2', { id }, title), ...children);
  dialog.addEventListener('mousedown', (event) => {
    const box = dialog.getBoundingClientRect();
    const inside =
      event.clientX >= box.left &&
      event.clientX <= box.right &&
      event.clientY >= box.top &&
      event.clientY <= box.bottom;
    if (event.target === dialog && !inside) dialog.close('');
  });
  return dialog;
}

/**
 * Asks for a yes.
 * @param {string} question
 * @param {{text?: string, yes?: string, danger?: boolean}} [options]
 * @returns {Promise<boolean>}
 */
export async function ask(question, { text, yes = 'Yes', danger = true } = {}) {
  const dialog = dialogOf(
    question,
    text ? h('p', {}, text) : '',
    h(
      'form',
      { method: 'dialog', class: 'dialog-actions' },
      h('button', { class: 'btn btn-sm btn-outline-secondary', value: '' }, 'Cancel'),
      h('button', { class: `btn btn-sm ${danger ? 'btn-danger' : 'btn-primary'}`, value: 'yes', autofocus: true }, yes),
    ),
  );
  return (await show(dialog)) === 'yes';
}

/**
 * Asks for a token. Null when the person goes on without.
 * @param {Error & {hint?: string}} error
 * @param {(text: string) => string|null} read finds the token in what was pasted
 * @returns {Promise<string|null>}
 */
export async function askToken(error, read) {
  const fault = h('p', { class: 'form-text text-danger', role: 'alert', id: 'token-fault' });
  const field = h('input', {
    class: 'form-control form-control-sm',
    id: 'token-field',
    autocomplete: 'off',
    spellcheck: false,
    autofocus: true,
    placeholder: 'http://127.0.0.1:14001/#token=…',
    'aria-describedby': 'token-fault',
  });
  const form = h(
    'form',
    { method: 'dialog' },
    h('label', { class: 'form-label', htmlFor: 'token-field' }, 'URL or token'),
    field,
    fault,
    h(
      'div',
      { class: 'dialog-actions' },
      h('button', { class: 'btn btn-sm btn-outline-secondary', value: '', formNoValidate: true }, 'Cancel'),
      h('button', { class: 'btn btn-sm btn-primary', value: 'yes' }, 'Go on'),
    ),
  );
  let fresh = null;
  form.addEventListener('submit', (event) => {
    if (event.submitter?.value !== 'yes') return;
    fresh = read(field.value);
    if (fresh) return;
    event.preventDefault();
    fault.textContent = 'This has no token in it: paste the whole line that the command printed.';
    field.focus();
  });
  // Enter in the field submits by the form's first button, which would be Cancel.
  field.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter') return;
    event.preventDefault();
    form.requestSubmit(form.querySelector('[value=yes]'));
  });
  const dialog = dialogOf(
    'This needs a token',
    h(
      'p',
      {},
      `${sentence(error.message)} Changing anything from a browser takes the token that the dashboard printed when it started.`,
    ),
    h('p', {}, 'Run ', h('code', {}, 'hero_runner ui'), ' and paste what it prints.'),
    form,
  );
  await show(dialog);
  return fresh;
}

function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
}
