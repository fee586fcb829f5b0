// Mounts log views where the server has put a place for them.

import { refresh } from './live.js';
import { rpc } from './rpc.js';
import { LogView } from './log/view.js';

/** @type {WeakMap<Element, LogView>} */
const mounted = new WeakMap();

/**
 * A view in a place of its own.
 * @param {HTMLElement} root
 * @param {{id: string, name?: string}[]} sessions
 */
export function viewIn(root, sessions) {
  mounted.get(root)?.close();
  const view = new LogView(root, sessions);
  mounted.set(root, view);
  return view;
}

/** All places that have no view yet: `data-session`, or `data-sessions` for many. */
export function mountLogs() {
  for (const root of document.querySelectorAll('[data-log]')) {
    if (mounted.has(root)) continue;
    const ids = root.dataset.sessions
      ? JSON.parse(root.dataset.sessions)
      : root.dataset.session
        ? [root.dataset.session]
        : [];
    if (ids.length === 0) continue;
    const view = viewIn(
      root,
      ids.map((id) => ({ id, name: root.dataset.name })),
    );
    // The facts beside the log change at the same moment.
    root.addEventListener('hero:ended', () => refresh());
    if (ids.length > 1 || !root.dataset.name) name(view);
  }
}

/** The names of the sessions' modules, which the address does not have. @param {LogView} view */
function name(view) {
  view.sessions.forEach(async ({ id }, index) => {
    try {
      const { module, labels } = await rpc('session_get', { session_id: id });
      const short = module.length > 24 ? `…${module.slice(-23)}` : module;
      view.rename(index, view.sessions.length > 1 ? `${labels?.name ?? short} ${id.slice(-4)}` : short);
    } catch {
      // The view says by itself that the session is not there.
    }
  });
}
