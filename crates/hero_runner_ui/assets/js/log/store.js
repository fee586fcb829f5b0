// The lines that a log view holds: of many sessions, in order of time, never more than a bound. Pure.

/**
 * One row of a log.
 * @typedef {object} Entry
 * @property {number} session the session's place in the view
 * @property {number} seq the line's sequence number; of a system row, that of the line that follows it
 * @property {number} ts when it was written, in milliseconds since the Unix epoch
 * @property {number} key what it is ordered by: its time, but never before the line that precedes it in its session
 * @property {number} kind an index into `KINDS`
 * @property {boolean} partial no line feed follows
 * @property {string} tone of a system row: `gap`, `skipped`, `end` or `info`
 * @property {string} text
 */

export const KINDS = ['stdout', 'stderr', 'host', 'system'];
export const SYSTEM = 3;

/**
 * Rows have absolute numbers that stay theirs: those that go at the front and those that come before it change only `base`.
 */
export class LineStore {
  /** @param {{lines?: number, chars?: number}} [bounds] */
  constructor({ lines = 200_000, chars = 64 * 1024 * 1024 } = {}) {
    this.maxLines = lines;
    this.maxChars = chars;
    this.clear();
  }

  clear() {
    /** @type {Entry[]} */
    this.entries = [];
    /** Entries before this place in the array have gone; taking them out one by one would copy the rest each time. */
    this.head = 0;
    /** The absolute number of the first entry. */
    this.base = 0;
    this.chars = 0;
    /** How many of them a guest has printed; the others are about the log. */
    this.lines = 0;
    /** @type {Map<number, {seq: number, key: number}>} the first line of each session that is still here */
    this.first = new Map();
  }

  get size() {
    return this.entries.length - this.head;
  }

  /** The absolute number behind the last entry. */
  get end() {
    return this.base + this.size;
  }

  get full() {
    return this.size >= this.maxLines || this.chars >= this.maxChars;
  }

  /** @param {number} absolute @returns {Entry|undefined} */
  at(absolute) {
    const place = absolute - this.base;
    return place < 0 ? undefined : this.entries[this.head + place];
  }

  /**
   * Takes lines that are newer than what their sessions have, in order of time.
   * @param {Entry[]} fresh ordered by `key`
   * @returns {number} the absolute number of the first row that is not what it was
   */
  append(fresh) {
    if (fresh.length === 0) return this.end;
    for (const entry of fresh) {
      this.chars += entry.text.length;
      if (entry.kind !== SYSTEM) this.lines += 1;
      if (!this.first.has(entry.session)) this.first.set(entry.session, { seq: entry.seq, key: entry.key });
    }
    const place = this.placeAfter(fresh[0].key);
    const changed = this.base + (place - this.head);
    if (place === this.entries.length) {
      for (const entry of fresh) this.entries.push(entry);
    } else {
      // Sessions are read independently: a line of one may come a little later than a newer one of another.
      const tail = this.entries.splice(place);
      merge(this.entries, tail, fresh);
    }
    this.evict();
    return Math.max(changed, this.base);
  }

  /**
   * Takes lines that are older than all of their session, up to the bound.
   * @param {Entry[]} older ordered by `key`
   * @returns {boolean} whether rows that were there have moved relative to each other
   */
  prepend(older) {
    if (older.length === 0) return false;
    for (const entry of older) {
      this.chars += entry.text.length;
      if (entry.kind !== SYSTEM) this.lines += 1;
      const first = this.first.get(entry.session);
      if (!first || entry.seq < first.seq) this.first.set(entry.session, { seq: entry.seq, key: entry.key });
    }
    const rest = this.entries.slice(this.head);
    this.head = 0;
    const first = rest[0];
    const last = older[older.length - 1];
    const apart = !first || last.key <= first.key;
    this.entries = [];
    if (apart) this.entries = older.concat(rest);
    else merge(this.entries, older, rest);
    this.base -= older.length;
    return !apart;
  }

  /** The place behind the last entry that is not newer than a key. @param {number} key */
  placeAfter(key) {
    const { entries } = this;
    if (this.size === 0 || entries[entries.length - 1].key <= key) return entries.length;
    let [low, high] = [this.head, entries.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (entries[middle].key <= key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  evict() {
    while (this.size > this.maxLines || (this.chars > this.maxChars && this.size > 1)) {
      const gone = this.entries[this.head];
      this.chars -= gone.text.length;
      if (gone.kind !== SYSTEM) {
        this.lines -= 1;
        this.first.set(gone.session, { seq: gone.seq + 1, key: gone.key });
      }
      this.entries[this.head] = undefined;
      this.head += 1;
      this.base += 1;
    }
    if (this.head > 4096 && this.head > this.entries.length / 2) {
      this.entries = this.entries.slice(this.head);
      this.head = 0;
    }
  }
}

/** Merges two ordered lists behind a third; where keys are equal, the first list comes first. */
function merge(into, one, two) {
  let [a, b] = [0, 0];
  while (a < one.length && b < two.length) into.push(one[a].key <= two[b].key ? one[a++] : two[b++]);
  while (a < one.length) into.push(one[a++]);
  while (b < two.length) into.push(two[b++]);
}

/** Which rows are shown: those of the kinds and sessions that are on. Positions are counted from the first shown row. */
export class Lens {
  /** @param {LineStore} store */
  constructor(store) {
    this.store = store;
    this.kinds = new Set([0, 1, 2, 3]);
    /** @type {Set<number>} sessions that are hidden */
    this.hidden = new Set();
    this.rebuild();
  }

  get everything() {
    return this.kinds.size === KINDS.length && this.hidden.size === 0;
  }

  /** @param {Entry} entry */
  shows(entry) {
    return this.kinds.has(entry.kind) && !this.hidden.has(entry.session);
  }

  rebuild() {
    /** @type {number[]|null} the absolute numbers of the shown rows, or null where all are */
    this.picked = this.everything ? null : [];
    this.head = 0;
    this.seen = this.store.base;
    this.update(this.store.base);
  }

  /**
   * Follows what has changed in the store.
   * @param {number} changed the absolute number of the first row that is not what it was
   */
  update(changed) {
    if (!this.picked) return;
    const from = Math.min(changed, this.seen);
    while (this.picked.length > this.head && this.picked[this.picked.length - 1] >= from) this.picked.pop();
    for (let at = Math.max(from, this.store.base); at < this.store.end; at += 1) {
      if (this.shows(this.store.at(at))) this.picked.push(at);
    }
    this.seen = this.store.end;
    while (this.head < this.picked.length && this.picked[this.head] < this.store.base) this.head += 1;
    if (this.head > 4096 && this.head > this.picked.length / 2) {
      this.picked = this.picked.slice(this.head);
      this.head = 0;
    }
  }

  get length() {
    return this.picked ? this.picked.length - this.head : this.store.size;
  }

  /** The absolute number of the row at a position. @param {number} position */
  absolute(position) {
    return this.picked ? this.picked[this.head + position] : this.store.base + position;
  }

  /** The position of a row, or of the next one that is shown. @param {number} absolute */
  position(absolute) {
    if (!this.picked) return absolute - this.store.base;
    return lowerBound(this.picked, absolute, this.head) - this.head;
  }
}

/** The first place in an ordered list that is not below a value. @param {number[]} list @param {number} value */
export function lowerBound(list, value, low = 0) {
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
