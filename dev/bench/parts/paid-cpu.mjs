/** What a whole paid request costs in CPU: the gate, its Settler, the disk, and the runtime around them. */
import { EVM_NETWORK, SOLANA_NETWORK, startWorld } from '../../world.mjs';
import { readFileSync } from 'node:fs';
import { cpuMs } from '../cpu.mjs';
import { startOrigin } from '../origin.mjs';
import { withStops } from '../rounds.mjs';
import { PAID_PATH, startEdge402, startReference, startScript } from '../systems.mjs';
import { ms } from '../table.mjs';
import { payFor, preparePayment } from '../wallet.mjs';

const BAR_MS = 4;
const BUYERS = 4;
const WARM_UP = 60;
/** A payment on Solana lives for as long as its blockhash. */
const AT_ONCE = 20;

/** What a payment does with Workers KV: Miniflare's is a Worker of its own, and no part of ours. */
const KV_WORKER = `export default {
  async fetch(request, { KV }, context) {
    const key = crypto.randomUUID();
    const value = await KV.get(key);
    context.waitUntil(KV.put(key, 'x'.repeat(600), { expirationTtl: 3600 }));
    return new Response(value);
  },
}`;

/** What else the runtime does for a payment. */
const SAME_CALLS = new URL('../workers/same-calls.mjs', import.meta.url);
const SAME_BINDINGS = { kvNamespaces: ['KV'], durableObjects: { STORE: { className: 'Store', useSQLite: true } } };

/** @returns {Promise<import('../table.mjs').Group>} */
export async function paidCpu({ quick, note }) {
  return withStops(async (keep) => {
    const world = keep(await startWorld({ worker: false, relayers: 2, feePayers: 2, buyers: BUYERS }));
    const origin = keep(await startOrigin());
    const systems = [];
    for (const start of [startEdge402, startReference]) systems.push(keep(await start(world, { origin: origin.url })));
    const kv = keep(await startScript('kv', KV_WORKER, {}, { kvNamespaces: ['KV'] }));
    const calls = keep(await startScript('calls', readFileSync(SAME_CALLS, 'utf8'), { ORIGIN: origin.url + PAID_PATH, NODE: world.evm.url }, SAME_BINDINGS));
    const visits = quick ? 100 : 500;
    note('the stand-in for Workers KV');
    await visit(kv, visits);
    const ofKv = await visit(kv, visits);
    note('a Worker that makes the same calls');
    await visit(calls, visits);
    const ofCalls = await visit(calls, visits);
    const rows = [{ what: 'the same calls alone', ours: ms(ofCalls - ofKv), how: `KV, origin, node, Durable Object and its tables, by a Worker that does nothing else; without ${ms(ofKv)} of Miniflare’s KV` }];
    for (const [chain, network] of [['EVM', EVM_NETWORK], ['Solana', SOLANA_NETWORK]]) {
      const cpu = {};
      for (const system of systems) {
        await pay(system, world, network, WARM_UP);
        note(`${chain}: ${system.name}`);
        cpu[system.name] = await pay(system, world, network, quick ? 40 : 200);
      }
      const own = cpu.edge402 - ofKv;
      const bar = network === EVM_NETWORK ? { bar: `≤ ${BAR_MS} ms`, passes: own <= BAR_MS } : {};
      rows.push({ what: chain, ours: ms(own), reference: ms(cpu.reference), ...bar, how: `${ms(own - (ofCalls - ofKv))} besides the calls; the reference without its facilitator, a Node process` });
    }
    return { title: 'CPU of a whole paid request', rows };
  });
}

/** Pays so many times, one after the other, each few made before the clock starts: milliseconds of CPU each. */
async function pay({ name, directUrl, pid }, world, network, count) {
  const page = directUrl + PAID_PATH;
  let spent = 0;
  for (let paid = 0; paid < count; paid += AT_ONCE) {
    const payments = [];
    for (let i = 0; i < AT_ONCE; i += 1) payments.push(await preparePayment(page, world.buyer(i % BUYERS), network));
    const before = cpuMs(pid);
    for (const headers of payments) {
      const result = await payFor(page, headers);
      if (!result.paid) throw new Error(`${name} on ${network}: ${result.status} ${result.reason}`);
    }
    spent += cpuMs(pid) - before;
  }
  return spent / count;
}

/** Asks a Worker so many times, one request after the other: milliseconds of CPU each. */
async function visit({ directUrl, pid }, count) {
  const before = cpuMs(pid);
  for (let i = 0; i < count; i += 1) await (await fetch(directUrl)).text();
  return (cpuMs(pid) - before) / count;
}
