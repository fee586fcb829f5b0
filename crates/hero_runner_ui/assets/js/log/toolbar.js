// The bar above a log.

import { busy } from '../actions.js';
import { button, h, icon, keep, kept } from '../dom.js';
import { grouped } from '../time.js';
import { failed } from '../toast.js';
import { COLOURS } from './row.js';
import { KINDS } from './store.js';

/** @param {import('./view.js').LogView} view */
export function toolbarOf(view) {
  const query = h('input', {
    type: 'search',
    class: 'form-control form-control-sm',
    placeholder: 'Search the log, or /regex/',
    'aria-label': 'Search in the log',
    spellcheck: false,
    autocomplete: 'off',
  });
  const matches = h('span', { class: 'log-matches', role: 'status' });
  const previous = button('btn-icon', 'chevron-up', null, {
    'aria-label': 'Previous match',
    title: 'Previous match (N)',
    onclick: () => view.toMatch(-1),
  });
  const next = button('btn-icon', 'chevron-down', null, {
    'aria-label': 'Next match',
    title: 'Next match (n)',
    onclick: () => view.toMatch(1),
  });
  const kinds = h(
    'div',
    { class: 'log-kinds', role: 'group', 'aria-label': 'Streams' },
    ...KINDS.map((name, kind) =>
      toggle(name, `log-toggle kind-${name}`, true, (on) => {
        if (on) view.lens.kinds.add(kind);
        else view.lens.kinds.delete(kind);
        view.refilter();
      }),
    ),
  );
  const follow = button('btn-outline-secondary', 'arrow-down', 'Follow', {
    class: 'log-follow',
    title: 'Stay at the last line (f)',
    onclick: () => view.follow(!view.following),
  });
  const times = button('btn-icon', 'clock', null, {
    'aria-label': 'Times',
    title: 'Times',
    onclick: () => showTimes(!kept('log.times', true)),
  });
  const fetch = button('btn-icon', 'download', null, {
    'aria-label': 'Download as text',
    title: 'Download as text',
    onclick: () => download(),
  });
  const legend = h('div', { class: 'log-legend', role: 'group', 'aria-label': 'Sessions' });

  function showTimes(on) {
    keep('log.times', on);
    view.root.classList.toggle('no-times', !on);
    times.setAttribute('aria-pressed', String(on));
  }

  function download() {
    busy(fetch, async () => {
      try {
        await view.download((lines) => (matches.textContent = `reading ${grouped(lines)} lines`));
        counted();
      } catch (error) {
        failed(error, 'Download');
        counted();
      }
    });
  }

  function counted() {
    const { search } = view;
    const count = search.matches.length;
    const more = search.pending ? '…' : '';
    let words = '';
    if (query.value !== '' && !search.expression) words = 'no expression';
    else if (search.expression)
      words =
        count === 0 && !more
          ? 'no match'
          : `${search.ordinal ? `${grouped(search.ordinal)} of ` : ''}${grouped(count)}${more}`;
    if (matches.textContent !== words) matches.textContent = words;
    previous.disabled = next.disabled = count === 0;
  }

  let typed = 0;
  query.addEventListener('input', () => {
    clearTimeout(typed);
    typed = setTimeout(() => {
      query.classList.toggle('is-invalid', !view.find(query.value));
      counted();
    }, 120);
  });
  query.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter') return;
    event.preventDefault();
    view.toMatch(event.shiftKey ? -1 : 1);
  });

  const toolbar = {
    element: h(
      'div',
      { class: 'log-bar' },
      h('div', { class: 'log-search' }, query, previous, next, matches),
      kinds,
      h('div', { class: 'log-tools' }, times, fetch, follow),
      legend,
    ),
    counted,
    followed() {
      follow.setAttribute('aria-pressed', String(view.following));
      follow.classList.toggle('active', view.following);
    },
    named() {
      legend.hidden = view.sessions.length < 2;
      legend.replaceChildren(
        ...(legend.hidden ? [] : view.sessions).map(({ name }, index) =>
          toggle(name, `log-toggle log-session who-${index % COLOURS}`, !view.lens.hidden.has(index), (on) => {
            if (on) view.lens.hidden.delete(index);
            else view.lens.hidden.add(index);
            view.refilter();
          }),
        ),
      );
    },
    /** @param {KeyboardEvent} event */
    key(event) {
      if (
        event.ctrlKey ||
        event.metaKey ||
        event.altKey ||
        event.target.matches?.('input, textarea, select, [contenteditable]')
      )
        return;
      if (document.querySelector('dialog[open]')) return;
      if (event.key === 'f') view.follow(!view.following);
      else if (event.key === 'n') view.toMatch(1);
      else if (event.key === 'N') view.toMatch(-1);
      else if (event.key === 'End' && view.list.element.contains(event.target)) view.follow(true);
      else return;
      event.preventDefault();
    },
  };
  showTimes(kept('log.times', true));
  counted();
  toolbar.followed();
  toolbar.named();
  return toolbar;
}

/** A switch with a word. */
function toggle(name, look, on, changed) {
  const box = h('input', { type: 'checkbox', checked: on, onchange: () => changed(box.checked) });
  return h('label', { class: look }, box, icon('check'), name);
}
