/** Many buyers at once, one relayer, a block every two seconds: what gets through, how fast, for how much gas. */
import { EVM_NETWORK, startWorld } from '../../world.mjs';
import { startOrigin } from '../origin.mjs';
import { withStops } from '../rounds.mjs';
import { PAID_PATH, startEdge402, startReference } from '../systems.mjs';
import { median } from '../table.mjs';
import { payFor, preparePayment } from '../wallet.mjs';
import { rush } from './rush.mjs';

const BLOCK_SECONDS = 2;
const PAYMENTS_EACH = 5;
const CROWDS = [1, 8, 64];
// 320 payments: as many blocks as a relayer may take for them.
const BAR_BLOCKS = { 64: 8 };
const BATCHES = [8, 32];
// About 65,000: the token decides, and the reference pays it too.
const BAR_ALONE = 70_000;
const BAR_BATCH = 45_000;
const PATIENCE_MS = 45_000;

/** @returns {Promise<import('../table.mjs').Group[]>} */
export async function crowd(options) {
  return [...await crowdBesideReference(options), await rush(options)];
}

async function crowdBesideReference({ quick, note }) {
  const crowds = quick ? CROWDS.slice(0, 2) : CROWDS;
  return withStops(async (keep) => {
    const world = keep(await startWorld({ worker: false, relayers: 2, feePayers: 2, buyers: Math.max(...CROWDS), evm: { blockTime: BLOCK_SECONDS } }));
    const origin = keep(await startOrigin());
    const edge402 = keep(await startEdge402(world, { origin: origin.url }));
    const reference = keep(await startReference(world, { origin: origin.url }));
    const [ourRelayer, theirRelayer] = world.accounts.evm.relayers;

    note('the first payment of each');
    for (const system of [edge402, reference]) await payTogether(system, world, 1, 1);

    const gas = [await gasOf(world, ourRelayer, () => payTogether(edge402, world, 1, 3))];
    const referenceGas = await gasOf(world, theirRelayer, () => payTogether(reference, world, 1, 2));
    for (const size of BATCHES) {
      note(`gas of ${size} payments at once`);
      gas.push(await gasOf(world, ourRelayer, () => payTogether(edge402, world, size, 1)));
    }
    const runs = [];
    for (const buyers of crowds) {
      const run = { buyers };
      for (const system of [edge402, reference]) {
        note(`${buyers} buyers × ${PAYMENTS_EACH}: ${system.name}`);
        run[system.name] = await payTogether(system, world, buyers, PAYMENTS_EACH);
      }
      runs.push(run);
    }
    return [
      { title: `Buyers at once × ${PAYMENTS_EACH} payments each, one relayer, ${BLOCK_SECONDS} s blocks`, rows: runs.flatMap(crowdRows) },
      { title: 'Gas per payment', rows: gas.map((each, i) => gasRow(each, [1, ...BATCHES][i], i === 0 ? referenceGas : null)) },
    ];
  });
}

/** Everybody pays `each` times, one after the other; all buyers at once. */
async function payTogether({ url }, world, buyers, each) {
  const page = url + PAID_PATH;
  const payments = [];
  for (let index = 0; index < buyers; index += 1) {
    payments.push(await Promise.all(Array.from({ length: each }, () => preparePayment(page, world.buyer(index), EVM_NETWORK))));
  }
  const firstBlock = await world.evm.client.getBlockNumber({ cacheTime: 0 });
  const start = performance.now();
  const results = await Promise.all(payments.map(async (own) => {
    const done = [];
    for (const headers of own) done.push(await payFor(page, headers, { timeoutMs: PATIENCE_MS }));
    return done;
  }));
  const seconds = (performance.now() - start) / 1_000;
  const lastBlock = await world.evm.client.getBlockNumber({ cacheTime: 0 });
  const all = results.flat();
  const paid = all.filter((result) => result.paid);
  const reasons = [...new Set(all.filter((result) => !result.paid).map(({ status, reason }) => `${status} ${reason}`))];
  return { asked: all.length, paid: paid.length, seconds, blocks: Number(lastBlock - firstBlock), waits: paid.map((result) => result.ms), reasons };
}

function crowdRows({ buyers, edge402, reference }) {
  const share = ({ paid, asked }) => `${paid} of ${asked}`;
  const rate = ({ paid, seconds }) => `${(paid / seconds).toFixed(1)}/s`;
  const blocks = ({ waits }) => (waits.length ? (median(waits) / 1_000 / BLOCK_SECONDS).toFixed(1) : '–');
  const name = buyers === 1 ? '1 buyer' : `${buyers} buyers`;
  const why = [...edge402.reasons.map((reason) => `ours: ${reason}`), ...reference.reasons].slice(0, 3).join('; ').replaceAll('\n', ' ');
  const mostBlocks = BAR_BLOCKS[buyers] ?? Infinity;
  const bar = buyers in BAR_BLOCKS ? `all, in ≤ ${mostBlocks} blocks` : 'all';
  const passes = edge402.paid === edge402.asked && edge402.blocks <= mostBlocks;
  return [
    { what: `${name}: delivered`, ours: share(edge402), reference: share(reference), bar, passes, how: why.slice(0, 80) },
    { what: `${name}: payments per second`, ours: rate(edge402), reference: rate(reference), how: `in ${edge402.blocks} blocks; the reference in ${reference.blocks}` },
    { what: `${name}: blocks until the page`, ours: blocks(edge402), reference: blocks(reference), how: 'median, of those delivered' },
  ];
}

/** The gas that a relayer's transactions used while `work` ran. */
async function gasOf({ evm: { client } }, { address }, work) {
  const first = await client.getBlockNumber({ cacheTime: 0 });
  const { paid, asked } = await work();
  const last = await client.getBlockNumber({ cacheTime: 0 });
  const used = [];
  for (let blockNumber = first + 1n; blockNumber <= last; blockNumber += 1n) {
    const { transactions } = await client.getBlock({ blockNumber, includeTransactions: true });
    for (const { hash, from } of transactions) {
      if (from.toLowerCase() !== address.toLowerCase()) continue;
      const { gasUsed, logs } = await client.getTransactionReceipt({ hash });
      // Each payment leaves two events: AuthorizationUsed and Transfer.
      used.push({ gas: Number(gasUsed), payments: logs.length / 2 });
    }
  }
  return { used, paid, asked };
}

function gasRow({ used, paid, asked }, size, reference) {
  const perPayment = (transactions) => transactions.reduce((sum, { gas }) => sum + gas, 0) / transactions.reduce((sum, { payments }) => sum + payments, 0);
  const shown = (value) => (Number.isNaN(value) ? '–' : Math.round(value).toLocaleString('en'));
  const ours = perPayment(used);
  const bars = { 1: [`≈ 65,000`, BAR_ALONE], 32: ['≤ 45,000', BAR_BATCH] };
  const [bar, most] = bars[size] ?? [];
  return {
    what: size === 1 ? 'alone' : `${size} buyers at once`,
    ours: shown(ours),
    reference: reference ? shown(perPayment(reference.used)) : '',
    bar,
    passes: most && ours <= most && paid === asked,
    how: `${paid} of ${asked} paid, in transactions of ${used.map((each) => `${each.payments} (${shown(perPayment([each]))} each)`).join(', ')}`,
  };
}
