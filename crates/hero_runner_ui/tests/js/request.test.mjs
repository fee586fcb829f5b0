import assert from 'node:assert/strict';
import { test } from 'node:test';

import { completed, dirOf, fieldsOf, pairsOf, requestOf } from '../../assets/js/request.js';

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

const WHOLE = {
  module: 'm',
  args: ['one', 'two words'],
  env_vars: { A: '1', B: 'x=y' },
  labels: { team: 'core' },
  stdin: 'in',
  dirs: [{ host: '/data' }, { host: '/srv', guest: '/in', mode: 'read-write' }],
  working_dir: '/in',
  timeout_ms: 1500,
  memory_limit_mb: 16,
  permissions: { net: ['example.org:443'], exec: true },
  engine: 'wasmtime',
  invoke: 'add',
  invoke_args: [1, { a: 2 }],
  ready: { line: 'READY' },
  retries: { max: 2, on: 'failure' },
  fallback: 'other',
};

test('a request fills the form that asks for it', () => {
  for (const params of [
    WHOLE,
    { script: '  a\n', runtime: 'javascript', script_name: 'a.js' },
    { template: 'parrot', stdin_open: true, permissions: { net: true } },
  ]) {
    assert.deepEqual(requestOf(fieldsOf(params)), params);
  }
});

test('what the form cannot say stays as it was', () => {
  const original = {
    ...WHOLE,
    args: ['two\nlines', ''],
    stdin: undefined,
    stdin_base64: '/w==',
    stdin_open: false,
    ready: { line: 'READY', timeout_ms: 5 },
    retries: { max: 2, backoff: { initial_ms: 1 } },
  };
  const shown = requestOf(fieldsOf(original));
  const again = completed(shown, original);
  for (const name of ['args', 'stdin_base64', 'ready', 'retries', 'env_vars']) {
    assert.deepEqual(again[name], original[name], name);
  }
  assert.ok(!('stdin_open' in again));
  // What somebody changes is what counts.
  const changed = completed({ ...shown, args: ['three'], stdin: 'in', module: 'n', env_vars: undefined }, original);
  assert.deepEqual([changed.args, changed.stdin, changed.module, changed.env_vars], [['three'], 'in', 'n', undefined]);
  assert.ok(!('stdin_base64' in changed));
  assert.equal(completed(shown, undefined), shown);
});
