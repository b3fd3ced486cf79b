/** Settlements that take longer than an answer may: pending, until the chain has decided. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { keccak256 } from 'viem';
import { startRpcProxy } from '../../dev/rpc-proxy.mjs';
import { waitFor } from '../../dev/util.mjs';
import { startWorld } from '../../dev/world.mjs';
import { ask, assertInvalid, assertSettled, assertUnsettled, assertValid, CHAINS, NAMES, order, PATH, tokenHashes } from './facilitator-support.mjs';
import { PAGE_PRICE, unchanged } from './support.mjs';

const TOKEN = 'token-of-acme';
const SEND = 'eth_sendRawTransaction';
const AT_ONCE = 8;

let world;
let proxy;
let url;
before(async () => {
  world = await startWorld({ worker: false, evm: { blockTime: 'manual' } });
  proxy = await startRpcProxy(world.evm.url);
  // Such a node answers at once, block or no block.
  proxy.rule = ({ method }) => (method === 'eth_sendRawTransactionSync' ? { error: { code: -32601, message: 'Method not found' } } : undefined);
  const pay_to = [world.accounts.evm.seller.address];
  ({ url } = await world.startWorker({
    vars: { FACILITATOR: { path: PATH, clients: [{ name: 'acme', pay_to }] } },
    secrets: { FACILITATOR_TOKENS: tokenHashes(['acme', TOKEN]), RPC_URLS: JSON.stringify({ [CHAINS.evm]: [proxy.url], [CHAINS.solana]: [world.solana.url] }) },
  }));
});
after(async () => {
  await world?.stop();
  await proxy?.stop();
});

const verify = (body) => ask(url, '/verify', body, { token: TOKEN });
const settle = (body, headers) => ask(url, '/settle', body, { token: TOKEN, headers });
const sent = () => [...new Set(proxy.calls.filter(({ method }) => method === SEND).map(({ params }) => keccak256(params[0])))];
const buyers = () => world.accounts.evm.buyers.map(({ address }) => address);
const mine = () => world.evm.client.mine({ blocks: 1 });

test('pending without a block, then one success, in either version', { timeout: 120_000 }, async () => {
  const start = await Promise.all(buyers().map((it) => world.evm.usdcBalance(it)));
  const orders = await Promise.all([1, 2].map((version, i) => order(world, { version, buyer: i })));

  const first = await Promise.all(orders.map((body) => settle(body)));
  const transactions = first.map(({ json }) => json.transaction);
  for (const [i, answer] of first.entries()) {
    assert.ok(sent().includes(transactions[i]), answer.text);
    assert.equal(assertUnsettled(answer, 'settlement_pending', transactions[i]).network, NAMES[i + 1].evm);
  }
  // A server asks both again when its buyer does: a no here would keep the buyer from what was paid.
  await unchanged(world, async () => {
    for (const [i, body] of orders.entries()) assertValid(await verify(body), buyers()[i]);
  });

  const again = orders.map((body) => settle(body));
  await mine();
  for (const [i, body] of orders.entries()) {
    const answers = await Promise.all([again[i], ...Array.from({ length: AT_ONCE }, () => settle(body))]);
    const [success, ...more] = answers.filter(({ json }) => json.success);
    assert.equal(more.length, 0, answers.map(({ text }) => text).join('\n'));
    assert.equal(assertSettled(success).transaction, transactions[i]);
    for (const answer of answers.filter((it) => it !== success)) assertUnsettled(answer, 'duplicate_settlement', transactions[i]);

    assertUnsettled(await settle(body), 'duplicate_settlement', transactions[i]);
    assertInvalid(await verify(body), 'duplicate_settlement');
    assert.equal(start[i] - (await world.evm.usdcBalance(buyers()[i])), PAGE_PRICE, 'charged once');
  }
  assert.deepEqual(sent().toSorted(), [...new Set(transactions)].toSorted(), 'sent once');
});

test('who hangs up may ask again with the same key: one transaction, the same success', { timeout: 120_000 }, async () => {
  const buyer = buyers()[1];
  const start = await world.evm.usdcBalance(buyer);
  const before = sent().length;
  const body = await order(world, { buyer: 1 });
  const headers = { 'idempotency-key': 'hung-up' };
  const gone = new AbortController();
  const lost = fetch(`${url}${PATH}/settle`, {
    method: 'POST', signal: gone.signal, body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}`, ...headers },
  });
  await waitFor(() => sent().length > before, { what: 'the transaction to be sent' });
  gone.abort();
  await assert.rejects(lost);
  await mine();
  const final = await waitFor(async () => {
    const answer = await settle(body, headers);
    return answer.json.errorReason !== 'settlement_pending' && answer;
  }, { timeout: 60_000, what: 'a final answer' });
  const { transaction } = assertSettled(final);
  assert.deepEqual((await settle(body, headers)).json, final.json);
  assert.deepEqual(sent().slice(before), [transaction]);
  assert.equal(start - (await world.evm.usdcBalance(buyer)), PAGE_PRICE, 'charged once');
});
