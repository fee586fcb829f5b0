// The Run page: a form that becomes a session, whose output appears below it at once.

import { busy } from '../actions.js';
import { copy } from '../copy.js';
import { button, h, icon, keep, kept } from '../dom.js';
import { editorOf } from '../editor.js';
import { languageOf } from '../highlight.js';
import { viewIn } from '../logview.js';
import { isSuccess, outcomeInWords } from '../outcome.js';
import { asCommand, asCurl } from '../quote.js';
import { completed, fieldsOf, requestOf } from '../request.js';
import { rpc } from '../rpc.js';
import { span } from '../time.js';
import { failed } from '../toast.js';

/** @type {HTMLFormElement} */
let form;
/** What the session was asked for that is run again. */
let original;

function fields() {
  const found = {};
  for (const field of form.elements) {
    if (!field.name) continue;
    if (field.type === 'radio') {
      if (field.checked) found[field.name] = field.value;
    } else found[field.name] = field.type === 'checkbox' ? field.checked : field.value;
  }
  return found;
}

const wanted = () => completed(requestOf(fields()), original);

/** Fills the form with what a session was asked for, as far as the server still knows it. @param {string} id */
async function again(id, changed) {
  try {
    original = await rpc('session_request', { session_id: id });
  } catch (error) {
    const note = document.getElementById('again');
    note.textContent = `What its record does not have is left empty: ${error.message}.`;
    note.hidden = false;
    return;
  }
  // The record tells limits that were not asked for.
  for (const field of form.querySelectorAll('input:not([type=radio], [type=checkbox]), textarea')) field.value = '';
  for (const [name, value] of Object.entries(fieldsOf(original))) {
    const field = form.elements[name];
    if (field.type === 'checkbox') field.checked = value;
    else field.value = value;
    field.closest?.('details')?.setAttribute('open', '');
  }
  changed();
}

/** A list of hosts is only asked for where there is to be one; what else belongs to a choice, the style sheet knows. */
function choose() {
  const hosts = form.elements.hosts?.closest('label');
  if (hosts) hosts.hidden = form.elements.net.value !== 'list';
}

function share() {
  const place = document.getElementById('share');
  if (!place) return;
  let params;
  try {
    params = wanted();
  } catch {
    place.hidden = true;
    return;
  }
  const { module, template, script } = params;
  place.hidden = !module && !template && !script;
  if (place.hidden) return;
  // A field that loses the focus says that it changed: what somebody is about to press must not be made anew under the pointer.
  const same = JSON.stringify(params);
  if (place.dataset.of === same) return;
  place.dataset.of = same;
  const command = asCommand(params);
  const block = (title, text, note) => [
    h('h3', {}, title),
    h(
      'pre',
      { class: 'copy' },
      h('code', {}, text),
      button('btn-icon', 'copy', null, {
        class: 'copy-button',
        'aria-label': `Copy: ${title}`,
        title: 'Copy',
        onclick: (event) => copy(text, event.currentTarget),
      }),
    ),
    note && h('p', { class: 'detail' }, note),
  ];
  const note = command.missing.length
    ? `The command line has no flag for ${command.missing.join(', ')}; curl has.`
    : null;
  place.replaceChildren(
    h('h2', {}, 'The same elsewhere'),
    ...block('As a command line', command.text, note).filter(Boolean),
    ...block('As curl', asCurl('session_start', params)).filter(Boolean),
  );
}

