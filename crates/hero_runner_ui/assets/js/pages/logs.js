// Several sessions' logs at once.

import { mountLogs } from '../logview.js';

export const mount = mountLogs;
