// The worker of a log view: reads all of its sessions, off the page's thread, and hands over batches as fast as the page
// takes them.
//
// A browser opens six connections to a host, for all of its tabs together. A stream holds one for as long as it lasts, so
// streams may take three of them in the whole browser and two in one view; whoever gets none asks once a second, all of a
// view's sessions in one request. A tab that nobody sees gives its streams back after a while.

import { errorOf } from '../rpc_error.js';
import { Backlog } from './backlog.js';
import { backoff, Gone, poll, sleep, stream } from './reader.js';

const SLOTS = 3;
const SLOTS_HERE = 2;
const POLL_MS = 1000;
const POLL_HIDDEN_MS = 10_000;
const HIDDEN_KEEPS_MS = 30_000;
const TAIL = 1000;
/** Lines in one message: what the page unpacks between two frames without anybody noticing. */
const MESSAGE_LINES = 4000;
/** How long lines are gathered before they are handed over: less than a frame. */
const GATHER_MS = 8;

/** @typedef {{index: number, id: string, backlog: Backlog, over: boolean, streaming: boolean, closed: AbortController}} Session */

/** @type {Map<number, Session>} */
const sessions = new Map();
let ready = true;
let visible = true;
let gathering = 0;
let held = 0;
/** Aborted to take the streams back. */
let streams = new AbortController();
let hiding = 0;
/** Ends a pause between two polls. */
let poke = new AbortController();

self.onmessage = ({ data }) => {
  if (data.add) add(data.add);
  if (data.remove !== undefined) remove(data.remove);
  if (data.ack) {
    ready = true;
    flush();
  }
  if (data.visible !== undefined) see(data.visible);
};

function add({ index, id }) {
  const session = {
    index,
    id,
    backlog: new Backlog(index, 0),
    over: false,
    streaming: false,
    closed: new AbortController(),
  };
  sessions.set(index, session);
  follow(session);
}

function remove(index) {
  const session = sessions.get(index);
  sessions.delete(index);
  session?.closed.abort();
}

function see(now) {
  visible = now;
  clearTimeout(hiding);
  if (now) {
    poke.abort();
  } else {
    hiding = setTimeout(() => {
      streams.abort();
      streams = new AbortController();
    }, HIDDEN_KEEPS_MS);
  }
}

function status(session, state, retryMs = 0) {
  if (sessions.get(session.index) === session) self.postMessage({ status: { index: session.index, state, retryMs } });
}

function came() {
  if (!gathering) gathering = setTimeout(flush, GATHER_MS);
}

/** Hands over what there is, when the page has taken what it had. */
function flush() {
  clearTimeout(gathering);
  gathering = 0;
  if (!ready) return;
  const batches = [];
  let room = MESSAGE_LINES;
  for (const session of sessions.values()) {
    const batch = room > 0 ? session.backlog.take(room) : null;
    if (!batch) continue;
    room -= batch.seq.length;
    batches.push(batch);
  }
  if (batches.length === 0) return;
  ready = false;
  self.postMessage(
    { batches },
    batches.flatMap((batch) => [batch.seq.buffer, batch.ts.buffer, batch.flags.buffer]),
  );
}

/** One session, from its last lines to its end. @param {Session} session */
async function follow(session) {
  const { signal } = session.closed;
  for (let failures = 0; !signal.aborted; failures += 1) {
    try {
      if (await tail(session)) return;
      break;
    } catch (error) {
      if (over(session, error)) return;
      await pause(session, failures);
    }
  }
  for (let failures = 0; !signal.aborted && !session.over;) {
    const free = visible ? await slot() : null;
    if (!free) {
      polling.add(session);
      pollAll();
      // A slot may become free; without one it is asked for anew now and then.
      await sleep(5000, signal);
      polling.delete(session);
      continue;
    }
    polling.delete(session);
    const taken = streams.signal;
    try {
      const told = { opened: () => status(session, 'live'), came: () => ((failures = 0), came()) };
      const outcome = await stream(session.id, session.backlog, AbortSignal.any([signal, taken]), told);
      if (outcome) {
        end(session, outcome);
        return;
      }
      failures += 1;
    } catch (error) {
      if (taken.aborted && !signal.aborted) continue;
      if (over(session, error)) return;
      failures += 1;
    } finally {
      free();
    }
    await pause(session, failures);
  }
}

async function pause(session, failures) {
  const wait = backoff(failures);
  status(session, 'reconnecting', wait);
  await sleep(wait, session.closed.signal);
}

function over(session, error) {
  if (!(error instanceof Gone)) return false;
  session.over = true;
  session.backlog.system(0, 'the server does not know this session any more');
  came();
  status(session, 'gone');
  return true;
}

function end(session, outcome) {
  session.over = true;
  session.backlog.end(outcome);
  flush();
  self.postMessage({ end: { index: session.index, outcome } });
}

/** A slot for a stream, as what gives it back; null when all are taken. @returns {Promise<(() => void)|null>} */
async function slot() {
  // Without locks (a page that is not on this machine) tabs do not know of each other.
  if (held >= (navigator.locks ? SLOTS_HERE : 1)) return null;
  held += 1;
  if (!navigator.locks) return () => (held -= 1);
  for (let number = 0; number < SLOTS; number += 1) {
    const free = await new Promise((resolve) => {
      navigator.locks.request(`hero-stream-${number}`, { ifAvailable: true }, (lock) => {
        if (!lock) return resolve(null);
        return new Promise((release) => resolve(release));
      });
    });
    if (free) {
      return () => {
        held -= 1;
        free();
      };
    }
  }
  held -= 1;
  return null;
}

/** One call. @returns {Promise<any>} */
async function call(method, params, signal) {
  const reply = await fetch('/rpc', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    signal,
  });
  const text = await reply.text();
  if (!reply.ok) throw errorOf(reply.status, text);
  const parsed = JSON.parse(text);
  if (parsed.error?.data?.code_name === 'session_not_found') throw new Gone();
  if (parsed.error) throw errorOf(reply.status, text);
  return parsed.result;
}

/** The last lines at once; what is older is read when somebody scrolls there. @returns {Promise<boolean>} whether that is all */
async function tail(session) {
  const { backlog, id } = session;
  const { signal } = session.closed;
  const page = await call('session_logs', { session_id: id, tail: TAIL }, signal);
  backlog.next = page.lines[0]?.seq ?? page.next_seq;
  for (const line of page.lines) backlog.line(line.kind, line.seq, line);
  if (page.end) end(session, (await call('session_get', { session_id: id }, signal)).outcome);
  else came();
  return page.end;
}

/** @type {Set<Session>} those without a stream */
const polling = new Set();
let pollingNow = false;

async function pollAll() {
  if (pollingNow) return;
  pollingNow = true;
  for (let failures = 0; polling.size > 0;) {
    const asked = [...polling];
    let wait = visible ? POLL_MS : POLL_HIDDEN_MS;
    try {
      const answers = await poll(asked);
      failures = 0;
      for (const [at, answer] of answers.entries()) {
        const session = asked[at];
        if (answer.gone) over(session, new Gone());
        else if (answer.ended) end(session, (await call('session_get', { session_id: session.id })).outcome);
        else status(session, 'polling');
        if (answer.gone || answer.ended) polling.delete(session);
        if (answer.more) wait = 100;
      }
      came();
    } catch {
      failures += 1;
      wait = backoff(failures);
      for (const session of asked) status(session, 'reconnecting', wait);
    }
    if (poke.signal.aborted) poke = new AbortController();
    await sleep(wait, poke.signal);
  }
  pollingNow = false;
}
