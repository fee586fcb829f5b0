// Making elements without ever parsing text as HTML: whatever a guest printed stays text.

/**
 * An element with properties and children. `on…` are listeners, what the element knows as a property is one,
 * everything else (`class`, `data-…`, `aria-…`) is an attribute.
 * @param {string} tag
 * @param {Record<string, any>} [properties]
 * @param {...(Node|string|number|null|undefined|false)} children
 * @returns {HTMLElement}
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name in element && name !== 'list' && name !== 'form') element[name] = value;
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false).map(asNode));
  return element;
}

function asNode(child) {
  return child instanceof Node ? child : String(child);
}

const SVG = 'http://www.w3.org/2000/svg';
const SPRITE = new URL('../icons.svg', import.meta.url).pathname;

/**
 * An icon of the sprite; the words beside it say what it means.
 * @param {string} name
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `${SPRITE}#${name}`);
  svg.append(use);
  return svg;
}

/**
 * A button with an icon and words (or an `aria-label` alone).
 * @param {string} look classes beside `btn btn-sm`
 * @param {string} iconName
 * @param {string|null} words
 * @param {Record<string, any>} [properties]
 */
export function button(look, iconName, words, properties = {}) {
  const { class: more = '', ...rest } = properties;
  return h(
    'button',
    { type: 'button', class: `btn btn-sm ${look} ${more}`.trim(), ...rest },
    icon(iconName),
    words && ` ${words}`,
  );
}

/** What a person kept in this browser, or the default where storage is closed. */
export function kept(key, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(`hero.${key}`)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** Keeps a value in this browser; without storage it holds as long as the page. */
export function keep(key, value) {
  try {
    localStorage.setItem(`hero.${key}`, JSON.stringify(value));
  } catch {
    // Private windows may refuse; nothing depends on it.
  }
}
