// Every page, in both themes and on a phone: it opens without a fault, nobody is shut out, and nothing is too wide.

import assert from 'node:assert/strict';

import { suite } from './harness/suite.mjs';
import { addresses, populate, POPULATED } from './harness/populate.mjs';

/** What the page's own script makes. */ const READY = {
  session: '.log-text',
  failed: '.log-text',
  run: '.editor',
  modules: '.uploads',
  logs: '.log-text',
  stats: '.plot canvas, figure canvas',
  method: '.try-actions',
};

let at;
const prepare = async (world) => (at = await populate(world));

suite('every page', { ...POPULATED, prepare }, (test) => {
  for (const name of Object.keys(addresses())) {
    test(
      name,
      async ({ visitor, page }) => {
        if (name === 'missing') visitor.expect(/status of 404/);
        const reply = await visitor.open(addresses(at)[name]);
        assert.equal(reply.status(), name === 'missing' ? 404 : 200);
        assert.equal(await page.locator('h1').count(), 1);
        assert.match(await page.title(), /\S · hero_runner$/);
        if (name in READY) await page.locator(READY[name]).first().waitFor({ state: 'attached' });
        for (const theme of ['light', 'dark']) {
          await page.evaluate((chosen) => globalThis.heroTheme.choose(chosen), theme);
          assert.deepEqual(await visitor.barriers(), [], `no barrier in ${name}, ${theme}`);
        }
        for (const width of [360, 768, 2000]) {
          await page.setViewportSize({ width, height: 800 });
          assert.deepEqual(await visitor.overflow(), [], `${name} fits ${width} px`);
          if (width === 360) assert.deepEqual(await visitor.barriers(), [], `no barrier in ${name} on a phone`);
        }
      },
      { reducedMotion: 'reduce' },
    );
  }
});
