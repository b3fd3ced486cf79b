/** From a process that isn't there to the first answers: what a new isolate takes. */
import { readFileSync } from 'node:fs';
import { EVM_NETWORK, startWorld } from '../../world.mjs';
import { startOrigin } from '../origin.mjs';
import { difference, withStops } from '../rounds.mjs';
import { FREE_PATH, PAID_PATH, startEdge402, startReference, startScript } from '../systems.mjs';
import { median, ms } from '../table.mjs';
import { payFor, preparePayment } from '../wallet.mjs';

/** @returns {Promise<import('../table.mjs').Group>} */
export async function coldStart({ quick, note }) {
  return withStops(async (keep) => {
    const world = keep(await startWorld({ worker: false, relayers: 2, feePayers: 2 }));
    const options = { origin: keep(await startOrigin()).url };
    const starts = {
      bare: () => startScript('bare', readFileSync(new URL('../workers/bare-proxy.mjs', import.meta.url), 'utf8'), { ORIGIN: options.origin }),
      edge402: () => startEdge402(world, options),
      reference: () => startReference(world, options, { warm: false }),
    };
    const taken = Object.fromEntries(Object.keys(starts).map((name) => [name, { first: [], page: [] }]));
    const rounds = quick ? 3 : 9;
    for (let round = 0; round < rounds; round += 1) {
      for (const [name, start] of Object.entries(starts)) {
        note(`round ${round + 1} of ${rounds}: ${name}`);
        await once(start, world, taken[name], name === 'bare' ? undefined : PAID_PATH);
      }
    }
    const beyond = (name, what) => ms(difference(taken[name][what], taken.bare.first), 0);
    const [ours, theirs] = ['edge402', 'reference'].map((name) => difference(taken[name].first, taken.bare.first));
    return {
      title: 'Cold start, beyond a bare proxy’s',
      rows: [
        { what: 'to the first 402', ours: ms(ours, 0), reference: ms(theirs, 0), bar: '≤ reference', passes: ours <= theirs, how: `of a process that takes ${ms(median(taken.bare.first), 0)} for a bare proxy` },
        { what: 'to the first page that is paid for', ours: beyond('edge402', 'page'), reference: beyond('reference', 'page'), how: 'EVM; the reference’s facilitator is warm' },
      ],
    };
  });
}

/** Starts a system, and notes when it answers: first of all, and with a page that is paid for. */
async function once(start, world, taken, paid) {
  const from = performance.now();
  const system = await start();
  try {
    const response = await fetch(system.url + (paid ?? FREE_PATH));
    await response.text();
    taken.first.push(performance.now() - from);
    if (paid === undefined) return;
    const headers = await preparePayment(system.url + paid, world.buyer(0), EVM_NETWORK);
    const result = await payFor(system.url + paid, headers);
    if (!result.paid) throw new Error(`${system.name}: ${result.status} ${result.reason}`);
    taken.page.push(performance.now() - from);
  } finally {
    await system.stop();
  }
}
