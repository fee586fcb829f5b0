// Pictures of every page, in both themes and two widths: screenshots.mjs FOLDER [FOLDER OF THE DOCUMENTATION'S]
// `cargo xtask screenshots` calls it.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { launch, Visitor } from './harness/browser.mjs';
import { addresses, POPULATED, populate } from './harness/populate.mjs';
import { until } from './harness/until.mjs';
import { World } from './harness/world.mjs';

const [folder, docs] = process.argv.slice(2);
if (!folder) throw new Error('screenshots.mjs FOLDER [FOLDER OF THE DOCUMENTATION]');

const LOOKS = ['light', 'dark'].flatMap((theme) => [1280, 360].map((width) => ({ theme, width })));
/** What the documentation shows, in which theme, and how much of its height. */
const ILLUSTRATIONS = {
  sessions: ['light', 600],
  session: ['light', 860],
  'run-script': ['dark', 820],
  services: ['light', 720],
  logs: ['dark', 680],
  stats: ['light', 760],
};
const SCRIPT = `// Each order of the day, and what they come to.
const orders = [['paper', 12.5], ['ink', 48], ['pens', 7.25]];
let total = 0;
for (const [what, price] of orders) {
  console.log(what.padEnd(8), price.toFixed(2));
  total += price;
}
console.log('\\x1b[1mtotal\\x1b[0m   ', total.toFixed(2));`;

/** Sessions that come and go, so that there is something to draw. */
async function live(world, signal) {
  for (let round = 0; !signal.aborted; round += 1) {
    const many = 2 + Math.round(6 * (1 + Math.sin(round / 4)));
    const one = (at) => world.session({ module: at % 9 === 0 ? 'faulty_exit7' : 'hello', wait_ms: 10_000 });
    await Promise.all(Array.from({ length: many }, (_, at) => one(at + round)));
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

/** What a page needs besides its address. */
const STEPS = {
  async 'run-script'({ page }) {
    await page.locator('.choice').getByText('Script').click();
    await page.locator('select[name=runtime]').selectOption('javascript');
    await page.evaluate((text) => navigator.clipboard.writeText(text), SCRIPT);
    await page.locator('.editor').click();
    await page.keyboard.press('Control+A');
    await page.keyboard.press('Control+V');
    await page.locator('.editor .hljs-keyword').first().waitFor();
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await page.locator('#output .mark.good').waitFor();
    await page.locator('#output .log-text', { hasText: 'total' }).waitFor();
    // The log comes into sight by itself, which a picture does not wait for.
    await page.evaluate(() => scrollTo(0, 0));
  },
  async keys({ page }) {
    await page.keyboard.press('?');
    await page.locator('dialog#keys').waitFor();
  },
  async confirm({ page }) {
    await page.getByRole('button', { name: /^Stop hello/ }).click();
    await page.locator('dialog[open]').waitFor();
  },
  async tried({ page }) {
    await page.getByRole('button', { name: 'Try it' }).click();
    await page.locator('.try-result .hljs-attr').first().waitFor();
  },
  async session({ page }) {
    await page.locator('.log-text').nth(10).waitFor();
  },
  async failed({ page }) {
    await page.locator('.log-state-failed').waitFor();
    await page.locator('.log-text').first().waitFor();
  },
  async run({ page }) {
    await page.locator('#share h2').waitFor();
  },
  async logs({ page }) {
    await page.locator('.log-text').nth(8).waitFor();
  },
  async stats({ page }) {
    await page.locator('figure canvas').first().waitFor();
  },
};

async function shoot(browser, world, { theme, width }, pages, illustrate) {
  const height = width === 360 ? 740 : 800;
  const visitor = await Visitor.arrive(browser, world, { theme, width, height, reducedMotion: 'reduce' });
  const { page } = visitor;
  try {
    for (const [name, address] of Object.entries(pages)) {
      await visitor.open(address);
      await STEPS[name]?.(visitor);
      await page.evaluate(() => document.fonts.ready);
      await page.screenshot({
        path: join(folder, `${name}-${theme}-${width}.png`),
        fullPage: !(await page.$('dialog[open]')),
      });
      const [wanted, high] = ILLUSTRATIONS[name] ?? [];
      if (illustrate && width === 1280 && wanted === theme) {
        await page.screenshot({
          path: join(docs, `${name}.png`),
          fullPage: true,
          clip: { x: 0, y: 0, width, height: high },
        });
      }
    }
  } finally {
    await visitor.leave();
  }
}

await mkdir(folder, { recursive: true });
if (docs) await mkdir(docs, { recursive: true });
const browser = await launch();
const ending = new AbortController();
let world = await World.start({ guests: [], settings: { services: false } });
try {
  const empty = {
    sessions: '/sessions',
    services: '/services',
    schedules: '/schedules',
    modules: '/modules',
    templates: '/modules?tab=templates',
    logs: '/logs',
    run: '/run',
    stats: '/stats',
  };
  const named = Object.fromEntries(Object.entries(empty).map(([name, address]) => [`empty-${name}`, address]));
  for (const look of LOOKS) await shoot(browser, world, look, named, false);
  await world.end();

  world = await World.start({ ...POPULATED, settings: { compile: true } });
  const at = await populate(world);
  const pages = {
    ...addresses(at),
    'run-script': '/run',
    keys: '/sessions',
    confirm: '/services',
    tried: '/docs/stats',
  };
  const { stats, ...others } = pages;
  const [first, ...rest] = LOOKS;
  await shoot(browser, world, first, others, Boolean(docs));
  const busy = live(world, ending.signal);
  for (const look of rest) await shoot(browser, world, look, others, Boolean(docs));
  await until(
    'there is a minute to draw',
    async () => (await world.call('stats_history')).samples.length > 60,
    180_000,
  );
  for (const look of LOOKS) await shoot(browser, world, look, { stats }, Boolean(docs));
  ending.abort();
  await busy;

  // Last, what a page shows when the server has gone.
  for (const { theme, width } of LOOKS) {
    const visitor = await Visitor.arrive(browser, world, { theme, width });
    await visitor.open('/services');
    await world.stop('server', 'SIGKILL');
    await visitor.page.locator('#outage').waitFor();
    await visitor.page.screenshot({ path: join(folder, `outage-${theme}-${width}.png`) });
    await visitor.page.goto(`${world.address}/sessions`);
    await visitor.page.locator('.problem').waitFor();
    await visitor.page.screenshot({ path: join(folder, `down-${theme}-${width}.png`) });
    await visitor.leave();
    await world.startServer();
  }
} finally {
  ending.abort();
  await browser.close();
  await world.end();
}
