/**
 * What every part of the local world uses: paths, ports, waiting, processes.
 */
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** The root of the repository. */
export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** The built Worker: the module that wrangler takes as `main`. */
export const WORKER_MAIN = join(ROOT, 'build/index.js');

/** Where local worlds keep their files: in the repository, or in the folder of a seller who has the package. Ignored by git. */
export const DEV_DIR = existsSync(join(ROOT, 'Cargo.toml')) ? join(ROOT, '.dev') : join(process.cwd(), '.edge402');

/** A path below `DEV_DIR`, whose folder exists afterwards. */
export function devPath(...parts) {
  const path = join(DEV_DIR, ...parts);
  mkdirSync(dirname(path), { recursive: true });
  return path;
}

/** True in the module that `node` was started with. */
export function isMain(moduleUrl) {
  return process.argv[1] !== undefined && moduleUrl === pathToFileURL(process.argv[1]).href;
}

/** What systems give to connections that go out begins above these: at 32,768 on Linux, and higher elsewhere. */
const PORTS = [20_000, 32_768];
const PORTS_TRIED = 50;

/**
 * A TCP port of 127.0.0.1 that nobody listens on at this moment, and that no connection gets by chance before the
 * caller listens there.
 */
export async function freePort() {
  for (let i = 0; ; i += 1) {
    const server = createServer();
    try {
      const port = await listen(server, randomInt(...PORTS));
      await new Promise((done) => server.close(done));
      return port;
    } catch (error) {
      if (i >= PORTS_TRIED) throw error;
    }
  }
}

/** Listens on 127.0.0.1 and answers the port in use. */
export function listen(server, port = 0) {
  return new Promise((done, fail) => {
    server.once('error', fail);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', fail);
      done(server.address().port);
    });
  });
}

/**
 * Asks `condition` until it answers something truthy, and returns that.
 * An exception counts as "not yet"; the last one becomes the cause on time-out.
 */
export async function waitFor(condition, { timeout = 30_000, every = 25, what = 'a condition' } = {}) {
  const end = Date.now() + timeout;
  let cause;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value;
    } catch (error) {
      if (error.final) throw error;
      cause = error;
    }
    if (Date.now() >= end) throw new Error(`waited ${timeout} ms for ${what}`, { cause });
    await sleep(every);
  }
}

/** An error that `waitFor` passes on at once. */
export function finalError(message) {
  return Object.assign(new Error(message), { final: true });
}

const running = new Set();
process.on('exit', () => running.forEach((child) => signalGroup(child, 'SIGKILL')));

let watchdog;

/** Has a process of its own end a process group, should this one be killed. `sign`: '+' from now on, '-' no more. */
function watch(sign, pid) {
  if (pid === undefined) return;
  if (!watchdog) {
    watchdog = spawn(process.execPath, [join(ROOT, 'dev/watchdog.mjs')], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
    watchdog.on('error', () => {});
    watchdog.stdin.on('error', () => {});
    // It must not keep this process alive.
    watchdog.unref();
    watchdog.stdin.unref();
  }
  watchdog.stdin.write(`${sign}${pid}\n`);
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, exitUnlessHandled);

/** A signal's default action skips the `exit` event: what was started would stay behind. */
function exitUnlessHandled(signal) {
  if (process.listenerCount(signal) === 1) process.exit(1);
}

/**
 * Starts a program in a process group of its own, so that its children can be
 * stopped with it, and collects what it prints.
 *
 * @returns {{ pid: number, log(): string, exited: Promise<number>, alive(): boolean, stop(): Promise<void>, kill(): Promise<void>, child: import('node:child_process').ChildProcess }}
 */
export function startProcess(command, args, options = {}) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options, detached: true });
  const output = [];
  child.stdout.on('data', (data) => output.push(data.toString()));
  child.stderr.on('data', (data) => output.push(data.toString()));
  running.add(child);
  watch('+', child.pid);
  let over = false;
  const exited = new Promise((done) => {
    child.once('error', (error) => {
      output.push(String(error));
      finish(-1);
    });
    child.once('exit', (code) => finish(code ?? -1));
    function finish(code) {
      over = true;
      done(code);
    }
  });
  const end = async (signal) => {
    signalGroup(child, signal);
    const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), 4_000);
    await exited;
    clearTimeout(timer);
    // A child of the child may outlive it: nothing of the group may remain.
    signalGroup(child, 'SIGKILL');
    running.delete(child);
    watch('-', child.pid);
  };
  return {
    pid: child.pid,
    child,
    exited,
    log: () => output.join(''),
    alive: () => !over,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  };
}

function signalGroup(child, signal) {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    // ESRCH: everyone of the group is gone already. EPERM: macOS says so of zombies.
    if (error.code !== 'ESRCH' && error.code !== 'EPERM') throw error;
  }
}

/**
 * Runs a program to its end. Its output goes to the terminal, or with `quiet`
 * only into the error, should it fail.
 */
export async function run(command, args, { quiet = false, ...options } = {}) {
  const child = spawn(command, args, { stdio: quiet ? ['ignore', 'pipe', 'pipe'] : ['ignore', 'inherit', 'inherit'], ...options });
  const output = [];
  child.stdout?.on('data', (data) => output.push(data));
  child.stderr?.on('data', (data) => output.push(data));
  const code = await new Promise((done, fail) => {
    child.once('error', fail);
    child.once('close', done);
  });
  const text = Buffer.concat(output).toString();
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with code ${code}\n${text}`);
  return text;
}

/** One line per finished step, with its time. */
export async function step(title, work) {
  const start = Date.now();
  try {
    const value = await work();
    console.log(`\u2714 ${title} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
    return value;
  } catch (error) {
    console.log(`\u2718 ${title}`);
    throw error;
  }
}
