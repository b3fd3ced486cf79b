/** How many payments a second relayers get through, by the simulated chains of the tests: no figure of this machine. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { ROOT } from '../../util.mjs';

const PROGRAM = ['bench', '--quiet', '--bench', 'relayers'];

/** @returns {Promise<import('../table.mjs').Group>} */
export async function relayers({ note }) {
  note('on simulated chains, some minutes');
  const { stdout } = await promisify(execFile)('cargo', PROGRAM, { cwd: ROOT });
  return { title: 'Payments a second by relayers, simulated', rows: JSON.parse(stdout).map(row) };
}

function row({ seconds, blockGas, small, large, posts, relayers: several }) {
  const shown = (rate) => Math.round(rate).toLocaleString('en');
  const all = several.map(([count, rate]) => `${count}: ${shown(rate)}`).join(', ');
  return {
    what: `blocks of ${seconds} s`,
    ours: `${shown(large)}/s`,
    how: `${shown(small)} with no larger transactions for a crowd; ${posts.toFixed(1)} requests a second to the node; relayers with ${blockGas / 1_000_000} M gas of each block: ${all}`,
  };
}
