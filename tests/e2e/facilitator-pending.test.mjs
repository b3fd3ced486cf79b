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
  world = await startWorld({ worker: false, engine: 'miniflare', evm: { blockTime: 'manual' } });
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
const mine = () => world.evm.client.mine({ blocks: 1 });

for (const version of [1, 2]) {
  test(`pending without a block, then one success, version ${version}`, { timeout: 120_000 }, async () => {
    const buyer = world.accounts.evm.buyers[0].address;
    const start = await world.evm.usdcBalance(buyer);
    const before = sent().length;
    const body = await order(world, { version });

    const first = await settle(body);
    const [transaction] = sent().slice(before);
    const pending = assertUnsettled(first, 'settlement_pending', transaction);
    assert.equal(pending.network, NAMES[version].evm);
    // A server asks both again when its buyer does: a no here would keep the buyer from what was paid.
    await unchanged(world, async () => assertValid(await verify(body), buyer));

    const again = settle(body);
    await mine();
    const answers = await Promise.all([again, ...Array.from({ length: AT_ONCE }, () => settle(body))]);
    const successes = answers.filter(({ json }) => json.success);
    assert.equal(successes.length, 1, answers.map(({ text }) => text).join('\n'));
    assert.equal(assertSettled(successes[0]).transaction, transaction);
    for (const answer of answers) if (!answer.json.success) assertUnsettled(answer, answer.json.errorReason === 'settlement_pending' ? 'settlement_pending' : 'duplicate_settlement', transaction);

    assert.equal(start - (await world.evm.usdcBalance(buyer)), PAGE_PRICE, 'charged once');
    assert.deepEqual(sent().slice(before), [transaction], 'sent once');
    assertUnsettled(await settle(body), 'duplicate_settlement', transaction);
    assertInvalid(await verify(body), 'duplicate_settlement');
  });
}

test('who hangs up may ask again with the same key: one transaction, the same success', { timeout: 120_000 }, async () => {
  const buyer = world.accounts.evm.buyers[1].address;
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
