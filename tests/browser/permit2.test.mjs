/** A token that no signature alone can move: the buyer allows Permit2 once, knows what that costs, and pays by signatures from then on. */
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { parseEther } from 'viem';
import { placePermit2, TOKEN_ADDRESS, TOKEN_NAME, TOKEN_VERSION } from '../../dev/evm/permit2.mjs';
import { EVM_NETWORK, PAGE_PRICE } from '../e2e/support.mjs';
import { alertOf, answering, arrived, assertClean, choose, faults, open, signaturesOf, useShop, walletError } from './support.mjs';

let token;
/** The same shop where it takes a permit of the token's own along. */
let sponsored;
const shop = useShop({ worker: () => false, prepare });

async function prepare({ world }) {
  const { evm, accounts: { evm: { seller, buyers } } } = world;
  token = await placePermit2(evm);
  for (const { address } of buyers) await token.mint(address, 1_000_000n);
  const ROUTES = [{ pattern: '/premium/*', price: '$0.01', networks: [`${EVM_NETWORK}/TUSD`] }];
  const start = async (more) => {
    const tokens = [{ asset: TOKEN_ADDRESS, symbol: 'TUSD', decimals: 6, asset_transfer_method: 'permit2', ...more }];
    const NETWORKS = { [EVM_NETWORK]: { rpc: [evm.url], pay_to: seller.address, tokens } };
    const { url } = await world.startWorker({ vars: { NETWORKS, ROUTES } });
    return `${url}/premium/`;
  };
  shop.page = await start({});
  sponsored = await start({ eip2612: true, name: TOKEN_NAME, version: TOKEN_VERSION });
}

const buyer = () => shop.world.accounts.evm.buyers[0];
const sent = ({ calls }) => calls.filter((method) => method === 'eth_sendTransaction').length;
const allow = (page) => page.getByRole('button', { name: 'Allow Permit2' });

beforeEach(async () => {
  // As a buyer comes: with the token and some ether, and without an approval.
  await token.approve(buyer(), 0n);
  await shop.world.evm.fund(buyer().address, parseEther('1'));
});

/** Runs a purchase and asserts that the seller has one price more of the token, or nothing. */
async function earned(price, work) {
  const { seller } = shop.world.accounts.evm;
  const had = await token.balance(seller.address);
  await work();
  assert.equal((await token.balance(seller.address)) - had, price);
}

describe('a token by Permit2', () => {
  test('is paid after one approval, whose cost is said before; the next time without', async () => {
    const wallet = shop.evm();
    const opened = await open(shop.page, { wallets: [wallet] });
    await earned(PAGE_PRICE, async () => {
      await choose(opened.page);
      assert.match(await alertOf(opened.page), /The first time, you allow Permit2 to move your TUSD\. That is a transaction of your own and costs about 0\.0*\d\d ETH in network fees\./);
      assert.deepEqual(await faults(opened.page), []);
      assert.equal(sent(wallet) + signaturesOf(wallet), 0, 'nothing is asked of the wallet before the buyer agrees');
      await allow(opened.page).click();
      await arrived(opened.page);
    });
    assert.deepEqual([sent(wallet), signaturesOf(wallet)], [1, 1]);
    assertClean(opened);
    await opened.context.clearCookies();
    await earned(PAGE_PRICE, async () => {
      await opened.page.evaluate(() => sessionStorage.clear());
      await opened.page.reload();
      await choose(opened.page);
      await arrived(opened.page);
    });
    assert.deepEqual([sent(wallet), signaturesOf(wallet)], [1, 2]);
    await opened.close();
  });

  test('is paid without a transaction where the shop takes a permit: two signatures, and no ether', async () => {
    await shop.world.evm.fund(buyer().address, 0n);
    const wallet = shop.evm();
    const opened = await open(sponsored, { wallets: [wallet] });
    await opened.page.locator('header').getByText('No network fee').waitFor();
    await earned(PAGE_PRICE, async () => {
      await choose(opened.page);
      await arrived(opened.page);
    });
    assert.deepEqual([sent(wallet), signaturesOf(wallet)], [0, 2]);
    assertClean(opened);
    await opened.close();
  });

  const ends = {
    'is not paid where there is no ether for the approval': {
      words: /needs 0\.0*\d\d ETH for the network fee, and has 0 ETH\. Nothing was charged/,
      prepare: () => shop.world.evm.fund(buyer().address, 0n),
    },
    'is not paid where the buyer declines the approval': {
      words: /You declined in Test Wallet\. Nothing was charged/,
      wallet: answering('eth_sendTransaction', () => { throw walletError(4001); }),
      act: (page) => allow(page).click(),
    },
    'is not paid where the approval fails on chain': {
      words: /has not confirmed that Permit2 is allowed\. The shop charged nothing/,
      wallet: answering('eth_getTransactionReceipt', () => ({ status: '0x0' })),
      act: (page) => allow(page).click(),
    },
    'is not paid where the wallet can’t tell, and the shop finds no allowance': {
      words: /Permit2 may not move this account’s TUSD yet\. Nothing was charged/,
      wallet: answering('eth_call', () => { throw walletError(-32601); }),
    },
  };
  for (const [what, { words, prepare = async () => {}, wallet = {}, act = async () => {} }] of Object.entries(ends)) {
    test(what, async () => {
      await prepare();
      const opened = await open(shop.page, { wallets: [shop.evm(wallet)] });
      await earned(0n, async () => {
        await choose(opened.page);
        await act(opened.page);
        await opened.page.getByRole('alert').filter({ hasText: words }).waitFor();
      });
      await opened.page.getByRole('button', { name: /^Test Wallet/ }).waitFor();
      assertClean(opened);
      await opened.close();
    });
  }

  test('is not paid where the buyer cancels before the approval', async () => {
    const wallet = shop.evm();
    const opened = await open(shop.page, { wallets: [wallet] });
    await choose(opened.page);
    await allow(opened.page).waitFor();
    await opened.page.getByRole('button', { name: 'Cancel' }).click();
    await opened.page.getByRole('button', { name: /^Test Wallet/ }).waitFor();
    assert.equal(await allow(opened.page).count(), 0);
    assert.equal(sent(wallet) + signaturesOf(wallet), 0);
    await opened.close();
  });
});
