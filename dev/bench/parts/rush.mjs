/** Two thousand buyers at one moment, one relayer, a block every two seconds: how its blocks are filled, and what the machine spends. */
import { EVM_NETWORK, startWorld } from '../../world.mjs';
import { cpuMs } from '../cpu.mjs';
import { startOrigin } from '../origin.mjs';
import { withStops } from '../rounds.mjs';
import { PAID_PATH, startEdge402 } from '../systems.mjs';
import { median, ms } from '../table.mjs';
import { payFor, preparePayments } from '../wallet.mjs';

const BLOCK_SECONDS = 2;
/** No payer has more than may be in the air. */
const BUYERS = 125;
const EACH = 16;
const BAR_PER_SECOND = 150;
const PATIENCE_MS = 60_000;

/** @returns {Promise<import('../table.mjs').Group>} */
export async function rush({ quick, note }) {
  const each = quick ? EACH / 4 : EACH;
  return withStops(async (keep) => {
    const world = keep(await startWorld({ worker: false, feePayers: 1, buyers: BUYERS, evm: { blockTime: BLOCK_SECONDS } }));
    const origin = keep(await startOrigin());
    const edge402 = keep(await startEdge402(world, { origin: origin.url }));
    const page = edge402.directUrl + PAID_PATH;
    const [first] = await preparePayments(1, page, world.buyer(0), EVM_NETWORK);
    await payFor(page, first);
    // Buyers sign on machines of their own: not while the clock runs.
    const byBuyer = [];
    for (let index = 0; index < BUYERS; index += 1) {
      note(`signing for buyer ${index + 1} of ${BUYERS}`);
      byBuyer.push(await preparePayments(each, page, world.buyer(index), EVM_NETWORK));
    }
    const payments = Array.from({ length: each }, (_, turn) => byBuyer.map((own) => own[turn])).flat();
    note(`${payments.length} payments at once`);
    const pids = [edge402.pid, world.evm.pid, process.pid];
    const from = await world.evm.client.getBlockNumber({ cacheTime: 0 });
    const before = pids.map(cpuMs);
    const begun = Date.now() / 1_000;
    const start = performance.now();
    const results = await Promise.all(payments.map((headers) => payFor(page, headers, { timeoutMs: PATIENCE_MS })));
    const seconds = (performance.now() - start) / 1_000;
    const spent = pids.map((pid, index) => (cpuMs(pid) - before[index]) / payments.length);
    const blocks = await blocksAfter(world.evm.client, from, begun);
    return { title: `${payments.length} buyers at once, one relayer, ${BLOCK_SECONDS} s blocks`, rows: rows({ results, seconds, spent, blocks, quick }) };
  });
}

/** The payments in each transaction of each block with any, and when it was made, in seconds after the crowd came. */
async function blocksAfter(client, from, begun) {
  const blocks = [];
  const last = await client.getBlockNumber({ cacheTime: 0 });
  for (let blockNumber = from + 1n; blockNumber <= last; blockNumber += 1n) {
    const { transactions, timestamp } = await client.getBlock({ blockNumber });
    const receipts = await Promise.all(transactions.map((hash) => client.getTransactionReceipt({ hash })));
    // Each payment leaves two events: AuthorizationUsed and Transfer.
    const shares = receipts.map(({ logs }) => logs.length / 2);
    if (shares.length > 0) blocks.push({ at: Number(timestamp) - begun, shares });
  }
  return blocks;
}

function rows({ results, seconds, spent: [worker, node, clients], blocks, quick }) {
  const paid = results.filter((result) => result.paid);
  const reasons = [...new Set(results.filter((result) => !result.paid).map(({ status, reason }) => `${status} ${reason}`))];
  const rate = paid.length / seconds;
  const shares = blocks.flatMap((block) => block.shares);
  // Payments that go alone are those before there was a crowd.
  const crowded = blocks.find((block) => block.shares.some((share) => share > 1));
  const fill = blocks.map((block) => `${block.shares.reduce((sum, share) => sum + share, 0)} in ${block.shares.length}`).join(', ');
  const waits = median(paid.map((result) => result.ms)) / 1_000;
  return [
    { what: 'delivered', ours: `${paid.length} of ${results.length}`, bar: 'all', passes: paid.length === results.length, how: reasons.slice(0, 3).join('; ').replaceAll('\n', ' ').slice(0, 80) },
    { what: 'payments per second', ours: rate.toFixed(0), ...(quick ? {} : { bar: `≥ ${BAR_PER_SECOND}`, passes: rate >= BAR_PER_SECOND }), how: `${seconds.toFixed(1)} s from the first request to the last page; half have theirs after ${waits.toFixed(1)} s` },
    { what: 'first shared transaction', ours: crowded ? `${crowded.at.toFixed(0)} s` : '–', how: `the block’s time; ${Math.max(...shares)} payments in the largest` },
    { what: 'blocks', ours: String(blocks.length), how: `payments in transactions: ${fill}` },
    { what: 'CPU of a payment', ours: ms(worker), how: `workerd, which is gate, Settler and KV in one thread; the node ${ms(node)}; clients and origin ${ms(clients)}` },
  ];
}
