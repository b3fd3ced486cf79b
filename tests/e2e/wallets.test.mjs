/** Smart wallets pay: deployed ones, accounts that delegate, and those that their first payment deploys. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { x402Client } from '@x402/core/client';
import { ExactEvmScheme } from '@x402/evm/exact/client';
import { wrapFetchWithPayment } from '@x402/fetch';
import { getAddress, parseEventLogs } from 'viem';
import { evmBuyer } from '../../dev/accounts.mjs';
import { MULTICALL3_ADDRESS } from '../../dev/evm/anvil.mjs';
import { FACTORY_ABI, GREEDY_FACTORY_ADDRESS, placeWallets } from '../../dev/evm/wallets.mjs';
import { GOODS, startX402Hono } from '../../dev/servers/shops.mjs';
import { startWorld } from '../../dev/world.mjs';
import { ask, assertInvalid, assertSettled, assertUnsettled, assertValid, DAILY_SPEND, demand, exchange, PATH, tokenHashes } from './facilitator-support.mjs';
import { assertPaid, assertRefused, decode, EVM_NETWORK, evmPayload, offerOf, PAGE, PAGE_PRICE, paymentHeader, send, takeApart } from './support.mjs';

const TOKEN = 'a server';
const FUNDS = 100_000n;
const WALLET_GAS = 600_000n;
const SIGNATURE = 'invalid_exact_evm_payload_signature';

let world;
let wallets;
let seller;
let relayer;
let nextOwner = 100;

before(async () => {
  world = await startWorld({ worker: false });
  wallets = await placeWallets(world.evm);
  seller = world.accounts.evm.seller.address;
  relayer = world.accounts.evm.relayers[0].address;
  const settings = (smartWallets) => ({
    vars: {
      NETWORKS: { [EVM_NETWORK]: { rpc: [world.evm.url], pay_to: seller, ...smartWallets } },
      FACILITATOR: { path: PATH, clients: [{ name: 'server', pay_to: [seller], daily_spend: { [EVM_NETWORK]: DAILY_SPEND[EVM_NETWORK] } }] },
    },
    secrets: { FACILITATOR_TOKENS: tokenHashes(['server', TOKEN]) },
  });
  world.url = (await world.startWorker(settings({ smart_wallets: { gas: Number(WALLET_GAS) } }))).url;
  world.settings = settings;
});
after(() => world?.stop());

/** The key of a new owner, and his wallet with money in it. */
async function newWallet({ deployed }) {
  const owner = evmBuyer((nextOwner += 1));
  const wallet = await wallets.wallet(owner);
  if (deployed) await wallets.deploy(owner);
  await world.evm.mintUsdc(wallet.address, FUNDS);
  return deployed ? wallet : wallet.undeployed;
}

/** `@x402/fetch` as its documentation sets it up. */
const clientOf = (signer) => wrapFetchWithPayment(fetch, new x402Client().register('eip155:*', new ExactEvmScheme(signer)));

/** Runs a purchase and asserts that it moved the price from wallet to seller, once. */
async function paysOnce(wallet, work) {
  const balances = () => Promise.all([wallet.address, seller].map(world.evm.usdcBalance));
  const [had, earned] = await balances();
  const value = await work();
  assert.deepEqual(await balances(), [had - PAGE_PRICE, earned + PAGE_PRICE]);
  return value;
}

/** Runs something that costs nobody anything: no money moves, and the relayer sends nothing. */
async function costsNothing(wallet, work) {
  const state = async () => [
    await world.evm.usdcBalance(wallet.address), await world.evm.usdcBalance(seller),
    await world.evm.client.getTransactionCount({ address: relayer }),
  ];
  const before = await state();
  const value = await work();
  assert.deepEqual(await state(), before);
  return value;
}

const hasCode = async (address) => (await world.evm.client.getCode({ address })) !== undefined;

async function handMade(signer, changes, url = world.url + PAGE) {
  const offer = await offerOf(url);
  return paymentHeader(2, offer, await evmPayload(signer, offer, changes));
}

