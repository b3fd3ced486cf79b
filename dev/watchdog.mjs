/**
 * Ends what a process has started when that process has died, even by SIGKILL,
 * which no handler sees: its pipe to here breaks then. On the pipe come lines,
 * `+<pid>` for each process group that was started and `-<pid>` once it is over.
 */
import { createInterface } from 'node:readline';

const groups = new Set();
for await (const line of createInterface({ input: process.stdin })) {
  const pid = Number(line.slice(1));
  if (line.startsWith('+')) groups.add(pid);
  else groups.delete(pid);
}
for (const pid of groups) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}
