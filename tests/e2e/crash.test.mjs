/** workerd killed in the middle of a sale: whoever paid gets the page in the next life, and pays once. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, before, beforeEach, describe, test } from 'node:test';
import { startRpcProxy } from '../../dev/rpc-proxy.mjs';
import { devPath, finalError, freePort, listen, waitFor } from '../../dev/util.mjs';
import { startWorld } from '../../dev/world.mjs';
import { assertPaid, assertRefused, deferred, EVM_NETWORK, evmPayload, ledger, offerOf, PAGE_PRICE, paymentHeader, send, SOLANA_NETWORK, solanaPayload, transfersIn } from './support.mjs';

const BUYERS = 4;
const BLOCK_SECONDS = 1;
const ROUTES = [
  { pattern: '/after/*', price: '$0.01' },
  { pattern: '/before/*', price: '$0.01', settle: 'before' },
];
const CHAINS = { evm: [EVM_NETWORK, evmPayload], solana: [SOLANA_NETWORK, solanaPayload] };
// Only some transactions may be held by a node at once: the others are sent the plain way.
const SEND = { evm: ['eth_sendRawTransactionSync', 'eth_sendRawTransaction'], solana: ['sendTransaction'] };

let world;
let origin;
/** Between the Worker and the chains. */
let proxies;
/** The life of the Worker that goes on now; all lives have one port and one disk. */
let worker;
let options;
/** What one life is made to wait for; its end is answered with a broken connection. */
let life;

before(async () => {
  world = await startWorld({ engine: 'wrangler', worker: false, evm: { blockTime: BLOCK_SECONDS }, buyers: BUYERS });
  proxies = { evm: await startRpcProxy(world.evm.url), solana: await startRpcProxy(world.solana.url) };
  origin = await startOrigin();
  options = {
    name: `crash-${process.pid}`,
    port: await freePort(),
    persist: true,
    vars: { ORIGIN: origin.url, ROUTES },
    secrets: { RPC_URLS: JSON.stringify({ [EVM_NETWORK]: [proxies.evm.url], [SOLANA_NETWORK]: [proxies.solana.url] }) },
  };
  worker = await world.startWorker(options);
});
beforeEach(() => {
  life = deferred();
});
after(async () => {
  life?.resolve();
  await world?.stop();
  await origin?.stop();
  for (const proxy of Object.values(proxies ?? {})) await proxy.stop();
  if (options) rmSync(devPath(options.name), { recursive: true, force: true });
});

/** A site that says which page it gives, once `rule` lets it. */
async function startOrigin() {
  const it = { asked: [], rule: null };
  const server = createServer(async (request, response) => {
    it.asked.push(request.url);
    await it.rule?.();
    response.end(`the page ${request.url}`);
  });
  it.url = `http://127.0.0.1:${await listen(server)}`;
  it.stop = async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  };
  return it;
}

let made = 0;

/** A payment for a page of its own. */
async function order(chain, buyer, route = 'after') {
  const [network, make] = CHAINS[chain];
  const url = `${worker.url}/${route}/${(made += 1)}`;
  const offer = await offerOf(url, network);
  const payload = await make(world.accounts[chain].buyers[buyer], offer);
  return { chain, network, url, headers: paymentHeader(2, offer, payload), payload };
}

/** One payment of every buyer on a chain. */
const orders = (chain, route) => Promise.all(Array.from({ length: BUYERS }, (_, buyer) => order(chain, buyer, route)));

/** Sends orders whose answers die with the Worker. */
function sendDoomed(all) {
  return all.map(({ url, headers }) => send(url, headers).then(({ status }) => status, () => 'lost'));
}

/** SIGKILL; what hung, hangs no longer, and the next life finds everything in order. */
async function killAndRestart() {
  await worker.kill();
  for (const proxy of Object.values(proxies)) proxy.rule = null;
  origin.rule = null;
  life.resolve({ before: true });
  worker = await world.startWorker(options);
}

