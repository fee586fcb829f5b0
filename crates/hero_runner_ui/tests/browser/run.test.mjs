// The Run page: what it starts, what it shows of it, and how it says the same elsewhere.

import assert from 'node:assert/strict';

import { suite } from './harness/suite.mjs';
import { becomes, until } from './harness/until.mjs';

const GUESTS = ['hello', 'ticker', 'echo', 'javascript', 'rhai'];

async function openRun(visitor, query = '') {
  await visitor.open(`/run${query}`);
  // Its script runs.
  await visitor.page.locator('.editor').waitFor({ state: 'attached' });
}

const press = (page) => page.getByRole('button', { name: 'Run', exact: true }).click();

suite('the Run page', { guests: GUESTS }, (test) => {
  test('a module runs with arguments and environment', async ({ world, visitor, page }) => {
    await openRun(visitor);
    await page.locator('input[name=module]').fill('ticker');
    await page.locator('textarea[name=args]').fill('2\n1');
    await page.locator('#more summary').click();
    await page.locator('textarea[name=labels]').fill('team=core');
    await press(page);
    await page.locator('#output .mark.good', { hasText: 'exited with code 0' }).waitFor();
    await becomes(() => visitor.lines(), ['tick 1', 'tick 2']);
    const { sessions } = await world.call('session_list', { label: 'team=core' });
    assert.deepEqual(sessions[0].args, ['2', '1']);
    await page.locator('#output').getByRole('link', { name: 'Session' }).click();
    await page.waitForURL(`**/sessions/${sessions[0].session_id}`);
  });

  test('the same stands there as a command line and as curl', async ({ visitor, page }) => {
    await openRun(visitor, '?module=ticker');
    await page.locator('textarea[name=args]').fill("it's\n3");
    const [command, curl] = [page.locator('#share pre').nth(0), page.locator('#share pre').nth(1)];
    await command.locator('code', { hasText: String.raw`hero_runner run ticker 'it'\''s' 3` }).waitFor();
    assert.match(await curl.innerText(), /session_start/);
    await command.getByRole('button').click();
    await becomes(() => page.evaluate(() => navigator.clipboard.readText()), await command.locator('code').innerText());
  });

  for (const [runtime, script, colour] of [
    ['javascript', 'for (let i = 0; i < 2; i++) console.log("line " + i);', '.hljs-keyword'],
    ['rhai', 'for i in 0..2 { print("line " + i); }', '.hljs-keyword'],
  ]) {
    test(`a script runs in ${runtime}`, async ({ visitor, page }) => {
      await openRun(visitor);
      await page.locator('.choice').getByText('Script').click();
      await page.locator('select[name=runtime]').selectOption(runtime);
      await page.locator('.editor').click();
      await page.keyboard.type(script);
      await page.locator(`.editor ${colour}`).first().waitFor();
      await page.keyboard.press('Control+Enter');
      await page.locator('#output .mark.good').waitFor();
      await becomes(() => visitor.lines(), ['line 0', 'line 1']);
      // What was written is still there after a reload.
      await page.reload();
      await page.locator('.choice').getByText('Script').click();
      await page.locator('.editor', { hasText: 'line' }).waitFor();
    });
  }

  test('a script that fails says where', async ({ visitor, page }) => {
    await openRun(visitor);
    await page.locator('.choice').getByText('Script').click();
    await page.locator('select[name=runtime]').selectOption('javascript');
    await page.locator('.editor').click();
    await page.keyboard.type('nothing.at.all();');
    await press(page);
    await page.locator('#output .mark.bad').waitFor();
    await page.locator('.log-row.kind-stderr', { hasText: 'nothing' }).first().waitFor();
  });

  test('the editor does not catch the keyboard', async ({ visitor, page }) => {
    await openRun(visitor);
    await page.locator('.choice').getByText('Script').click();
    await page.locator('.editor').click();
    const inside = () => page.evaluate(() => document.activeElement.className.includes('editor'));
    await page.keyboard.press('Tab');
    assert.equal(await inside(), true);
    await becomes(() => page.locator('.editor').textContent(), '  ', 'Tab indents');
    // Colours come a moment after the last key, and put the caret back where it was.
    await until('Escape and Tab lead out of it', async () => {
      await page.keyboard.press('Escape');
      await page.keyboard.press('Tab');
      return !(await inside());
    });
  });

  test('lines go to its standard input, and it is stopped', async ({ visitor, page }) => {
    await openRun(visitor, '?module=echo');
    await page.locator('input[name=stdin_open]').check();
    await press(page);
    const field = page.getByLabel('A line for its standard input');
    await field.fill('to the guest');
    await field.press('Enter');
    await page.locator('.log-text', { hasText: 'to the guest' }).waitFor();
    await page.locator('#output').getByRole('button', { name: 'Stop' }).click();
    await page.locator('#output .mark.quiet', { hasText: 'cancelled' }).waitFor();
  });

  test("the server's own reason and hint are shown", async ({ visitor, page }) => {
    await openRun(visitor);
    await page.locator('input[name=module]').fill('nobody');
    await press(page);
    const toast = page.locator('.toast-error');
    await toast.waitFor();
    assert.match(await toast.innerText(), /nobody/);
    assert.match(await toast.locator('code').innerText(), /not_found/);
    assert.ok((await toast.locator('.toast-hint').innerText()).length > 0);
  });

  test('limits hold', async ({ world, visitor, page }) => {
    await openRun(visitor, '?module=ticker');
    await page.locator('textarea[name=args]').fill('100000\n50');
    await page.locator('input[name=timeout_ms]').fill('300');
    await press(page);
    await page.locator('#output .mark.bad', { hasText: 'timed out' }).waitFor();
    const { sessions } = await world.call('session_list', { module: 'ticker', limit: 1 });
    assert.equal(sessions[0].outcome.kind, 'timed_out');
  });

  test('a template runs', async ({ world, visitor, page }) => {
    await world.call('template_create', { module: 'hello', name: 'greeting' });
    await until('it is warm', async () => (await world.call('template_get', { name: 'greeting' })).state === 'warm');
    await openRun(visitor, '?template=greeting');
    await press(page);
    await page.locator('#output .mark.good').waitFor();
    await becomes(() => visitor.lines(), ['hello, world']);
    const { sessions } = await world.call('session_list', { limit: 1 });
    assert.equal(sessions[0].start, 'warm');
  });
});
