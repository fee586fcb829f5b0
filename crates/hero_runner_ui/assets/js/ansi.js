// What a guest printed, made safe to look at: colours become spans with classes, every other control sequence goes, and
// control characters are shown as the symbols that Unicode has for them. No text ever becomes HTML.

// CSI … final byte | OSC, DCS, SOS, PM, APC … up to BEL or ST (or the end) | two-character escapes | a lone escape.
// eslint-disable-next-line no-control-regex
const SEQUENCE =
  /\x1b\[([0-9:;<=>?]*)[ -/]*([@-~])|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)|\x1b[ -/]*[0-~]|\x1b|\x9b([0-9:;<=>?]*)[ -/]*([@-~])/g;
// eslint-disable-next-line no-control-regex
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]/g;
// Characters that turn the direction of the text around them could make a line read as another one.
const BIDI = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/**
 * @typedef {object} Style
 * @property {number|null} fg  0–15, null is the default
 * @property {number|null} bg
 * @property {boolean} bold
 * @property {boolean} dim
 * @property {boolean} italic
 * @property {boolean} underline
 * @property {boolean} strike
 * @property {boolean} inverse
 */

/** @returns {Style} */
function plain() {
  return {
    fg: null,
    bg: null,
    bold: false,
    dim: false,
    italic: false,
    underline: false,
    strike: false,
    inverse: false,
  };
}

/** Shows control characters, but for the return of a line that ends as on Windows. @param {string} text */
export function visible(text) {
  return text
    .replace(/\r$/, '')
    .replace(CONTROL, (char) => {
      const code = char.charCodeAt(0);
      if (code < 0x20) return String.fromCharCode(0x2400 + code);
      if (code === 0x7f) return '\u2421';
      return code > 0xff ? '\u2424' : '\ufffd';
    })
    .replace(BIDI, '\u2426');
}

/** The text as it is searched, copied and read aloud. @param {string} text */
export function strip(text) {
  return visible(text.includes('\x1b') || text.includes('\x9b') ? text.replace(SEQUENCE, '') : text);
}

/**
 * The text in runs of one style.
 * @param {string} text
 * @returns {{text: string, classes: string}[]}
 */
export function runs(text) {
  const found = [];
  let style = plain();
  let from = 0;
  const push = (to) => {
    if (to > from) found.push({ text: visible(text.slice(from, to)), classes: classesOf(style) });
  };
  for (const match of text.matchAll(SEQUENCE)) {
    push(match.index);
    from = match.index + match[0].length;
    const parameters = match[1] ?? match[3];
    if ((match[2] ?? match[4]) === 'm' && /^[0-9:;]*$/.test(parameters)) style = select(style, parameters);
  }
  push(text.length);
  return found;
}

/** Select Graphic Rendition. @param {Style} style @param {string} parameters */
function select(style, parameters) {
  const codes = parameters.split(/[;:]/).map(Number);
  let next = { ...style };
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at];
    if (code === 0) next = plain();
    else if (code === 1) next.bold = true;
    else if (code === 2) next.dim = true;
    else if (code === 3) next.italic = true;
    else if (code === 4) next.underline = true;
    else if (code === 7) next.inverse = true;
    else if (code === 9) next.strike = true;
    else if (code === 22) next.bold = next.dim = false;
    else if (code === 23) next.italic = false;
    else if (code === 24) next.underline = false;
    else if (code === 27) next.inverse = false;
    else if (code === 29) next.strike = false;
    else if (code >= 30 && code <= 37) next.fg = code - 30;
    else if (code === 39) next.fg = null;
    else if (code >= 40 && code <= 47) next.bg = code - 40;
    else if (code === 49) next.bg = null;
    else if (code >= 90 && code <= 97) next.fg = code - 82;
    else if (code >= 100 && code <= 107) next.bg = code - 92;
    else if (code === 38 || code === 48) {
      const [colour, used] = extended(codes, at + 1);
      if (colour !== undefined) next[code === 38 ? 'fg' : 'bg'] = colour;
      at += used;
    }
  }
  return next;
}

/** 256 colours and true colour come down to the nearest of the sixteen that the theme has, all of them readable on it. */
function extended(codes, at) {
  if (codes[at] === 5) return [nearest(...of256(codes[at + 1] ?? 0)), 2];
  if (codes[at] === 2) return [nearest(codes[at + 1] ?? 0, codes[at + 2] ?? 0, codes[at + 3] ?? 0), 4];
  return [undefined, 1];
}

const BASE = [
  [0, 0, 0],
  [205, 49, 49],
  [13, 188, 121],
  [229, 229, 16],
  [36, 114, 200],
  [188, 63, 188],
  [17, 168, 205],
  [229, 229, 229],
  [102, 102, 102],
  [241, 76, 76],
  [35, 209, 139],
  [245, 245, 67],
  [59, 142, 234],
  [214, 112, 214],
  [41, 184, 219],
  [255, 255, 255],
];

function of256(number) {
  if (number < 16) return BASE[number];
  if (number >= 232) return [8 + (number - 232) * 10, 8 + (number - 232) * 10, 8 + (number - 232) * 10];
  const level = (step) => (step === 0 ? 0 : 55 + step * 40);
  const cube = number - 16;
  return [level(Math.floor(cube / 36) % 6), level(Math.floor(cube / 6) % 6), level(cube % 6)];
}

function nearest(red, green, blue) {
  let best = 0;
  let least = Infinity;
  BASE.forEach(([r, g, b], index) => {
    const away = (r - red) ** 2 + (g - green) ** 2 + (b - blue) ** 2;
    if (away < least) [best, least] = [index, away];
  });
  return best;
}

/** @param {Style} style */
function classesOf(style) {
  const { fg, bg } = style;
  const classes = [];
  // Both ways round, so that inverse text without colours is inverse as well.
  if (style.inverse) classes.push(`a-f${bg ?? 'i'}`, `a-b${fg ?? 'i'}`);
  else {
    if (fg !== null) classes.push(`a-f${fg}`);
    if (bg !== null) classes.push(`a-b${bg}`);
  }
  for (const name of ['bold', 'dim', 'italic', 'underline', 'strike']) if (style[name]) classes.push(`a-${name}`);
  return classes.join(' ');
}
