/**
 * CPU time of a process. The clock inside workerd stands still while a Worker
 * computes, so what a request costs is read from the outside.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

// USER_HZ: what /proc counts in on every Linux that Node runs on.
const TICKS_PER_SECOND = 100;

/** User and system time of a process and all its threads, in milliseconds. */
export function cpuMs(pid) {
  const stat = `/proc/${pid}/stat`;
  if (existsSync(stat)) {
    // The second field is a name in parentheses, which may hold spaces.
    const fields = readFileSync(stat, 'utf8').split(') ').pop().split(' ');
    return ((Number(fields[11]) + Number(fields[12])) * 1_000) / TICKS_PER_SECOND;
  }
  const [seconds, minutes = 0, hours = 0] = ps('time=', '-p', String(pid)).trim().split(/[:-]/).reverse().map(Number);
  return ((hours * 60 + minutes) * 60 + seconds) * 1_000;
}

/** The workerd processes that this one has started. */
export function workerdPids() {
  return ps('pid=,ppid=,comm=', '-A')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, parent, command]) => Number(parent) === process.pid && command?.endsWith('workerd'))
    .map(([pid]) => Number(pid));
}

function ps(columns, ...which) {
  return execFileSync('ps', [...which, '-o', columns], { encoding: 'utf8' });
}
