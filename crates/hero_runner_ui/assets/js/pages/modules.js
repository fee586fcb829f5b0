// Uploads: a module becomes a name, a package becomes a version of its service. Dropped or chosen, with progress.

import { h, icon } from '../dom.js';
import { refresh } from '../live.js';
import { errorOf, renewToken, RpcError, tokenHeader } from '../rpc.js';
import { SseParser } from '../log/sse.js';
import { size } from '../time.js';
import { done } from '../toast.js';

const PACKAGES = [
  [/\.(tar\.gz|tgz)$/i, 'application/gzip'],
  [/\.tar$/i, 'application/x-tar'],
  [/\.zip$/i, 'application/zip'],
];
const STAGES = {
  received: 'received',
  unpacked: 'unpacked',
  compiled: 'compiled',
  starting: 'starting',
  ready: 'ready',
  deployed: 'deployed',
  unchanged: 'is the version that serves already',
};

/** A file's name as a module may be called. @param {string} file */
export function nameOf(file) {
  return file
    .replace(/\.[^.]*$/, '')
    .toLowerCase()
    .replace(/[^a-z0-9_.-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 64);
}

/**
 * Sends one file. XHR, since fetch cannot tell how much of a body has gone.
 * @param {string} url
 * @param {File} file
 * @param {Record<string, string>} headers
 * @param {{sent: (part: number) => void, event?: (name: string, data: any) => void}} tell
 * @returns {Promise<any>}
 */
function post(url, file, headers, tell) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', url);
    for (const [name, value] of Object.entries({ ...headers, ...tokenHeader() })) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => event.lengthComputable && tell.sent(event.loaded / event.total);
    request.upload.onload = () => tell.sent(1);
    const parser = new SseParser();
    let read = 0;
    let ended = null;
    const events = () => {
      if (!request.getResponseHeader('content-type')?.startsWith('text/event-stream')) return;
      const text = request.responseText.slice(read);
      read += text.length;
      parser.push(text, (name, data) => {
        const value = JSON.parse(data);
        if (name === 'error') ended = errorOf(200, data);
        else tell.event?.(name, value);
      });
    };
    request.onprogress = events;
    request.onload = () => {
      events();
      if (request.status < 200 || request.status > 299) reject(errorOf(request.status, request.responseText));
      else if (ended) reject(ended);
      else resolve(read > 0 ? null : JSON.parse(request.responseText || 'null'));
    };
    request.onerror = () =>
      reject(new RpcError({ message: 'the connection broke off', hint: 'try it again', code_name: 'unreachable' }));
    request.send(file);
  });
}

async function postWithToken(...what) {
  for (;;) {
    try {
      return await post(...what);
    } catch (error) {
      if (error.status !== 401 || !(await renewToken(error))) throw error;
    }
  }
}

/** @param {HTMLElement} list @param {File} file @param {string} [wanted] the name to register a module under */
async function upload(list, file, wanted) {
  const kind = PACKAGES.find(([pattern]) => pattern.test(file.name))?.[1];
  const name = wanted || nameOf(file.name);
  const bar = h('progress', { max: 1, value: 0, 'aria-label': `Upload of ${file.name}` });
  const stage = h('span', { role: 'status' }, 'sending');
  const item = h('li', {}, h('span', {}, h('strong', {}, kind ? file.name : name), ` ${size(file.size)}`), stage, bar);
  list.prepend(item);
  const named = (href, words) => item.firstChild.replaceChildren(h('a', { href }, words), ` ${size(file.size)}`);
  const sent = (part) => {
    bar.value = part;
    if (part === 1) {
      stage.textContent = kind ? 'deploying' : 'compiling';
      bar.removeAttribute('value');
    }
  };
  try {
    if (kind) {
      const event = (word, data) => {
        stage.textContent = STAGES[word] ?? word;
        const name = data?.service?.name;
        if (name) named(`/services/${encodeURIComponent(name)}`, name);
      };
      await postWithToken('/upload', file, { 'content-type': kind, accept: 'text/event-stream' }, { sent, event });
    } else {
      const address = `/modules/${encodeURIComponent(name)}`;
      await postWithToken(address, file, { 'content-type': 'application/wasm' }, { sent });
      stage.textContent = 'registered';
      named(address, name);
    }
    bar.remove();
    stage.prepend(icon('check-circle-fill'), ' ');
    done(`${kind ? file.name : name}: ${stage.textContent.trim()}`);
    refresh();
  } catch (error) {
    bar.remove();
    stage.textContent = 'refused';
    item.append(h('p', { class: 'upload-fault', role: 'alert' }, error.message, error.hint ? ` – ${error.hint}` : ''));
  }
}

/** @param {HTMLElement} place with `data-drop` */
function wire(place) {
  const list = h('ul', { class: 'uploads', 'data-own': '' });
  const name = () => place.querySelector('input[name=name]')?.value.trim();
  let input = place.querySelector('input[type=file]');
  if (!input) {
    input = h('input', { type: 'file', multiple: true, class: 'visually-hidden', id: 'upload-file', tabIndex: -1 });
    const choose = h(
      'button',
      { type: 'button', class: 'btn btn-sm btn-outline-secondary', onclick: () => input.click() },
      icon('upload'),
      'Choose files',
    );
    place.append(
      h(
        'div',
        { class: 'drop-what', 'data-own': '' },
        'Drop .wasm files or packages (.tar, .tar.gz, .zip) here, or',
        choose,
        h('label', { class: 'visually-hidden', htmlFor: 'upload-file' }, 'Files to upload'),
        input,
      ),
    );
  }
  place.append(list);
  const take = async (files) => {
    const all = [...files];
    // One after the other: each is compiled, and the machine has other things to do.
    for (const file of all) await upload(list, file, all.length === 1 ? name() : undefined);
    input.value = '';
    const field = place.querySelector('input[name=name]');
    if (field) field.value = '';
  };
  input.multiple = true;
  const form = place.closest('form') ?? place.querySelector('form');
  // With a form around it a file waits for its name; alone it goes at once.
  if (!form) input.addEventListener('change', () => take(input.files));
  form?.addEventListener('submit', (event) => {
    event.preventDefault();
    if (input.files.length) take(input.files);
    else input.click();
  });
  place.addEventListener('dragover', (event) => {
    if (!event.dataTransfer.types.includes('Files')) return;
    event.preventDefault();
    place.classList.add('over');
  });
  place.addEventListener('dragleave', (event) => {
    if (!place.contains(event.relatedTarget)) place.classList.remove('over');
  });
  place.addEventListener('drop', (event) => {
    event.preventDefault();
    place.classList.remove('over');
    take(event.dataTransfer.files);
  });
}

const wired = new WeakSet();
let guarded = false;

export function mount() {
  for (const place of document.querySelectorAll('[data-drop]')) {
    if (wired.has(place)) continue;
    wired.add(place);
    wire(place);
  }
  if (guarded) return;
  guarded = true;
  // A file that misses the place must not replace the page.
  for (const type of ['dragover', 'drop']) window.addEventListener(type, (event) => event.preventDefault());
}
