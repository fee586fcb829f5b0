// The line below a log: whether it is live, how much there is, what was skipped, and how it ended.

import { button, h, icon } from '../dom.js';
import { isSuccess, outcomeInWords } from '../outcome.js';
import { grouped } from '../time.js';

const RATE_MS = 1000;
const ICONS = {
  live: 'circle-fill',
  polling: 'circle-half',
  connecting: 'hourglass-split',
  reconnecting: 'arrow-clockwise',
  gone: 'slash-circle',
  ended: 'check-circle',
  failed: 'x-circle',
};
const WORDS = {
  live: 'Live',
  polling: 'Live, once a second',
  connecting: 'Connecting',
  reconnecting: 'Reconnecting',
  gone: 'The server does not know this session any more',
  ended: 'Ended',
};

export class Status {
  /** @param {import('./view.js').LogView} view */
  constructor(view) {
    this.view = view;
    this.skipped = 0;
    this.lines = 0;
    this.rate = 0;
    this.since = performance.now();
    this.due = 0;
    this.state = h('span', { class: 'log-state', role: 'status' });
    this.numbers = h('span', { class: 'log-numbers' });
    this.olderButton = button('btn-link', 'arrow-up', 'Older lines', { hidden: true, onclick: () => view.loadOlder() });
    this.element = h('div', { class: 'log-status' }, this.state, this.numbers, this.olderButton);
    this.timer = setInterval(() => this.measure(), RATE_MS);
    this.change();
  }

  close() {
    clearInterval(this.timer);
    clearTimeout(this.due);
  }

  /** @param {import('./backlog.js').Batch} batch */
  came({ seq, skipped, first }) {
    if (!first) this.lines += seq.length + skipped;
    this.skipped += skipped;
  }

  measure() {
    const now = performance.now();
    const rate = (this.lines * 1000) / (now - this.since);
    this.since = now;
    this.lines = 0;
    if (rate === 0 && this.rate === 0) return;
    this.rate = rate;
    this.show();
  }

  /** What is said changes a few times a second at most, however fast the lines come. */
  later() {
    this.due ||= setTimeout(() => {
      this.due = 0;
      this.show();
    }, 150);
  }

  show() {
    const { view } = this;
    const { size, lines } = view.store;
    const shown = view.lens.length;
    const parts = [`${grouped(lines)} ${lines === 1 ? 'line' : 'lines'}`];
    if (shown !== size) parts.push(`${grouped(shown)} shown`);
    if (this.rate >= 1) parts.push(`${grouped(this.rate)} lines/s`);
    if (this.skipped > 0) parts.push(`sampled: ${grouped(this.skipped)} skipped`);
    if (view.store.full) parts.push('older ones make way');
    this.numbers.textContent = parts.join(' · ');
    this.element.classList.toggle('sampled', this.skipped > 0);
    const older = view.oldest();
    this.olderButton.hidden = older === null || view.store.full;
    this.olderButton.disabled = view.older;
    view.toolbar?.followed();
  }

  /** The state of all sessions in words; only a change is read aloud. */
  change() {
    const { sessions } = this.view;
    const counts = new Map();
    for (const { state } of sessions) counts.set(state, (counts.get(state) ?? 0) + 1);
    let words;
    let look;
    if (sessions.length === 1 && sessions[0].state === 'ended') {
      const { outcome } = sessions[0];
      words = `Ended: ${outcomeInWords(outcome)}`;
      look = isSuccess(outcome) ? 'ended' : 'failed';
    } else if (counts.size === 1) {
      [look] = counts.keys();
      words = WORDS[look];
    } else {
      look = counts.has('reconnecting') ? 'reconnecting' : 'live';
      words = [...counts]
        .map(([state, count]) => `${count} ${state === 'polling' ? 'live once a second' : state}`)
        .join(' · ');
    }
    this.view.root.dataset.state = look;
    if (this.state.textContent.trim() !== words) {
      this.state.className = `log-state log-state-${look}`;
      this.state.replaceChildren(icon(ICONS[look]), ` ${words}`);
    }
    this.later();
  }
}