describe('@x402/fetch', () => {
  test('pays with a wallet that is deployed', async () => {
    const wallet = await newWallet({ deployed: true });
    const answer = await paysOnce(wallet, async () => takeApart(await clientOf(wallet)(world.url + PAGE)));
    const receipt = assertPaid(answer);
    assert.deepEqual([receipt.payer, receipt.network, receipt.amount], [wallet.address, EVM_NETWORK, String(PAGE_PRICE)]);
    const { to, input } = await world.evm.client.getTransaction({ hash: receipt.transaction });
    assert.equal(getAddress(to), (await offerOf(world.url + PAGE)).asset);
    assert.equal(input.slice(0, 10), '0xcf092995');
  });

  test('pays with a wallet that its first payment deploys, and with the same wallet again', async (t) => {
    const wallet = await newWallet({ deployed: false });
    assert.equal(await hasCode(wallet.address), false);
    const answer = await paysOnce(wallet, async () => takeApart(await clientOf(wallet)(world.url + PAGE)));
    const { transaction } = assertPaid(answer);
    assert.equal(await hasCode(wallet.address), true);
    const { logs, from, gasUsed } = await world.evm.client.getTransactionReceipt({ hash: transaction });
    t.diagnostic(`deployed and paid with ${gasUsed} gas`);
    assert.ok(gasUsed < WALLET_GAS, `${gasUsed} gas`);
    assert.equal(getAddress(from), relayer);
    const [{ args }] = parseEventLogs({ abi: FACTORY_ABI, logs });
    assert.deepEqual(args, { wallet: wallet.address, caller: MULTICALL3_ADDRESS }, 'the relayer calls no factory');
    // A client that does not know that it is there by now sends the same wrapper.
    assertPaid(await paysOnce(wallet, async () => takeApart(await clientOf(wallet)(`${world.url}${PAGE}?again`))));
  });

  for (const strict of [false, true]) {
    test(`pays with an account that delegates to a ${strict ? 'strict' : 'permissive'} contract`, async () => {
      const account = evmBuyer((nextOwner += 1));
      await world.evm.mintUsdc(account.address, FUNDS);
      const signer = await wallets.delegate(account, { strict });
      assertPaid(await paysOnce(account, async () => takeApart(await clientOf(signer)(world.url + PAGE))));
      const plain = await takeApart(await clientOf(account)(`${world.url}${PAGE}?plain`));
      if (strict) assertRefused(plain, 'invalid_exact_evm_transaction_simulation_failed');
      else assertPaid(plain);
    });
  }

  test('pays with many wallets at once, each for itself', async () => {
    // One after another: they are deployed from one account, whose nonce the node chooses.
    const crowd = [];
    for (const deployed of [true, true, false, false]) crowd.push(await newWallet({ deployed }));
    const buyers = world.accounts.evm.buyers.slice(0, 1);
    const payers = [...crowd, ...buyers];
    const had = await Promise.all(payers.map(({ address }) => world.evm.usdcBalance(address)));
    const answers = await Promise.all(payers.map((payer, i) => clientOf(payer)(`${world.url}${PAGE}?${i}`).then(takeApart)));
    const hashes = answers.map((answer) => assertPaid(answer).transaction);
    assert.equal(new Set(hashes).size, payers.length, 'no wallet shares a transaction');
    assert.deepEqual(await Promise.all(payers.map(({ address }) => world.evm.usdcBalance(address))), had.map((it) => it - PAGE_PRICE));
  });
});

describe('nobody is sold to', () => {
  test('who has no signature of the wallet', async () => {
    const wallet = await newWallet({ deployed: true });
    const nowhere = { ...(await newWallet({ deployed: true })), address: getAddress(`0x${'77'.repeat(20)}`) };
    const [buyer] = world.accounts.evm.buyers;
    for (const [signer, changes] of [
      [wallet, { signature: (it) => it.replace(/.{64}$/, '0'.repeat(64)) }],
      [wallet, { sent: { nonce: `0x${'9'.repeat(64)}` } }],
      [wallet, { domain: { name: 'USD Coin' } }],
      [nowhere, {}],
      // A key's payment that was changed after it was signed.
      [buyer, { sent: { nonce: `0x${'9'.repeat(64)}` } }],
      [buyer, { signature: (it) => `${it}00` }],
    ]) {
      const header = await handMade(signer, changes);
      assertRefused(await costsNothing(signer, () => send(world.url + PAGE, header)), SIGNATURE);
    }
  });

  test('whose factory is not on the list, or whose wrapper is none', async () => {
    const owner = evmBuyer((nextOwner += 1));
    const wallet = (await wallets.wallet(owner, 0n, getAddress(`0x${'f1'.repeat(20)}`))).undeployed;
    const refused = async (changes) => costsNothing(wallet, async () => send(world.url + PAGE, await handMade(wallet, changes)));
    assertRefused(await refused({}), 'eip6492_factory_not_allowed');
    assertRefused(await refused({ signature: (it) => `0x00${it.slice(2)}` }), SIGNATURE);
    assertRefused(await refused({ signature: () => `0x${'6492'.repeat(16)}` }), SIGNATURE);
    const greedy = (await wallets.wallet(owner, 0n, GREEDY_FACTORY_ADDRESS)).undeployed;
    await world.evm.mintUsdc(greedy.address, FUNDS);
    const answer = await costsNothing(greedy, async () => send(world.url + PAGE, await handMade(greedy)));
    assert.notEqual(answer.status, 200, 'a factory that takes all gas deploys nothing');
  });

  test('where no smart wallet may pay', async () => {
    const wallet = await newWallet({ deployed: true });
    const shop = await world.startWorker(world.settings({ smart_wallets: false }));
    const header = await handMade(wallet, {}, shop.url + PAGE);
    assertRefused(await costsNothing(wallet, () => send(shop.url + PAGE, header)), SIGNATURE);
  });

  for (const name of ['TestFickleWallet', 'TestGreedyWallet']) {
    test(`whose contract answers otherwise in the block: ${name}`, async () => {
      const address = getAddress(`0x${name === 'TestFickleWallet' ? 'e1' : 'e2'}${'0'.repeat(38)}`);
      const wallet = await wallets.place(name, address);
      await world.evm.mintUsdc(address, FUNDS);
      const [had, earned] = await Promise.all([address, seller].map(world.evm.usdcBalance));
      const answer = await send(world.url + PAGE, await handMade(wallet));
      assertRefused(answer, 'invalid_transaction_state');
      assert.deepEqual(await Promise.all([address, seller].map(world.evm.usdcBalance)), [had, earned]);
      const mined = await newestOf(relayer, await world.evm.client.getBlockNumber());
      assert.ok(mined.gasUsed <= WALLET_GAS, `${mined.gasUsed} gas`);
      // Others are sold to as ever.
      const honest = await newWallet({ deployed: true });
      assertPaid(await paysOnce(honest, async () => takeApart(await clientOf(honest)(world.url + PAGE))));
    });
  }

  test('who only watched, with the signature from the chain or without', async () => {
    const wallet = await newWallet({ deployed: true });
    const header = await handMade(wallet);
    assertPaid(await paysOnce(wallet, () => send(world.url + PAGE, header)));
    const payment = decode(header['payment-signature']);
    const forged = structuredClone(payment);
    forged.payload.signature = `0x${'51'.repeat(100)}`;
    for (const [value, url] of [[payment, PAGE], [payment, `${PAGE}?other`], [forged, PAGE], [forged, `${PAGE}?other`]]) {
      const headers = { 'payment-signature': Buffer.from(JSON.stringify(value)).toString('base64'), 'cf-connecting-ip': '198.51.100.9' };
      assertRefused(await costsNothing(wallet, () => send(world.url + url, headers)), 'duplicate_settlement');
    }
  });
});

