// Packages of tests, made in memory.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { GUESTS } from './world.mjs';

const BLOCK = 512;

/** One file of a tar in the format ustar. @param {string} name @param {Buffer} content */
function entry(name, content) {
  const head = Buffer.alloc(BLOCK);
  const octal = (number, digits) => `${number.toString(8).padStart(digits, '0')}\0`;
  head.write(name, 0, 100);
  head.write(octal(0o644, 7), 100);
  head.write(octal(0, 7), 108);
  head.write(octal(0, 7), 116);
  head.write(octal(content.length, 11), 124);
  head.write(octal(0, 11), 136);
  head.fill(' ', 148, 156);
  head.write('0ustar\0', 156);
  head.write('00', 263);
  head.write(
    octal(
      head.reduce((sum, byte) => sum + byte, 0),
      6,
    ),
    148,
  );
  return Buffer.concat([head, content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)]);
}

/** The bytes of a guest. @param {string} name */
export function guest(name) {
  return readFile(join(GUESTS, `${name}.wasm`));
}

/**
 * A package of a service: its manifest and a guest, as a tar.gz.
 * @param {string} name @param {string} guestName @param {object} service @param {object} [rest] keys of the manifest
 */
export async function packageOf(name, guestName, service, rest = {}) {
  const spec = { prefix: name, port: 'auto', ...service };
  const manifest = Buffer.from(JSON.stringify({ name, entrypoint: 'app.wasm', service: spec, ...rest }));
  const files = [entry('app.qyv', manifest), entry('app.wasm', await guest(guestName)), Buffer.alloc(2 * BLOCK)];
  return gzipSync(Buffer.concat(files));
}
