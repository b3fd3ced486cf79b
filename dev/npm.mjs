/** Noticing that npm has ended: a signal to it does not always reach what it has started. */
import { execFileSync } from 'node:child_process';
import { commandOf } from './ports.mjs';

const EVERY_MS = 500;

/** Calls back once whoever has started this process as a script of npm's, or by npx, is gone. */
export function whenNpmEnds(gone) {
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  // A shell may stand in between, and outlive npm.
  const ancestors = /npm|npx|yarn|bun/.test(commandOf(parent)) ? [parent] : [parent, parentOf(parent)].filter(Boolean);
  const timer = setInterval(() => {
    if (process.ppid === parent && ancestors.every(isAlive)) return;
    clearInterval(timer);
    gone();
  }, EVERY_MS);
  timer.unref();
}

function parentOf(pid) {
  try {
    return Number(execFileSync('ps', ['-o', 'ppid=', '-p', String(pid)], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })) || undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid) {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
}
