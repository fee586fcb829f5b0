// Theme, keyboard, and a page that changes under one's hands.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

import { suite } from './harness/suite.mjs';
import { becomes, until } from './harness/until.mjs';

const theme = (page) => page.evaluate(() => document.documentElement.dataset.bsTheme);

suite('how it feels', { guests: ['hello', 'ticker'] }, (test) => {
  test('the system says which theme, until somebody chooses', async ({ visitor, page }) => {
    await page.emulateMedia({ colorScheme: 'dark' });
    await visitor.open('/sessions');
    assert.equal(await theme(page), 'dark');
    await page.emulateMedia({ colorScheme: 'light' });
    await becomes(() => theme(page), 'light');
    const other = await visitor.tab();
    await visitor.open('/stats', other);
    // System, light, dark.
    await page.locator('#theme').click();
    await page.locator('#theme').click();
    assert.equal(await theme(page), 'dark');
    assert.equal(await page.locator('#theme').getAttribute('aria-label'), 'Theme: dark');
    await becomes(() => theme(other), 'dark', 'the other tab follows');
    await page.reload();
    assert.equal(await theme(page), 'dark');
    await visitor.open('/docs');
    assert.equal(await theme(page), 'dark');
    await page.locator('#theme').click();
    assert.equal(await theme(page), 'light', 'the system again');
  });

  test('the theme stands before the first paint', async ({ world, visitor, page }) => {
    await visitor.open('/sessions');
    await page.evaluate(() => localStorage.setItem('hero.theme', 'dark'));
    await page.goto(`${world.address}/services`, { waitUntil: 'commit' });
    const first = await page.waitForFunction(() => document.body && getComputedStyle(document.body).backgroundColor);
    const [red] = (await first.jsonValue()).match(/\d+/g).map(Number);
    assert.ok(red < 80, `${await first.jsonValue()} is no dark ground`);
  });

  test('hands stay on the keys', async ({ world, visitor, page }) => {
    for (let at = 0; at < 3; at += 1) await world.session({ module: 'hello', wait_ms: 30_000 });
    await visitor.open('/sessions');
    const at = () =>
      page.evaluate(() => [...document.querySelectorAll('table[data-keys] tbody tr')].indexOf(document.activeElement));
    await page.keyboard.press('j');
    assert.equal(await at(), 0);
    await page.keyboard.press('j');
    assert.equal(await at(), 1);
    await page.keyboard.press('k');
    assert.equal(await at(), 0);
    // A fresh rendering leaves the focus on its row.
    const row = await page.evaluate(() => document.activeElement.id);
    const fresh = await world.session({ module: 'hello', wait_ms: 30_000 });
    await page.locator(`#row-${fresh}`).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), row);
    await page.keyboard.press('Enter');
    await page.waitForURL(`**/sessions/${row.replace('row-', '')}`);
    for (const [key, path] of [
      ['r', 'run'],
      ['v', 'services'],
      ['c', 'schedules'],
      ['m', 'modules'],
      ['l', 'logs'],
      ['t', 'stats'],
      ['a', 'admin'],
      ['d', 'docs'],
      ['s', 'sessions'],
    ]) {
      await page.locator('#connection[data-state=connected]').waitFor();
      await page.keyboard.press('g');
      await page.keyboard.press(key);
      await page.waitForURL(`**/${path}`);
    }
  });

  test('a slash leads to the search, Escape out of it', async ({ visitor, page }) => {
    await visitor.open('/sessions');
    await page.keyboard.press('/');
    assert.equal(await page.evaluate(() => document.activeElement.name), 'q');
    await page.keyboard.type('j/g?');
    assert.equal(await page.locator('input[name=q]').inputValue(), 'j/g?', 'letters are letters there');
    await page.keyboard.press('Escape');
    assert.notEqual(await page.evaluate(() => document.activeElement.name), 'q');
  });

  test('a question mark lists the keys', async ({ visitor, page }) => {
    await visitor.open('/sessions');
    await page.keyboard.press('?');
    const keys = page.locator('dialog#keys');
    await keys.waitFor();
    assert.match(await keys.innerText(), /Next, previous row/);
    // Nothing behind it listens.
    await page.keyboard.press('g');
    await page.keyboard.press('m');
    await page.keyboard.press('Escape');
    await keys.waitFor({ state: 'detached' });
    assert.match(page.url(), /\/sessions$/);
    await page.locator('#help').click();
    await keys.waitFor();
  });

  test('x selects, and many are stopped with it', async ({ world, visitor, page }) => {
    const id = await world.session({ module: 'ticker', args: ['100000', '1000'] });
    await visitor.open('/sessions?state=running');
    await page.keyboard.press('j');
    await page.keyboard.press('x');
    assert.equal(await page.locator(`#row-${id} input[name=select]`).isChecked(), true);
    await page.getByRole('button', { name: 'Stop selected' }).click();
    await page.keyboard.press('Enter');
    await world.ended(id);
  });

  test('times are relative, and say the exact one', async ({ world, visitor, page }) => {
    const id = await world.session({ module: 'hello', wait_ms: 30_000 });
    await visitor.open('/sessions');
    const time = page.locator(`#row-${id} time`).first();
    assert.match(await time.innerText(), /now|ago/);
    assert.match(await time.getAttribute('title'), /\d{4}-\d\d-\d\d/);
    await until('it goes on', async () => /[2-9] s ago/.test(await time.innerText()));
  });

  test('the first page is there without scripts, too', async ({ world, browser, visitor }) => {
    const id = await world.session({ module: 'hello', wait_ms: 30_000 });
    const context = await browser.newContext({ javaScriptEnabled: false });
    try {
      const page = await context.newPage();
      await page.goto(`${visitor.world.address}/sessions`);
      await page.locator(`#row-${id} a`).first().click();
      await page.waitForURL(`**/sessions/${id}`);
      const log = page.getByRole('link', { name: 'the log as text' });
      const [file] = await Promise.all([page.waitForEvent('download'), log.click()]);
      assert.equal(await readFile(await file.path(), 'utf8'), 'hello, world\n');
    } finally {
      await context.close();
    }
  });
});
