import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Backlog, kindOf, LIMIT, partialOf, toneOf } from '../../assets/js/log/backlog.js';
import { Search } from '../../assets/js/log/search.js';
import { SseParser } from '../../assets/js/log/sse.js';
import { Lens, LineStore, lowerBound } from '../../assets/js/log/store.js';

const line = (seq, { session = 0, key = seq, kind = 0, text = `line ${seq}` } = {}) => ({
  session,
  seq,
  ts: key,
  key,
  kind,
  partial: false,
  tone: '',
  text,
});
const range = (from, to, more) => Array.from({ length: to - from }, (_, at) => line(from + at, more));
const texts = (store) => Array.from({ length: store.size }, (_, at) => store.at(store.base + at).text);

test('a store keeps its bound, and rows keep their numbers', () => {
  const store = new LineStore({ lines: 100 });
  store.append(range(0, 90));
  store.append(range(90, 250));
  assert.equal(store.size, 100);
  assert.equal(store.base, 150);
  assert.equal(store.at(150).seq, 150);
  assert.equal(store.at(149), undefined);
  assert.equal(store.at(249).seq, 249);
  assert.equal(store.first.get(0).seq, 150);
  const bytes = new LineStore({ chars: 1000 });
  bytes.append(range(0, 50, { text: 'x'.repeat(100) }));
  assert.equal(bytes.size, 10);
});

test('lines of several sessions stand in order of time, each session in its own order', () => {
  const store = new LineStore();
  store.append([line(0, { key: 10, text: 'a0' }), line(1, { key: 30, text: 'a1' })]);
  const changed = store.append([
    line(0, { session: 1, key: 20, text: 'b0' }),
    line(1, { session: 1, key: 40, text: 'b1' }),
  ]);
  assert.equal(changed, 1);
  assert.deepEqual(texts(store), ['a0', 'b0', 'a1', 'b1']);
  assert.equal(store.append([line(2, { key: 40, text: 'a2' })]), 4);
  assert.equal(store.prepend([line(-2, { key: 1, text: 'old' })]), false);
  assert.deepEqual(texts(store), ['old', 'a0', 'b0', 'a1', 'b1', 'a2']);
  assert.equal(store.base, -1);
  assert.equal(store.at(-1).text, 'old');
  assert.equal(store.prepend([line(-1, { session: 1, key: 15, text: 'between' })]), true);
  assert.deepEqual(texts(store), ['old', 'a0', 'between', 'b0', 'a1', 'b1', 'a2']);
});

test('a lens shows what is chosen, and follows the store', () => {
  const store = new LineStore({ lines: 10 });
  const lens = new Lens(store);
  lens.update(store.append([line(0), line(1, { kind: 1 }), line(2), line(3, { kind: 1 })]));
  assert.equal(lens.length, 4);
  lens.kinds.delete(0);
  lens.rebuild();
  assert.deepEqual([lens.length, lens.absolute(0), lens.absolute(1)], [2, 1, 3]);
  lens.update(store.append([line(4, { kind: 1 }), line(5)]));
  assert.deepEqual([lens.length, lens.absolute(2), lens.position(4)], [3, 4, 2]);
  lens.update(store.append(range(6, 14)));
  assert.deepEqual([lens.length, lens.absolute(0)], [1, 4]);
  // A line between others: what is behind it has moved.
  const mixed = new LineStore();
  const both = new Lens(mixed);
  both.kinds.delete(2);
  both.update(mixed.append([line(0, { key: 1 }), line(1, { key: 5 })]));
  both.rebuild();
  both.update(mixed.append([line(0, { session: 1, key: 3, kind: 1 })]));
  assert.deepEqual(
    [0, 1, 2].map((at) => mixed.at(both.absolute(at)).key),
    [1, 3, 5],
  );
});

test('a search finds what comes later as well, and forgets what has gone', () => {
  const store = new LineStore({ lines: 1000 });
  const search = new Search(new Lens(store));
  store.append(range(0, 500));
  assert.ok(search.set('LINE 49'));
  while (search.step(5));
  assert.deepEqual(search.matches, [49, ...Array.from({ length: 10 }, (_, at) => 490 + at)]);
  assert.equal(search.next(1, 100), 490);
  assert.equal(search.ordinal, 2);
  assert.equal(search.next(1, 0), 491);
  assert.equal(search.next(-1, 0), 490);
  search.update(store.append(range(500, 1200)));
  while (search.step(5));
  assert.equal(search.matches[0], 490);
  assert.equal(search.next(-1, 0), 499);
  assert.ok(search.set('/^line 5\\d$/'));
  assert.ok(!search.set('/(/'));
  assert.ok(search.set(''));
  assert.equal(search.step(5), false);
});

