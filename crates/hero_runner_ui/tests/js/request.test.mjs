import assert from 'node:assert/strict';
import { test } from 'node:test';

import { dirOf, pairsOf, requestOf } from '../../assets/js/request.js';

test('what is left empty is not asked for', () => {
  assert.deepEqual(
    requestOf({ what: 'module', module: ' hello ', script: 'x', args: '', timeout_ms: '', net: 'none' }),
    { module: 'hello' },
  );
});

test('a module with everything', () => {
  const params = requestOf({
    what: 'module',
    module: 'm',
    args: 'one\ntwo words\n',
    env_vars: 'A=1\nB=x=y',
    labels: 'team=core',
    stdin: 'in',
    stdin_open: true,
    timeout_ms: '1500',
    dirs: '/data\n/srv::/in:rw',
    net: 'list',
    hosts: 'example.org:443',
    invoke: 'add',
    invoke_args: '[1, 2]',
    ready_line: 'READY',
    retries_max: '2',
    retries_on: 'failure',
  });
  assert.deepEqual(params, {
    module: 'm',
    args: ['one', 'two words'],
    env_vars: { A: '1', B: 'x=y' },
    labels: { team: 'core' },
    stdin: 'in',
    stdin_open: true,
    timeout_ms: 1500,
    dirs: [{ host: '/data' }, { host: '/srv', guest: '/in', mode: 'read-write' }],
    permissions: { net: ['example.org:443'] },
    invoke: 'add',
    invoke_args: [1, 2],
    ready: { line: 'READY' },
    retries: { max: 2, on: 'failure' },
  });
});

test('a script is what was written', () => {
  assert.deepEqual(requestOf({ what: 'script', script: '  a\n', runtime: 'javascript', module: 'x' }), {
    script: '  a\n',
    runtime: 'javascript',
  });
});

test('what makes no sense is said before anything is sent', () => {
  assert.throws(() => pairsOf('novalue', 'Environment'), /"novalue" is not NAME=VALUE/);
  assert.throws(() => dirOf('relative'), /not an absolute path/);
  assert.throws(() => requestOf({ what: 'module', module: 'm', invoke_args: '[' }), /no JSON/);
});
