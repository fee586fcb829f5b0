// A log view: the lines of one or many sessions as they come, to follow, search, filter and keep.

import { rpc } from '../rpc.js';
import { grouped } from '../time.js';
import { failed } from '../toast.js';
import { Backlog, kindOf, partialOf, toneOf } from './backlog.js';
import { save, textOf } from './download.js';
import { ROW_PX, VirtualList } from './list.js';
import { rowOf } from './row.js';
import { Search } from './search.js';
import { Status } from './status.js';
import { Lens, LineStore, SYSTEM } from './store.js';
import { toolbarOf } from './toolbar.js';
import { continues, showWhole } from './whole.js';

/** Lines that one frame takes. */
const FRAME_LINES = 6000;
/** Milliseconds of a frame that a search takes. */
const SEARCH_MS = 6;
const OLDER = 2000;
/** Rows from the top at which older lines are read. */
const NEAR_TOP = 40;

export class LogView {
  /**
   * @param {HTMLElement} root
   * @param {{id: string, name?: string}[]} sessions
   */
  constructor(root, sessions) {
    this.root = root;
    this.sessions = sessions.map(({ id, name }) => ({
      id,
      name: name ?? id.slice(-6),
      state: 'connecting',
      outcome: null,
      key: 0,
    }));
    this.store = new LineStore();
    this.lens = new Lens(this.store);
    this.search = new Search(this.lens);
    this.list = new VirtualList(this, `Log of ${this.sessions.map(({ name }) => name).join(', ')}`);
    this.status = new Status(this);
    this.following = true;
    /** @type {import('./backlog.js').Batch[]} what came and is not in the store yet */
    this.queue = [];
    this.scheduled = false;
    this.older = false;
    this.digits = 4;
    /** @type {Record<string, number>} */
    this.fitted = {};
    this.toolbar = toolbarOf(this);
    root.replaceChildren(this.toolbar.element, this.list.element, this.status.element);
    this.listen();
    this.worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
    this.worker.onmessage = ({ data }) => this.told(data);
    this.sessions.forEach(({ id }, index) => this.worker.postMessage({ add: { index, id } }));
  }

  listen() {
    const seen = () => {
      this.worker.postMessage({ visible: !document.hidden });
      this.schedule();
    };
    const keys = (event) => this.toolbar.key(event);
    const selected = () => {
      const selection = getSelection();
      // A list that runs on under a selection is of no use.
      if (selection && !selection.isCollapsed && this.list.element.contains(selection.anchorNode)) this.follow(false);
    };
    document.addEventListener('visibilitychange', seen);
    document.addEventListener('keydown', keys);
    document.addEventListener('selectionchange', selected);
    this.unlisten = () => {
      document.removeEventListener('visibilitychange', seen);
      document.removeEventListener('keydown', keys);
      document.removeEventListener('selectionchange', selected);
    };
  }

  close() {
    this.worker.terminate();
    this.list.close();
    this.status.close();
    this.unlisten();
    this.root.replaceChildren();
  }

  // What the list asks.

  length() {
    return this.lens.length;
  }

  key(position) {
    return this.lens.absolute(position);
  }

  make(position) {
    const absolute = this.lens.absolute(position);
    const entry = this.store.at(absolute);
    return rowOf(entry, {
      names: this.sessions.map(({ name }) => name),
      expression: this.search.expression,
      continues: entry.kind !== SYSTEM && continues(this.store, absolute),
      current: absolute === this.search.current,
      whole: () => showWhole(this.store, absolute, this.sessions[entry.session].name),
    });
  }

  scrolled() {
    this.follow(this.list.atEnd, false);
    if (this.list.first < NEAR_TOP) this.loadOlder();
  }

  resized() {
    if (this.following) this.list.scrollToEnd();
    this.list.render();
  }

  // What the worker tells.

  told({ batches, status, end }) {
    if (batches) {
      this.queue.push(...batches);
      this.schedule();
    }
    if (status) {
      this.sessions[status.index].state = status.state;
      this.status.change();
    }
    if (end) {
      Object.assign(this.sessions[end.index], { state: 'ended', outcome: end.outcome });
      this.status.change();
      const detail = { id: this.sessions[end.index].id, outcome: end.outcome };
      this.root.dispatchEvent(new CustomEvent('hero:ended', { detail, bubbles: true }));
    }
  }

  schedule() {
    if (this.scheduled) return;
    this.scheduled = true;
    // A page that is not seen has no frames.
    if (document.hidden) setTimeout(() => this.frame(), 250);
    else requestAnimationFrame(() => this.frame());
  }

  frame() {
    this.scheduled = false;
    const fresh = this.take();
    if (fresh.length) this.put(fresh);
    if (this.queue.length === 0) this.worker.postMessage({ ack: true });
    if (this.search.pending) {
      this.search.step(SEARCH_MS);
      this.toolbar.counted();
    }
    if (this.queue.length || this.search.pending) this.schedule();
  }

  /** Some lines out of the queue, in order of time. */
  take() {
    const fresh = [];
    let sessions = 0;
    while (this.queue.length && fresh.length < FRAME_LINES) {
      const batch = this.queue[0];
      const session = this.sessions[batch.index];
      const from = batch.from ?? 0;
      const to = Math.min(batch.seq.length, from + FRAME_LINES - fresh.length);
      sessions += 1;
      for (let at = from; at < to; at += 1) {
        const entry = this.entryOf(batch, at);
        session.key = Math.max(session.key, entry.ts);
        entry.key = session.key;
        fresh.push(entry);
      }
      if (from === 0) this.status.came(batch);
      if (to === batch.seq.length) this.queue.shift();
      else batch.from = to;
    }
    return sessions > 1 ? fresh.sort((one, two) => one.key - two.key) : fresh;
  }

