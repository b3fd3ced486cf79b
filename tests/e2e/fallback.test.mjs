/** A facilitator beside nodes of one's own: for when those are down, and only then. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { evmAccount } from '../../dev/accounts.mjs';
import { startRpcProxy } from '../../dev/rpc-proxy.mjs';
import { startScriptedFacilitator } from '../../dev/servers/scripted-facilitator.mjs';
import { waitFor } from '../../dev/util.mjs';
import { startWorld } from '../../dev/world.mjs';
import { assertPaid, assertRefused, EVM_NETWORK, evmPayload, offerOf, PAGE, PAGE_PRICE, paymentHeader, send, SOLANA_NETWORK, transfersIn, USDC_ADDRESS } from './support.mjs';

const SENDS = ['eth_sendRawTransactionSync', 'eth_sendRawTransaction'];

let world;
let proxy;
let facilitator;
let page;
before(async () => {
  world = await startWorld({ worker: false });
  const { evm, solana } = world.accounts;
  proxy = await startRpcProxy(world.evm.url);
  facilitator = await startScriptedFacilitator({ feePayer: solana.feePayers[0].address, payer: solana.buyers[0].address });
  const { url } = await world.startWorker({
    vars: { NETWORKS: { [EVM_NETWORK]: { rpc: [proxy.url], pay_to: evm.seller.address, fallback_facilitator: facilitator.url }, [SOLANA_NETWORK]: { rpc: [world.solana.url], pay_to: solana.seller.address } } },
    secrets: {
      RPC_URLS: JSON.stringify({ [EVM_NETWORK]: [proxy.url], [SOLANA_NETWORK]: [world.solana.url] }),
      FACILITATOR_HEADERS: JSON.stringify({ [EVM_NETWORK]: { Authorization: 'Bearer fallback' } }),
    },
  });
  page = url + PAGE;
});
after(async () => {
  await world?.stop();
  await proxy?.stop();
  await facilitator?.stop();
});
beforeEach(() => {
  proxy.rule = null;
  facilitator.script = {};
  facilitator.requests.length = 0;
});

async function order() {
  const offer = await offerOf(page);
  const payload = await evmPayload(world.accounts.evm.buyers[0], offer);
  return { payload, headers: paymentHeader(2, offer, payload) };
}

const settlements = () => facilitator.requests.filter(({ path }) => path === '/settle').length;
const down = () => ({ before: true });
const paid = () => world.evm.usdcBalance(world.accounts.evm.seller.address);

/** Asks until the goods come: on the way only what is not final may be said. */
const untilPaid = (headers) => waitFor(async () => {
  const answer = await send(page, headers);
  if (answer.status === 200) return assertPaid(answer);
  if (answer.status !== 503) assertRefused(answer, 'settlement_pending');
  return undefined;
}, { timeout: 60_000, every: 250, what: 'the page' });

test('not asked while the nodes answer', async () => {
  const start = await paid();
  const { headers } = await order();
  const receipt = assertPaid(await send(page, headers));
  assert.equal((await transfersIn(world, receipt)).length, 1);
  assert.equal((await paid()) - start, PAGE_PRICE);
  assert.equal(settlements(), 0);
});

test('not asked for a payment that the chain refuses', async () => {
  const { payload, headers } = await order();
  const { authorization: { from, to, value, validAfter, validBefore, nonce }, signature } = payload;
  const args = [from, to, value, validAfter, validBefore, nonce, signature];
  const hash = await world.evm.client.writeContract({ account: evmAccount(0), address: USDC_ADDRESS, abi: world.evm.abi, functionName: 'transferWithAuthorization', args });
  await world.evm.client.waitForTransactionReceipt({ hash });
  assertRefused(await send(page, headers), 'invalid_exact_evm_nonce_already_used');
  assert.equal(settlements(), 0);
});

test('asked once the nodes are down, and what it settled is settled', async () => {
  const { payload, headers } = await order();
  const start = await paid();
  proxy.rule = down;
  const { transaction } = await untilPaid(headers);
  assert.equal(transaction, facilitator.transactionOf(payload));
  assert.equal(facilitator.requests.at(-1).headers.authorization, 'Bearer fallback');
  proxy.rule = null;
  assert.equal(assertPaid(await send(page, headers)).transaction, transaction);
  assertRefused(await send(`${page}?more`, headers), 'duplicate_settlement');
  assert.equal(settlements(), 1);
  assert.equal(await paid(), start, 'nothing was sent to the nodes');
});

test('never asked for what may have been sent', async () => {
  const { payload, headers } = await order();
  const start = await paid();
  let sent = false;
  proxy.rule = ({ method }) => {
    if (sent) return { before: true };
    if (!SENDS.includes(method)) return undefined;
    sent = true;
    return { after: true };
  };
  const answer = await send(page, headers);
  assert.ok(sent, 'it was sent');
  assert.notEqual(answer.status, 200, 'nobody knows yet');
  assertRefused(await send(`${page}?more`, headers), 'duplicate_settlement');
  assert.equal(settlements(), 0);
  proxy.rule = null;
  const receipt = await untilPaid(headers);
  assert.equal(settlements(), 0);
  assert.equal(facilitator.transactionOf(payload), undefined);
  assert.equal((await transfersIn(world, receipt)).length, 1);
  assert.equal((await paid()) - start, PAGE_PRICE, 'charged once');
});

test('down, too: nothing is bought until one of both is back', async () => {
  const { headers } = await order();
  proxy.rule = down;
  facilitator.script = { '/verify': () => ({ drop: true }), '/settle': () => ({ drop: true }) };
  const answer = await send(page, headers);
  assert.equal(answer.status, 503, answer.text);
  facilitator.script = {};
  await untilPaid(headers);
  assert.ok(settlements() <= 1);
});
