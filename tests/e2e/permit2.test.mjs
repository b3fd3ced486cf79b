/** A token without EIP-3009, paid by Permit2: at the gate, and through the facilitator. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { x402Client } from '@x402/core/client';
import { ExactEvmScheme } from '@x402/evm/exact/client';
import { declareEip2612GasSponsoringExtension } from '@x402/extensions';
import { wrapFetchWithPayment } from '@x402/fetch';
import { evmRelayers } from '../../dev/accounts.mjs';
import { EXACT_PROXY_ADDRESS, PERMIT2_ADDRESS, placePermit2, TOKEN_ADDRESS, TOKEN_NAME, TOKEN_VERSION } from '../../dev/evm/permit2.mjs';
import { startReferenceFacilitator } from '../../dev/servers/facilitators.mjs';
import { startX402Hono, GOODS } from '../../dev/servers/shops.mjs';
import { startWorld } from '../../dev/world.mjs';
import { ask, assertInvalid, assertSettled, assertUnsettled, assertValid, DAILY_SPEND, PATH, tokenHashes } from './facilitator-support.mjs';
import { assertPaid, assertRefused, decode, EVM_NETWORK, nowSeconds, PAGE, PAGE_PRICE, paymentHeader, randomHex, send, takeApart } from './support.mjs';

const TOKEN = 'a server';
const FUNDS = 1_000_000n;
const EXTRA = { assetTransferMethod: 'permit2', name: TOKEN_NAME, version: TOKEN_VERSION };
const BUYERS = 6;

let world;
let token;
let seller;

before(async () => {
  world = await startWorld({ worker: false, buyers: BUYERS });
  token = await placePermit2(world.evm);
  seller = world.accounts.evm.seller.address;
  for (const buyer of world.accounts.evm.buyers) await token.mint(buyer.address, FUNDS);
  const worker = await world.startWorker({
    vars: {
      NETWORKS: {
        [EVM_NETWORK]: {
          rpc: [world.evm.url], pay_to: seller,
          tokens: [{ asset: TOKEN_ADDRESS, symbol: 'TUSD', decimals: 6, name: TOKEN_NAME, version: TOKEN_VERSION, asset_transfer_method: 'permit2', eip2612: true }],
        },
      },
      FACILITATOR: { path: PATH, clients: [{ name: 'server', pay_to: [seller], daily_spend: { [EVM_NETWORK]: DAILY_SPEND[EVM_NETWORK] } }] },
    },
    secrets: { FACILITATOR_TOKENS: tokenHashes(['server', TOKEN]) },
  });
  world.url = worker.url;
});
after(() => world?.stop());

/** `@x402/fetch` as its documentation sets it up, with a buyer who takes this token; with a node it signs permits, too. */
function clientOf(account, options) {
  const client = new x402Client((_version, offers) => offers.find(({ asset }) => asset === TOKEN_ADDRESS) ?? offers[0])
    .register('eip155:*', new ExactEvmScheme(account, options))
    .setSpendControls(false);
  return wrapFetchWithPayment(fetch, client);
}

/** A payload signed by hand. */
async function permit2Payload(account, { network, asset, amount, payTo }, changes = {}) {
  const it = { token: asset, amount, to: payTo, nonce: BigInt(randomHex(32)).toString(), deadline: String(nowSeconds() + 240), validAfter: '0', ...changes };
  const message = {
    permitted: { token: it.token, amount: it.amount }, spender: EXACT_PROXY_ADDRESS, nonce: it.nonce, deadline: it.deadline,
    witness: { to: it.to, validAfter: it.validAfter },
  };
  const fields = (members) => Object.entries(members).map(([name, type]) => ({ name, type }));
  const signature = await account.signTypedData({
    domain: { name: 'Permit2', chainId: Number(network.split(':')[1]), verifyingContract: PERMIT2_ADDRESS },
    types: {
      PermitWitnessTransferFrom: fields({ permitted: 'TokenPermissions', spender: 'address', nonce: 'uint256', deadline: 'uint256', witness: 'Witness' }),
      TokenPermissions: fields({ token: 'address', amount: 'uint256' }),
      Witness: fields({ to: 'address', validAfter: 'uint256' }),
    },
    primaryType: 'PermitWitnessTransferFrom',
    message,
  });
  return { signature, permit2Authorization: { from: account.address, ...message } };
}