/** Asserts that every order is delivered to whoever sends it again, and that each moved its price once. */
async function assertDelivered(all, start) {
  const answers = await Promise.all(all.map(({ url, headers }) => again(url, headers)));
  for (const [i, answer] of answers.entries()) {
    const { chain, network, url, headers } = all[i];
    const { transaction } = assertPaid(answer);
    assert.equal(answer.text, `the page ${new URL(url).pathname}`);
    const payer = world.accounts[chain].buyers.map(({ address }) => address);
    const transfers = await transfersIn(world, { network, transaction });
    assert.ok(transfers.every(({ from, value }) => payer.includes(from) && value === PAGE_PRICE));
    assertRefused(await send(`${url}-and-more`, headers), 'duplicate_settlement');
  }
  const end = await ledger(world);
  for (const chain of Object.keys(CHAINS)) {
    const count = all.filter((it) => it.chain === chain).length;
    assert.equal(end[`${chain}Seller`] - start[`${chain}Seller`], BigInt(count) * PAGE_PRICE, `${chain}: one transfer each`);
  }
  await assertNoGap();
}

/** Sends a payment again until the seller has an answer that is final. */
function again(url, headers) {
  return waitFor(async () => {
    const answer = await send(url, headers);
    return answer.status === 503 || answer.reason === 'settlement_pending' ? undefined : answer;
  }, { timeout: 60_000, every: 200, what: `an answer for ${url}` });
}

/** Asserts that every nonce of the relayer up to now is used, and nothing waits in the pool. */
async function assertNoGap() {
  const { client } = world.evm;
  const [{ address }] = world.accounts.evm.relayers;
  const latest = Number(await client.getBlockNumber());
  const blocks = await Promise.all(Array.from({ length: latest + 1 }, (_, n) => client.getBlock({ blockNumber: BigInt(n), includeTransactions: true })));
  const sent = blocks.flatMap(({ transactions }) => transactions).filter(({ from }) => from === address.toLowerCase());
  assert.deepEqual(sent.map(({ nonce }) => nonce), sent.map((_, i) => i), 'nonces in order');
  assert.equal(await client.getTransactionCount({ address, blockTag: 'pending' }), sent.length, 'nothing waits');
}

const health = async (chain) => {
  const { settlers } = await (await fetch(`${worker.url}/.edge402/health`)).json();
  return settlers.find(({ settler }) => settler.startsWith(CHAINS[chain][0])).health;
};

/** Waits until signed transactions that carry all of these payments have come to the proxy. */
function untilAllSent(all) {
  const sent = ({ chain }) => proxies[chain].calls.filter(({ method }) => SEND[chain].includes(method)).map(({ params }) => params[0]);
  const isSent = (it) => (it.chain === 'evm'
    ? sent(it).some((raw) => raw.includes(it.payload.authorization.nonce.slice(2)))
    // The signatures come first: what was signed is the same from there on.
    : sent(it).some((raw) => Buffer.from(raw, 'base64').subarray(129).equals(Buffer.from(it.payload.transaction, 'base64').subarray(129))));
  return waitFor(() => all.every(isSent), { what: 'every payment to be sent' });
}

/** Makes the proxies hold what is sent: before the node gets it, or after. */
function holdSends(how) {
  for (const [chain, proxy] of Object.entries(proxies)) proxy.rule = ({ method }) => (SEND[chain].includes(method) ? how() : undefined);
}