/** The receipt of an account's newest transaction, up to a block. */
async function newestOf(address, from) {
  for (let number = from; number > 0n; number -= 1n) {
    const { transactions } = await world.evm.client.getBlock({ blockNumber: number, includeTransactions: true });
    const own = transactions.find((it) => getAddress(it.from) === address);
    if (own) return world.evm.client.getTransactionReceipt({ hash: own.hash });
  }
  throw new Error('no transaction');
}

describe('through the facilitator', () => {
  const asked = (endpoint, body) => ask(world.url, endpoint, body, { token: TOKEN });

  async function order(signer, changes) {
    const it = await demand(world, 'evm', {});
    return exchange(2, it, await evmPayload(signer, it, changes));
  }

  for (const deployed of [true, false]) {
    test(`a wallet's payment is verified and settled, once; it is ${deployed ? '' : 'not '}deployed`, async () => {
      const wallet = await newWallet({ deployed });
      const body = await order(wallet);
      const verified = await costsNothing(wallet, () => asked('/verify', body));
      assertValid(verified, wallet.address);
      assert.equal(await hasCode(wallet.address), deployed, '/verify changes nothing');
      const { transaction } = await paysOnce(wallet, () => asked('/settle', body).then(assertSettled));
      assertInvalid(await asked('/verify', body), 'duplicate_settlement');
      const forged = structuredClone(body);
      forged.paymentPayload.payload.signature = `0x${'51'.repeat(100)}`;
      assertInvalid(await asked('/verify', forged), 'duplicate_settlement');
      assertUnsettled(await costsNothing(wallet, () => asked('/settle', forged)), 'duplicate_settlement', transaction);
    });
  }

  test('a forgery is refused', async () => {
    const wallet = await newWallet({ deployed: true });
    const body = await order(wallet, { sent: { nonce: `0x${'8'.repeat(64)}` } });
    assertInvalid(await costsNothing(wallet, () => asked('/verify', body)), SIGNATURE);
    assertUnsettled(await costsNothing(wallet, () => asked('/settle', body)), SIGNATURE);
  });

  test('@x402/hono sells through it', async () => {
    const shop = await startX402Hono({ facilitator: world.url + PATH, token: TOKEN, offers: [{ network: EVM_NETWORK, payTo: seller, amount: PAGE_PRICE }] });
    try {
      for (const deployed of [true, false]) {
        const wallet = await newWallet({ deployed });
        const answer = await paysOnce(wallet, () => clientOf(wallet)(`${shop.url}/goods/a`));
        assert.equal(answer.status, 200);
        assert.equal(await answer.text(), GOODS);
        assert.equal(decode(answer.headers.get('payment-response')).payer, wallet.address);
      }
    } finally {
      await shop.stop();
    }
  });
});
