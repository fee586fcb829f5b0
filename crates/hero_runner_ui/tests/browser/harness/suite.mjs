// Tests that share a server and a browser; each has a visitor of its own, in whose pages nothing may go wrong.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { launch, Visitor } from './browser.mjs';
import { World } from './world.mjs';

const TIMEOUT = 180_000;

/**
 * @param {string} name
 * @param {object} how what `World.start` takes, and `prepare`, which is called once with the world
 * @param {(test: (name: string, run: (at: {world: World, visitor: Visitor, page: import('playwright-core').Page,
 *   browser: import('playwright-core').Browser}) => Promise<void>, options?: object) => void) => void} body
 */
export function suite(name, { prepare, ...how }, body) {
  describe(name, () => {
    let world;
    let browser;
    before(
      async () => {
        [world, browser] = await Promise.all([World.start(how), launch()]);
        await prepare?.(world);
      },
      { timeout: TIMEOUT },
    );
    after(
      async () => {
        await browser?.close();
        await world?.end();
      },
      { timeout: TIMEOUT },
    );
    body((title, run, options = {}) => {
      it(title, { timeout: TIMEOUT }, async () => {
        const visitor = await Visitor.arrive(browser, world, options);
        try {
          await run({ world, visitor, browser, page: visitor.page });
          assert.deepEqual(visitor.faults, [], 'something went wrong in the page');
        } catch (error) {
          const picture = await visitor.picture(`${name} ${title}`).catch(() => 'no picture');
          console.error(
            `${title}: ${visitor.page.url()} ${picture}\n${visitor.faults.join('\n')}\n${await world.log()}`,
          );
          throw error;
        } finally {
          await visitor.leave();
        }
      });
    });
  });
}
