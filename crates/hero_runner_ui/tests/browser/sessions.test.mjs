// The list of sessions, and one session.

import assert from 'node:assert/strict';

import { suite } from './harness/suite.mjs';
import { becomes, until } from './harness/until.mjs';

const LONG = { module: 'ticker', args: ['100000', '1000'] };

suite('sessions', { guests: ['hello', 'ticker', 'echo', 'environ', 'faulty_exit7'] }, (test) => {
  test('a session is stopped from the list', async ({ world, visitor, page }) => {
    const id = await world.session(LONG);
    await visitor.open('/sessions');
    const row = page.locator(`#row-${id}`);
    await row.getByRole('button', { name: /^Stop/ }).click();
    await visitor.yes();
    await visitor.toast('Stopped');
    assert.equal((await world.ended(id)).outcome.kind, 'cancelled');
    // The list says so without being asked.
    await row.locator('.mark', { hasText: 'stopped' }).waitFor();
  });

  test('a question that is answered with no stops nothing', async ({ world, visitor, page }) => {
    const id = await world.session(LONG);
    await visitor.open(`/sessions/${id}`);
    await page.getByRole('button', { name: 'Stop', exact: true }).click();
    await page.locator('dialog[open]').waitFor();
    await page.keyboard.press('Escape');
    await page.locator('dialog[open]').waitFor({ state: 'detached' });
    assert.equal((await world.call('session_get', { session_id: id })).state, 'running');
    // Killed from its own page, then.
    await page.getByRole('button', { name: 'Kill' }).click();
    await visitor.yes();
    await world.ended(id);
    await page.locator('.lead .mark', { hasText: 'stopped' }).waitFor();
  });

  test('selected sessions are stopped together, others run on', async ({ world, visitor, page }) => {
    const label = { labels: { batch: 'bulk' } };
    const [one, two, three] = await Promise.all([1, 2, 3].map(() => world.session({ ...LONG, ...label })));
    await visitor.open('/sessions?label=batch%3Dbulk');
    const button = page.getByRole('button', { name: 'Stop selected' });
    assert.equal(await button.isDisabled(), true);
    for (const id of [one, two]) await page.locator(`#row-${id} input[name=select]`).check();
    await button.click();
    await visitor.yes();
    await visitor.toast('Stopped: 2');
    await Promise.all([one, two].map((id) => world.ended(id)));
    assert.equal((await world.call('session_get', { session_id: three })).state, 'running');
    await page.locator('input[data-select-all]').check();
    await button.click();
    await visitor.yes();
    await world.ended(three);
  });

  test('a tick stays while the list is rendered anew', async ({ world, visitor, page }) => {
    const id = await world.session(LONG);
    await visitor.open('/sessions');
    const box = page.locator(`#row-${id} input[name=select]`);
    await box.check();
    const other = await world.session(LONG);
    await page.locator(`#row-${other}`).waitFor();
    assert.equal(await box.isChecked(), true);
    await world.call('session_stop_all', {});
  });

  test('a session is run again, with its arguments', async ({ world, visitor, page }) => {
    const params = { module: 'ticker', args: ['3', '1'], labels: { team: 'core' }, wait_ms: 30_000 };
    const id = await world.session(params);
    await visitor.open('/sessions');
    await page
      .locator(`#row-${id}`)
      .getByRole('link', { name: /again$/ })
      .click();
    await page.waitForURL(`**/run?again=${id}`);
    await page.locator('#share h2').waitFor();
    assert.equal(await page.locator('textarea[name=args]').inputValue(), '3\n1');
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await page.locator('#output .mark.good').waitFor();
    await becomes(() => visitor.lines(), ['tick 1', 'tick 2', 'tick 3']);
    const { sessions } = await world.call('session_list', { label: 'team=core' });
    assert.equal(sessions.length, 2);
  });

  test('a session is run again with all that it was given, and what its record does not have is said', async ({
    world,
    visitor,
    page,
  }) => {
    const params = {
      module: 'environ',
      args: ['two\nlines'],
      env_vars: { COLOUR: 'a=b' },
      labels: { team: 'again' },
      dirs: [{ host: world.dir, guest: '/data' }],
      working_dir: '/data',
      permissions: { net: ['127.0.0.1:9'] },
      wait_ms: 30_000,
    };
    const id = await world.session(params);
    await visitor.open(`/run?again=${id}`);
    await page.locator('details#permissions[open]').waitFor();
    assert.equal(await page.locator('textarea[name=env_vars]').inputValue(), 'COLOUR=a=b');
    assert.equal(await page.locator('textarea[name=dirs]').inputValue(), `${world.dir}::/data`);
    assert.equal(await page.locator('textarea[name=hosts]').inputValue(), '127.0.0.1:9');
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await page.locator('#output .mark.good').waitFor();
    const { sessions } = await world.call('session_list', { label: 'team=again' });
    assert.equal(sessions.length, 2);
    const asked = await Promise.all(
      sessions.map(({ session_id }) => world.call('session_request', { session_id })),
    );
    assert.deepEqual(asked[0], asked[1]);
    assert.deepEqual(asked[0].args, ['two\nlines']);

    const long = await world.session({ module: 'echo', stdin: 'x'.repeat(70_000), wait_ms: 30_000 });
    await visitor.open(`/run?again=${long}`);
    await page.locator('#again', { hasText: 'is not kept' }).waitFor();
    assert.equal(await page.locator('input[name=module]').inputValue(), 'echo');
  });

  test('filters, the back button and reload keep the place', async ({ world, visitor, page }) => {
    const id = await world.session({ module: 'faulty_exit7', wait_ms: 30_000 });
    await world.session({ module: 'hello', wait_ms: 30_000 });
    await visitor.open('/sessions');
    const rows = page.locator('table[data-keys] tbody tr');
    await page.locator('input[name=q]').fill('exit7');
    await page.waitForURL(/q=exit7/);
    await until('the filter holds', async () => (await rows.count()) === 1);
    assert.equal(await rows.first().getAttribute('id'), `row-${id}`);
    await page.reload();
    assert.equal(await page.locator('input[name=q]').inputValue(), 'exit7');
    assert.equal(await rows.count(), 1);
    await rows.first().getByRole('link', { name: 'faulty_exit7', exact: true }).click();
    await page.waitForURL(`**/sessions/${id}`);
    await page.locator('.lead .mark', { hasText: 'exited 7' }).waitFor();
    await page.goBack();
    await page.waitForURL(/q=exit7/);
    assert.equal(await rows.count(), 1);
    await page.goBack();
    await until('the filter is gone', async () => !page.url().includes('q=') && (await rows.count()) > 1);
    assert.equal(await page.locator('input[name=q]').inputValue(), '');
    await page.locator('select[name=state]').selectOption('running');
    await page.waitForURL(/state=running/);
    await page.locator('.empty, table[data-keys]').first().waitFor();
  });

  test('the history is paged', async ({ world, visitor, page }) => {
    const label = { labels: { batch: 'paging' } };
    for (let at = 0; at < 60; at += 1) await world.session({ module: 'hello', ...label });
    await until('all have ended', async () => {
      const { sessions } = await world.call('session_list', { label: 'batch=paging', state: 'succeeded', limit: 100 });
      return sessions.length === 60;
    });
    await visitor.open('/sessions?label=batch%3Dpaging');
    const ids = async () => page.locator('table[data-keys] tbody tr').evaluateAll((rows) => rows.map((row) => row.id));
    const seen = await ids();
    await page.getByRole('link', { name: 'Older' }).click();
    await page.waitForURL(/cursor=/);
    seen.push(...(await ids()));
    assert.equal(new Set(seen).size, seen.length, 'none is on two pages');
    assert.equal(seen.length, 60);
    await page.getByRole('link', { name: 'Newest' }).click();
    await page.waitForURL((url) => !url.search.includes('cursor'));
  });

  test('a session takes lines on its standard input', async ({ world, visitor, page }) => {
    const id = await world.session({ module: 'echo', stdin_open: true });
    await visitor.open(`/sessions/${id}`);
    await page.locator('#stdin summary').click();
    await page.locator('#stdin textarea').fill('said here\n');
    await page.getByRole('button', { name: 'Write' }).click();
    await page.locator('.log-text', { hasText: 'said here' }).waitFor();
    await page.locator('#stdin input[name=close]').check();
    await page.locator('#stdin textarea').fill('the end\n');
    await page.getByRole('button', { name: 'Write' }).click();
    await page.locator('.log-state-ended').waitFor();
    await becomes(() => visitor.lines(), ['said here', 'the end']);
    await page.locator('.lead .mark.good').waitFor();
  });
});
