// Reads one session's log from the server: as a stream while it has one of the few connections that streams may take, else
// by asking every now and then. Runs in the worker.

import { errorOf } from '../rpc_error.js';
import { SseParser } from './sse.js';

/** The server says something every 15 s; after this long without a byte the connection is dead. */
const SILENCE_MS = 40_000;
/** Bytes of a stream in one window; a faster one waits, and the server skips for it rather than for everybody. */
const WINDOW_BYTES = 3 * 1024 * 1024;
const WINDOW_MS = 100;
const LONGEST_BACKOFF_MS = 8000;
const PAGE = 5000;

export const sleep = (ms, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });

/** @param {number} failures */
export function backoff(failures) {
  return Math.min(LONGEST_BACKOFF_MS, 400 * 2 ** Math.min(failures, 6)) * (0.8 + Math.random() * 0.4);
}

/** The session is not there (any more). */
export class Gone extends Error {}

/**
 * Reads the stream to its end.
 * @param {string} id
 * @param {import('./backlog.js').Backlog} backlog
 * @param {AbortSignal} signal
 * @param {{opened: () => void, came: () => void}} tell
 * @returns {Promise<object|null>} the outcome; null when the stream broke off before
 */
export async function stream(id, backlog, signal, tell) {
  const dead = new AbortController();
  const either = AbortSignal.any([signal, dead.signal]);
  let watchdog = setTimeout(() => dead.abort(), SILENCE_MS);
  const after = backlog.next > 0 ? `?after_seq=${backlog.next - 1}` : '';
  try {
    const reply = await fetch(`/sse/session/${encodeURIComponent(id)}${after}`, {
      headers: { accept: 'text/event-stream' },
      cache: 'no-store',
      signal: either,
    });
    if (reply.status === 404) throw new Gone();
    if (!reply.ok) throw errorOf(reply.status, await reply.text());
    tell.opened();
    let ended;
    const parser = new SseParser();
    const take = (event, data, seq) => {
      if (event === 'end') ended = JSON.parse(data).outcome;
      else if (event === 'gap') {
        const gap = JSON.parse(data);
        backlog.gap(gap.missed, gap.next_seq);
      } else if (seq !== null) backlog.line(event, Number(seq), data);
    };
    const body = reply.body.getReader();
    const decoder = new TextDecoder();
    let [bytes, window] = [0, performance.now()];
    for (;;) {
      const { value, done } = await body.read();
      if (done) break;
      clearTimeout(watchdog);
      watchdog = setTimeout(() => dead.abort(), SILENCE_MS);
      parser.push(decoder.decode(value, { stream: true }), take);
      tell.came();
      if (ended !== undefined) return ended;
      bytes += value.length;
      const passed = performance.now() - window;
      if (bytes > WINDOW_BYTES && passed < WINDOW_MS) await sleep(WINDOW_MS - passed, either);
      if (performance.now() - window > WINDOW_MS) [bytes, window] = [0, performance.now()];
    }
    return null;
  } finally {
    clearTimeout(watchdog);
    dead.abort();
  }
}

/**
 * Asks for what is new of several sessions at once: one short request, whatever their number.
 * @param {{id: string, backlog: import('./backlog.js').Backlog}[]} sessions
 * @param {AbortSignal} [signal]
 * @returns {Promise<{more: boolean, ended: boolean, gone: boolean}[]>}
 */
export async function poll(sessions, signal) {
  const calls = sessions.map(({ id, backlog }, index) => ({
    jsonrpc: '2.0',
    id: index,
    method: 'session_logs',
    params: { session_id: id, limit: PAGE, ...(backlog.next > 0 ? { after_seq: backlog.next - 1 } : {}) },
  }));
  const reply = await fetch('/rpc', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(calls),
    signal,
  });
  const text = await reply.text();
  if (!reply.ok) throw errorOf(reply.status, text);
  const answers = new Map(JSON.parse(text).map((answer) => [answer.id, answer]));
  return sessions.map(({ backlog }, index) => {
    const { result, error } = answers.get(index) ?? {};
    if (!result) return { more: false, ended: false, gone: error?.data?.code_name === 'session_not_found' };
    if (result.gap > 0) backlog.gap(result.gap, result.lines[0]?.seq ?? result.next_seq);
    for (const line of result.lines) backlog.line(line.kind, line.seq, line);
    return { more: result.lines.length === PAGE, ended: result.end, gone: false };
  });
}
