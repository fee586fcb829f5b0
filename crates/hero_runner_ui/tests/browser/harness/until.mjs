// Waiting for something to become true; the bound is that of a hang, since machines are slow at times.

import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';

export const PATIENCE_MS = Number(process.env.E2E_PATIENCE_S ?? 60) * 1000;
const STEP_MS = 40;

/**
 * Asks again and again until there is a true answer. What is thrown meanwhile counts as no, unless it is `final`.
 * @template T
 * @param {string} what
 * @param {() => T|Promise<T>} answer
 * @returns {Promise<NonNullable<T>>}
 */
export async function until(what, answer, patience = PATIENCE_MS) {
  const end = Date.now() + patience;
  for (let last = 'no'; ;) {
    try {
      const got = await answer();
      if (got) return got;
      last = String(got);
    } catch (error) {
      if (error.final) throw error;
      last = error.message;
    }
    if (Date.now() > end) throw new Error(`waited ${patience / 1000} s until ${what}; the last answer was: ${last}`);
    await new Promise((resolve) => setTimeout(resolve, STEP_MS));
  }
}

/**
 * Waits until a value is the wanted one.
 * @template T
 * @param {() => T|Promise<T>} value
 * @param {T} wanted
 * @param {string} what
 */
export async function becomes(value, wanted, what = 'it is as it should be') {
  let got;
  try {
    await until(what, async () => isDeepStrictEqual((got = await value()), wanted));
  } catch (error) {
    assert.deepEqual(got, wanted, what);
    throw error;
  }
}
