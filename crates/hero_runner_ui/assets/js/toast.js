// Short messages at the edge: what was done goes by itself, what failed stays until it is read.

import { h, icon } from './dom.js';

const STAYS_MS = 4000;
const AT_MOST = 4;

/** The live region has to be in the page before anything is said in it. */
function region() {
  return (
    document.getElementById('toasts') ??
    document.body.appendChild(h('div', { id: 'toasts', 'data-keep': '', role: 'status', 'aria-live': 'polite' }))
  );
}

function put(kind, iconName, content) {
  const place = region();
  const toast = h(
    'div',
    { class: `toast-note toast-${kind}`, role: kind === 'error' ? 'alert' : null },
    icon(iconName),
    h('div', { class: 'toast-words' }, ...content),
    h(
      'button',
      { type: 'button', class: 'toast-close', 'aria-label': 'Dismiss', onclick: () => toast.remove() },
      icon('x-lg'),
    ),
  );
  place.append(toast);
  while (place.children.length > AT_MOST) place.firstElementChild.remove();
  return toast;
}

/** @param {string} text */
export function done(text) {
  const toast = put('done', 'check-circle-fill', [text]);
  setTimeout(() => toast.remove(), STAYS_MS);
}

/**
 * An error with the server's own reason and hint.
 * @param {Error & {hint?: string, code_name?: string}} error
 * @param {string} [doing] what was tried
 */
export function failed(error, doing) {
  put('error', 'exclamation-octagon', [
    h('strong', {}, doing ? `${doing}: ${error.message}` : error.message),
    error.hint && h('span', { class: 'toast-hint' }, error.hint),
    error.code_name && h('code', {}, error.code_name),
  ]);
}

region();
