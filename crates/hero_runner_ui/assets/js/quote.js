// A session's request as words for a shell: the same run, for a colleague or a script.

import { dirText } from './request.js';

/**
 * One word of a POSIX shell. A word of plain characters needs no quotes; in single quotes only the single quote is special.
 * @param {string} word
 */
export function shellWord(word) {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/**
 * As `curl`, on the server's socket. The body goes in single quotes, where JSON needs no escapes but for the quote itself.
 * @param {string} method
 * @param {object} params
 */
export function asCurl(method, params) {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
  return [
    'curl -sS --unix-socket "${HERO_SOCKET_DIR:-$HOME/hero/var/sockets}/hero_runner/rpc.sock" \\',
    "  -H 'content-type: application/json' \\",
    `  -d ${shellWord(body)} \\`,
    '  http://localhost/rpc',
  ].join('\n');
}

/**
 * As the command line. What it has no flag for is said, not dropped in silence.
 * @param {Record<string, any>} params what `session_start` is asked for
 * @returns {{text: string, missing: string[]}}
 */
export function asCommand(params) {
  const words = ['hero_runner', 'run'];
  const flag = (name, value) => words.push(name, shellWord(String(value)));
  const known = new Set(['module', 'template', 'script', 'runtime', 'script_name', 'args', 'stdin']);
  const take = (key) => {
    known.add(key);
    return params[key];
  };
  for (const [name, value] of Object.entries(take('env_vars') ?? {})) flag('-e', `${name}=${value}`);
  for (const [name, value] of Object.entries(take('labels') ?? {})) flag('--label', `${name}=${value}`);
  for (const dir of take('dirs') ?? []) {
    flag('--dir', dirText(dir));
  }
  const net = take('permissions')?.net;
  if (net === true) flag('--net', 'any');
  if (Array.isArray(net)) for (const host of net) flag('--net', host);
  const missing = [];
  if (params.permissions?.exec) missing.push('permissions.exec');
  if (params.permissions?.fs) missing.push('permissions.fs');
  if (take('working_dir')) flag('-w', params.working_dir);
  if (take('timeout_ms')) flag('--timeout', `${params.timeout_ms}ms`);
  if (take('memory_limit_mb')) flag('--memory', `${params.memory_limit_mb}M`);
  if (take('engine')) flag('--engine', params.engine);
  if (take('invoke')) flag('--invoke', params.invoke);
  if (take('fallback')) flag('--fallback', params.fallback);
  if (params.template) flag('--template', params.template);
  if (params.script !== undefined) {
    if (params.runtime) flag('--runtime', params.runtime);
    words.push('-');
  } else if (params.module) {
    words.push(shellWord(params.module));
  }
  for (const word of params.args ?? []) words.push(shellWord(word));
  for (const [key, value] of Object.entries(params)) {
    if (!known.has(key) && value !== false && value !== null && value !== undefined) missing.push(key);
  }
  const line = words.join(' ');
  const input = params.script ?? params.stdin;
  return { text: input === undefined ? line : `${heredoc(line, input)}`, missing };
}

/** Text as standard input. The word that ends it must not be a line of it. */
function heredoc(line, text) {
  let end = 'END';
  while (text.split('\n').includes(end)) end += '_';
  return `${line} <<'${end}'\n${text}${text.endsWith('\n') ? '' : '\n'}${end}`;
}
