// A server on which something has happened: sessions of many outcomes, services, schedules, templates.

import { guest, packageOf } from './package.mjs';
import { until } from './until.mjs';
import { ask, SERVICES } from './world.mjs';

/** For `World.start`. */
export const POPULATED = {
  guests: [
    'hello',
    'ticker',
    'echo',
    'greet',
    'environ',
    'javascript',
    'faulty_exit7',
    'faulty_trap',
    'faulty_oom',
    'faulty_spin',
    'faulty_flood',
    'faulty_noisy_bytes',
  ],
  services: {
    ...SERVICES,
    crashy: {
      prefix: 'crashy',
      port: 'auto',
      memory_limit_mb: 64,
      env: { CRASH: 'at_once' },
      description: 'Fails on purpose.',
    },
    cgi_echo: { prefix: 'cgi', kind: 'handler', description: 'Answers each request in a session of its own.' },
    leaky: {
      prefix: 'leaky',
      port: 'auto',
      enabled: false,
      memory_limit_mb: 32,
      description: 'Takes memory and keeps it.',
    },
  },
};

const JOURNAL = `const steps = ['reading the list', 'asking the store', 'writing the report'];
for (const [at, step] of steps.entries()) console.log(\`\\x1b[32m✓\\x1b[0m \${at + 1}/\${steps.length} \${step}\`);
console.log('\\x1b[1mtotals\\x1b[0m ' + JSON.stringify({ rows: 1284, skipped: 3 }));
console.error('\\x1b[33mwarning\\x1b[0m: three rows had no date');`;

/** The addresses of all pages; without ids, those that do not need any are right. */
export function addresses({ running = '', ticking = [], failed = '', version = '' } = {}) {
  return {
    sessions: '/sessions',
    session: `/sessions/${running}`,
    failed: `/sessions/${failed}`,
    run: '/run?module=ticker',
    services: '/services',
    service: `/services/${version}`,
    schedules: '/schedules',
    modules: '/modules',
    module: '/modules/hello',
    templates: '/modules?tab=templates',
    template: '/templates/greet',
    logs: `/logs?${ticking.map((id) => `session=${id}`).join('&')}`,
    choose: '/logs',
    stats: '/stats',
    admin: '/admin',
    docs: '/docs',
    method: '/docs/session_start',
    missing: '/sessions/ses-nobody',
    nothing: '/sessions?q=nothing-is-called-so',
  };
}

/** @param {import('./world.mjs').World} world @returns what `addresses` takes */
export async function populate(world) {
  const start = (params) => world.session({ wait_ms: 30_000, ...params });
  await world.call('template_create', { module: 'greet', name: 'greet', min_spare: 1 });
  await Promise.all(['hello', 'clock'].map((name) => world.service(name, 'ready')));
  for (const description of ['The first that was deployed.', 'Pages of the report.']) {
    const upload = await packageOf(
      'report',
      'cgi_echo',
      { kind: 'handler', port: undefined, description },
      { version: '1.2' },
    );
    const type = { 'content-type': 'application/gzip' };
    await ask(world.rpcSocket, 'POST', '/upload', type, upload);
  }
  await world.call('module_put', { name: 'invoice', base64: (await guest('environ')).toString('base64') });
  await until('greet is warm', async () => (await world.call('template_get', { name: 'greet' })).state === 'warm');
  for (let at = 0; at < 6; at += 1) await start({ module: 'hello', labels: { team: at % 2 ? 'core' : 'edge' } });
  for (let at = 0; at < 4; at += 1) await start({ template: 'greet', args: ['Ada'] });
  await start({ module: 'ticker', args: ['3', '1'] });
  await start({ module: 'faulty_exit7', labels: { team: 'core' } });
  const failed = await start({ module: 'faulty_trap', args: ['unreachable'] });
  await start({ module: 'faulty_oom', memory_limit_mb: 32 });
  await start({ module: 'faulty_spin', timeout_ms: 300 });
  await start({ script: JOURNAL, runtime: 'javascript', script_name: 'journal.js', labels: { name: 'nightly' } });
  await start({ module: 'faulty_flood', args: ['5000'] });
  const stopped = await world.session({ module: 'echo', stdin_open: true });
  await world.call('session_stop', { session_id: stopped });
  const { schedules } = await world.call('schedule_list');
  for (const { id } of schedules) await world.call('schedule_run_now', { id });
  await world.call('schedule_pause', { id: schedules.find(({ id }) => id.includes('hourly')).id });
  const ticking = [];
  for (const [at, ms] of [400, 700, 1100].entries()) {
    ticking.push(
      await world.session({ module: 'ticker', args: ['100000', String(ms)], labels: { name: `beat-${at}` } }),
    );
  }
  await until('there is history to draw', async () => (await world.call('stats_history')).samples.length > 2);
  return { running: ticking[0], ticking, failed, version: 'report' };
}
