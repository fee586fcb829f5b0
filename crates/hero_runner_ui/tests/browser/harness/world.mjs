// A server and a dashboard of a test's own: real programs in a folder of their own, on ports of their own, with nobody
// else's settings. What was started here is ended here, also when the test process is killed.

import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { until } from './until.mjs';

const PROGRAMS = needed('HERO_BIN_DIR', 'the folder of the programs');
export const GUESTS = needed('HERO_RUNNER_SERVICES_DIR', 'the folder of the guests');
/** How long a program may take to end by itself. */
const GRACE_MS = 20_000;

function needed(name, what) {
  if (process.env[name]) return process.env[name];
  throw new Error(`${name} is not set: ${what}, as ./test.sh sets it`);
}

/** Services that most tests can use; ports are found by the server. */
export const SERVICES = {
  hello: { prefix: 'hello', port: 'auto', memory_limit_mb: 64, description: 'Answers one line.' },
  clock: {
    prefix: 'clock',
    port: 'auto',
    memory_limit_mb: 64,
    schedules: [
      { endpoint: '/tick', interval_secs: 3600 },
      { name: 'hourly', endpoint: '/tick', cron: '0 * * * *', timezone: 'Europe/Brussels' },
    ],
  },
};

export class World {
  /**
   * @param {object} [how]
   * @param {string[]} [how.guests] modules that are registered
   * @param {Record<string, object>} [how.services] declarations by name
   * @param {Record<string, string|number|boolean>} [how.settings] of the server
   * @param {string[]} [how.uiFlags]
   * @returns {Promise<World>}
   */
  static async start(how = {}) {
    // Short: a socket's address has 107 bytes.
    const root = tmpdir().length > 40 ? '/tmp' : tmpdir();
    const world = new World(await mkdtemp(join(root, 'hrb')), how);
    try {
      await world.#lay();
      await world.startServer();
      await world.startUi();
      return world;
    } catch (error) {
      const log = await world.log();
      await world.end();
      throw new Error(`${error.message}\n${log}`, { cause: error });
    }
  }

  constructor(dir, { guests = ['hello', 'ticker'], services = {}, settings = {}, uiFlags = [] }) {
    this.dir = dir;
    this.guests = guests;
    this.services = services;
    this.settings = settings;
    this.uiFlags = uiFlags;
    /** @type {import('node:child_process').ChildProcess|null} */
    this.server = null;
    this.ui = null;
    this.port = 0;
  }

  get rpcSocket() {
    return join(this.dir, 's/hero_runner/rpc.sock');
  }

  get uiSocket() {
    return join(this.dir, 's/hero_runner/ui.sock');
  }

