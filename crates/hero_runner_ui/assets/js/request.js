// What the form of the Run page asks for, as `session_start` wants it, and back.

import { RpcError } from './rpc_error.js';

const refuse = (message) => {
  throw new RpcError({ message, code_name: 'invalid_params' });
};

/** Lines that hold something. @param {string} text */
export const linesOf = (text) =>
  text
    .split('\n')
    .map((line) => line.replace(/\r$/, ''))
    .filter((line) => line.trim() !== '');

/** `NAME=VALUE`, one a line. @param {string} text @param {string} what */
export function pairsOf(text, what) {
  const pairs = {};
  for (const line of linesOf(text)) {
    const at = line.indexOf('=');
    if (at < 1) refuse(`${what}: "${line}" is not NAME=VALUE`);
    pairs[line.slice(0, at).trim()] = line.slice(at + 1);
  }
  return pairs;
}

/** `HOST`, `HOST::GUEST`, with `:ro` or `:rw` behind it. @param {string} line */
export function dirOf(line) {
  const [, folder, mode] = /^(.*?)(?::(ro|rw))?$/.exec(line.trim());
  const [host, guest] = folder.split('::');
  if (!host.startsWith('/')) refuse(`Folders: "${host}" is not an absolute path`);
  return { host, ...(guest ? { guest } : {}), ...(mode === 'rw' ? { mode: 'read-write' } : {}) };
}

/** The same the other way round. @param {{host: string, guest?: string, mode?: string}} dir */
export const dirText = (dir) =>
  `${dir.host}${dir.guest ? `::${dir.guest}` : ''}${dir.mode === 'read-write' ? ':rw' : ''}`;

/**
 * @param {Record<string, string|boolean>} fields by name; of radio buttons the chosen one
 * @returns {Record<string, any>}
 */
export function requestOf(fields) {
  const text = (name) => String(fields[name] ?? '').trim();
  const params = {};
  const put = (name, value) => {
    const nothing =
      value === undefined || value === '' || value === false || (Array.isArray(value) && value.length === 0);
    if (!nothing && !(value?.constructor === Object && Object.keys(value).length === 0)) params[name] = value;
  };
  if (fields.what === 'script') {
    // Not trimmed: a script is what was written. An empty one is a fault that the server tells.
    params.script = String(fields.script ?? '').replaceAll('\u00a0', ' ');
    put('runtime', text('runtime'));
    put('script_name', text('script_name'));
  } else if (fields.what === 'template') put('template', text('template'));
  else put('module', text('module'));

  put('args', String(fields.args ?? '') === '' ? [] : linesOf(String(fields.args)));
  put('env_vars', pairsOf(String(fields.env_vars ?? ''), 'Environment'));
  put('labels', pairsOf(String(fields.labels ?? ''), 'Labels'));
  put('stdin', String(fields.stdin ?? ''));
  put('stdin_open', fields.stdin_open === true);
  for (const name of ['timeout_ms', 'memory_limit_mb', 'output_limit_bytes']) {
    if (text(name) !== '') put(name, Number(text(name)));
  }
  put('dirs', linesOf(String(fields.dirs ?? '')).map(dirOf));
  put('working_dir', text('working_dir'));
  const hosts = linesOf(String(fields.hosts ?? ''));
  put('permissions', {
    ...(fields.net === 'any' ? { net: true } : {}),
    ...(fields.net === 'list' && hosts.length ? { net: hosts.map((host) => host.trim()) } : {}),
    ...(fields.exec === true ? { exec: true } : {}),
  });
  put('engine', text('engine'));
  put('invoke', text('invoke'));
  if (text('invoke_args') !== '') {
    let list;
    try {
      list = JSON.parse(text('invoke_args'));
    } catch (error) {
      refuse(`The function's arguments are no JSON: ${error.message}`);
    }
    put('invoke_args', Array.isArray(list) ? list : [list]);
  }
  put('ready', {
    ...(text('ready_line') ? { line: text('ready_line') } : {}),
    ...(text('ready_export') ? { export: text('ready_export') } : {}),
  });
  if (Number(text('retries_max')) > 0) {
    put('retries', {
      max: Number(text('retries_max')),
      ...(text('retries_on') === 'failure' ? { on: 'failure' } : {}),
    });
  }
  put('fallback', text('fallback'));
  put('forward_logs', fields.forward_logs === true);
  return params;
}

/** Fields that are named as what they stand for. */
const SAME =
  'module template script runtime script_name stdin stdin_open timeout_ms memory_limit_mb output_limit_bytes working_dir engine invoke fallback forward_logs';

/**
 * The form for a request: the fields that are not as they are in an empty one.
 * @param {Record<string, any>} params
 * @returns {Record<string, string|number|boolean>}
 */
export function fieldsOf(params) {
  const fields = {};
  const put = (name, value) => {
    if (value !== undefined && value !== null && value !== false && value !== '') fields[name] = value;
  };
  const pairs = (object) => Object.entries(object ?? {}).map(([name, value]) => `${name}=${value}`);
  put('what', ['script', 'template'].find((what) => (params[what] ?? null) !== null) ?? 'module');
  for (const name of SAME.split(' ')) put(name, params[name]);
  put('args', params.args?.join('\n'));
  put('env_vars', pairs(params.env_vars).join('\n'));
  put('labels', pairs(params.labels).join('\n'));
  put('dirs', params.dirs?.map(dirText).join('\n'));
  const { net, exec } = params.permissions ?? {};
  put('net', Array.isArray(net) ? net.length > 0 && 'list' : net === true && 'any');
  put('hosts', Array.isArray(net) && net.join('\n'));
  put('exec', exec);
  put('invoke_args', params.invoke_args?.length && JSON.stringify(params.invoke_args));
  put('ready_line', params.ready?.line);
  put('ready_export', params.ready?.export);
  put('retries_max', params.retries?.max);
  put('retries_on', params.retries?.on);
  return fields;
}

/**
 * What a form cannot say, such as an argument of two lines, stays as it was where nobody has changed what the form shows of it.
 * @param {Record<string, any>} params what the form says now
 * @param {Record<string, any>} [original] what it was filled from
 */
export function completed(params, original) {
  if (!original) return params;
  const shown = requestOf(fieldsOf(original));
  const whole = { ...params };
  for (const [name, value] of Object.entries(original)) {
    const same = JSON.stringify(params[name]) === JSON.stringify(shown[name]);
    if (same && value !== null && value !== false) whole[name] = value;
  }
  if (params.stdin) delete whole.stdin_base64;
  return whole;
}
