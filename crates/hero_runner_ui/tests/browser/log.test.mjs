// The live log: line by line, across restarts, in a flood, and whatever a guest prints.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

import { suite } from './harness/suite.mjs';
import { becomes, PATIENCE_MS, until } from './harness/until.mjs';

const GUESTS = ['hello', 'ticker', 'echo', 'javascript', 'faulty_flood', 'faulty_noisy_bytes'];

/** `tick 1` to `tick n`. */
const ticks = (n) => Array.from({ length: n }, (_, at) => `tick ${at + 1}`);

/** Every line that a view holds, read by scrolling through it from its top. */
function scrollThrough(page) {
  return page.evaluate(async () => {
    const list = document.querySelector('.log-lines');
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    const got = new Map();
    for (let top = 0; top <= list.scrollHeight; top += 200) {
      list.scrollTop = top;
      await frame();
      await frame();
      for (const row of list.querySelectorAll('.log-row:not(.kind-system)')) {
        got.set(parseInt(row.style.top, 10), row.querySelector('.log-text').textContent);
      }
    }
    return [...got].sort(([one], [two]) => one - two).map(([, text]) => text);
  });
}

const status = (page) => page.locator('.log-status').innerText();

suite('the log', { guests: GUESTS }, (test) => {
  test('a ticker is followed line by line', async ({ world, visitor, page }) => {
    const id = await world.session({ module: 'ticker', args: ['100000', '400'] });
    await visitor.open(`/sessions/${id}`);
    let seen = 0;
    for (let round = 0; round < 5; round += 1) {
      await page
        .locator('.log-text', { hasText: `tick ${seen + 1}` })
        .first()
        .waitFor();
      const lines = await visitor.lines();
      assert.deepEqual(lines, ticks(lines.length));
      assert.ok(lines.length > seen);
      seen = lines.length;
    }
    assert.match(await status(page), /Live/);
    await world.call('session_stop', { session_id: id });
    await page.locator('.log-state', { hasText: 'Ended: cancelled' }).waitFor();
    await page.locator('.lead .mark', { hasText: 'stopped' }).waitFor();
  });

  test('two tabs follow the same session, and one sees what the other does', async ({ world, visitor, page }) => {
    const id = await world.session({ module: 'echo', stdin_open: true });
    const other = await visitor.tab();
    await visitor.open(`/sessions/${id}`);
    await visitor.open(`/sessions/${id}`, other);
    for (const data of ['one\n', 'two\n']) {
      await world.call('session_stdin', { session_id: id, data });
      for (const tab of [page, other]) await tab.locator('.log-text', { hasText: data.trim() }).waitFor();
    }
    await other.getByRole('button', { name: 'Stop', exact: true }).click();
    await visitor.yes(other);
    for (const tab of [page, other]) {
      await tab.locator('.lead .mark', { hasText: 'stopped' }).waitFor();
      await becomes(() => visitor.lines(tab), ['one', 'two']);
    }
  });

  test('many tabs take turns with the connections, none is left without lines', async ({ world, visitor, page }) => {
    const id = await world.session({ module: 'echo', stdin_open: true });
    const tabs = [page];
    // A browser opens six connections to a host; each tab has a stream and asks for its page.
    while (tabs.length < 8) tabs.push(await visitor.tab());
    for (const tab of tabs) await visitor.open(`/sessions/${id}`, tab);
    await world.call('session_stdin', { session_id: id, data: 'to everybody\n', close: true });
    for (const tab of tabs) {
      await tab.bringToFront();
      await tab.locator('.log-text', { hasText: 'to everybody' }).waitFor();
      await tab.locator('.log-state-ended').waitFor();
    }
  });

  test('several sessions are read as one', async ({ world, visitor, page }) => {
    const ids = [];
    for (const name of ['red', 'green', 'blue']) {
      ids.push(await world.session({ module: 'echo', stdin_open: true, labels: { name } }));
    }
    await visitor.open('/logs');
    for (const id of ids) await page.locator(`input[value="${id}"]`).check();
    await page.getByRole('button', { name: 'Show' }).click();
    await page.waitForURL(/session=.*session=.*session=/);
    for (const [at, id] of ids.entries()) {
      await world.call('session_stdin', { session_id: id, data: `line of ${at}\n` });
      await page.locator('.log-text', { hasText: `line of ${at}` }).waitFor();
    }
    assert.equal(await page.locator('.log-legend label').count(), 3);
    await page.locator('.log-legend label', { hasText: 'green' }).click();
    await becomes(() => visitor.lines(), ['line of 0', 'line of 2']);
    await page.reload();
    await until('all are there again', async () => (await visitor.lines()).length === 3);
    await world.call('session_stop_all', {});
  });

  test('no line is lost or doubled when the dashboard restarts', async ({ world, visitor, page }) => {
    visitor.expect(/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE/);
    const id = await world.session({ module: 'ticker', args: ['100000', '50'] });
    await visitor.open(`/sessions/${id}`);
    await page.locator('.log-text', { hasText: 'tick 3' }).first().waitFor();
    await world.stop('ui', 'SIGKILL');
    await page.locator('#connection[data-state=offline]').waitFor();
    await page.locator('#outage', { hasText: 'hero_runner --status' }).waitFor();
    const { next_seq: away } = await world.call('session_logs', { session_id: id, tail: 1 });
    await until(
      'lines are missed',
      async () => (await world.call('session_logs', { session_id: id, tail: 1 })).next_seq > away + 5,
    );
    await world.startUi();
    await page.locator('#outage').waitFor({ state: 'detached' });
    await page.locator('#connection[data-state=connected]').waitFor();
    await page.locator('.log-state-live').waitFor();
    await world.call('session_stop', { session_id: id });
    await page.locator('.log-state', { hasText: 'Ended' }).waitFor();
    const info = await world.ended(id);
    const { next_seq: count } = await world.call('session_logs', { session_id: id, tail: 1 });
    assert.ok(count > away + 5, JSON.stringify(info));
    await until('the last line is there', async () => (await visitor.lines()).includes(`tick ${count}`));
    assert.deepEqual(await scrollThrough(page), ticks(count));
  });

  test('the page comes back with the server, and says what became of the session', async ({ world, visitor, page }) => {
    visitor.expect(/status of 50[0-9]|ERR_/);
    const id = await world.session({ module: 'ticker', args: ['100000', '100'] });
    await visitor.open(`/sessions/${id}`);
    await page.locator('.log-text', { hasText: 'tick 2' }).first().waitFor();
    await world.stop('server', 'SIGKILL');
    await page.locator('#connection[data-state=server]').waitFor();
    await page.locator('#outage', { hasText: 'hero_runner --start' }).waitFor();
    // What was there stays to be read.
    assert.ok((await visitor.lines()).includes('tick 2'));
    // A page that is opened now says why it is empty, and comes back by itself, too.
    const other = await visitor.tab();
    assert.equal((await other.goto(`${world.address}/sessions`)).status(), 503);
    await other.locator('.problem', { hasText: 'hero_runner --start' }).waitFor();
    await world.startServer();
    await page.locator('#connection[data-state=connected]').waitFor();
    await page.locator('.lead .mark', { hasText: 'interrupted' }).waitFor();
    await page.locator('.log-state', { hasText: 'interrupted' }).waitFor();
    await other.locator(`#row-${id}`, { hasText: 'interrupted' }).waitFor();
    const fresh = await world.session({ module: 'hello', wait_ms: 30_000 });
    await other.bringToFront();
    await other.locator(`#row-${fresh}`).waitFor();
  });

  test('a flood does not freeze the page', async ({ world, visitor, page }) => {
    const id = await world.session({ module: 'faulty_flood', output_limit_bytes: 4_000_000_000 });
    await visitor.open(`/sessions/${id}`);
    await page.locator('.log-row').first().waitFor();
    const lines = async () =>
      Number(/([\d,.\u202f\u00a0 ]+) lines/.exec(await status(page))?.[1].replace(/\D/g, '') ?? 0);
    // The page answers and draws while lines come: until it has had more than it keeps or has left some out, and on from there.
    const frame = async () => {
      const began = Date.now();
      await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
      const took = Date.now() - began;
      assert.ok(took < 20_000, `a frame took ${took} ms`);
    };
    await until('the page has had its fill', async () => {
      await frame();
      return (await lines()) > 100_000 || /sampled/.test(await status(page));
    });
    for (let more = 0; more < 20; more += 1) await frame();
    assert.ok((await page.locator('.log-row').count()) < 200, 'only what is in sight is drawn');
    // One can read and search meanwhile.
    await page.locator('.log-follow').click();
    await becomes(() => page.locator('.log-follow').getAttribute('aria-pressed'), 'false');
    await page.locator('.log-search input').fill('xxx');
    await until('there are matches', async () => /[1-9]/.test(await page.locator('.log-matches').innerText()));
    await page.getByRole('button', { name: 'Stop', exact: true }).click();
    await visitor.yes();
    await world.ended(id);
    await page.locator('.log-state', { hasText: 'Ended' }).waitFor();
    if (/sampled/.test(await status(page))) assert.match(await status(page), /sampled: [\d,.\u202f\u00a0 ]+ skipped/);
  });

  test('older lines are read when they are scrolled to', async ({ world, visitor, page }) => {
    const id = await world.session({ module: 'faulty_flood', args: ['6000'], wait_ms: 50_000 });
    await visitor.open(`/sessions/${id}`);
    await page.locator('.log-text', { hasText: '000000006000' }).waitFor();
    await until('the first line is there', async () => {
      await page.locator('.log-lines').evaluate((list) => (list.scrollTop = 0));
      return (await visitor.lines())[0]?.startsWith('000000000001 ');
    });
    await page.locator('.log-search input').fill('/0+123[45] /');
    await page.locator('.log-matches', { hasText: '2' }).waitFor();
    await page.locator('.log-search input').press('Enter');
    await page.locator('.log-row.current .log-text', { hasText: /00000000123[45] / }).waitFor();
  });

  test('what a guest prints stays text', async ({ world, visitor, page }) => {
    const script = [
      'console.log("<script>window.pwned = 1</script><img src=x onerror=\'window.pwned = 1\'>");',
      'console.log("\\x1b[1;32mgreen\\x1b[0m \\x1b]0;evil\\x07 \\x1b[2J\\x1b[99;99H end");',
      'console.log("x".repeat(1000000));',
      'console.error("after");',
    ].join('\n');
    const id = await world.session({ script, runtime: 'javascript', wait_ms: 60_000 });
    await visitor.open(`/sessions/${id}`);
    await page.locator('.log-text', { hasText: 'after' }).waitFor();
    const lines = await visitor.lines();
    assert.ok(lines[0].startsWith('<script>window.pwned'), lines[0]);
    assert.equal(lines[1], 'green   end');
    assert.equal(await page.evaluate(() => globalThis.pwned), undefined);
    assert.equal(await page.locator('.log img, .log script').count(), 0);
    assert.match(await page.title(), /hero_runner$/);
    // A row shows the beginning of a line of a megabyte; the whole of it is behind a button, and in a file.
    assert.ok(lines[2].length < 5000);
    await page.locator('.log-more').first().click();
    const whole = page.locator('dialog[open] pre');
    await whole.waitFor();
    assert.equal(await whole.evaluate((one) => one.textContent.length), 1_000_000);
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      page.locator('dialog[open]').getByRole('button', { name: 'Download' }).click(),
    ]);
    assert.equal((await readFile(await file.path())).length, 1_000_000);
    await page.keyboard.press('Escape');
    await page.locator('dialog[open]').waitFor({ state: 'detached' });
    assert.deepEqual(await visitor.overflow(), []);
  });

  test('a log is downloaded byte for byte', async ({ world, visitor, page }) => {
    const id = await world.session({ module: 'faulty_noisy_bytes', wait_ms: PATIENCE_MS });
    await visitor.open(`/sessions/${id}`);
    await page.locator('.log-text', { hasText: 'no newline at the end' }).waitFor();
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Download as text' }).click(),
    ]);
    const bytes = await readFile(await file.path());
    assert.ok(bytes.includes(Buffer.from([0xff, 0xfe, 0x80])));
    assert.ok(bytes.includes(Buffer.from('data: forged')));
    assert.ok(bytes.toString('latin1').endsWith('no newline at the end'));
  });
});
