/** Other people's servers sell by use through the Worker's facilitator: unmodified `@x402/hono`, paid by `@x402/fetch`. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { x402Client } from '@x402/core/client';
import { UptoEvmScheme } from '@x402/evm/upto/client';
import { declareEip2612GasSponsoringExtension } from '@x402/extensions';
import { wrapFetchWithPayment } from '@x402/fetch';
import { placePermit2, TOKEN_ADDRESS, TOKEN_NAME, TOKEN_VERSION, UPTO_PROXY_ADDRESS } from '../../dev/evm/permit2.mjs';
import { GOODS, startX402Hono } from '../../dev/servers/shops.mjs';
import { startWorld } from '../../dev/world.mjs';
import { ask, assertInvalid, assertSettled, assertUnsettled, assertValid, DAILY_SPEND, PATH, tokenHashes } from './facilitator-support.mjs';
import { decode, EVM_NETWORK, takeApart } from './support.mjs';

const TOKEN = 'a server';
const FUNDS = 10_000_000n;
const MOST = 250_000n;
const EXTRA = { assetTransferMethod: 'permit2', name: TOKEN_NAME, version: TOKEN_VERSION };
/** Of a payment's calldata: `settle` and `settleWithPermit` of x402's contract. */
const SELECTORS = { settle: '0xff11e7b4', settleWithPermit: '0x016c1748' };

let world;
let token;
let seller;
let shop;
let used;

before(async () => {
  world = await startWorld({ worker: false, buyers: 3 });
  token = await placePermit2(world.evm);
  seller = world.accounts.evm.seller.address;
  for (const buyer of world.accounts.evm.buyers) await token.mint(buyer.address, FUNDS);
  await token.approve(world.accounts.evm.buyers[0]);
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
  const price = { asset: TOKEN_ADDRESS, amount: String(MOST), extra: EXTRA };
  shop = await startX402Hono({
    facilitator: world.url + PATH, token: TOKEN, offers: [{ network: EVM_NETWORK, payTo: seller, price, scheme: 'upto' }],
    extensions: declareEip2612GasSponsoringExtension(), used: () => used,
  });
});
after(async () => {
  await shop?.stop();
  await world?.stop();
});

/** `@x402/fetch` as its documentation sets it up; with a node it signs permits, too. */
const clientOf = (account, options) => wrapFetchWithPayment(fetch, payerOf(account, options));
const payerOf = (account, options) => new x402Client().register('eip155:*', new UptoEvmScheme(account, options)).setSpendControls(false);

const asked = (endpoint, body) => ask(world.url, endpoint, body, { token: TOKEN });
const balances = (account) => Promise.all([account.address, seller].map(token.balance));

/** Runs a purchase and asserts that it moved this much from buyer to seller. */
async function pays(account, amount, work) {
  const [had, earned] = await balances(account);
  const value = await work();
  assert.deepEqual(await balances(account), [had - amount, earned + amount]);
  return value;
}

async function assertSettledBy(transaction, selector) {
  const { from, to, input } = await world.evm.client.getTransaction({ hash: transaction });
  const relayer = world.accounts.evm.relayers[0].address;
  assert.deepEqual([from, to, input.slice(0, 10)], [relayer.toLowerCase(), UPTO_PROXY_ADDRESS.toLowerCase(), selector]);
}

describe('@x402/hono', () => {
  test('charges what was used', async () => {
    const [buyer] = world.accounts.evm.buyers;
    for (const [amount, charged] of [['12345', 12_345n], ['50%', 125_000n], [String(MOST), MOST]]) {
      used = amount;
      const answer = await pays(buyer, charged, async () => takeApart(await clientOf(buyer)(`${shop.url}/goods/a`)));
      assert.deepEqual([answer.status, answer.text], [200, GOODS]);
      assert.deepEqual([answer.receipt.success, answer.receipt.payer], [true, buyer.address]);
      await assertSettledBy(answer.receipt.transaction, SELECTORS.settle);
    }
  });

  test('charges nothing where nothing was used', async () => {
    const [buyer] = world.accounts.evm.buyers;
    used = '0';
    const answer = await pays(buyer, 0n, async () => takeApart(await clientOf(buyer)(`${shop.url}/goods/a`)));
    assert.deepEqual([answer.status, answer.text, answer.receipt.transaction], [200, GOODS, '']);
  });

  test("takes a buyer's allowance along with the payment", async () => {
    const buyer = world.accounts.evm.buyers[1];
    used = '4321';
    const refused = await clientOf(buyer)(`${shop.url}/goods/b`);
    assert.equal(decode(refused.headers.get('payment-required')).error, 'permit2_allowance_required');
    const pay = clientOf(buyer, { rpcUrl: world.evm.url });
    const { status, receipt } = await pays(buyer, 4_321n, async () => takeApart(await pay(`${shop.url}/goods/b`)));
    assert.deepEqual([status, receipt.success], [200, true]);
    await assertSettledBy(receipt.transaction, SELECTORS.settleWithPermit);
    assert.equal(await token.allowance(buyer.address), MOST - 4_321n);
    assert.equal(await world.evm.client.getTransactionCount({ address: buyer.address }), 0);
  });
});

describe('/verify and /settle', () => {
  test('are for the most and for what was used, and no more than that', async () => {
    const [buyer] = world.accounts.evm.buyers;
    // A payment of the same client's, for a server that asks for itself.
    const { challenge } = await takeApart(await fetch(`${shop.url}/goods/c`));
    const [paymentRequirements] = challenge.accepts;
    const paymentPayload = await payerOf(buyer).createPaymentPayload(challenge);
    const body = (amount) => ({ x402Version: 2, paymentPayload, paymentRequirements: { ...paymentRequirements, amount: String(amount) } });
    await pays(buyer, 0n, async () => {
      assertValid(await asked('/verify', body(MOST)), buyer.address);
      assertInvalid(await asked('/verify', body(MOST - 1n)), 'permit2_amount_mismatch');
      assertUnsettled(await asked('/settle', body(MOST + 1n)), 'invalid_upto_evm_payload_settlement_exceeds_amount');
    });
    const settled = await pays(buyer, 777n, () => asked('/settle', body(777n)).then(assertSettled));
    assert.equal(settled.amount, '777');
    assertInvalid(await asked('/verify', body(MOST)), 'duplicate_settlement');
    await pays(buyer, 0n, async () => assertUnsettled(await asked('/settle', body(778n)), 'duplicate_settlement', settled.transaction));
  });
});
