// The entry: what every page has, and the module of the page that this is.

import * as actions from './actions.js';
import * as copy from './copy.js';
import * as keys from './keys.js';
import * as live from './live.js';
import { takeTokenFromAddress } from './rpc.js';
import { refresh as refreshTimes } from './time.js';

const PAGES = {
  session: () => import('./pages/session.js'),
  run: () => import('./pages/run.js'),
  logs: () => import('./pages/logs.js'),
  modules: () => import('./pages/modules.js'),
  stats: () => import('./pages/stats.js'),
  docs: () => import('./pages/docs.js'),
  method: () => import('./pages/docs.js'),
};
const THEMES = { auto: ['circle-half', 'system'], light: ['sun', 'light'], dark: ['moon-stars', 'dark'] };

function themeButton() {
  const button = document.getElementById('theme');
  if (!button) return;
  const order = Object.keys(THEMES);
  const show = () => {
    const [iconName, words] = THEMES[window.heroTheme.chosen()];
    button.querySelector('use')?.setAttribute('href', new URL(`../icons.svg#${iconName}`, import.meta.url).href);
    button.setAttribute('aria-label', `Theme: ${words}`);
    button.title = `Theme: ${words}`;
  };
  button.addEventListener('click', () => {
    window.heroTheme.choose(order[(order.indexOf(window.heroTheme.chosen()) + 1) % order.length]);
  });
  document.addEventListener('hero:theme', show);
  show();
}

/** Mounts what the page's module finds, also what came with a later rendering. */
async function page() {
  const load = PAGES[document.body.dataset.page];
  if (!load) return;
  const { mount } = await load();
  mount();
  document.addEventListener('hero:morphed', () => mount());
}

takeTokenFromAddress();
window.addEventListener('hashchange', takeTokenFromAddress);
themeButton();
document.getElementById('help')?.addEventListener('click', () => keys.list());
// On a phone the tabs scroll.
document.querySelector('#nav [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' });
refreshTimes();
setInterval(() => !document.hidden && refreshTimes(), 1000);
actions.start();
copy.start();
keys.start();
live.start();
page();
