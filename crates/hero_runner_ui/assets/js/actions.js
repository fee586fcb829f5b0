// Buttons that call the server: `data-call` is the method, `data-params` its parameters.

import { ask } from './dialog.js';
import { refresh } from './live.js';
import { rpc, RpcError } from './rpc.js';
import { done, failed } from './toast.js';

/** Marks an element busy while something runs. @template T @param {HTMLElement} element @param {() => Promise<T>} run */
export async function busy(element, run) {
  if (element.getAttribute('aria-busy') === 'true') return undefined;
  element.setAttribute('aria-busy', 'true');
  const submit = element.matches('form') ? element.querySelector('[type=submit]') : element;
  if (submit) submit.disabled = true;
  try {
    return await run();
  } finally {
    element.removeAttribute('aria-busy');
    if (submit) {
      submit.disabled = false;
      // A button that was disabled has lost the focus.
      if (submit.isConnected && document.activeElement === document.body) submit.focus({ preventScroll: true });
    }
  }
}

/** The parameters that a form's fields hold, by their types. Empty fields are left out. @param {HTMLFormElement} form */
export function paramsOf(form) {
  const params = {};
  for (const field of form.elements) {
    if (!field.name || field.disabled || field.dataset.skip !== undefined) continue;
    const value = valueOf(field);
    if (value !== undefined) params[field.name] = value;
  }
  return params;
}

function valueOf(field) {
  if (field.type === 'checkbox') return field.checked ? true : undefined;
  if (field.type === 'radio' && !field.checked) return undefined;
  const text = field.value;
  if (text.trim() === '') return undefined;
  if (field.type === 'number' || field.dataset.type === 'number') return Number(text);
  try {
    if (field.dataset.json !== undefined) return JSON.parse(text);
  } catch (error) {
    throw new RpcError({ message: `${labelOf(field)} is no JSON: ${error.message}`, code_name: 'invalid_params' });
  }
  if (field.dataset.lines !== undefined)
    return text
      .split('\n')
      .map((line) => line.trim())
      .filter(Boolean);
  return text;
}

function labelOf(field) {
  return field.labels?.[0]?.textContent.trim() || field.name;
}

/** What a button is called, or a form's. @param {HTMLElement} element */
function nameOf(element) {
  const pressed = element.matches('form') ? element.querySelector('[type=submit]') : element;
  return pressed?.textContent.trim() || pressed?.title || 'Yes';
}

/** @param {HTMLElement} element with `data-call` */
async function call(element) {
  const { call: method, confirm, confirmText, yes, then, done: words } = element.dataset;
  const safe = element.dataset.safe !== undefined;
  if (confirm && !(await ask(confirm, { text: confirmText, yes: yes ?? nameOf(element), danger: !safe }))) return;
  await busy(element, async () => {
    try {
      const fixed = JSON.parse(element.dataset.params || '{}');
      const params = element.matches('form') ? { ...fixed, ...paramsOf(element) } : fixed;
      const result = await rpc(method, params);
      if (words) done(words.replace(/\{(\w+)\}/g, (_, field) => result?.[field] ?? ''));
      follow(then, result);
    } catch (error) {
      failed(error, element.dataset.failed);
      refresh();
    }
  });
}

/** @param {string|undefined} then `reload` or `goto:/sessions/{session_id}` @param {any} result */
function follow(then, result) {
  if (then?.startsWith('goto:')) {
    location.assign(then.slice(5).replace(/\{(\w+)\}/g, (_, field) => encodeURIComponent(result?.[field] ?? '')));
  } else {
    refresh();
  }
}

/** What is ticked in the table of a button for many. */
export function chosen() {
  return [...document.querySelectorAll('input[name=select]:checked')];
}

/** @param {HTMLElement} element with `data-bulk` */
async function bulk(element) {
  const { bulk: method, param = 'name', confirm } = element.dataset;
  const boxes = chosen();
  if (boxes.length === 0) return;
  const words = element.textContent.trim();
  if (!(await ask(confirm ?? `${words} (${boxes.length})?`, { yes: words }))) return;
  await busy(element, async () => {
    const fixed = JSON.parse(element.dataset.params || '{}');
    const ends = await Promise.allSettled(boxes.map((box) => rpc(method, { ...fixed, [param]: box.value })));
    const faults = ends.filter((end) => end.status === 'rejected');
    if (faults.length < ends.length) done(`${element.dataset.done ?? 'Done'}: ${ends.length - faults.length}`);
    // One reason stands for all of the same kind.
    const kinds = new Map(faults.map((fault) => [fault.reason.message, fault.reason]));
    for (const reason of [...kinds.values()].slice(0, 3)) failed(reason, `${faults.length} of ${ends.length}`);
    for (const box of boxes) box.checked = false;
    count();
    refresh();
  });
}

/** Shows how many are ticked, and lets the buttons for many be pressed only then. */
export function count() {
  const many = chosen().length;
  for (const button of document.querySelectorAll('[data-bulk]')) {
    if (button.getAttribute('aria-busy') !== 'true') button.disabled = many === 0;
    button.dataset.count = many || '';
  }
  for (const row of document.querySelectorAll('tr:has(> td input[name=select])')) {
    row.classList.toggle('chosen', row.querySelector('input[name=select]').checked);
  }
  const all = document.querySelector('input[data-select-all]');
  if (all) {
    const boxes = document.querySelectorAll('input[name=select]').length;
    all.checked = many > 0 && many === boxes;
    all.indeterminate = many > 0 && many < boxes;
  }
}

export function start() {
  document.addEventListener('click', (event) => {
    const element = event.target.closest?.('[data-call]:not(form), [data-bulk]');
    if (!element) return;
    event.preventDefault();
    if (element.dataset.bulk) bulk(element);
    else call(element);
  });
  document.addEventListener('submit', (event) => {
    if (!event.target.matches('form[data-call]')) return;
    event.preventDefault();
    call(event.target);
  });
  document.addEventListener('change', (event) => {
    if (event.target.matches('input[data-select-all]')) {
      for (const box of document.querySelectorAll('input[name=select]')) box.checked = event.target.checked;
    }
    if (event.target.matches('input[name=select], input[data-select-all]')) count();
  });
  document.addEventListener('hero:morphed', count);
  count();
}
