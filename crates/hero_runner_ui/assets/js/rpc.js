// Calls of the server through the dashboard's own `/rpc`, and the token that state-changing ones need on the TCP door.

import { askToken } from './dialog.js';
import { errorOf, RpcError } from './rpc_error.js';

export { errorOf, RpcError };

const KEY = 'hero.token';
/** Where storage is closed the token lives as long as the page. */
let inMemory = null;
let nextId = 1;

export function token() {
  try {
    return localStorage.getItem(KEY) ?? inMemory;
  } catch {
    return inMemory;
  }
}

function keepToken(text) {
  inMemory = text;
  try {
    localStorage.setItem(KEY, text);
  } catch {
    // In memory, then.
  }
}

/** The token in what a person pasted: a URL that ends in `#token=…`, or the token alone. @param {string} text */
export function tokenIn(text) {
  const found = /[#&?]token=([^&\s]+)/.exec(text)?.[1] ?? text.trim();
  return /^[A-Za-z0-9_-]{16,}$/.test(found) ? found : null;
}

/** Takes the token out of the address, where a screenshot or a shared link would give it away. */
export function takeTokenFromAddress() {
  const found = /^#(?:.*&)?token=/.test(location.hash) ? tokenIn(location.hash) : null;
  if (!found) return;
  keepToken(found);
  history.replaceState(history.state, '', location.pathname + location.search);
}

/** The headers that a state-changing request needs. @returns {Record<string, string>} */
export function tokenHeader() {
  const text = token();
  return text ? { 'x-hero-token': text } : {};
}

/** One question for all calls that fail at the same time. */
let asking = null;

/**
 * Asks for a token after a 401. True when there is a new one to try with.
 * @param {RpcError} error
 */
export function renewToken(error) {
  asking ??= askToken(error, tokenIn)
    .then((fresh) => {
      if (fresh) keepToken(fresh);
      return Boolean(fresh);
    })
    .finally(() => {
      asking = null;
    });
  return asking;
}

/**
 * A request that asks for a token when it needs one.
 * @param {string} url
 * @param {RequestInit} init
 * @returns {Promise<Response>}
 */
export async function send(url, init) {
  for (;;) {
    let reply;
    try {
      reply = await fetch(url, { ...init, headers: { ...init.headers, ...tokenHeader() } });
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      throw new RpcError({
        message: 'the dashboard does not answer',
        code_name: 'unreachable',
        hint: 'see whether it runs: `hero_runner --status`',
      });
    }
    if (reply.ok) return reply;
    const error = errorOf(reply.status, await reply.text());
    if (reply.status !== 401 || !(await renewToken(error))) throw error;
  }
}

/**
 * Calls one method.
 * @param {string} method
 * @param {object} [params]
 * @param {{signal?: AbortSignal}} [options]
 * @returns {Promise<any>} its result
 * @throws {RpcError}
 */
export async function rpc(method, params = {}, { signal } = {}) {
  const id = nextId++;
  const reply = await send('/rpc', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id, method, params }),
    signal,
  });
  const parsed = await reply.json();
  if (parsed.error) {
    throw new RpcError({
      message: parsed.error.message,
      code: parsed.error.code,
      status: reply.status,
      ...parsed.error.data,
    });
  }
  return parsed.result;
}