describe('killed', () => {
  test('after the claim, while the origin takes its time', async () => {
    const start = await ledger(world);
    const all = [...await orders('evm'), await order('solana', 0)];
    origin.rule = () => life.promise;
    const lost = sendDoomed(all);
    await waitFor(() => all.every(({ url }) => origin.asked.includes(new URL(url).pathname)), { what: 'the origin to be asked' });
    await killAndRestart();
    assert.deepEqual(await Promise.all(lost), lost.map(() => 'lost'));
    assert.deepEqual(await ledger(world), start, 'nothing was sent');
    await assertDelivered(all, start);
  });

  test('after the journal was written, before anything was sent', async () => {
    const start = await ledger(world);
    const all = [...await orders('evm'), ...await orders('solana')];
    holdSends(() => life.promise);
    const lost = sendDoomed(all);
    await untilAllSent(all);
    await killAndRestart();
    assert.deepEqual(await Promise.all(lost), lost.map(() => 'lost'));
    await assertDelivered(all, start);
  });

  test('with a whole batch in one transaction that was never sent', async () => {
    const start = await ledger(world);
    const all = await orders('evm');
    const gathered = deferred();
    // The first payment is looked at alone; what comes meanwhile is one batch.
    proxies.evm.rule = ({ method }) => {
      if (method === 'eth_estimateGas') return gathered.promise;
      return SEND.evm.includes(method) ? life.promise : undefined;
    };
    const lost = sendDoomed(all);
    await waitFor(async () => (await health('evm')).waiting === BUYERS - 1, { what: 'a batch to gather' });
    gathered.resolve();
    await untilAllSent(all);
    await killAndRestart();
    await Promise.all(lost);
    await assertDelivered(all, start);
  });

  test('after sending, with the receipt not read', async () => {
    const start = await ledger(world);
    const all = [...await orders('evm'), ...await orders('solana')];
    const statuses = 'getSignatureStatuses';
    proxies.evm.rule = ({ method }) => (SEND.evm.includes(method) || method === 'eth_getTransactionReceipt' ? { when: life.promise } : undefined);
    proxies.solana.rule = ({ method }) => (method === statuses ? { when: life.promise } : undefined);
    const lost = sendDoomed(all);
    await waitFor(async () => {
      const end = await ledger(world);
      return ['evmSeller', 'solanaSeller'].every((seller) => end[seller] - start[seller] === BigInt(BUYERS) * PAGE_PRICE);
    }, { what: 'every payment to land' });
    await killAndRestart();
    assert.deepEqual(await Promise.all(lost), lost.map(() => 'lost'));
    await assertDelivered(all, start);
  });

  test('after sending, with the transactions in no block', async () => {
    const start = await ledger(world);
    const { client } = world.evm;
    const all = await orders('evm');
    await client.setIntervalMining({ interval: 0 });
    const lost = sendDoomed(all);
    await untilAllSent(all);
    await waitFor(async () => (await client.getTxpoolStatus()).pending > 0, { what: 'the pool to have them' });
    await killAndRestart();
    assert.equal((await ledger(world)).evmSeller, start.evmSeller, 'in no block yet');
    await client.setIntervalMining({ interval: BLOCK_SECONDS });
    await Promise.all(lost);
    await assertDelivered(all, start);
  });

  test('after the money came, before the delivery', async () => {
    const start = await ledger(world);
    const all = [await order('evm', 0, 'before'), await order('solana', 0, 'before')];
    origin.rule = () => life.promise;
    const lost = sendDoomed(all);
    await waitFor(() => all.every(({ url }) => origin.asked.includes(new URL(url).pathname)), { what: 'the origin to be asked' });
    const paid = await ledger(world);
    assert.deepEqual([paid.evmSeller - start.evmSeller, paid.solanaSeller - start.solanaSeller], [PAGE_PRICE, PAGE_PRICE]);
    await killAndRestart();
    assert.deepEqual(await Promise.all(lost), lost.map(() => 'lost'));
    await assertDelivered(all, start);
  });

  test('while nobody comes back: the alarm finishes what is in the journal', async () => {
    const start = await ledger(world);
    const all = [await order('evm', 0), await order('solana', 0)];
    holdSends(() => life.promise);
    const lost = sendDoomed(all);
    await untilAllSent(all);
    await killAndRestart();
    await Promise.all(lost);
    await waitFor(async () => {
      if (worker.log().includes('Uncaught')) throw finalError(`the alarm failed:\n${worker.log()}`);
      const end = await ledger(world);
      return ['evmSeller', 'solanaSeller'].every((seller) => end[seller] - start[seller] === PAGE_PRICE);
    }, { timeout: 60_000, what: 'the alarm' });
    await assertDelivered(all, start);
  });
});
