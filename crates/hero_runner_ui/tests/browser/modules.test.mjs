// Modules and templates.

import assert from 'node:assert/strict';

import { guest } from './harness/package.mjs';
import { suite } from './harness/suite.mjs';
import { becomes, until } from './harness/until.mjs';

suite('modules and templates', { guests: ['hello', 'greet'], settings: { compile: true } }, (test) => {
  test('a module is uploaded by the chooser, and runs', async ({ world, visitor, page }) => {
    await visitor.open('/modules');
    await page.locator('.uploads').waitFor({ state: 'attached' });
    await page
      .locator('input[type=file]')
      .setInputFiles({ name: 'Up Load.wasm', mimeType: 'application/wasm', buffer: await guest('ticker') });
    await page.getByRole('button', { name: 'Upload' }).click();
    await visitor.toast('up-load: registered');
    const row = page.locator('[id="row-up-load"]');
    await row.getByRole('link', { name: 'Run up-load' }).click();
    await page.waitForURL('**/run?module=up-load');
    await page.locator('#share h2').waitFor();
    await page.locator('textarea[name=args]').fill('1');
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await page.locator('#output .mark.good').waitFor();
    await becomes(() => visitor.lines(), ['tick 1']);
    assert.ok((await world.call('module_list')).modules.some(({ name }) => name === 'up-load'));
  });

  test('a name may be given', async ({ visitor, page }) => {
    await visitor.open('/modules');
    await page.locator('.uploads').waitFor({ state: 'attached' });
    await page
      .locator('input[type=file]')
      .setInputFiles({ name: 'x.wasm', mimeType: 'application/wasm', buffer: await guest('hello') });
    await page.locator('input[name=name]').fill('another.name');
    await page.getByRole('button', { name: 'Upload' }).click();
    await page.locator('[id="row-another.name"]').waitFor();
  });

  test('files are dropped, and one that is no module is refused with the reason', async ({ visitor, page }) => {
    visitor.expect(/status of 4\d\d/);
    await visitor.open('/modules');
    await page.locator('.uploads').waitFor({ state: 'attached' });
    const dropped = await page.evaluateHandle(
      ([good]) => {
        const bytes = Uint8Array.from(atob(good), (char) => char.charCodeAt(0));
        const transfer = new DataTransfer();
        transfer.items.add(new File(['no module at all'], 'bad.wasm'));
        transfer.items.add(new File([bytes], 'dropped.wasm'));
        return transfer;
      },
      [(await guest('hello')).toString('base64')],
    );
    await page.dispatchEvent('[data-drop]', 'dragover', { dataTransfer: dropped });
    await page.locator('[data-drop].over').waitFor();
    await page.dispatchEvent('[data-drop]', 'drop', { dataTransfer: dropped });
    await page.locator('[data-drop].over').waitFor({ state: 'detached' });
    await page.locator('#row-dropped').waitFor();
    const bad = page.locator('.uploads li', { hasText: 'bad' });
    await bad.locator('[role=alert]').waitFor();
    assert.ok((await bad.locator('[role=alert]').innerText()).length > 10);
    assert.equal(await page.locator('#row-bad').count(), 0);
  });

  test('a module is inspected, kept warm, and its template removed', async ({ world, visitor, page }) => {
    await visitor.open('/modules/greet');
    await page.locator('#exports summary').click();
    await page.locator('#exports td code, #exports th code', { hasText: '_start' }).first().waitFor();
    await page.locator('#imports summary').click();
    await page.locator('#imports th code', { hasText: 'wasi_snapshot_preview1' }).first().waitFor();
    await page.getByRole('button', { name: 'Keep it warm' }).click();
    await page.waitForURL('**/templates/greet');
    await page.locator('.lead .mark', { hasText: 'warm' }).waitFor();
    assert.equal((await world.call('template_get', { name: 'greet' })).state, 'warm');
    await page.getByRole('button', { name: 'Remove' }).click();
    await visitor.yes();
    await page.waitForURL('**/modules');
    const { templates } = await world.call('template_list');
    assert.equal(
      templates.some(({ name }) => name === 'greet'),
      false,
    );
  });

  test('a template is made with a form, and says when it is warm', async ({ visitor, page }) => {
    await visitor.open('/modules?tab=templates');
    await page.locator('#new-template summary').click();
    await page.locator('#new-template input[name=module]').fill('hello');
    await page.locator('#new-template input[name=name]').fill('by-form');
    await page.locator('#new-template input[name=min_spare]').fill('1');
    await page.getByRole('button', { name: 'Make' }).click();
    await visitor.toast('by-form is on its way');
    const row = page.locator('#row-by-form');
    await row.locator('.mark', { hasText: 'warm' }).waitFor();
    await row.getByRole('button', { name: 'Remove by-form' }).click();
    await visitor.yes();
    await row.waitFor({ state: 'detached' });
  });

  test('a module is removed', async ({ world, visitor, page }) => {
    const base64 = (await guest('hello')).toString('base64');
    await world.call('module_put', { name: 'short-lived', base64 });
    await visitor.open('/modules');
    const row = page.locator('#row-short-lived');
    // It is compiled in the background, and the page says so.
    await row.locator('.mark.good', { hasText: 'compiled' }).waitFor();
    await row.getByRole('button', { name: 'Remove short-lived' }).click();
    await visitor.yes();
    await row.waitFor({ state: 'detached' });
    await until(
      'it is gone',
      async () => !(await world.call('module_list')).modules.some(({ name }) => name === 'short-lived'),
    );
    const reply = await page.goto(`${world.address}/modules/short-lived`);
    assert.equal(reply.status(), 404);
    visitor.expect(/status of 404/);
    await page.locator('.problem').waitFor();
    visitor.faults.length = 0;
  });
});
