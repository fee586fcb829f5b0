// What a session's reader has and the page has not taken yet. Pure. When the page cannot keep up, the oldest lines make way
// and are counted; they are still in the server's history and in a download.

import { outcomeInWords } from '../outcome.js';
import { grouped } from '../time.js';

export const LIMIT = 20_000;
const KIND = { stdout: 0, stderr: 1, host: 2, system: 3 };
const TONES = ['info', 'gap', 'skipped', 'end'];
/** A batch ends behind so many characters, and a row that is put together of pieces likewise. */
const CHARS = 8 * 1024 * 1024;
const LONGEST = 4 * 1024 * 1024;

/**
 * A batch as it crosses from the worker to the page: columns, since a list of objects would be copied one by one.
 * @typedef {{index: number, seq: Float64Array, ts: Float64Array, flags: Uint8Array, text: string[], skipped: number, first: boolean}} Batch
 */

/** Flags: bits 0–1 the kind, bit 2 partial, bits 3–4 the tone. */
export const flagsOf = (kind, partial, tone = 0) => kind | (partial ? 4 : 0) | (tone << 3);
export const kindOf = (flags) => flags & 3;
export const partialOf = (flags) => (flags & 4) !== 0;
export const toneOf = (flags) => TONES[flags >> 3];

export class Backlog {
  /** @param {number} index the session's place in the view @param {number} next the sequence number expected next */
  constructor(index, next) {
    this.index = index;
    this.next = next;
    this.ts = 0;
    /** @type {({seq: number, kind: number, raw: string}|{seq: number, tone: number, text: string, ts: number})[]} */
    this.items = [];
    this.from = 0;
    this.skipped = 0;
    /** What was there before anybody looked says nothing about how fast lines come. */
    this.first = true;
  }

  get length() {
    return this.items.length - this.from;
  }

  /**
   * A line that came. One that was there before is no line; numbers that are left out are a gap.
   * @param {string} event @param {number} seq @param {string|object} raw the JSON of a `LogLine`, or the object
   */
  line(event, seq, raw) {
    if (!(seq >= this.next)) return;
    if (seq > this.next) this.gap(seq - this.next, seq);
    this.next = seq + 1;
    this.items.push({ seq, kind: KIND[event] ?? 2, raw });
    if (this.length > LIMIT) this.skip();
  }

  /** Lines that the server has no longer. @param {number} missed @param {number} next */
  gap(missed, next) {
    if (next <= this.next) return;
    this.system(
      1,
      `${grouped(missed)} ${missed === 1 ? 'line is' : 'lines are'} missing here: the server no longer keeps ${missed === 1 ? 'it' : 'them'}`,
    );
    this.next = next;
  }

  /** @param {object|null} outcome */
  end(outcome) {
    this.system(3, outcome ? `ended: ${outcomeInWords(outcome)}` : 'ended');
  }

  system(tone, text) {
    this.items.push({ seq: this.next, tone, text, ts: 0 });
  }

  skip() {
    const half = LIMIT / 2;
    let lines = 0;
    const stay = [];
    for (let at = this.from; at < this.from + half; at += 1) {
      const item = this.items[at];
      if (item.tone !== undefined) stay.push(item);
      else lines += 1;
    }
    this.skipped += lines;
    // What is said about the log stays in it.
    this.items.splice(0, this.from + half, ...stay);
    this.from = 0;
  }

  /** @param {number} most @returns {Batch|null} */
  take(most) {
    if (this.length === 0) return null;
    const seq = [];
    const ts = [];
    const flags = [];
    const text = [];
    let chars = 0;
    const { skipped } = this;
    const put = (number, flag, words) => {
      seq.push(number);
      ts.push(this.ts);
      flags.push(flag);
      text.push(words);
      chars += words.length;
    };
    const oldest = this.items[this.from];
    if (skipped > 0) {
      if (oldest.raw !== undefined) this.ts = Math.max(this.ts, parsed(oldest).ts_ms);
      put(
        oldest.seq,
        flagsOf(KIND.system, false, 2),
        `${grouped(skipped)} lines came faster than they can be shown and were skipped here; a download has them`,
      );
      this.skipped = 0;
    }
    while (seq.length < most && chars < CHARS && this.from < this.items.length) {
      const item = this.items[this.from];
      this.items[this.from] = undefined;
      this.from += 1;
      if (item.tone !== undefined) {
        put(item.seq, flagsOf(KIND.system, false, item.tone), item.text);
      } else {
        const line = parsed(item);
        this.ts = line.ts_ms;
        const last = seq.length - 1;
        const partial = line.partial === true;
        // A long line comes in pieces; those that follow each other are one row.
        if (last >= 0 && flags[last] === flagsOf(item.kind, true) && text[last].length < LONGEST) {
          flags[last] = flagsOf(item.kind, partial);
          text[last] += line.line;
          chars += line.line.length;
        } else {
          put(item.seq, flagsOf(item.kind, partial), line.line);
        }
      }
    }
    if (this.from > 4096 || this.from === this.items.length) {
      this.items = this.items.slice(this.from);
      this.from = 0;
    }
    const { index, first } = this;
    this.first = false;
    return {
      index,
      seq: Float64Array.from(seq),
      ts: Float64Array.from(ts),
      flags: Uint8Array.from(flags),
      text,
      skipped,
      first,
    };
  }
}

function parsed(item) {
  if (typeof item.raw === 'string') item.raw = JSON.parse(item.raw);
  return item.raw;
}
