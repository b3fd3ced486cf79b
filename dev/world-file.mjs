/** Where a running local world can be found by other processes. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { commandOf } from './ports.mjs';
import { devPath } from './util.mjs';

const path = () => devPath('world.json');

/** Notes the addresses of the running world. */
export function noteWorld({ url, evm, solana }) {
  const note = { url, pid: process.pid, evm: { url: evm.url, chainId: evm.chainId }, solana: { url: solana.url } };
  writeFileSync(path(), JSON.stringify(note, null, 2));
}

/** @returns {{ url: string, pid: number, evm: { url: string, chainId: number }, solana: { url: string } } | null} null when none runs */
export function findWorld() {
  if (!existsSync(path())) return null;
  const note = JSON.parse(readFileSync(path(), 'utf8'));
  return isAlive(note.pid) ? note : null;
}

export function forgetWorld() {
  rmSync(path(), { force: true });
}

/** Whether a process lives, and is the one that noted the world: another may have got its number since. */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (error.code !== 'EPERM') return false;
  }
  const command = commandOf(pid);
  return command === '' || /start\.mjs|edge402/.test(command);
}
