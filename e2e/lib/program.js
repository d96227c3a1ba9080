// Programs under test: started in an empty directory with a bare environment,
// so that nothing of this machine's settings reaches them.
import { spawn, execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { guard, leaksBelow, leaksIn, refuseLeaks } from './canary.js';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const STAGEDOOR = path.join(ROOT, 'bin', 'stagedoor');
export const LIVEKIT = path.join(ROOT, 'bin', 'livekit-server');

// The tests ask from one address, and for the same few people all the time.
const PATIENT = { RATE_LIMIT_USER: '1000000/m', RATE_LIMIT_IP: '1000000/m', RATE_LIMIT_FAILURES: '1000000/m', MAX_IN_FLIGHT: '256' };

/** Nothing but what any program needs, and limits that no test meets unless it sets its own. */
export function bareEnvironment(extra = {}) {
  return { PATH: process.env.PATH, HOME: process.env.HOME, ...PATIENT, ...extra };
}

/** An empty directory of its own; nowhere above it is there an .env. */
export function emptyDirectory() {
  const directory = mkdtempSync(path.join(tmpdir(), 'stagedoor-e2e-'));
  for (let at = directory; ; at = path.dirname(at)) {
    if (existsSync(path.join(at, '.env'))) throw new Error(`${at} holds an .env, which would change what is tested`);
    if (at === path.dirname(at)) return directory;
  }
}

/** Runs a program to its end and gives what it printed; rejects on a status other than 0. */
export async function run(file, args, options = {}) {
  return promisify(execFile)(file, args, { env: bareEnvironment(), timeout: 20_000, ...options });
}

/**
 * A running program. `stop` and `until` fail with everything it printed; `stop` and `kill` also when a secret, or a
 * token, stands in what it printed or in a file that it left.
 */
export class Program {
  #output = '';
  #leaks = [];
  #waiting = new Set();

  constructor(file, args, environment) {
    if (!existsSync(file)) throw new Error(`${path.relative(ROOT, file)} is not built: run "make build bin/livekit-server"`);
    this.directory = emptyDirectory();
    guard(environment);
    this.name = [path.basename(file), ...args].join(' ');
    this.child = spawn(file, args, { cwd: this.directory, env: bareEnvironment(environment), stdio: ['ignore', 'pipe', 'pipe'] });
    this.ended = new Promise((done) => {
      this.child.once('error', (error) => done({ error }));
      this.child.once('close', (code, signal) => done({ code, signal }));
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (text) => {
        this.#output += text;
        for (const look of this.#waiting) look();
      });
    }
    // A test run that fails half-way must leave neither a server nor a directory behind.
    const tidy = () => rmSync(this.directory, { recursive: true, force: true });
    const end = () => {
      this.child.kill('SIGKILL');
      tidy();
    };
    process.once('exit', end);
    this.ended = this.ended.then((how) => {
      process.off('exit', end);
      if (file === STAGEDOOR) this.#leaks = [...leaksIn(this.name, this.#output, { tokens: true }), ...leaksBelow(this.directory)];
      tidy();
      return how;
    });
  }

  /** What of its secrets stands where it must not, once it has ended. */
  get leaks() {
    return this.#leaks;
  }

  get output() {
    return this.#output;
  }

  /** Waits until the output matches, and gives the match. */
  async until(pattern, within = 15_000) {
    let timer;
    let look;
    const found = new Promise((done, fail) => {
      look = () => {
        const match = this.#output.match(pattern);
        if (match) done(match);
      };
      this.#waiting.add(look);
      timer = setTimeout(() => fail(new Error(`${this.name}: no ${pattern} within ${within} ms:\n${this.#output}`)), within);
      void this.ended.then((how) => fail(new Error(`${this.name} ended, ${JSON.stringify(how)}:\n${this.#output}`)));
      look();
    });
    try {
      return await found;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(look);
    }
  }

  /** Ends it as Ctrl-C does and insists on a clean end. */
  async stop(within = 14_000) {
    this.child.kill('SIGINT');
    const late = new Promise((done) => setTimeout(done, within, { late: true }).unref());
    const how = await Promise.race([this.ended, late]);
    if (how.late) {
      this.child.kill('SIGKILL');
      throw new Error(`${this.name} did not end within ${within} ms of SIGINT:\n${this.#output}`);
    }
    if (how.code !== 0) throw new Error(`${this.name} ended with ${JSON.stringify(how)}:\n${this.#output}`);
    refuseLeaks(this.#leaks);
  }

  /** Ends it at once: for helpers, whose own way to end is not under test. */
  async kill() {
    this.child.kill('SIGKILL');
    await this.ended;
    refuseLeaks(this.#leaks);
  }

  /** Ids of the processes it has started, where the system tells (Linux). */
  children() {
    const tasks = `/proc/${this.child.pid}/task`;
    if (!existsSync(tasks)) return [];
    return readdirSync(tasks).flatMap((task) => readFileSync(`${tasks}/${task}/children`, 'utf8').split(' ').filter(Boolean));
  }
}

/** Whether anybody listens at a port of 127.0.0.1. */
export function listens(port) {
  return new Promise((done) => {
    const socket = net.connect({ host: '127.0.0.1', port: Number(port) });
    socket.once('connect', () => done(true));
    socket.once('error', () => done(false));
    socket.once('close', () => socket.destroy());
    socket.once('connect', () => socket.destroy());
  });
}

/** A port that is free now. */
export async function freePort() {
  const server = net.createServer();
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}
