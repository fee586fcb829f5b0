// The port for browsers: who is let in, and with what.

import assert from 'node:assert/strict';

import { suite } from './harness/suite.mjs';
import { until } from './harness/until.mjs';
import { ask } from './harness/world.mjs';

const STOP_ALL = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'session_stop_all', params: {} });
const LIST = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'session_list', params: {} });

suite('the door', { guests: ['ticker'], uiFlags: ['--host', 'dash.example'] }, (test) => {
  /** A raw request at the port, as a page of this dashboard would send it unless something else is said. */
  const knock = (world, method, path, headers = {}, body = '') =>
    ask({ host: '127.0.0.1', port: world.port }, method, path, { host: `127.0.0.1:${world.port}`, ...headers }, body);
  const json = { 'content-type': 'application/json' };

  test('a foreign name that leads here is refused', async ({ world }) => {
    const token = { 'x-hero-token': await world.token() };
    for (const host of [
      `evil.example:${world.port}`,
      'evil.example',
      `127.0.0.1.evil.example:${world.port}`,
      '127.0.0.1',
      `127.0.0.1:1`,
    ]) {
      for (const [method, path, headers, body] of [
        ['GET', '/sessions', {}, ''],
        ['GET', '/openrpc.json', {}, ''],
        ['POST', '/rpc', { ...json, ...token }, STOP_ALL],
      ]) {
        const reply = await knock(world, method, path, { ...headers, host }, body);
        assert.ok(reply.status >= 400 && reply.status < 500, `${method} ${path} for ${host}: ${reply.status}`);
        assert.doesNotMatch(reply.body, /<main|"stopped"|"methods"/);
      }
    }
    for (const host of [
      `localhost:${world.port}`,
      `127.0.0.1:${world.port}`,
      `[::1]:${world.port}`,
      `dash.example:${world.port}`,
    ]) {
      assert.equal((await knock(world, 'GET', '/sessions', { host })).status, 200, host);
    }
  });

  test('a page of another origin can change nothing, not even with the token', async ({ world }) => {
    const id = await world.session({ module: 'ticker', args: ['100000', '1000'] });
    const token = { 'x-hero-token': await world.token() };
    for (const origin of [
      'http://evil.example',
      'null',
      `http://127.0.0.1:${world.port + 1}`,
      `https://127.0.0.1:${world.port}`,
    ]) {
      for (const path of ['/rpc', '/upload', '/modules/x']) {
        const reply = await knock(world, 'POST', path, { ...json, ...token, origin }, STOP_ALL);
        assert.equal(reply.status, 403, `${origin} ${path}: ${reply.body}`);
        assert.equal(reply.headers['access-control-allow-origin'], undefined);
      }
    }
    const crossed = await knock(world, 'POST', '/rpc', { ...json, ...token, 'sec-fetch-site': 'cross-site' }, STOP_ALL);
    assert.equal(crossed.status, 403);
    // Nor does a form, which needs no leave of anybody, nor a question whether it may.
    const form = await knock(
      world,
      'POST',
      '/rpc',
      { 'content-type': 'text/plain', origin: 'http://evil.example' },
      STOP_ALL,
    );
    assert.equal(form.status, 403);
    const may = { origin: 'http://evil.example', 'access-control-request-method': 'POST' };
    const preflight = await knock(world, 'OPTIONS', '/rpc', may);
    assert.equal(preflight.headers['access-control-allow-origin'], undefined);
    // What a page of somebody else would draw in or read.
    const drawn = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'script' };
    assert.equal((await knock(world, 'GET', '/sessions', drawn)).status, 403);
    assert.equal((await world.call('session_get', { session_id: id })).state, 'running');
    await world.call('session_stop_all', {});
  });

  test('a page of another origin in a real browser gets nothing', async ({ world, visitor, page }) => {
    visitor.expect(/./);
    const id = await world.session({ module: 'ticker', args: ['100000', '1000'] });
    const { createServer } = await import('node:http');
    const evil = createServer((_, reply) => reply.setHeader('content-type', 'text/html').end('<h1>evil</h1>'));
    await new Promise((resolve) => evil.listen(0, '127.0.0.1', resolve));
    try {
      await page.goto(`http://127.0.0.1:${evil.address().port}/`);
      const got = await page.evaluate(
        async ([address, body, token]) => {
          const send = (init) =>
            fetch(`${address}/rpc`, { method: 'POST', body, ...init }).then(
              (reply) => reply.text(),
              () => 'refused',
            );
          const read = await fetch(`${address}/sessions`).then(
            (reply) => reply.text(),
            () => 'refused',
          );
          const frame = document.body.appendChild(document.createElement('iframe'));
          frame.src = `${address}/sessions`;
          return [
            read,
            await send({ mode: 'no-cors', headers: { 'content-type': 'text/plain' } }),
            await send({ headers: { 'content-type': 'application/json', 'x-hero-token': token } }),
          ];
        },
        [world.address, STOP_ALL, await world.token()],
      );
      assert.deepEqual(got, ['refused', 'refused', 'refused']);
      assert.equal((await world.call('session_get', { session_id: id })).state, 'running');
    } finally {
      evil.closeAllConnections?.();
      evil.close();
    }
    await world.call('session_stop_all', {});
  });

  test('reading needs no token, changing needs the one that holds', async ({ world }) => {
    assert.equal((await knock(world, 'POST', '/rpc', json, LIST)).status, 200);
    for (const [token, fault] of [
      [undefined, 'token_missing'],
      ['wrong', 'token_wrong'],
      [`${await world.token()}x`, 'token_wrong'],
    ]) {
      const reply = await knock(
        world,
        'POST',
        '/rpc',
        { ...json, ...(token ? { 'x-hero-token': token } : {}) },
        STOP_ALL,
      );
      assert.equal(reply.status, 401);
      const { error } = JSON.parse(reply.body);
      assert.equal(error.data.code_name, fault);
      assert.match(error.data.hint, /hero_runner ui/);
    }
    const reply = await knock(world, 'POST', '/rpc', { ...json, 'x-hero-token': await world.token() }, STOP_ALL);
    assert.equal(reply.status, 200);
    assert.equal(reply.headers['set-cookie'], undefined);
  });

  test('the policies stand in every page', async ({ world }) => {
    for (const path of ['/sessions', '/docs/health', '/sessions/nobody']) {
      const { headers } = await knock(world, 'GET', path);
      assert.match(headers['content-security-policy'], /default-src 'none'/);
      assert.match(headers['content-security-policy'], /script-src 'self'(;|$)/);
      assert.match(headers['content-security-policy'], /frame-ancestors 'none'/);
      assert.doesNotMatch(headers['content-security-policy'], /unsafe|\*/);
      assert.equal(headers['x-content-type-options'], 'nosniff');
    }
  });

  test('the token leaves the address at once, and is asked for when it is no good', async ({
    world,
    visitor,
    page,
  }) => {
    visitor.expect(/status of 401/);
    const id = await world.session({ module: 'ticker', args: ['100000', '1000'] });
    await page.goto(await world.url());
    await page.waitForURL('**/sessions');
    await until('it is gone from the address', () => !page.url().includes('token'));
    assert.equal(await page.evaluate(() => localStorage.getItem('hero.token')), await world.token());
    await page.evaluate(() => localStorage.setItem('hero.token', 'wrong-wrong-wrong-wrong'));
    await page.locator(`#row-${id}`).getByRole('button', { name: /^Stop/ }).click();
    await page.locator('dialog[open] button[value=yes]').click();
    const field = page.locator('#token-field');
    await field.fill('nonsense');
    await field.press('Enter');
    await page.locator('#token-fault', { hasText: 'no token' }).waitFor();
    await field.fill(await world.url());
    await field.press('Enter');
    await visitor.toast('Stopped');
    await world.ended(id);
  });

  test('without the token nothing changes, and one may go on looking', async ({ world, visitor, page }) => {
    visitor.expect(/status of 401/);
    const id = await world.session({ module: 'ticker', args: ['100000', '1000'] });
    await visitor.open(`/sessions/${id}`);
    await page.evaluate(() => localStorage.removeItem('hero.token'));
    await page.getByRole('button', { name: 'Stop', exact: true }).click();
    await page.locator('dialog[open] button[value=yes]').click();
    await page.locator('dialog[open]', { hasText: 'needs a token' }).getByRole('button', { name: 'Cancel' }).click();
    await page.locator('.toast-error', { hasText: 'token' }).waitFor();
    assert.equal((await world.call('session_get', { session_id: id })).state, 'running');
    await page.locator('.log-text', { hasText: 'tick 1' }).first().waitFor();
    await world.call('session_stop_all', {});
  });
});

suite('an expired token', { guests: ['ticker'], uiFlags: ['--token-hours', '0.001'] }, (test) => {
  test('is said to be expired, and a new one is taken', async ({ world, visitor, page }) => {
    visitor.expect(/status of 401/);
    const id = await world.session({ module: 'ticker', args: ['100000', '1000'] });
    await visitor.open(`/sessions/${id}`);
    const old = await world.token();
    await page.evaluate((token) => localStorage.setItem('hero.token', token), old);
    await until('there is another token', async () => (await world.token()) !== old);
    await page.getByRole('button', { name: 'Stop', exact: true }).click();
    await page.locator('dialog[open] button[value=yes]').click();
    const question = page.locator('dialog[open]', { hasText: 'expired' });
    await question.waitFor();
    await question.getByText('hero_runner ui').waitFor();
    await page.locator('#token-field').fill(await world.url());
    await page.locator('#token-field').press('Enter');
    await world.ended(id);
  });
});