async function offered() {
  const { challenge } = await send(world.url + PAGE);
  return challenge.accepts.find(({ asset }) => asset === TOKEN_ADDRESS);
}

const balances = (account) => Promise.all([account.address, seller].map(token.balance));

/** Runs a purchase and asserts that it moved the price from buyer to seller, once. */
async function paysOnce(account, work) {
  const [had, earned] = await balances(account);
  const value = await work();
  assert.deepEqual(await balances(account), [had - PAGE_PRICE, earned + PAGE_PRICE]);
  return value;
}

/** Asserts 412 in all the places where a client may look. */
function assertNeedsAllowance(answer) {
  assert.equal(answer.status, 412, answer.text);
  assert.equal(answer.challenge.error, 'permit2_allowance_required');
  assert.ok(answer.challenge.accepts.some(({ asset }) => asset === TOKEN_ADDRESS), 'what it asked for');
  assert.equal(answer.json.error, 'permit2_allowance_required');
  assert.equal(answer.receipt.success, false);
  assert.equal(answer.receipt.errorReason, 'permit2_allowance_required');
  assert.equal(answer.receipt.transaction, '');
  assert.equal(answer.headers.get('cache-control'), 'no-store');
}

describe('at the gate', () => {
  test('the offer names the method, and v1 has none', async () => {
    const { challenge, json } = await send(world.url + PAGE);
    const [usdc, tusd] = challenge.accepts;
    assert.deepEqual(usdc.extra, { name: 'USDC', version: '2' });
    assert.equal(tusd.asset, TOKEN_ADDRESS);
    assert.deepEqual(tusd.extra, EXTRA);
    assert.equal(challenge.extensions.eip2612GasSponsoring.info.version, '1');
    assert.deepEqual(json.accepts.map(({ asset }) => asset), [usdc.asset]);
  });

  test('without an allowance @x402/fetch gets 412, and with one it pays', async () => {
    const [buyer] = world.accounts.evm.buyers;
    const pay = clientOf(buyer);
    const relayer = { address: world.accounts.evm.relayers[0].address };
    const sent = await world.evm.client.getTransactionCount(relayer);
    const before = await balances(buyer);
    assertNeedsAllowance(await takeApart(await pay(world.url + PAGE)));
    assert.deepEqual(await balances(buyer), before);
    assert.equal(await world.evm.client.getTransactionCount(relayer), sent, 'nothing was sent');

    await token.approve(buyer);
    const answer = await paysOnce(buyer, async () => takeApart(await pay(world.url + PAGE)));
    const receipt = assertPaid(answer);
    assert.deepEqual([receipt.network, receipt.payer, receipt.amount], [EVM_NETWORK, buyer.address, String(PAGE_PRICE)]);
    const { to } = await world.evm.client.getTransaction({ hash: receipt.transaction });
    assert.equal(to, EXACT_PROXY_ADDRESS.toLowerCase());
  });

  test('a permit of the token goes along, and no transaction of the buyer is needed', async () => {
    const buyer = world.accounts.evm.buyers[3];
    const pay = clientOf(buyer, { rpcUrl: world.evm.url });
    for (const _ of [1, 2]) {
      const receipt = assertPaid(await paysOnce(buyer, async () => takeApart(await pay(world.url + PAGE))));
      const { to, input } = await world.evm.client.getTransaction({ hash: receipt.transaction });
      assert.deepEqual([to, input.slice(0, 10)], [EXACT_PROXY_ADDRESS.toLowerCase(), '0xfa340378'], 'settleWithPermit');
    }
    assert.equal(await token.allowance(buyer.address), 0n, 'what was allowed is spent');
    assert.equal(await world.evm.client.getTransactionCount({ address: buyer.address }), 0);
  });

  test('an allowance below the price is none', async () => {
    const buyer = world.accounts.evm.buyers[1];
    await token.approve(buyer, PAGE_PRICE - 1n);
    assertNeedsAllowance(await takeApart(await clientOf(buyer)(world.url + PAGE)));
  });

  test('one payment buys one thing', async () => {
    const [buyer] = world.accounts.evm.buyers;
    const offer = await offered();
    const payload = await permit2Payload(buyer, offer);
    const headers = paymentHeader(2, offer, payload);
    await paysOnce(buyer, () => send(world.url + PAGE, headers).then(assertPaid));
    const [had, earned] = await balances(buyer);
    assertRefused(await send(`${world.url}${PAGE}?other`, headers), 'duplicate_settlement');
    // The same nonce, for the other token's price or another time, is the same payment to Permit2.
    const { nonce } = payload.permit2Authorization;
    const again = await permit2Payload(buyer, offer, { nonce, validAfter: '1' });
    assertRefused(await send(`${world.url}${PAGE}?another`, paymentHeader(2, offer, again)), 'duplicate_settlement');
    assert.deepEqual(await balances(buyer), [had, earned]);
  });

  test('each thing wrong has its code and moves nothing', async () => {
    const [buyer, , , , , poor] = world.accounts.evm.buyers;
    const offer = await offered();
    const other = world.accounts.evm.buyers[1].address;
    const [had, earned] = await balances(buyer);
    for (const [change, code] of [
      [{ to: other }, 'invalid_permit2_recipient_mismatch'],
      [{ amount: String(PAGE_PRICE - 1n) }, 'permit2_amount_mismatch'],
      [{ deadline: String(nowSeconds() - 1) }, 'permit2_deadline_expired'],
      [{ validAfter: String(nowSeconds() + 600) }, 'permit2_not_yet_valid'],
      [{ token: other }, 'permit2_token_mismatch'],
    ]) {
      const answer = await send(world.url + PAGE, paymentHeader(2, offer, await permit2Payload(buyer, offer, change)));
      assertRefused(answer, code);
    }
    const unsigned = { ...(await permit2Payload(buyer, offer)), signature: `0x${'11'.repeat(65)}` };
    assertRefused(await send(world.url + PAGE, paymentHeader(2, offer, unsigned)), 'invalid_permit2_signature');
    await token.approve(poor);
    await drain(poor);
    assertRefused(await send(world.url + PAGE, paymentHeader(2, offer, await permit2Payload(poor, offer))), 'permit2_insufficient_balance');
    assert.deepEqual(await balances(buyer), [had, earned]);
  });

  test('a crowd pays in both tokens at once, each for itself', async () => {
    const crowd = world.accounts.evm.buyers.slice(0, BUYERS - 1);
    for (const buyer of crowd) await token.approve(buyer);
    const had = await Promise.all(crowd.map(({ address }) => token.balance(address)));
    const usdc = await Promise.all(crowd.map(({ address }) => world.evm.usdcBalance(address)));
    const [tokens, dollars] = [await token.balance(seller), await world.evm.usdcBalance(seller)];
    const inUsdc = (account) => wrapFetchWithPayment(fetch, new x402Client().register('eip155:*', new ExactEvmScheme(account)).setSpendControls(false));
    const purchases = crowd.flatMap((buyer, i) => [clientOf(buyer)(`${world.url}${PAGE}?t${i}`), inUsdc(buyer)(`${world.url}${PAGE}?u${i}`)]);
    for (const answer of await Promise.all(purchases)) assertPaid(await takeApart(answer));
    assert.deepEqual(await Promise.all(crowd.map(({ address }) => token.balance(address))), had.map((it) => it - PAGE_PRICE));
    assert.deepEqual(await Promise.all(crowd.map(({ address }) => world.evm.usdcBalance(address))), usdc.map((it) => it - PAGE_PRICE));
    const sold = PAGE_PRICE * BigInt(crowd.length);
    assert.deepEqual([await token.balance(seller), await world.evm.usdcBalance(seller)], [tokens + sold, dollars + sold]);
  });
});

