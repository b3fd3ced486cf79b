/** Ports of this machine, and who keeps them. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { listen } from './util.mjs';

/** Whether nobody listens on a port of 127.0.0.1. */
export async function isFree(port) {
  const server = createServer();
  try {
    await listen(server, port);
  } catch {
    return false;
  }
  await new Promise((done) => server.close(done));
  return true;
}

/**
 * Who listens on a port.
 *
 * @returns {{ pid: number, command: string } | null} null if that can't be told
 */
export function holderOf(port) {
  const pid = pidByLsof(port) ?? pidByProc(port);
  return pid ? { pid, command: commandOf(pid) } : null;
}

/** What a process was started with; an empty text if that can't be told. */
export function commandOf(pid) {
  return output('ps', ['-o', 'args=', '-p', String(pid)]) ?? '';
}

function pidByLsof(port) {
  const found = output('lsof', ['-nP', '-t', `-iTCP:${port}`, '-sTCP:LISTEN']);
  return found ? Number(found.split('\n')[0]) : null;
}

/** On Linux without lsof: the socket that listens, then the process that has it open. */
function pidByProc(port) {
  try {
    const sockets = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((path) => listening(path, port)).map((inode) => `socket:[${inode}]`);
    const has = (pid) => readdirSync(`/proc/${pid}/fd`).some((fd) => sockets.includes(linkOf(`/proc/${pid}/fd/${fd}`)));
    return Number(readdirSync('/proc').filter((name) => /^\d+$/.test(name)).find((pid) => attempt(() => has(pid)))) || null;
  } catch {
    return null;
  }
}

const LISTENS = '0A';

function listening(path, port) {
  const lines = (attempt(() => readFileSync(path, 'utf8')) ?? '').trim().split('\n').slice(1);
  const fields = lines.map((line) => line.trim().split(/\s+/));
  return fields.filter(([, local, , state]) => state === LISTENS && parseInt(local.split(':')[1], 16) === port).map((it) => it[9]);
}

const linkOf = (path) => attempt(() => readlinkSync(path));

function attempt(work) {
  try {
    return work();
  } catch {
    return null;
  }
}

function output(command, args) {
  return attempt(() => execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim());
}
