import assert from 'node:assert/strict';
import { test } from 'node:test';

import { runs, strip } from '../../assets/js/ansi.js';
import { asCommand, asCurl, shellWord } from '../../assets/js/quote.js';
import { ago, grouped, size, span } from '../../assets/js/time.js';
import { isSuccess, outcomeInWords } from '../../assets/js/outcome.js';

test('colours become classes and every other sequence goes', () => {
  assert.deepEqual(runs('\x1b[31mred\x1b[0m plain'), [
    { text: 'red', classes: 'a-f1' },
    { text: ' plain', classes: '' },
  ]);
  assert.deepEqual(runs('\x1b[1;94;41mx'), [{ text: 'x', classes: 'a-f12 a-b1 a-bold' }]);
  assert.deepEqual(runs('\x1b[7mx\x1b[27my'), [
    { text: 'x', classes: 'a-fi a-bi' },
    { text: 'y', classes: '' },
  ]);
  assert.equal(runs('\x1b[38;2;250;70;70mx')[0].classes, 'a-f9');
  assert.equal(runs('\x1b[38;5;196mx')[0].classes, 'a-f1');
  assert.deepEqual(runs('\x1b[2J\x1b[10;10Hhere\x1b[?25l'), [{ text: 'here', classes: '' }]);
});

test('what would act on a terminal or a page is gone or a symbol', () => {
  assert.equal(strip('\x1b]0;title\x07after'), 'after');
  assert.equal(strip('\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\'), 'link');
  assert.equal(strip('\x1b]0;never ended'), '');
  assert.equal(strip('\x1bPq#0\x1b\\x'), 'x');
  assert.equal(strip('a\x1b'), 'a');
  assert.equal(strip('nul\0 bell\x07 a\rb\r'), 'nul\u2400 bell\u2407 a\u240db');
  assert.equal(strip('\u202egnp.exe'), '\u2426gnp.exe');
  assert.equal(strip('tab\tstays'), 'tab\tstays');
  assert.equal(strip('<script>alert(1)</script>'), '<script>alert(1)</script>');
  assert.equal(strip('\x9b31mred'), 'red');
});

test('a long run of escapes takes no time that grows with its square', () => {
  const began = performance.now();
  runs('\x1b]'.repeat(200_000));
  runs('\x1b['.repeat(200_000));
  runs(`\x1b[${'1;'.repeat(200_000)}`);
  assert.ok(performance.now() - began < 20_000);
});

test('moments and spans in words', () => {
  const now = 1_000_000_000_000;
  assert.equal(ago(now, now), 'now');
  assert.equal(ago(now - 3000, now), '3 s ago');
  assert.equal(ago(now - 119_000, now), '1 min ago');
  assert.equal(ago(now - 86_400_000 * 3, now), '3 d ago');
  assert.equal(ago(now + 7_200_000, now), 'in 2 h');
  assert.equal(span(0.25), '250 µs');
  assert.equal(span(9.87), '9.9 ms');
  assert.equal(span(1250), '1.2 s');
  assert.equal(span(185_000), '3 min 5 s');
  assert.equal(span(3_600_000), '1 h');
  assert.equal(span(86_400_000 * 2 + 3_600_000 * 4), '2 d 4 h');
  assert.equal(span(NaN), '–');
  assert.equal(grouped(1234567), '1\u202f234\u202f567');
  assert.equal(size(1536), '1.5 KiB');
  assert.equal(size(5 * 1024 ** 3), '5 GiB');
});

test('words for a shell are one word each', () => {
  assert.equal(shellWord('plain-word_1.wasm'), 'plain-word_1.wasm');
  assert.equal(shellWord(''), "''");
  assert.equal(shellWord("it's $HOME `x`"), `'it'\\''s $HOME \`x\`'`);
  assert.match(asCurl('session_start', { script: "print('a')" }), /-d '\{.*print\('\\''a'\\''\).*\}' \\/);
});

test('a request as a command line', () => {
  const { text, missing } = asCommand({
    module: 'greet',
    args: ['a b', '--loud'],
    env_vars: { NAME: 'x y' },
    timeout_ms: 1500,
    memory_limit_mb: 64,
    permissions: { net: ['example.org:443'] },
    output_limit_bytes: 10,
  });
  assert.equal(
    text,
    "hero_runner run -e 'NAME=x y' --net example.org:443 --timeout 1500ms --memory 64M greet 'a b' --loud",
  );
  assert.deepEqual(missing, ['output_limit_bytes']);
});

test('a script ends where no line of it says so', () => {
  const { text } = asCommand({ script: 'a\nEND\nb', runtime: 'javascript' });
  assert.equal(text, "hero_runner run --runtime javascript - <<'END_'\na\nEND\nb\nEND_");
});

test('outcomes in words', () => {
  assert.equal(outcomeInWords({ kind: 'exited', code: 7 }), 'exited with code 7');
  assert.equal(outcomeInWords({ kind: 'trapped', trap: 'unreachable', message: 'm' }), 'trapped (unreachable): m');
  assert.equal(outcomeInWords(null), 'running');
  assert.ok(isSuccess({ kind: 'exited', code: 0 }));
  assert.ok(!isSuccess({ kind: 'exited', code: 1 }));
});
