// Keeps the page fresh. The server renders the page's own address again, and what differs is morphed in: focus, selection,
// open details, scroll positions and what was typed stay. Nothing is asked for while nobody looks.

import Idiomorph from '../vendor/idiomorph.js';
import * as connection from './connection.js';
import { refresh as refreshTimes } from './time.js';

/** A page that does not change by itself still has live numbers beside it. */
const STILL_MS = 5000;
const LONGEST_BACKOFF_MS = 10_000;
const TIMEOUT_MS = 15_000;

let timer = 0;
let failures = 0;
/** @type {AbortController|null} */
let asking = null;

/** The address that the page shows. */
let shown = location.pathname + location.search;

/** What the person has changed since the server rendered it; a fresh rendering must not undo that. */
let touched = new WeakSet();

/**
 * Asks for the page's present address anew.
 * @returns {Promise<void>}
 */
export function refresh() {
  return load(location.pathname + location.search);
}

/**
 * Goes to another address of the same page without leaving it: filters, search, paging.
 * @param {URL} url
 * @param {{replace?: boolean, state?: any}} [how]
 */
export async function visit(url, { replace = false, state = null } = {}) {
  if (replace) history.replaceState(state, '', url);
  else history.pushState(state, '', url);
  await load(url.pathname + url.search);
}

/** @param {string} address */
async function load(address) {
  clearTimeout(timer);
  asking?.abort();
  const mine = new AbortController();
  asking = mine;
  const timeout = setTimeout(() => mine.abort(new DOMException('too slow', 'TimeoutError')), TIMEOUT_MS);
  const began = performance.now();
  try {
    await ask(address, mine.signal);
    failures = 0;
  } catch (error) {
    // A newer question took this one's place.
    if (asking !== mine) return;
    failures += 1;
    connection.tell(error.down ? 'server' : 'offline', backoff());
  } finally {
    clearTimeout(timeout);
    if (asking === mine) {
      asking = null;
      schedule(performance.now() - began);
    }
  }
}

/** @param {string} address @param {AbortSignal} signal */
async function ask(address, signal) {
  const reply = await fetch(address, {
    headers: { 'x-fragment': '1', accept: 'text/html' },
    cache: 'no-store',
    signal,
  });
  const text = await reply.text();
  // What is shown stays, greyed, until there is something newer; the strip says what is wrong.
  if (reply.status >= 500) throw Object.assign(new Error('down'), { down: true });
  take(text);
  connection.tell('connected');
}

/** @param {string} text a fragment: the sidebar and the page */
function take(text) {
  const fresh = new DOMParser().parseFromString(text, 'text/html');
  refreshTimes(fresh);
  // A page that does not change by itself is left alone, unless it is only the words that the server was away.
  const still = !document.getElementById('page')?.dataset.live && shown === location.pathname + location.search;
  for (const id of still && !document.querySelector('#page .problem') ? ['sidebar'] : ['sidebar', 'page']) {
    const [old, next] = [document.getElementById(id), fresh.getElementById(id)];
    if (old && next) morph(old, next);
  }
  document.title = document.getElementById('page')?.dataset.title ?? document.title;
  document.dispatchEvent(new CustomEvent('hero:morphed'));
}

/** @param {Element} old @param {Element} next */
export function morph(old, next) {
  Idiomorph.morph(old, next, {
    morphStyle: 'outerHTML',
    // The library then leaves all of the focused element alone, which is right for a field, and wrong for a button.
    ignoreActiveValue: document.activeElement?.matches('input, textarea, select') ?? false,
    restoreFocus: true,
    callbacks: {
      beforeNodeMorphed(node, to) {
        if (!(node instanceof Element)) return true;
        // Its script owns it.
        if (node.hasAttribute('data-keep') && to instanceof Element && to.hasAttribute('data-keep')) return false;
        return !node.isEqualNode(to) || node.tagName === 'INPUT' || node.querySelector('input') !== null;
      },
      beforeNodeRemoved(node) {
        return !(node instanceof Element && node.hasAttribute('data-own'));
      },
      beforeAttributeUpdated(name, element) {
        // Opened or closed, chosen or typed by the person; busy because of a call.
        if (name === 'open' && (element.tagName === 'DETAILS' || element.tagName === 'DIALOG')) return false;
        if (touched.has(element) && (name === 'value' || name === 'checked' || name === 'selected')) return false;
        if (name === 'selected' && touched.has(element.closest('select') ?? element)) return false;
        if (element.getAttribute('aria-busy') === 'true' && (name === 'disabled' || name === 'aria-busy')) return false;
        return true;
      },
    },
  });
}

function backoff() {
  return Math.min(LONGEST_BACKOFF_MS, 500 * 2 ** Math.min(failures, 6));
}

/** @param {number} took how long the last answer took, in milliseconds */
function schedule(took) {
  clearTimeout(timer);
  if (document.hidden) return;
  const interval = Number(document.getElementById('page')?.dataset.live) || STILL_MS;
  // A server that is slow to answer is asked less often.
  const wait = failures > 0 ? backoff() : Math.max(interval, took * 4);
  timer = setTimeout(refresh, wait);
}

/** The address that a filter form stands for, without what is empty. @param {HTMLFormElement} form */
function addressOf(form) {
  const url = new URL(form.getAttribute('action') || location.pathname, location.href);
  url.search = '';
  for (const [name, value] of new FormData(form)) {
    if (typeof value === 'string' && value !== '') url.searchParams.append(name, value);
  }
  return url;
}

function watchFilters() {
  let typing = 0;
  const go = (form, by) => {
    const url = addressOf(form);
    if (url.href === location.href) return;
    // Going back leads to before the word, not to its letters.
    const state = by ? { typing: by } : null;
    visit(url, { state, replace: Boolean(by) && history.state?.typing === by });
  };
  document.addEventListener('input', (event) => {
    touched.add(event.target);
    const form = event.target.closest?.('form[data-auto]');
    if (!form || !event.target.matches('input:not([type=checkbox]):not([type=radio])')) return;
    clearTimeout(typing);
    typing = setTimeout(() => go(form, event.target.name), 250);
  });
  document.addEventListener('change', (event) => {
    touched.add(event.target);
    const form = event.target.closest?.('form[data-auto]');
    if (!form || event.target.matches('input[type=search], input[type=text]')) return;
    go(form, null);
  });
  document.addEventListener('submit', (event) => {
    if (!event.target.matches('form[data-auto]')) return;
    event.preventDefault();
    clearTimeout(typing);
    go(event.target, null);
  });
}

/** Begins to keep the page fresh. */
export function start() {
  watchFilters();
  connection.onRetry(refresh);
  connection.tell('connected');
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) {
      clearTimeout(timer);
      asking?.abort();
      asking = null;
    } else {
      refresh();
    }
  });
  document.addEventListener('hero:morphed', () => {
    shown = location.pathname + location.search;
  });
  window.addEventListener('online', refresh);
  window.addEventListener('offline', refresh);
  window.addEventListener('popstate', () => {
    if (location.pathname + location.search === shown) return;
    // The address says what the form holds now. A field that loses the focus says once more that it was changed.
    document.activeElement?.blur?.();
    touched = new WeakSet();
    refresh();
  });
  // The words that something is wrong may be out of date at once.
  if (document.querySelector('#page .problem')) refresh();
  else schedule(0);
}
