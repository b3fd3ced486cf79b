/** Refunds from the desk in Chromium: the seller's own wallet sends them, and the ledger says so. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { encodeFunctionData, parseAbi } from 'viem';
import { createAta, tokenBalanceOf } from '../../dev/solana/setup.mjs';
import { EVM_NETWORK, SOLANA_NETWORK } from '../../dev/world.mjs';
import { waitFor } from '../../dev/util.mjs';
import { assertPaid, PAGE, payment, send, USDC_ADDRESS } from '../e2e/support.mjs';
import { assertClean, evmWallet, faults, open, solanaWallet, useShop, walletError } from './support.mjs';

const TOKEN = 'the token of the seller';
const PRICE = 10_000n;

const shop = useShop({ worker: () => false, prepare });

async function prepare({ world }) {
  const DESK_TOKENS = createHash('sha256').update(TOKEN).digest('hex');
  ({ url: shop.url } = await world.startWorker({ secrets: { DESK_TOKENS } }));
}

const asked = async (path, init) => (await send(`${shop.url}/.edge402/${path}`, { authorization: `Bearer ${TOKEN}` }, init)).json;

/** A new sale, and the desk with the seller signed in and these wallets, at its dialog. */
async function atSale({ network = EVM_NETWORK, wallets = [], options } = {}) {
  const { world } = shop;
  const answer = await send(`${shop.url}${PAGE}`, await payment(world, `${shop.url}${PAGE}`, { network }));
  assertPaid(answer);
  const [sale] = (await asked('sales?limit=1')).sales;
  const opened = await open(`${shop.url}/.edge402/desk`, { wallets, options });
  const { page } = opened;
  await page.getByLabel('Token').fill(TOKEN);
  await page.getByRole('button', { name: 'Sign in' }).click();
  const row = page.getByRole('table', { name: 'Sales, the newest first' }).locator('tbody tr').filter({ has: page.locator(`[title="${sale.transaction}"]`) });
  await row.getByRole('button', { name: 'Refund' }).click();
  const dialog = page.getByRole('dialog', { name: 'Refund' });
  await dialog.getByLabel('Amount in USDC').waitFor();
  return { ...opened, row, dialog, sale };
}

/** The same sale, as the ledger has it now. */
const saleNow = async ({ transaction, network }) => (await asked(`sales?transaction=${transaction}&network=${network}`)).sales[0];

const seller = () => shop.world.accounts.evm.seller;
const sellerWallet = (options) => evmWallet(shop.world, seller(), { name: 'Own Wallet', ...options });

async function evmBalances() {
  const { evm, accounts } = shop.world;
  return { buyer: await evm.usdcBalance(accounts.evm.buyers[0].address), seller: await evm.usdcBalance(seller().address) };
}

test('a wallet of an EVM chain sends all of it back, and the ledger says so', async () => {
  const wallet = sellerWallet({ chainId: 1 });
  const { page, row, dialog, sale, ...opened } = await atSale({ wallets: [wallet] });
  const before = await evmBalances();
  assert.deepEqual(await faults(page), []);
  await dialog.getByRole('button', { name: 'Own Wallet' }).click();
  await dialog.getByText('0.01 USDC came back to the payer.').waitFor();
  const after = await evmBalances();
  assert.deepEqual({ buyer: after.buyer - before.buyer, seller: after.seller - before.seller }, { buyer: PRICE, seller: -PRICE });
  assert.deepEqual(wallet.calls.filter((method) => method !== 'eth_chainId'), ['eth_requestAccounts', 'wallet_switchEthereumChain', 'eth_accounts', 'eth_call', 'eth_sendTransaction']);
  const { refunded, refunds } = await saleNow(sale);
  assert.equal(refunded, String(PRICE));
  assert.equal(refunds.length, 1);
  const { status, logs } = await shop.world.evm.client.getTransactionReceipt({ hash: refunds[0].transaction });
  assert.deepEqual([status, logs.length], ['success', 1]);
  await dialog.getByText('All of it has come back.').waitFor();
  assert.deepEqual(await faults(page), []);
  await dialog.getByRole('button', { name: 'Close' }).click();
  await row.getByText('0.01 USDC back').waitFor();
  assert.equal(await row.getByRole('button', { name: 'Refund' }).count(), 0, 'nothing is left');
  assertClean(opened);
  await opened.close();
});

test('a part comes back, then no more than the rest', async () => {
  const wallet = sellerWallet();
  const { page, row, dialog, sale, ...opened } = await atSale({ wallets: [wallet] });
  const before = await evmBalances();
  const amount = dialog.getByLabel('Amount in USDC');
  const pay = () => dialog.getByRole('button', { name: 'Own Wallet' }).click();
  for (const wrong of ['', '0', '-1', '0.0100001', '0.010001', '1e3', 'x']) {
    await amount.fill(wrong);
    await pay();
    await dialog.getByText('The amount must be more than 0, and at most 0.01 USDC.').waitFor();
    await page.waitForFunction(() => !document.querySelector('dialog button:disabled'));
  }
  assert.deepEqual(wallet.calls, []);
  await amount.fill('0.004');
  await pay();
  await dialog.getByText('0.004 USDC came back to the payer.').waitFor();
  await page.waitForFunction(() => document.querySelector('dialog input[name=amount]').value === '0.006');
  await row.getByText('0.004 USDC back').waitFor();
  await pay();
  await dialog.getByText('All of it has come back.').waitFor();
  const after = await evmBalances();
  assert.equal(after.buyer - before.buyer, PRICE);
  const { refunded, refunds } = await saleNow(sale);
  assert.deepEqual([refunded, refunds.map((it) => it.amount).sort()], ['10000', ['4000', '6000']]);
  assertClean(opened);
  await opened.close();
});
