// One session: its log, as it comes.

import { mountLogs } from '../logview.js';

export const mount = mountLogs;
