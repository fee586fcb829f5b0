// Logs as text files: read from the server from the first line that it has to the last, not from what the view holds.

import { rpc } from '../rpc.js';
import { exact, clock } from '../time.js';

const PAGE = 10_000;

/** The bytes of a line, exactly as the guest wrote them. */
function bytesOf(line) {
  if (!line.base64) return line.line;
  return Uint8Array.from(atob(line.base64), (char) => char.charCodeAt(0));
}

/**
 * All that the server keeps of a session's log.
 * @param {string} id
 * @param {(lines: number) => void} told
 */
async function* pages(id, told) {
  let after;
  let count = 0;
  for (;;) {
    const page = await rpc('session_logs', {
      session_id: id,
      limit: PAGE,
      ...(after === undefined ? {} : { after_seq: after }),
    });
    if (page.lines.length === 0) return;
    count += page.lines.length;
    told(count);
    yield page;
    if (page.end || page.lines.length < PAGE) return;
    after = page.next_seq - 1;
  }
}

/**
 * @param {{id: string, name: string}[]} sessions
 * @param {(lines: number) => void} told
 * @returns {Promise<Blob>}
 */
export async function textOf(sessions, told) {
  const parts = [];
  if (sessions.length === 1) {
    for await (const page of pages(sessions[0].id, told)) {
      if (page.gap > 0) parts.push(`[${page.gap} lines are missing here]\n`);
      for (const line of page.lines) parts.push(bytesOf(line), line.partial ? '' : '\n');
    }
    return new Blob(parts, { type: 'text/plain' });
  }
  // Of several: one after the other by time, each line with its time and its session.
  const lines = [];
  let before = 0;
  for (const { id, name } of sessions) {
    for await (const page of pages(id, (count) => told(before + count))) {
      for (const line of page.lines) lines.push({ name, line });
    }
    before = lines.length;
  }
  lines.sort((one, two) => one.line.ts_ms - two.line.ts_ms);
  for (const { name, line } of lines) {
    const time = `${exact(line.ts_ms).slice(0, 10)} ${clock(line.ts_ms)}`;
    parts.push(`${time} ${name} ${line.kind} `, bytesOf(line), '\n');
  }
  return new Blob(parts, { type: 'text/plain' });
}

/** @param {Blob} blob @param {string} name */
export function save(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser reads it after this.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
