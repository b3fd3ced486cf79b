/** What is uploaded. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { bundle, gzipped } from '../bundle.mjs';
import { kib } from '../table.mjs';

const BAR = 460 * 1024;

/** @returns {Promise<import('../table.mjs').Group>} */
export async function size({ main }) {
  const ours = gzipped(readFileSync(main), readFileSync(join(dirname(main), 'index_bg.wasm')));
  const reference = gzipped(await bundle('reference/worker.mjs'));
  const facilitator = gzipped(await bundle('../servers/reference-facilitator.mjs', { platform: 'node' }));
  return {
    title: 'Size',
    rows: [{
      what: 'upload, gzipped',
      ours: kib(ours),
      reference: kib(reference),
      bar: `≤ ${kib(BAR)}`,
      passes: ours <= BAR,
      how: `the reference's facilitator, which settles, is ${kib(facilitator)} more`,
    }],
  };
}
