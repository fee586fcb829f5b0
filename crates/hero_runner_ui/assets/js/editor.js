// A code editor in the place of a text area, which stays the form's field and holds the same text.

import { CodeJar } from '../vendor/codejar.js';
import { h } from './dom.js';
import { colour } from './highlight.js';

/**
 * @param {HTMLTextAreaElement} area
 * @param {{language: () => string|null, changed: () => void}} how
 */
export function editorOf(area, { language, changed }) {
  const hint = h('span', { class: 'visually-hidden', id: `${area.name}-keys` }, 'Escape, then Tab, leaves the editor.');
  const label = area.closest('label')?.firstChild?.textContent.trim() || 'Code';
  const field = h('div', {
    class: 'editor',
    role: 'textbox',
    'aria-multiline': 'true',
    'aria-label': label,
    'aria-describedby': hint.id,
    spellcheck: false,
    title: 'Escape, then Tab, leaves the editor',
  });
  // Not inside the label, where a click would go to the hidden field.
  (area.closest('label') ?? area).after(field, hint);
  (area.closest('label') ?? area).hidden = true;

  // Tab indents; Escape before it makes it move on, so that nobody is caught in here. Before the editor's own listener.
  let leaving = false;
  field.addEventListener(
    'keydown',
    (event) => {
      if (event.key === 'Escape') leaving = true;
      else if (event.key === 'Tab' && leaving) event.stopImmediatePropagation();
      else if (event.key !== 'Shift') leaving = false;
    },
    true,
  );
  field.addEventListener('blur', () => (leaving = false));

  const jar = CodeJar(field, (element) => colour(element, language()), { tab: '  ', addClosing: false });
  jar.updateCode(area.value);
  jar.onUpdate((text) => {
    area.value = text;
    changed();
  });
  return {
    field,
    /** Colours it anew, after another language was chosen. */
    recolour: () => jar.updateCode(area.value),
    /** @param {string} text */
    set(text) {
      area.value = text;
      jar.updateCode(text);
    },
  };
}