  /** @param {import('./backlog.js').Batch} batch @param {number} at @returns {import('./store.js').Entry} */
  entryOf({ index, seq, ts, flags, text }, at) {
    const kind = kindOf(flags[at]);
    const tone = kind === SYSTEM ? toneOf(flags[at]) : '';
    return {
      session: index,
      seq: seq[at],
      ts: ts[at],
      key: ts[at],
      kind,
      partial: partialOf(flags[at]),
      tone,
      text: text[at],
    };
  }

  /** @param {import('./store.js').Entry[]} fresh */
  put(fresh) {
    const anchor = this.anchor();
    const changed = this.store.append(fresh);
    this.changed(changed);
    this.restore(anchor);
    this.list.render();
  }

  changed(from) {
    this.lens.update(from);
    this.fit();
    this.search.update(from);
    this.list.forget(from);
    this.status.later();
  }

  /** Numbers are as wide as the largest, and a log that has ended is no higher than its lines. */
  fit() {
    const largest = this.store.size ? this.store.at(this.store.end - 1).seq + 1 : 0;
    this.digits = Math.max(this.digits, grouped(largest).length);
    for (const [name, value] of [
      ['--digits', this.digits],
      ['--lines', Math.min(100, this.lens.length)],
    ]) {
      if (this.fitted[name] === value) continue;
      this.fitted[name] = value;
      this.root.style.setProperty(name, String(value));
    }
  }

  /** What is at the top, so that it can stay there. */
  anchor() {
    if (this.following || this.lens.length === 0) return null;
    const { first } = this.list;
    return {
      absolute: this.lens.absolute(Math.min(first, this.lens.length - 1)),
      within: this.list.element.scrollTop - first * ROW_PX,
    };
  }

  restore(anchor) {
    this.list.resize();
    if (this.following) this.list.scrollToEnd();
    else if (anchor) this.list.scrollTo(this.lens.position(anchor.absolute) * ROW_PX + anchor.within);
  }

  /** @param {boolean} on @param {boolean} [jump] go to the end at once */
  follow(on, jump = true) {
    if (this.following === on) return;
    this.following = on;
    if (on && jump) this.list.scrollToEnd();
    this.toolbar.followed();
    this.status.later();
  }

  /** Another choice of streams or sessions. */
  refilter() {
    const anchor = this.anchor();
    this.lens.rebuild();
    this.fit();
    this.search.reset();
    this.list.render(true);
    this.restore(anchor);
    this.list.render();
    this.status.later();
    this.schedule();
  }

  /** @param {string} query @returns {boolean} */
  find(query) {
    const fine = this.search.set(query);
    this.list.render(true);
    this.schedule();
    return fine;
  }

  /** @param {1|-1} step */
  toMatch(step) {
    const at = this.following
      ? this.store.end
      : this.lens.absolute(Math.min(this.list.first, Math.max(0, this.lens.length - 1)));
    const found = this.search.next(step, at ?? 0);
    if (found === null) return;
    this.follow(false);
    this.list.reveal(this.lens.position(found));
    this.list.render(true);
    this.toolbar.counted();
  }

  /** The session of which the oldest shown line is the newest: its lines are what is missing at the top. */
  oldest() {
    let found = null;
    let newest = -Infinity;
    for (const [session, { seq, key }] of this.store.first) {
      if (seq > 0 && key > newest && !this.sessions[session].begun) [found, newest] = [session, key];
    }
    return found;
  }

  async loadOlder() {
    const index = this.oldest();
    if (this.older || index === null || this.store.full) return;
    this.older = true;
    this.status.later();
    try {
      const session = this.sessions[index];
      const { seq: first } = this.store.first.get(index);
      const from = Math.max(0, first - OLDER);
      const params = {
        session_id: session.id,
        limit: Math.min(OLDER, first),
        ...(from > 0 ? { after_seq: from - 1 } : {}),
      };
      const page = await rpc('session_logs', params);
      const lines = page.lines.filter((line) => line.seq < first);
      // What is before it is gone for good.
      if (page.gap > 0 || lines.length === 0) session.begun = true;
      this.before(index, lines, page.gap);
    } catch (error) {
      failed(error, 'Older lines');
    } finally {
      this.older = false;
      this.status.later();
    }
  }

  before(index, lines, gap) {
    const backlog = new Backlog(index, lines[0]?.seq ?? 0);
    for (const line of lines) backlog.line(line.kind, line.seq, line);
    const batch = backlog.take(Infinity);
    const older = batch ? [...batch.seq.keys()].map((at) => this.entryOf(batch, at)) : [];
    // None of them is newer than the line that follows it.
    let { key } = this.store.first.get(index);
    for (const entry of older.toReversed()) {
      key = Math.min(key, entry.ts);
      entry.key = key;
    }
    if (gap > 0 && older.length) {
      const text = `${gap} lines before these are no longer kept`;
      older.unshift({ ...older[0], kind: SYSTEM, partial: false, tone: 'gap', text });
    }
    const anchor = this.anchor();
    const mixed = this.store.prepend(older);
    if (mixed) this.list.forget(-Infinity);
    this.lens.rebuild();
    this.fit();
    this.search.reset();
    this.restore(anchor);
    this.list.render();
    this.schedule();
  }

  /** @param {(lines: number) => void} told */
  async download(told) {
    const blob = await textOf(this.sessions, told);
    save(blob, `${this.sessions.length === 1 ? this.sessions[0].name : 'sessions'}.log`);
  }

  /** @param {number} index @param {string} name */
  rename(index, name) {
    this.sessions[index].name = name;
    this.toolbar.named();
    this.list.render(true);
  }
}
