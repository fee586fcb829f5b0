// Search in a log: which shown rows have a word, a slice of time at a time, so that a large log does not hold up the page.

import { strip } from '../ansi.js';
import { lowerBound } from './store.js';

/** How many rows are looked at between two looks at the clock. */
const STRIDE = 500;

/** A word as an expression that ignores case; `/…/` is an expression itself. @param {string} query @returns {RegExp|null} */
export function expressionOf(query) {
  if (query === '') return null;
  const written = /^\/(.+)\/$/.exec(query)?.[1];
  try {
    return new RegExp(written ?? query.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'gi');
  } catch {
    return null;
  }
}

export class Search {
  /** @param {import('./store.js').Lens} lens */
  constructor(lens) {
    this.lens = lens;
    /** @type {RegExp|null} */
    this.expression = null;
    this.reset();
  }

  /** @param {string} query @returns {boolean} whether it can be searched for */
  set(query) {
    this.expression = expressionOf(query);
    this.reset();
    return query === '' || this.expression !== null;
  }

  reset() {
    /** @type {number[]} absolute numbers of the rows that match */
    this.matches = [];
    /** The absolute number up to which rows were looked at. */
    this.cursor = this.lens.store.base;
    /** @type {number|null} the absolute number of the match that is shown */
    this.current = null;
  }

  /** Follows what has changed in the store. @param {number} changed */
  update(changed) {
    if (!this.expression) return;
    while (this.matches.length && this.matches[this.matches.length - 1] >= changed) this.matches.pop();
    this.cursor = Math.min(this.cursor, changed);
    const gone = lowerBound(this.matches, this.lens.store.base);
    if (gone > 0) this.matches.splice(0, gone);
  }

  get pending() {
    return this.expression !== null && this.cursor < this.lens.store.end;
  }

  /** Looks on for some milliseconds. @param {number} budget @returns {boolean} whether there is more to do */
  step(budget) {
    if (!this.expression) return false;
    const { store } = this.lens;
    const until = performance.now() + budget;
    this.cursor = Math.max(this.cursor, store.base);
    while (this.cursor < store.end) {
      const stop = Math.min(store.end, this.cursor + STRIDE);
      for (; this.cursor < stop; this.cursor += 1) {
        const entry = store.at(this.cursor);
        if (this.lens.shows(entry) && this.test(entry.text)) this.matches.push(this.cursor);
      }
      if (performance.now() > until) break;
    }
    return this.pending;
  }

  test(text) {
    this.expression.lastIndex = 0;
    return this.expression.test(strip(text));
  }

  /**
   * The next match behind (or before) a row, around the end.
   * @param {number} step 1 or -1
   * @param {number} from the absolute number of a row
   * @returns {number|null}
   */
  next(step, from) {
    const { matches } = this;
    if (matches.length === 0) return null;
    const start = this.current ?? (step > 0 ? from - 1 : from);
    const place = step > 0 ? lowerBound(matches, start + 1) : lowerBound(matches, start) - 1;
    this.current = matches[(place + matches.length) % matches.length];
    return this.current;
  }

  /** The match that is shown, counted from 1; 0 when none is. */
  get ordinal() {
    if (this.current === null) return 0;
    const place = lowerBound(this.matches, this.current);
    return this.matches[place] === this.current ? place + 1 : 0;
  }
}
