/** One payment after the other: round trips to the chain's RPC, and how long the buyer waits. */
import { setTimeout as sleep } from 'node:timers/promises';
import { EVM_NETWORK, SOLANA_NETWORK, startWorld } from '../../world.mjs';
import { startOrigin } from '../origin.mjs';
import { withStops } from '../rounds.mjs';
import { startRpcCounter } from '../rpc-counter.mjs';
import { PAID_PATH, startEdge402, startReference } from '../systems.mjs';
import { median, ms } from '../table.mjs';
import { payFor, preparePayment } from '../wallet.mjs';

const BAR_TRIPS = 2;
const BUYERS = 4;
const POLL = 'getSignatureStatuses';
// What a Worker still asks after its answer belongs to that payment.
const AFTERMATH_MS = 40;

/** @returns {Promise<import('../table.mjs').Group[]>} */
export async function payment({ quick, note }) {
  return withStops(async (keep) => {
    const world = keep(await startWorld({ worker: false, relayers: 2, feePayers: 2, buyers: BUYERS, solana: { slotMs: 400 } }));
    const origin = keep(await startOrigin());
    const systems = [];
    for (const start of [startEdge402, startReference]) {
      const counters = { [EVM_NETWORK]: keep(await startRpcCounter(world.evm.url)), [SOLANA_NETWORK]: keep(await startRpcCounter(world.solana.url)) };
      const nodes = { evmUrl: counters[EVM_NETWORK].url, solanaUrl: counters[SOLANA_NETWORK].url };
      systems.push({ ...keep(await start(world, { origin: origin.url, ...nodes })), counters });
    }
    const chains = [];
    for (const [name, network] of [['EVM', EVM_NETWORK], ['Solana', SOLANA_NETWORK]]) {
      const count = quick ? 5 : network === EVM_NETWORK ? 21 : 13;
      const paid = { edge402: [], reference: [] };
      for (let i = 0; i < count; i += 1) {
        note(`${name} payment ${i + 1} of ${count}`);
        for (const system of systems) paid[system.name].push(await payOnce(system, world.buyer(i % BUYERS), network));
      }
      chains.push({ name, edge402: summary(paid.edge402), reference: summary(paid.reference) });
    }
    return [
      { title: 'HTTP round trips to the RPC per payment', rows: chains.flatMap(tripRows) },
      { title: 'Latency of a warm payment', rows: chains.map(latencyRow) },
    ];
  });
}

async function payOnce({ name, url, counters }, buyer, network) {
  const counter = counters[network];
  counter.take();
  const headers = await preparePayment(url + PAID_PATH, buyer, network);
  const result = await payFor(url + PAID_PATH, headers);
  if (!result.paid) throw new Error(`${name} on ${network}: ${result.status} ${result.reason}`);
  await sleep(AFTERMATH_MS);
  const trips = counter.take();
  const isPoll = (methods) => methods.every((method) => method === POLL);
  return { ms: result.ms, trips: trips.filter((methods) => !isPoll(methods)), polls: trips.filter(isPoll).length };
}

/** The first payment is the cold one. */
function summary([cold, ...warm]) {
  const typical = median(warm.map(({ trips }) => trips.length));
  const shown = warm.find(({ trips }) => trips.length === typical) ?? warm[0];
  return { cold, ms: median(warm.map((each) => each.ms)), trips: typical, polls: median(warm.map((each) => each.polls)), methods: shown.trips };
}

function tripRows({ name, edge402, reference }) {
  const withPolls = (trips, polls) => (polls > 0 ? `${trips} + ${polls} polls` : `${trips}`);
  const bar = name === 'Solana' ? `≤ ${BAR_TRIPS} plus polls` : `≤ ${BAR_TRIPS}`;
  const methods = edge402.methods.map((batch) => (batch.length > 1 ? `a batch of ${batch.length}` : batch[0])).join(', ');
  return [
    { what: `${name}, warm`, ours: withPolls(edge402.trips, edge402.polls), reference: withPolls(reference.trips, reference.polls), bar, passes: edge402.trips <= BAR_TRIPS, how: methods },
    { what: `${name}, first`, ours: withPolls(edge402.cold.trips.length, edge402.cold.polls), reference: withPolls(reference.cold.trips.length, reference.cold.polls), how: 'the 402 before it included' },
  ];
}

function latencyRow({ name, edge402, reference }) {
  const how = name === 'EVM' ? 'a block per transaction' : 'slots of 400 ms';
  return { what: name, ours: ms(edge402.ms, 0), reference: ms(reference.ms, 0), how: `signed request to page; ${how}` };
}
