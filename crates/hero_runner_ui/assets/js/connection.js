// The badge that says whether what the page shows is fresh, and the strip that says what is wrong when it is not.

import { clock } from './time.js';
import { h, icon } from './dom.js';

const WORDS = {
  connected: ['circle-fill', 'Connected'],
  connecting: ['arrow-clockwise', 'Connecting'],
  server: ['exclamation-triangle-fill', 'Server is down'],
  offline: ['wifi-off', 'No connection'],
};
const REASONS = {
  server: ['The server does not answer.', 'Start it with ', 'hero_runner --start'],
  offline: ['The dashboard does not answer.', 'See whether it runs with ', 'hero_runner --status'],
};

let state = 'connecting';
let fresh = Date.now();
let retryAt = 0;
let retry = () => {};

/** What "try now" does. @param {() => void} again */
export function onRetry(again) {
  retry = again;
}

/**
 * @param {'connected'|'server'|'offline'} now
 * @param {number} [nextTryMs] in how many milliseconds it is tried again
 */
export function tell(now, nextTryMs = 0) {
  const changed = now !== state;
  state = now;
  if (now === 'connected') fresh = Date.now();
  retryAt = now === 'connected' ? 0 : Date.now() + nextTryMs;
  if (changed) {
    document.documentElement.dataset.connection = now;
    document.dispatchEvent(new CustomEvent('hero:connection', { detail: now }));
  }
  show(changed);
}

function show(changed) {
  const badge = document.getElementById('connection');
  if (badge && (changed || badge.dataset.state !== state)) {
    const [iconName, words] = WORDS[state];
    badge.dataset.state = state;
    badge.className = `connection connection-${state}`;
    badge.replaceChildren(icon(iconName), h('span', { class: 'connection-words' }, words));
  }
  strip();
}

function strip() {
  let outage = document.getElementById('outage');
  if (!REASONS[state]) {
    outage?.remove();
    return;
  }
  const [what, lead, command] = REASONS[state];
  if (outage?.dataset.state !== state) {
    outage?.remove();
    outage = h(
      'div',
      { id: 'outage', class: 'outage', 'data-state': state },
      icon(WORDS[state][0]),
      h(
        'p',
        { role: 'alert' },
        h('strong', {}, what),
        ' ',
        lead,
        h('code', {}, command),
        `; what you see is from ${clock(fresh).slice(0, 8)}.`,
      ),
      // Counting down aloud would drown everything else.
      h('span', { class: 'outage-next', 'aria-hidden': 'true' }),
      h('button', { type: 'button', class: 'btn btn-sm btn-outline-secondary', onclick: () => retry() }, 'Try now'),
    );
    const frame = document.querySelector('.frame');
    if (frame) frame.before(outage);
    else document.body.prepend(outage);
  }
  const seconds = Math.ceil((retryAt - Date.now()) / 1000);
  outage.querySelector('.outage-next').textContent = seconds > 0 ? `Trying again in ${seconds} s` : 'Trying…';
}

setInterval(() => {
  if (state !== 'connected' && !document.hidden) strip();
}, 500);
