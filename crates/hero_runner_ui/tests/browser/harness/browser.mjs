// Headless Chromium, and pages that note whatever goes wrong in them.

import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { PATIENCE_MS } from './until.mjs';

const packages = process.env.HERO_BROWSER_PACKAGES;
if (!packages) throw new Error('HERO_BROWSER_PACKAGES is not set: run scripts/in_browser.sh');
const require = createRequire(join(packages, 'package.json'));
const { chromium } = require('playwright-core');
const axe = await readFile(require.resolve('axe-core/axe.min.js'), 'utf8');

/** @returns {Promise<import('playwright-core').Browser>} */
export function launch() {
  return chromium.launch({
    executablePath: process.env.HERO_CHROMIUM ?? '/usr/bin/chromium',
    // Chromium's sandbox refuses root, and containers often refuse it.
    chromiumSandbox: false,
    timeout: PATIENCE_MS,
    args: [
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/** A person: a browser profile of their own, who came by the URL with the token. */
export class Visitor {
  /**
   * @param {import('playwright-core').Browser} browser
   * @param {import('./world.mjs').World} world
   */
  static async arrive(browser, world, { theme, width = 1280, height = 800, ...more } = {}) {
    const context = await browser.newContext({
      viewport: { width, height },
      acceptDownloads: true,
      permissions: ['clipboard-read', 'clipboard-write'],
      ...more,
    });
    context.setDefaultTimeout(PATIENCE_MS);
    const visitor = new Visitor(context, world);
    const token = await world.token();
    await context.addInitScript(
      ([origin, kept, chosen]) => {
        if (location.origin !== origin || localStorage.getItem('hero.token') !== null) return;
        localStorage.setItem('hero.token', kept);
        if (chosen) localStorage.setItem('hero.theme', chosen);
      },
      [world.address, token, theme ?? null],
    );
    visitor.page = await visitor.tab();
    return visitor;
  }

  constructor(context, world) {
    this.context = context;
    this.world = world;
    /** What went wrong in any of the tabs. @type {string[]} */
    this.faults = [];
    /** Faults that a test brings about on purpose. @type {RegExp[]} */
    this.expected = [];
  }

  /** Another tab. @returns {Promise<import('playwright-core').Page>} */
  async tab() {
    const page = await this.context.newPage();
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type()))
        this.fault(`console: ${message.text()} ${message.location().url}`);
    });
    page.on('pageerror', (error) => this.fault(`uncaught: ${error.stack}`));
    return page;
  }

  fault(words) {
    if (!this.expected.some((pattern) => pattern.test(words))) this.faults.push(words);
  }

  /** The next faults of this kind are meant. @param {...RegExp} patterns */
  expect(...patterns) {
    this.expected.push(...patterns);
  }

  /** Opens a page and waits until its scripts run. @param {string} path */
  async open(path, page = this.page) {
    const reply = await page.goto(this.world.address + path);
    await page.locator('#connection[data-state=connected]').waitFor();
    return reply;
  }

  /** Rows of a log view, as their texts. */
  lines(page = this.page) {
    return page.locator('.log-row:not(.kind-system) .log-text').allInnerTexts();
  }

  /** What is said in passing. */
  toast(words, page = this.page) {
    return page.locator('.toast-note', { hasText: words }).first().waitFor();
  }

  /** Says yes to the question that stands there. */
  async yes(page = this.page) {
    await page.locator('dialog[open] button[value=yes]').click();
    await page.locator('dialog[open]').waitFor({ state: 'detached' });
  }

  /** What a tool for accessibility finds that is serious or worse. @returns {Promise<string[]>} */
  async barriers(page = this.page) {
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, impact, nodes }) => {
        const where = nodes.slice(0, 3).map(({ target, failureSummary }) => `${target.join(' ')}: ${failureSummary}`);
        return `${id} (${impact}, ${nodes.length}): ${where.join(' | ')}`;
      });
  }

  /** What is wider than the page, when the page can be scrolled sideways. @returns {Promise<string[]>} */
  overflow(page = this.page) {
    return page.evaluate(() => {
      const most = document.documentElement.clientWidth;
      if (document.documentElement.scrollWidth <= most) return [];
      const scrolls = (one) => one && (getComputedStyle(one).overflowX !== 'visible' || scrolls(one.parentElement));
      const wide = [...document.querySelectorAll('body *')].filter(
        (one) => one.getBoundingClientRect().right > most + 1 && !scrolls(one.parentElement),
      );
      return [
        `${document.documentElement.scrollWidth} > ${most}`,
        ...wide.slice(0, 5).map((one) => `${one.tagName}.${one.className}`),
      ];
    });
  }

  /** A picture for whoever looks into a failure. @param {string} name @returns {Promise<string>} its file */
  async picture(name) {
    const folder = join(process.env.CARGO_TARGET_DIR ?? 'target', 'browser');
    await mkdir(folder, { recursive: true });
    const path = join(folder, `${name.replace(/\W+/g, '-')}.png`);
    await this.page.screenshot({ path });
    return path;
  }

  leave() {
    return this.context.close();
  }
}
