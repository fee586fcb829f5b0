// Times in words. Pure, but for `refresh`, which writes them into the page.

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
];

/**
 * How long ago (or in how long) a moment is, in one unit: `3 s ago`, `in 2 min`, `now`.
 * @param {number} ms the moment, in milliseconds since the Unix epoch
 * @param {number} now
 */
export function ago(ms, now = Date.now()) {
  const away = now - ms;
  const [unit, size] = UNITS.find(([, size]) => Math.abs(away) >= size) ?? [];
  if (!unit) return 'now';
  const count = Math.floor(Math.abs(away) / size);
  return away > 0 ? `${count} ${unit} ago` : `in ${count} ${unit}`;
}

/**
 * A span in its two largest units: `1.2 s`, `3 min 5 s`, `2 d 4 h`.
 * @param {number} ms
 */
export function span(ms) {
  if (!(ms >= 0)) return '–';
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 1000) return `${ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms)} ms`;
  if (ms < 60_000) return `${Math.floor(ms / 100) / 10} s`;
  const parts = [];
  for (const [unit, size] of UNITS) {
    const count = Math.floor(ms / size);
    if (count > 0 || parts.length) parts.push(`${count} ${unit}`);
    ms -= count * size;
    if (parts.length === 2) break;
  }
  return parts.filter((part) => !part.startsWith('0 ')).join(' ');
}

/** The time of day, to the millisecond, in the reader's zone. @param {number} ms */
export function clock(ms) {
  const date = new Date(ms);
  const two = (number) => String(number).padStart(2, '0');
  const day = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return `${day}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

/** Date and time to the second, in the reader's zone. @param {number} ms */
export function exact(ms) {
  const date = new Date(ms);
  const two = (number) => String(number).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock(ms).slice(0, 8)}`;
}

/** A number with thin groups, `1 234 567`. @param {number} number */
export function grouped(number) {
  return String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

/** A size in the unit that fits: `1.5 MiB`. @param {number} bytes */
export function size(bytes) {
  let unit = 0;
  while (bytes >= 1024 && unit < 4) {
    bytes /= 1024;
    unit += 1;
  }
  const number = unit === 0 || bytes >= 100 ? Math.round(bytes) : Math.round(bytes * 10) / 10;
  return `${number} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][unit]}`;
}

/**
 * Writes the words of every time below an element anew. The element itself may be a fragment that is not in the page yet.
 * @param {ParentNode} root
 */
export function refresh(root = document) {
  const now = Date.now();
  const write = (element, text) => {
    // A text node that does not change keeps a selection alive.
    if (element.textContent !== text) element.textContent = text;
  };
  for (const time of root.querySelectorAll('time[data-ms]')) {
    const ms = Number(time.dataset.ms);
    if (!time.title) time.title = exact(ms);
    // What is due and has not happened yet happens at any moment.
    write(time, time.dataset.due !== undefined && ms <= now ? 'now' : ago(ms, now));
  }
  for (const element of root.querySelectorAll('[data-duration-since]')) {
    write(element, span(now - Number(element.dataset.durationSince)));
  }
}
