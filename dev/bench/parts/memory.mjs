/** What the isolate holds while many payments wait for a block. */
import { waitFor } from '../../util.mjs';
import { EVM_NETWORK, startWorld } from '../../world.mjs';
import { isolateMemory } from '../isolate.mjs';
import { startOrigin } from '../origin.mjs';
import { withStops } from '../rounds.mjs';
import { PAID_PATH, startEdge402 } from '../systems.mjs';
import { payFor, preparePayment } from '../wallet.mjs';

const BUYERS = 50;
const SIZES = [200, 2_000];
const BAR = 64 * 1024 * 1024;
/** More than that is still growing. */
const STEADY = 1.01;

/** @returns {Promise<import('../table.mjs').Group>} */
export async function memory({ quick, note }) {
  return withStops(async (keep) => {
    const world = keep(await startWorld({ worker: false, relayers: 2, feePayers: 2, buyers: BUYERS, evm: { blockTime: 'manual' } }));
    const origin = keep(await startOrigin());
    const edge402 = keep(await startEdge402(world, { origin: origin.url, inspected: true }));
    await (await fetch(edge402.url + PAID_PATH)).text();
    const idle = await isolateMemory(edge402.inspectorUrl);
    const rows = [{ what: 'nobody waits', ours: mib(total(idle)), how: inWords(idle) }];
    for (const size of quick ? SIZES.slice(0, 1) : SIZES) rows.push(await waiting(world, edge402, size, idle, note));
    return { title: 'Memory of the isolate', rows };
  });
}

async function waiting(world, edge402, size, idle, note) {
  const page = edge402.directUrl + PAID_PATH;
  const payments = [];
  while (payments.length < size) {
    note(`signing ${payments.length} of ${size} payments`);
    payments.push(...await Promise.all(Array.from({ length: BUYERS }, (_, index) => preparePayment(page, world.buyer(index), EVM_NETWORK))));
  }
  let done = 0;
  const results = payments.map((headers) => payFor(page, headers, { timeoutMs: 120_000 }).finally(() => { done += 1; }));
  note(`${size} payments wait`);
  await waitFor(async () => (await inTheAir(world)) > 0, { timeout: 60_000, every: 250, what: 'a transaction in the air' });
  let held = await isolateMemory(edge402.inspectorUrl);
  await waitFor(async () => {
    const before = total(held);
    held = await isolateMemory(edge402.inspectorUrl);
    return total(held) < before * STEADY;
  }, { timeout: 60_000, every: 1_000, what: 'memory that grows no more' });
  const waited = size - done;
  await waitFor(async () => {
    await world.evm.client.mine({ blocks: 1 });
    return done === size;
  }, { timeout: 120_000, every: 250, what: 'the end of all payments' });
  const paid = (await Promise.all(results)).filter((result) => result.paid).length;
  const bar = size === Math.max(...SIZES) ? { bar: `≤ ${mib(BAR)}`, passes: total(held) <= BAR } : {};
  const each = (total(held) - total(idle)) / waited / 1_024;
  return { what: `${waited} of ${size} wait`, ours: mib(total(held)), ...bar, how: `${inWords(held)}; ${each.toFixed(0)} KiB each; ${paid} paid in the end` };
}

const inTheAir = async (world) => Number((await world.evm.client.request({ method: 'txpool_status', params: [] })).pending);
const total = ({ heap, webAssembly }) => heap + webAssembly;
const mib = (bytes) => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
const inWords = ({ heap, webAssembly }) => `JavaScript ${mib(heap)}, WebAssembly ${mib(webAssembly)}`;
