// Administration, and the reference of methods.

import assert from 'node:assert/strict';

import { suite } from './harness/suite.mjs';
import { becomes, until } from './harness/until.mjs';

suite('administration', { guests: ['hello', 'ticker'] }, (test) => {
  test('the server drains, refuses, and takes sessions again', async ({ world, visitor, page }) => {
    await visitor.open('/admin');
    await page.getByRole('button', { name: 'Drain' }).click();
    await visitor.yes();
    await visitor.toast('Draining');
    await page.locator('#sidebar', { hasText: 'draining' }).waitFor();
    await assert.rejects(world.session({ module: 'hello' }), /draining/);
    await page.getByRole('button', { name: 'Take sessions again' }).click();
    await visitor.toast('taken again');
    await page.getByRole('button', { name: 'Drain' }).waitFor();
    await world.session({ module: 'hello' });
  });

  test('all sessions with a label are stopped', async ({ world, visitor, page }) => {
    const long = { module: 'ticker', args: ['100000', '1000'] };
    const mine = await world.session({ ...long, labels: { batch: 'mine' } });
    const other = await world.session(long);
    await visitor.open('/admin');
    await page.locator('form.stop-all input[name=label]').fill('batch=mine');
    await page.getByRole('button', { name: 'Stop all' }).click();
    await visitor.yes();
    await visitor.toast('1 stopped');
    await world.ended(mine);
    assert.equal((await world.call('session_get', { session_id: other })).state, 'running');
    await page.locator('form.stop-all input[name=label]').fill('');
    await page.getByRole('button', { name: 'Stop all' }).click();
    await visitor.yes();
    await world.ended(other);
  });

  test('what the server logs is set', async ({ world, visitor, page }) => {
    await visitor.open('/admin');
    const field = page.locator('form[data-call=log_level] input[name=level]');
    const { level: before } = await world.call('log_level');
    await field.fill('debug');
    await page.getByRole('button', { name: 'Set', exact: true }).click();
    await visitor.toast('It logs debug now');
    assert.equal((await world.call('log_level')).level, 'debug');
    await field.fill('no such level!');
    await page.getByRole('button', { name: 'Set', exact: true }).click();
    await page.locator('.toast-error').waitFor();
    assert.equal((await world.call('log_level')).level, 'debug');
    await world.call('log_level', { level: before });
  });

  test('the settings in force say where they come from', async ({ visitor, page }) => {
    await visitor.open('/admin');
    const row = page.locator('#setting-grace_ms');
    assert.match(await row.innerText(), /2000/);
    assert.match(await row.innerText(), /HERO_RUNNER_GRACE_MS/);
    await page.locator('input[name=q]').fill('grace');
    await page.waitForURL(/q=grace/);
    const rows = page.locator('[id^=setting-]');
    await until('only what fits is shown', async () => (await rows.count()) < 5);
    await page.locator('input[name=q]').fill('');
    await page.locator('input[name=set]').check();
    await page.waitForURL(/set=1/);
    await becomes(async () => (await rows.allInnerTexts()).every((text) => !/\tdefault/.test(text)), true);
  });
});

suite('the reference', { guests: ['hello', 'ticker'] }, (test) => {
  test('methods are found by a word', async ({ world, visitor, page }) => {
    await visitor.open('/docs');
    await page.getByLabel('Filter the methods').fill('rollback');
    const shown = page.locator('.methods > div:visible');
    await becomes(() => shown.count(), 1);
    await shown.getByRole('link').click();
    await page.waitForURL('**/docs/service_rollback');
    // Each has a page.
    const { methods } = await (await fetch(`${world.address}/openrpc.json`)).json();
    await visitor.open('/docs');
    const links = await page.locator('.methods a').evaluateAll((all) => all.map((one) => one.textContent));
    assert.deepEqual(links.sort(), methods.map(({ name }) => name).sort());
    for (const { name } of methods) {
      const reply = await fetch(`${world.address}/docs/${name}`);
      assert.equal(reply.status, 200, name);
      assert.match(await reply.text(), new RegExp(`data-try="${name}"`));
    }
  });

  test('a method that only looks is tried at once', async ({ visitor, page }) => {
    await visitor.open('/docs/health');
    await page.getByRole('button', { name: 'Try it' }).click();
    await page.locator('.try-result .hljs-attr').first().waitFor();
    assert.match(await page.locator('.try-result').innerText(), /"status": "ok"/);
    await page.locator('.try-actions', { hasText: 'answered in' }).waitFor();
  });

  test('a method that changes something asks first, and its refusal is explained', async ({ world, visitor, page }) => {
    await visitor.open('/docs/session_start');
    await page.locator('textarea[data-try]').fill('{"module": "hello", "wait_ms": 30000}');
    await page.getByRole('button', { name: 'Try it' }).click();
    await visitor.yes();
    await page.locator('.try-result', { hasText: '"exited"' }).waitFor();
    assert.equal((await world.call('session_list')).sessions.length, 1);
    await page.locator('textarea[data-try]').fill('{"module": "nobody"}');
    await page.getByRole('button', { name: 'Try it' }).click();
    await visitor.yes();
    await page.locator('.try-result.failed', { hasText: 'not_found' }).waitFor();
    await page.locator('textarea[data-try]').fill('{"module": ');
    await page.getByRole('button', { name: 'Try it' }).click();
    await page.locator('.try-result.failed', { hasText: 'no JSON' }).waitFor();
    assert.equal((await world.call('session_list')).sessions.length, 1);
  });

  test('an example is copied as curl', async ({ visitor, page }) => {
    await visitor.open('/docs/stats');
    await page.getByRole('button', { name: 'Copy as curl' }).click();
    await until('it is in the clipboard', async () =>
      /curl .*"stats"/s.test(await page.evaluate(() => navigator.clipboard.readText())),
    );
  });
});
