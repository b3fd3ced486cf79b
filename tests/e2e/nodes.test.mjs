/** Nodes of every temper, alone and beside a good one: a payment is delivered wherever one node takes a plain transaction. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { concat, keccak256 } from 'viem';
import { evmBuyer } from '../../dev/accounts.mjs';
import { SENTENCES, startTemperedNode, UNUSABLE, USABLE } from '../../dev/tempered-node.mjs';
import { waitFor } from '../../dev/util.mjs';
import { startWorld } from '../../dev/world.mjs';
import { assertPaid, EVM_NETWORK, evmPayload, offerOf, PAGE, PAGE_PRICE, paymentHeader, send, SOLANA_NETWORK, transfersIn } from './support.mjs';

const TEMPERS = { ...USABLE, ...UNUSABLE };
/** The least that a machine with much else to do must keep to. */
const TIMELY_MS = 10_000;

let world;
let node;
/** One Worker whose one node is `node`, and one that has a good node besides. */
let workers;
/** A buyer for each relayer: each temper meets a Settler that knows nothing of its nodes yet. */
let buyers;

before(async () => {
  const count = Object.keys(TEMPERS).length;
  world = await startWorld({ worker: false, relayers: 2 * count });
  node = await startTemperedNode(world.evm.url);
  const keys = world.accounts.evm.relayers;
  buyers = { alone: buyersOf(keys.slice(0, count)), beside: buyersOf(keys.slice(count)) };
  for (const { address } of [...buyers.alone, ...buyers.beside]) await world.evm.mintUsdc(address, 1_000_000n);
  const start = async (relayers, urls) => world.startWorker({
    secrets: {
      EVM_RELAYER_KEYS: relayers.map(({ privateKey }) => privateKey).join(','),
      RPC_URLS: JSON.stringify({ [EVM_NETWORK]: urls, [SOLANA_NETWORK]: [world.solana.url] }),
    },
  });
  workers = { alone: await start(keys.slice(0, count), [node.url]), beside: await start(keys.slice(count), [node.url, world.evm.url]) };
});
after(async () => {
  await world?.stop();
  await node?.stop();
});

/** One buyer whose payments go to each of these relayers (rendezvous hashing, as in settlement/relayer.rs). */
function buyersOf(relayers) {
  const found = new Map();
  for (let i = 100; found.size < relayers.length; i += 1) {
    const buyer = evmBuyer(i);
    const score = ({ address }) => BigInt(keccak256(concat([buyer.address, address])));
    const best = relayers.reduce((most, relayer) => (score(relayer) >= score(most) ? relayer : most));
    if (!found.has(best.address)) found.set(best.address, buyer);
  }
  return relayers.map(({ address }) => found.get(address));
}

async function buy(worker, buyer) {
  const url = `${worker.url}${PAGE}?buyer=${buyer.address}`;
  const offer = await offerOf(url, EVM_NETWORK);
  const headers = paymentHeader(2, offer, await evmPayload(buyer, offer));
  const started = performance.now();
  const answer = await send(url, headers);
  return { answer, headers, url, took: performance.now() - started };
}

async function delivered(t, where, name) {
  const buyer = buyers[where][Object.keys(TEMPERS).indexOf(name)];
  const start = await world.evm.usdcBalance(buyer.address);
  node.methods.length = 0;
  node.temper = TEMPERS[name];
  const { answer, took } = await buy(workers[where], buyer);
  t.diagnostic(`${Math.round(took)} ms`);
  const receipt = assertPaid(answer);
  assert.ok(took < TIMELY_MS, `${took} ms`);
  assert.equal((await transfersIn(world, receipt)).length, 1);
  assert.equal(start - (await world.evm.usdcBalance(buyer.address)), PAGE_PRICE, 'charged once');
}

describe('a node alone', () => {
  for (const name of Object.keys(USABLE)) {
    test(`that ${name}`, async (t) => {
      await delivered(t, 'alone', name);
      const plain = node.methods.filter((method) => method === 'eth_sendRawTransaction').length;
      if (/sync/.test(name)) assert.equal(plain, 1);
    });
  }

  for (const [name, sentence] of Object.entries(SENTENCES)) {
    test(`that has a limit (${name}): 503, and its sentence in the log`, async () => {
      const buyer = buyers.alone[Object.keys(TEMPERS).indexOf(name)];
      node.temper = UNUSABLE[name];
      const { answer, headers, url } = await buy(workers.alone, buyer);
      assert.equal(answer.status, 503, answer.text);
      await waitFor(() => workers.alone.log().includes(sentence), { what: 'the log line' });
      assert.match(workers.alone.log(), /no node of NETWORKS\."eip155:84532"\.rpc \(or RPC_URLS\) could be used/);
      node.temper = undefined;
      assertPaid(await send(url, headers));
    });
  }
});

describe('a node beside a good one', () => {
  for (const name of Object.keys(TEMPERS)) test(`that ${name}`, (t) => delivered(t, 'beside', name));
});