/** @param {string} id @param {string} name @param {boolean} open whether its standard input is */
function show(id, name, open) {
  const place = document.getElementById('output');
  const began = performance.now();
  const mark = h('span', { class: 'mark busy', role: 'status' }, 'running');
  const stop = button('btn-outline-danger', 'stop-circle', 'Stop', {
    onclick: () =>
      busy(stop, async () => {
        try {
          await rpc('session_stop', { session_id: id });
        } catch (error) {
          failed(error, 'Stop');
        }
      }),
  });
  const link = h(
    'a',
    { class: 'btn btn-sm btn-outline-secondary', href: `/sessions/${encodeURIComponent(id)}` },
    icon('box-arrow-up-right'),
    'Session',
  );
  const log = h('section', { class: 'log', 'aria-label': `Output of ${name}` });
  const input = open ? inputFor(id) : null;
  place.hidden = false;
  place.replaceChildren(
    h('div', { class: 'run-outcome' }, h('h2', {}, 'Output'), mark, h('div', { class: 'actions' }, stop, link)),
    log,
    input ?? '',
  );
  viewIn(log, [{ id, name }]);
  log.addEventListener('hero:ended', ({ detail: { outcome } }) => {
    const good = isSuccess(outcome);
    mark.className = `mark ${good ? 'good' : outcome?.kind === 'cancelled' ? 'quiet' : 'bad'}`;
    mark.textContent = outcomeInWords(outcome);
    stop.remove();
    input?.remove();
    value(id, place, began, mark);
  });
  place.scrollIntoView({ block: 'nearest', behavior: 'smooth' });
}

/** How long it really took, and what an invoked function has returned. */
async function value(id, place, began, mark) {
  try {
    const info = await rpc('session_get', { session_id: id });
    mark.after(h('span', { class: 'detail' }, `after ${span(info.duration_ms ?? performance.now() - began)}`));
    if (info.value !== undefined && info.value !== null) {
      place.append(
        h('h3', {}, 'Value'),
        h('pre', { class: 'copy' }, h('code', {}, JSON.stringify(info.value, null, 2))),
      );
    }
  } catch {
    // The outcome stands there already.
  }
}

/** A line for the standard input of a session that keeps it open. @param {string} id */
function inputFor(id) {
  const field = h('input', {
    class: 'form-control form-control-sm',
    'aria-label': 'A line for its standard input',
    placeholder: 'a line for its standard input',
    autocomplete: 'off',
  });
  const write = async (params) => {
    try {
      await rpc('session_stdin', { session_id: id, ...params });
      field.value = '';
    } catch (error) {
      failed(error, 'Standard input');
    }
  };
  return h(
    'form',
    {
      class: 'run-input',
      onsubmit: (event) => {
        event.preventDefault();
        write({ data: `${field.value}\n` });
      },
    },
    field,
    h('button', { class: 'btn btn-sm btn-outline-secondary' }, icon('send'), 'Write'),
    button('btn-outline-secondary', 'x-lg', 'Close it', { onclick: () => write({ close: true }) }),
  );
}

function run() {
  return busy(form, async () => {
    try {
      const params = wanted();
      const { session_id: id } = await rpc('session_start', params);
      show(id, params.module ?? params.template ?? params.runtime ?? 'script', params.stdin_open === true);
    } catch (error) {
      failed(error, 'Not started');
    }
  });
}

export function mount() {
  const found = document.getElementById('run');
  if (!found || found === form) return;
  form = found;
  original = undefined;
  document.getElementById('output').hidden = true;
  const area = form.elements.script;
  let editor;
  if (area) {
    if (area.value === '' && !form.dataset.again) area.value = kept('draft', '');
    const changed = () => {
      keep('draft', area.value);
      share();
    };
    editor = editorOf(area, { language: () => languageOf(form.elements.runtime?.value ?? ''), changed });
  }
  form.addEventListener('input', share);
  form.addEventListener('change', (event) => {
    choose();
    share();
    if (event.target.name === 'runtime') editor?.recolour();
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    run();
  });
  // Before the editor, which takes every Enter for a new line.
  form.addEventListener(
    'keydown',
    (event) => {
      if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      event.stopPropagation();
      run();
    },
    true,
  );
  const changed = () => {
    choose();
    share();
    editor?.recolour();
  };
  changed();
  if (form.dataset.again) again(form.dataset.again, changed);
}