describe('through the facilitator', () => {
  const asked = (endpoint, body) => ask(world.url, endpoint, body, { token: TOKEN });

  const requirements = () => ({
    scheme: 'exact', network: EVM_NETWORK, asset: TOKEN_ADDRESS, amount: String(PAGE_PRICE), payTo: seller, maxTimeoutSeconds: 60,
    extra: EXTRA,
  });

  async function order(account, changes) {
    const paymentRequirements = requirements();
    const payload = await permit2Payload(account, paymentRequirements, changes);
    return { x402Version: 2, paymentPayload: { x402Version: 2, accepted: paymentRequirements, payload }, paymentRequirements };
  }

  test('a payment is verified and settled, once', async () => {
    const [buyer] = world.accounts.evm.buyers;
    const body = await order(buyer);
    assertValid(await asked('/verify', body), buyer.address);
    await paysOnce(buyer, () => asked('/settle', body).then(assertSettled));
    assertInvalid(await asked('/verify', body), 'duplicate_settlement');
    const again = await asked('/settle', body);
    assert.equal(again.json.errorReason, 'duplicate_settlement');
  });

  test('a missing allowance is told by its code', async () => {
    const buyer = world.accounts.evm.buyers[2];
    await token.approve(buyer, 0n);
    const body = await order(buyer);
    assertInvalid(await asked('/verify', body), 'permit2_allowance_required');
    assertUnsettled(await asked('/settle', body), 'permit2_allowance_required');
  });

  test('/supported says that permits of the token are taken', async () => {
    const { json } = await asked('/supported');
    assert.deepEqual(json.extensions, ['eip2612GasSponsoring']);
  });

  test('the method is completed, and no other is taken', async () => {
    const { extra: _, ...open } = requirements();
    const { json } = await asked('/accepts', { x402Version: 2, resource: { url: 'https://shop.example/' }, accepts: [open] });
    assert.deepEqual(json.accepts, [requirements()]);
    const body = await order(world.accounts.evm.buyers[0]);
    body.paymentRequirements.extra = { assetTransferMethod: 'eip3009' };
    const refused = await asked('/settle', body);
    assert.deepEqual([refused.status, refused.json.field], [400, 'paymentRequirements.extra.assetTransferMethod']);
  });

  test('@x402/hono sells through it', async () => {
    const [buyer] = world.accounts.evm.buyers;
    await token.approve(buyer);
    const price = { asset: TOKEN_ADDRESS, amount: String(PAGE_PRICE), extra: EXTRA };
    const shop = await startX402Hono({
      facilitator: world.url + PATH, token: TOKEN, offers: [{ network: EVM_NETWORK, payTo: seller, price }],
      extensions: declareEip2612GasSponsoringExtension(),
    });
    try {
      const answer = await paysOnce(buyer, () => clientOf(buyer)(`${shop.url}/goods/a`));
      assert.equal(answer.status, 200);
      assert.equal(await answer.text(), GOODS);
      assert.equal(decode(answer.headers.get('payment-response')).success, true);
      const poor = world.accounts.evm.buyers[2];
      await token.approve(poor, 0n);
      const refused = await clientOf(poor)(`${shop.url}/goods/a`);
      assert.equal(refused.status, 412);
      assert.equal(decode(refused.headers.get('payment-required')).error, 'permit2_allowance_required');
      const sponsored = await paysOnce(poor, () => clientOf(poor, { rpcUrl: world.evm.url })(`${shop.url}/goods/b`));
      assert.equal(sponsored.status, 200);
    } finally {
      await shop.stop();
    }
  });
});

