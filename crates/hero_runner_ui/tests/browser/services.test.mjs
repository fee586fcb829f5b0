// Services and schedules.

import assert from 'node:assert/strict';

import { packageOf } from './harness/package.mjs';
import { suite } from './harness/suite.mjs';
import { becomes, until } from './harness/until.mjs';
import { SERVICES } from './harness/world.mjs';

const prepare = (world) => Promise.all(['hello', 'clock'].map((name) => world.service(name, 'ready')));

suite('services and schedules', { services: SERVICES, guests: ['cgi_echo'], prepare }, (test) => {
  test('a service is stopped and started', async ({ world, visitor, page }) => {
    await visitor.open('/services');
    const row = page.locator('#row-hello');
    await row.getByRole('button', { name: 'Stop hello' }).click();
    await visitor.yes();
    await visitor.toast('Stopped hello');
    await world.service('hello', 'stopped');
    await row.locator('.mark', { hasText: 'stopped' }).waitFor();
    await row.getByRole('button', { name: 'Start hello' }).click();
    await visitor.toast('Starting hello');
    await world.service('hello', 'ready');
    await row.locator('.mark.good', { hasText: 'ready' }).waitFor();
  });

  test('a service is restarted, and answers through the gateway', async ({ world, visitor, page }) => {
    const before = await world.service('hello', 'ready');
    await visitor.open('/services/hello');
    await page.getByRole('button', { name: 'Restart hello' }).click();
    await visitor.yes();
    await visitor.toast('Restarted hello');
    const session = (info) => info.instances?.[0]?.session_id;
    await until(
      'another process serves',
      async () => session(await world.service('hello', 'ready')) !== session(before),
    );
    const open = page.getByRole('link', { name: /^Open hello/ });
    const url = await open.getAttribute('href');
    await until('it answers', async () => (await fetch(new URL('hello', `${url.replace(/\/$/, '')}/`))).ok);
    assert.match(await open.getAttribute('rel'), /noopener/);
    // Its probes, its processes, what it was declared as.
    await page.locator('#probes summary').click();
    await page.locator('#probes tbody tr').first().waitFor();
    await page.locator('#spec summary').click();
    await page.locator('#spec code', { hasText: '"prefix"' }).waitFor();
    await page.getByRole('link', { name: 'Log', exact: true }).click();
    await page.waitForURL(/\/(sessions|logs)/);
    await page.locator('.log-text', { hasText: 'listening on' }).first().waitFor();
  });

  test('a version is rolled back, and a service removed', async ({ world, visitor, page }) => {
    await visitor.open('/modules');
    for (const [at, description] of ['the first', 'the second'].entries()) {
      const buffer = await packageOf('app', 'cgi_echo', { kind: 'handler', port: undefined, description });
      await page
        .locator('input[type=file]')
        .setInputFiles({ name: 'app.tar.gz', mimeType: 'application/gzip', buffer });
      await page.getByRole('button', { name: 'Upload' }).click();
      await page.locator('.uploads li', { hasText: 'deployed' }).nth(at).waitFor();
    }
    await page.locator('.uploads').getByRole('link', { name: 'app' }).first().click();
    await page.waitForURL('**/services/app');
    const rows = page.locator('section[aria-labelledby=versions] tbody tr');
    assert.equal(await rows.count(), 2);
    await page.getByText('the second', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Roll back to 1' }).click();
    await visitor.yes();
    await visitor.toast('Version 1 serves');
    await page.getByText('the first', { exact: true }).waitFor();
    await page.locator('section[aria-labelledby=versions] tr[aria-current]', { hasText: 'serves' }).waitFor();
    const { versions } = await world.call('service_versions', { name: 'app' });
    assert.deepEqual(
      versions.filter(({ current }) => current).map(({ version }) => version),
      [1],
    );
    await page.getByRole('button', { name: 'Remove' }).click();
    await visitor.yes();
    await page.waitForURL('**/services');
    await becomes(() => page.locator('#row-app').count(), 0);
  });

  test('declarations are read again, and a refused one is explained', async ({ world, visitor, page }) => {
    const { mkdir, rm, writeFile } = await import('node:fs/promises');
    const config = `${world.dir}/services/odd/config`;
    await mkdir(config, { recursive: true });
    await writeFile(`${config}/service.json`, '{"prefix": 7}');
    await visitor.open('/services');
    await page.getByRole('button', { name: 'Reload' }).click();
    await page.locator('.problem', { hasText: 'odd' }).waitFor();
    await rm(`${world.dir}/services/odd`, { recursive: true });
    await page.getByRole('button', { name: 'Reload' }).click();
    await page.locator('.problem').waitFor({ state: 'detached' });
  });

  test('a schedule is paused, resumed and run now', async ({ world, visitor, page }) => {
    await visitor.open('/schedules');
    const row = page.locator('table[data-keys] tbody tr', { hasText: 'hourly' });
    const id = (await row.getAttribute('id')).replace('row-', '');
    const schedule = async () => (await world.call('schedule_list')).schedules.find((one) => one.id === id);
    await row.getByRole('button', { name: /^Pause/ }).click();
    await visitor.toast('is paused');
    await row.locator('.mark', { hasText: 'paused' }).waitFor();
    assert.equal((await schedule()).paused, true);
    await row.getByRole('button', { name: /^Resume/ }).click();
    await visitor.toast('goes on');
    await row.getByRole('button', { name: /^Pause/ }).waitFor();
    assert.equal((await schedule()).paused, false);
    await row.getByRole('button', { name: /^Run now/ }).click();
    await visitor.toast('HTTP 200');
    await row.locator('summary', { hasText: 'in full' }).click();
    await row.locator('pre.body', { hasText: '"count"' }).first().waitFor();
    await row.getByText('by hand').first().waitFor();
    // What was opened stays open while the page is rendered anew.
    await row.getByRole('button', { name: /^Run now/ }).click();
    await until('two calls', async () => (await row.locator('ol.plain > li').count()) === 2);
    assert.equal(await row.locator('details').evaluate((one) => one.open), true);
  });
});