  async #lay() {
    const folder = join(this.dir, 'services');
    await mkdir(folder);
    for (const [name, declaration] of Object.entries(this.services)) {
      const config = join(folder, name, 'config');
      await mkdir(config, { recursive: true });
      await writeFile(join(config, 'service.json'), JSON.stringify(declaration));
    }
    const modules = Object.entries(this.services).map(([name, { module }]) => module ?? name);
    for (const name of new Set([...this.guests, ...modules])) {
      await copyFile(join(GUESTS, `${name}.wasm`), join(folder, `${name}.wasm`));
    }
  }

  /** What the programs see: nothing of whoever runs the tests. */
  get env() {
    const kept = ['PATH', 'LD_LIBRARY_PATH', 'HERO_RUNNER_WASMEDGE_RUNTIME', 'RUST_BACKTRACE'];
    const settings = {
      // Sessions run in one known mode unless a test asks for another.
      compile: false,
      gateway_listen: '127.0.0.1:0',
      grace_ms: 2000,
      ...this.settings,
    };
    return {
      ...Object.fromEntries(kept.filter((name) => process.env[name]).map((name) => [name, process.env[name]])),
      HOME: this.dir,
      HERO_SOCKET_DIR: join(this.dir, 's'),
      HERO_RUNNER_STATE_DIR: join(this.dir, 'state'),
      HERO_RUNNER_SERVICES_DIR: join(this.dir, 'services'),
      ZINIT_SOCKET: join(this.dir, 'zinit.sock'),
      ...Object.fromEntries(
        Object.entries(settings).map(([name, value]) => [`HERO_RUNNER_${name.toUpperCase()}`, String(value)]),
      ),
    };
  }

  #spawn(program, args) {
    const log = openSync(join(this.dir, `${program}.log`), 'a');
    // The kernel ends it with this process, however that ends.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', join(PROGRAMS, program), ...args], {
      cwd: this.dir,
      env: this.env,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    child.on('error', (error) => (child.failed = error));
    return child;
  }

  /** Starts the server and waits until it answers. */
  async startServer() {
    this.server = this.#spawn('hero_runner_server', []);
    await until('the server answers', async () => {
      alive(this.server, 'the server');
      return (await ask(this.rpcSocket, 'GET', '/health')).status === 200;
    });
  }

  /** Starts the dashboard, on the port that it had before, and waits until it answers. */
  async startUi() {
    // For who works on scripts and styles, which are built in otherwise.
    const assets = process.env.HERO_UI_ASSETS ? ['--assets', process.env.HERO_UI_ASSETS] : [];
    const flags = ['--listen', `127.0.0.1:${this.port}`, ...assets, ...this.uiFlags];
    this.ui = this.#spawn('hero_runner_ui', flags);
    await until('the dashboard answers', async () => {
      alive(this.ui, 'the dashboard');
      const url = new URL(await this.url());
      this.port = Number(url.port);
      return (await ask(this.uiSocket, 'GET', '/health')).status === 200;
    });
  }

  /** The URL with the token, as `hero_runner ui` prints it. */
  async url() {
    return (await readFile(join(this.dir, 's/hero_runner/ui.url'), 'utf8')).trim();
  }

  async token() {
    return new URL(await this.url()).hash.replace('#token=', '');
  }

  get address() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** @param {'server'|'ui'} which @param {NodeJS.Signals} [signal] */
  async stop(which, signal = 'SIGTERM') {
    const child = this[which];
    this[which] = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    const late = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
    await ended;
    clearTimeout(late);
  }

  /** Ends all that was started, and removes the folder. */
  async end() {
    await this.stop('ui');
    await this.stop('server');
    await rm(this.dir, { recursive: true, force: true });
  }

  /** What both programs have logged lately. */
  async log() {
    const logs = ['hero_runner_server', 'hero_runner_ui'].map(async (name) => {
      const text = await readFile(join(this.dir, `${name}.log`), 'utf8').catch(() => '');
      return `== ${name} ==\n${text.slice(-4000)}`;
    });
    return (await Promise.all(logs)).join('\n');
  }

  /** Calls the server behind the dashboard's back. @returns {Promise<any>} */
  async call(method, params = {}) {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
    const reply = await ask(this.rpcSocket, 'POST', '/rpc', { 'content-type': 'application/json' }, body);
    const { result, error } = JSON.parse(reply.body);
    if (error) throw new Error(`${method}: ${error.message} (${JSON.stringify(error.data)})`);
    return result;
  }

  /** Starts a session. @param {object} params @returns {Promise<string>} its id */
  async session(params) {
    return (await this.call('session_start', params)).session_id;
  }

  /** Waits until a session has ended. @returns {Promise<any>} its facts */
  async ended(id) {
    return until(`${id} has ended`, async () => {
      const info = await this.call('session_get', { session_id: id });
      return info.outcome ? info : null;
    });
  }

  /** Waits until a service is in this state. @returns {Promise<any>} */
  async service(name, wanted) {
    return until(`the service ${name} is ${wanted}`, async () => {
      const { service } = await this.call('service_get', { name });
      return service.state === wanted ? service : null;
    });
  }
}

function alive(child, name) {
  if (child.failed)
    throw Object.assign(new Error(`${name} cannot be started: ${child.failed.message}`), { final: true });
  if (child.exitCode === null && child.signalCode === null) return;
  throw Object.assign(new Error(`${name} ended at once: ${child.exitCode ?? child.signalCode}`), { final: true });
}

/**
 * One raw request on a connection of its own, with exactly these headers.
 * @param {string|{host: string, port: number}} where a socket's path, or an address
 * @returns {Promise<{status: number, headers: object, body: string}>}
 */
export function ask(where, method, path, headers = {}, body = '') {
  const to = typeof where === 'string' ? { socketPath: where } : where;
  return new Promise((resolve, reject) => {
    const length = body ? { 'content-length': Buffer.byteLength(body) } : {};
    const sent = request({ ...to, method, path, agent: false, headers: { host: 'localhost', ...length, ...headers } });
    sent.on('error', reject);
    sent.on('response', (reply) => {
      const parts = [];
      reply.on('error', reject);
      reply.on('data', (part) => parts.push(part));
      reply.on('end', () =>
        resolve({ status: reply.statusCode, headers: reply.headers, body: Buffer.concat(parts).toString() }),
      );
    });
    sent.end(body);
  });
}