test('events come whole, however the body is cut', () => {
  const body =
    'retry: 1000\n\n: alive\n\nid: 0\nevent: stdout\ndata: {"a":1}\n\nid: 1\r\nevent: gap\r\ndata: x\r\n\r\nevent: end\ndata: {}\n\n';
  for (let size = 1; size <= body.length; size += 1) {
    const parser = new SseParser();
    const told = [];
    for (let at = 0; at < body.length; at += size)
      parser.push(body.slice(at, at + size), (...event) => told.push(event));
    assert.deepEqual(
      told,
      [
        ['stdout', '{"a":1}', '0'],
        ['gap', 'x', '1'],
        ['end', '{}', null],
      ],
      `pieces of ${size}`,
    );
  }
});

const raw = (seq) => JSON.stringify({ seq, ts_ms: 1000 + seq, kind: 'stdout', line: `l${seq}` });

test('no line is lost or doubled, and what is missing is said', () => {
  const backlog = new Backlog(3, 0);
  for (const seq of [0, 1, 1, 0, 2]) backlog.line('stdout', seq, raw(seq));
  backlog.line('stderr', 5, raw(5));
  const batch = backlog.take(100);
  assert.deepEqual(batch.text, ['l0', 'l1', 'l2', '2 lines are missing here: the server no longer keeps them', 'l5']);
  assert.deepEqual([...batch.seq], [0, 1, 2, 3, 5]);
  assert.deepEqual([...batch.flags].map(kindOf), [0, 0, 0, 3, 1]);
  assert.equal(toneOf(batch.flags[3]), 'gap');
  assert.equal(backlog.next, 6);
  // The server says the same gap again after a reconnection.
  backlog.gap(2, 5);
  assert.equal(backlog.take(100), null);
});

test('a page that cannot keep up gets the newest lines and the number of the others', () => {
  const backlog = new Backlog(0, 0);
  const all = LIMIT * 3 + 17;
  for (let seq = 0; seq < all; seq += 1) backlog.line('stdout', seq, raw(seq));
  backlog.end({ kind: 'exited', code: 0 });
  const batch = backlog.take(Infinity);
  assert.equal(toneOf(batch.flags[0]), 'skipped');
  const lines = batch.text.filter((text) => text.startsWith('l')).length;
  assert.equal(batch.skipped + lines, all);
  assert.equal(batch.text.at(-1), 'ended: exited with code 0');
  assert.equal(batch.text.at(-2), `l${all - 1}`);
  assert.ok(lines <= LIMIT);
});

test('a batch is bounded, and a line that goes on says so', () => {
  const backlog = new Backlog(0, 0);
  backlog.line('stdout', 0, { ts_ms: 1, line: 'piece', partial: true });
  backlog.line('stdout', 1, raw(1));
  const batch = backlog.take(1);
  assert.deepEqual([batch.text, partialOf(batch.flags[0]), batch.first], [['piece'], true, true]);
  assert.deepEqual([backlog.take(5).text, backlog.take(5)], [['l1'], null]);
});

test('lower bound', () => {
  assert.deepEqual(
    [0, 1, 2, 3, 9].map((value) => lowerBound([1, 3, 3, 5], value)),
    [0, 0, 1, 1, 4],
  );
});

test('the pieces of a long line that follow each other are one row', () => {
  const backlog = new Backlog(0, 0);
  const piece = (seq, line, partial, kind = 'stdout') => backlog.line(kind, seq, { ts_ms: 1, line, partial });
  piece(0, 'a', true);
  piece(1, 'b', true);
  piece(2, 'c', false);
  piece(3, 'd', true);
  piece(4, 'other', false, 'stderr');
  piece(5, 'e', false);
  const batch = backlog.take(100);
  assert.deepEqual(batch.text, ['abc', 'd', 'other', 'e']);
  assert.deepEqual([...batch.seq], [0, 3, 4, 5]);
  assert.deepEqual([...batch.flags].map(partialOf), [false, true, false, false]);
});