describe('with a facilitator of others', () => {
  test('the reference settles what the gate takes, and gets the permit of the token with it', async () => {
    const [relayer] = evmRelayers(3).slice(2);
    await world.evm.fund(relayer.address);
    const reference = await startReferenceFacilitator({
      evm: { url: world.evm.url, relayer }, solana: { url: world.solana.url, feePayer: world.accounts.solana.feePayers[0] },
    });
    try {
      const gate = await world.startWorker({
        vars: {
          NETWORKS: {
            [EVM_NETWORK]: {
              facilitator: reference.url, pay_to: seller,
              asset: TOKEN_ADDRESS, symbol: 'TUSD', decimals: 6, name: TOKEN_NAME, version: TOKEN_VERSION, asset_transfer_method: 'permit2', eip2612: true,
            },
          },
        },
      });
      const buyer = world.accounts.evm.buyers[4];
      await token.approve(buyer, 0n);
      assertNeedsAllowance(await takeApart(await clientOf(buyer)(gate.url + PAGE)));
      const sponsored = clientOf(buyer, { rpcUrl: world.evm.url });
      const { transaction } = assertPaid(await paysOnce(buyer, async () => takeApart(await sponsored(gate.url + PAGE))));
      const { from } = await world.evm.client.getTransaction({ hash: transaction });
      assert.equal(from, relayer.address.toLowerCase());
    } finally {
      await reference.stop();
    }
  });
});

/** Takes all of the token from an account. */
async function drain(account) {
  const balance = await token.balance(account.address);
  await token.send(account, world.accounts.evm.relayers[0].address, balance);
}
