// A list of a hundred thousand rows of which only those in sight are elements. Rows stay the same elements while they are in
// sight, so that a selection in them lives.

import { h } from '../dom.js';

export const ROW_PX = 20;
const OVERSCAN = 12;
/** Browsers lose precision in elements that are higher; 200,000 rows are well below. */
const HIGHEST_PX = 16_000_000;

export class VirtualList {
  /**
   * @param {object} owner
   * @param {() => number} owner.length
   * @param {(position: number) => number} owner.key what names the row at a position for as long as it exists
   * @param {(position: number) => HTMLElement} owner.make
   * @param {() => void} owner.scrolled the person scrolled
   * @param {() => void} owner.resized
   * @param {string} label
   */
  constructor(owner, label) {
    this.owner = owner;
    /** @type {Map<number, HTMLElement>} */
    this.rows = new Map();
    this.space = h('div', { class: 'log-space' });
    this.element = h(
      'div',
      { class: 'log-lines', tabIndex: 0, role: 'log', 'aria-live': 'off', 'aria-label': label },
      this.space,
    );
    this.height = 0;
    /** Where our own scrolling will have led. */
    this.expected = NaN;
    this.element.addEventListener(
      'scroll',
      () => {
        // Our own scrolling says nothing about what the person wants.
        const own = Math.abs(this.element.scrollTop - this.expected) < 2;
        this.expected = NaN;
        this.render();
        if (!own) this.owner.scrolled();
      },
      { passive: true },
    );
    this.resized = new ResizeObserver(() => this.owner.resized());
    this.resized.observe(this.element);
  }

  get atEnd() {
    const { scrollTop, clientHeight, scrollHeight } = this.element;
    return scrollTop + clientHeight >= scrollHeight - ROW_PX;
  }

  get first() {
    return Math.floor(this.element.scrollTop / ROW_PX);
  }

  get inSight() {
    return Math.ceil(this.element.clientHeight / ROW_PX);
  }

  /** @param {number} top */
  scrollTo(top) {
    const most = Math.max(0, this.element.scrollHeight - this.element.clientHeight);
    const to = Math.round(Math.min(Math.max(0, top), most));
    if (Math.abs(this.element.scrollTop - to) < 1) return;
    this.expected = to;
    this.element.scrollTop = to;
  }

  scrollToEnd() {
    this.scrollTo(Infinity);
  }

  /** Brings a row into the middle, when it is out of sight. @param {number} position */
  reveal(position) {
    if (position >= this.first && position < this.first + this.inSight - 1) return;
    this.scrollTo((position - Math.floor(this.inSight / 2)) * ROW_PX);
  }

  resize() {
    const height = Math.min(HIGHEST_PX, this.owner.length() * ROW_PX);
    if (height === this.height) return;
    this.height = height;
    this.space.style.height = `${height}px`;
  }

  /** @param {boolean} [anew] make all rows again */
  render(anew = false) {
    this.resize();
    if (anew) {
      for (const row of this.rows.values()) row.remove();
      this.rows.clear();
    }
    const length = this.owner.length();
    const from = Math.max(0, this.first - OVERSCAN);
    const to = Math.min(length, this.first + this.inSight + OVERSCAN);
    const keys = new Map();
    for (let position = from; position < to; position += 1) keys.set(this.owner.key(position), position);
    // What goes, goes first: rows that stay are then in order, and need not move, which would end a selection in them.
    for (const [key, row] of this.rows) {
      if (keys.has(key)) continue;
      row.remove();
      this.rows.delete(key);
    }
    let next = this.space.firstChild;
    for (const [key, position] of keys) {
      let row = this.rows.get(key);
      if (!row) {
        row = this.owner.make(position);
        this.rows.set(key, row);
      }
      if (row === next) next = next.nextSibling;
      else this.space.insertBefore(row, next);
      const top = `${position * ROW_PX}px`;
      if (row.style.top !== top) row.style.top = top;
    }
  }

  /** Rows that are not what they were are made again. @param {number} key the first of them */
  forget(key) {
    for (const [known, row] of this.rows) {
      if (known < key) continue;
      row.remove();
      this.rows.delete(known);
    }
  }

  close() {
    this.resized.disconnect();
  }
}
