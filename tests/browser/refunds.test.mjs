/** Refunds from the desk in Chromium: the seller's own wallet sends them, and the ledger says so. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { encodeFunctionData, parseAbi } from 'viem';
import { ataOf, fundSol, LIGHTHOUSE_PROGRAM, mintToken, tokenBalanceOf } from '../../dev/solana/setup.mjs';
import { EVM_NETWORK, SOLANA_NETWORK } from '../../dev/world.mjs';
import { waitFor } from '../../dev/util.mjs';
import { assertPaid, deferred, PAGE, payment, send, USDC_ADDRESS } from '../e2e/support.mjs';
import { assertClean, evmWallet, faults, open, solanaWallet, useShop, walletError } from './support.mjs';

const TOKEN = 'the token of the seller';
const PRICE = 10_000n;

const shop = useShop({ worker: () => false, prepare });

async function prepare({ world }) {
  fundSol(world.solana, world.accounts.solana.seller.address);
  const DESK_TOKENS = createHash('sha256').update(TOKEN).digest('hex');
  ({ url: shop.url } = await world.startWorker({ secrets: { DESK_TOKENS } }));
}

const asked = async (path, init) => (await send(`${shop.url}/.edge402/${path}`, { authorization: `Bearer ${TOKEN}` }, init)).json;

async function signIn(page) {
  await page.getByLabel('Token').fill(TOKEN);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

const rowOf = (page, { transaction }) => page.getByRole('table', { name: 'Sales, the newest first' }).locator('tbody tr').filter({ has: page.locator(`[title="${transaction}"]`) });

/** A transfer from the seller to the buyer, by no wallet of a browser; its hash. */
function transferred(amount) {
  const data = encodeFunctionData({ abi: parseAbi(['function transfer(address to, uint256 amount)']), functionName: 'transfer', args: [shop.world.accounts.evm.buyers[0].address, amount] });
  return shop.world.evm.client.sendTransaction({ account: seller(), to: USDC_ADDRESS, data });
}

/** A new sale, and the desk with the seller signed in and these wallets, at its dialog. */
async function atSale({ network = EVM_NETWORK, wallets = [], options } = {}) {
  const { world } = shop;
  const answer = await send(`${shop.url}${PAGE}`, await payment(world, `${shop.url}${PAGE}`, { network }));
  const { transaction } = assertPaid(answer);
  const [sale] = (await asked(`sales?transaction=${transaction}`)).sales;
  const opened = await open(`${shop.url}/.edge402/desk`, { wallets, options });
  const { page } = opened;
  await signIn(page);
  const row = rowOf(page, sale);
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
  await page.getByRole('button', { name: 'Refresh' }).click();
  await page.locator('.card', { hasText: 'Today' }).getByText('0.01 USDC back').waitFor();
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

test('a wallet of Solana sends it back, though the payer has closed the token account', async () => {
  const { solana, accounts } = shop.world;
  const [buyer] = accounts.solana.buyers;
  const wallet = solanaWallet(accounts.solana.seller, { name: 'Own Sol' });
  const { page, row, dialog, sale, ...opened } = await atSale({ network: SOLANA_NETWORK, wallets: [wallet] });
  const account = await ataOf(buyer.address);
  fundSol(solana, account, 0n);
  assert.equal(await tokenBalanceOf(solana, buyer.address), 0n);
  const before = await tokenBalanceOf(solana, accounts.solana.seller.address);
  await dialog.getByLabel('Amount in USDC').fill('0.004');
  await dialog.getByRole('button', { name: 'Own Sol' }).click();
  await dialog.getByText('0.004 USDC came back to the payer.').waitFor();
  // The account is there now; one more of the same amount is another transaction.
  await page.waitForFunction(() => document.querySelector('dialog input[name=amount]')?.value === '0.006');
  await dialog.getByLabel('Amount in USDC').fill('0.004');
  await dialog.getByRole('button', { name: 'Own Sol' }).click();
  await row.getByText('0.008 USDC back').waitFor();
  assert.equal(await tokenBalanceOf(solana, buyer.address), 8_000n);
  assert.equal(before - await tokenBalanceOf(solana, accounts.solana.seller.address), 8_000n);
  const { refunded, refunds } = await saleNow(sale);
  assert.deepEqual([refunded, refunds.length, new Set(refunds.map((it) => it.transaction)).size], ['8000', 2, 2]);
  assert.deepEqual(wallet.calls, ['connect', 'signTransaction', 'connect', 'signTransaction']);
  assertClean(opened);
  await opened.close();
});

test('a wallet of Solana may add guards to what it signs', async () => {
  const { solana, accounts } = shop.world;
  await mintToken(solana, accounts.solana.buyers[0].address, 1_000_000n);
  const guard = { programAddress: LIGHTHOUSE_PROGRAM, accounts: [], data: new TextEncoder().encode('guard') };
  const wallet = solanaWallet(accounts.solana.seller, { name: 'Own Sol', change: (list) => [...list.slice(0, 2), guard, ...list.slice(2), guard] });
  const { dialog, sale, ...opened } = await atSale({ network: SOLANA_NETWORK, wallets: [wallet] });
  await dialog.getByRole('button', { name: 'Own Sol' }).click();
  await dialog.getByText('All of it has come back.').waitFor();
  assert.equal((await saleNow(sale)).refunded, '10000');
  assertClean(opened);
  await opened.close();
});

test('what the wallet does not do is said, and nothing is noted', async () => {
  const says = {};
  const wallet = sellerWallet({ answer: (method, params) => says[method]?.(params) });
  const { page, dialog, sale, ...opened } = await atSale({ wallets: [wallet] });
  const before = await evmBalances();
  for (const [own, text, isUnclear] of [
    [{ eth_sendTransaction: () => { throw walletError(4001, 'User rejected the request.'); } }, 'You declined in your wallet. Nothing was sent.'],
    [{ eth_requestAccounts: () => { throw walletError(-32002, 'already pending'); } }, 'Your wallet already has a request open: look there.'],
    [{ eth_accounts: () => [], eth_requestAccounts: () => [] }, 'The wallet names no account: unlock it, and try again.'],
    [{ eth_call: () => '0x1' }, 'There is too little in this account of the wallet: it has 0.000001 USDC.'],
    // Wallets say such things of what is on its way, too: that proves nothing.
    [{ eth_sendTransaction: () => { throw walletError(-32000, 'replacement rejected'); } }, 'The wallet says: replacement rejected. Look there', 'unclear'],
    [{ eth_sendTransaction: () => { throw walletError(-32002, 'already pending'); } }, 'The wallet says: already pending. Look there', 'unclear'],
    [{ eth_requestAccounts: () => { throw walletError(-32603, 'Something broke'); } }, 'The wallet says: Something broke. Nothing was sent.'],
    [{ eth_sendTransaction: () => null }, 'The wallet has answered with something else than a transaction.', 'unclear'],
    [{ eth_sendTransaction: () => { throw walletError(-32603, 'Something broke'); } }, 'The wallet says: Something broke. Look there whether anything was sent before you try again.', 'unclear'],
    [{ eth_chainId: () => '0x1', wallet_switchEthereumChain: () => null }, 'The wallet stays on another network: switch it to Base Sepolia yourself, and try again.'],
  ]) {
    for (const name of Object.keys(says)) delete says[name];
    Object.assign(says, own);
    await dialog.getByRole('button', { name: 'Own Wallet' }).click();
    await dialog.getByText(text).waitFor();
    await page.waitForFunction(() => !document.querySelector('dialog button:disabled'));
    // It may have been sent: no wallet is asked again until the seller has looked.
    if (isUnclear) {
      assert.equal(await dialog.getByRole('button', { name: 'Own Wallet' }).count(), 0);
      await dialog.getByRole('button', { name: 'Nothing else was sent' }).click();
      await dialog.getByRole('button', { name: 'Own Wallet' }).waitFor();
    }
  }
  assert.deepEqual(await faults(page), []);
  assert.deepEqual(await evmBalances(), before);
  assert.equal('refunded' in await saleNow(sale), false);
  assertClean(opened);
  await opened.close();
});

test('what was sent from elsewhere is noted, and what is none says why', async () => {
  const { page, dialog, sale, row, ...opened } = await atSale();
  await dialog.getByText('No wallet of this browser can send on Base Sepolia.').waitFor();
  const { client } = shop.world.evm;
  const plain = await client.sendTransaction({ account: seller(), to: shop.world.accounts.evm.buyers[0].address, value: 1n });
  const transaction = await transferred(PRICE);
  const note = async (text) => {
    await dialog.getByLabel('Its transaction').fill(text);
    await page.keyboard.press('Enter');
  };
  await note('0x12');
  await dialog.getByText('transaction is none of eip155:84532.').waitFor();
  await note(plain);
  await dialog.getByText('it sends the payer nothing in the token of the sale.').waitFor();
  await note(` ${transaction} `);
  await dialog.getByText('0.01 USDC came back to the payer.').waitFor();
  await page.keyboard.press('Escape');
  await row.getByText('0.01 USDC back').waitFor();
  assert.equal((await saleNow(sale)).refunds[0].transaction, transaction);
  assertClean(opened);
  await opened.close();
});

test('while a refund is on its way no wallet is asked for another, and it is noted with the desk closed', async () => {
  const { client } = shop.world.evm;
  const wallet = sellerWallet();
  const { page, dialog, sale, ...opened } = await atSale({ wallets: [wallet] });
  await client.setAutomine(false);
  await client.setIntervalMining({ interval: 0 });
  try {
    await dialog.getByRole('button', { name: 'Own Wallet' }).click();
    await dialog.getByText('It is sent. Waiting for the chain').waitFor();
    await dialog.getByRole('button', { name: 'Close' }).click();
    const [one] = (await asked('desk/refunds')).refunds;
    assert.equal(one.payment, sale.payment);
    await page.reload();
    const list = page.getByRole('table', { name: 'Refunds on their way' });
    await list.getByText('0x').first().waitFor();
    assert.deepEqual(await faults(page), []);
    await list.getByRole('button', { name: 'Show' }).click();
    await dialog.getByText('no wallet is asked for another one').waitFor();
    assert.equal(await dialog.getByRole('button', { name: 'Own Wallet' }).count(), 0);
    assert.deepEqual(await faults(page), []);
  } finally {
    await client.setIntervalMining({ interval: 2 });
    await client.setAutomine(true);
    await client.mine({ blocks: 1 });
  }
  await opened.close();
  await waitFor(async () => (await saleNow(sale)).refunded === '10000', { what: 'the refund to be noted', timeout: 60_000 });
  assertClean(opened);
});

test('what never comes can be taken off, and a wallet is asked once the seller has looked', async () => {
  const wallet = sellerWallet();
  const { page, dialog, sale, ...opened } = await atSale({ wallets: [wallet], options: { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true } });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
  await dialog.getByLabel('Its transaction').fill(`0x${'cd'.repeat(32)}`);
  await dialog.getByRole('button', { name: 'Note it' }).click();
  await dialog.getByText('It is sent. Waiting for the chain').waitFor();
  await dialog.getByRole('button', { name: 'Close' }).click();
  await opened.row.getByRole('button', { name: 'Refund' }).click();
  await dialog.getByRole('button', { name: 'Take off 0xcdcd…cdcd' }).click();
  await dialog.getByText('0xcdcd…cdcd may still land: then the payer gets both.').waitFor();
  assert.deepEqual(await faults(page), []);
  assert.equal(await dialog.getByRole('button', { name: 'Own Wallet' }).count(), 0);
  await dialog.getByLabel('I have looked').check();
  await dialog.getByRole('button', { name: 'Own Wallet' }).click();
  await dialog.getByText('All of it has come back.').waitFor();
  assert.equal((await saleNow(sale)).refunds.length, 1);
  assertClean(opened);
  await opened.close();
});

test('if both land, both are shown', async () => {
  const { client } = shop.world.evm;
  const wallet = sellerWallet();
  const { page, dialog, sale, row, ...opened } = await atSale({ wallets: [wallet] });
  await client.setAutomine(false);
  await client.setIntervalMining({ interval: 0 });
  try {
    await dialog.getByRole('button', { name: 'Own Wallet' }).click();
    await dialog.getByText('It is sent. Waiting for the chain').waitFor();
    await dialog.getByRole('button', { name: 'Close' }).click();
    await row.getByRole('button', { name: 'Refund' }).click();
    await dialog.getByRole('button', { name: /^Take off/ }).click();
    await dialog.getByLabel('I have looked').check();
    await dialog.getByRole('button', { name: 'Own Wallet' }).click();
    await dialog.getByText('It is sent. Waiting for the chain').waitFor();
  } finally {
    await client.setIntervalMining({ interval: 2 });
    await client.setAutomine(true);
    await client.mine({ blocks: 1 });
  }
  await waitFor(async () => (await saleNow(sale)).refunded === '20000', { what: 'both to be noted', timeout: 60_000 });
  await page.reload();
  await row.getByText('0.02 USDC back, more than was paid').waitFor();
  assertClean(opened);
  await opened.close();
});

test('while one browser asks its wallet, no other does', async () => {
  const held = deferred();
  const first = sellerWallet({ answer: async (method) => { if (method === 'eth_sendTransaction') await held.promise; } });
  const second = sellerWallet();
  const { dialog, sale, row, ...opened } = await atSale({ wallets: [first] });
  const other = await open(`${shop.url}/.edge402/desk`, { wallets: [second] });
  await signIn(other.page);
  const elsewhere = other.page.getByRole('dialog', { name: 'Refund' });
  await rowOf(other.page, sale).getByRole('button', { name: 'Refund' }).click();
  const pay = elsewhere.getByRole('button', { name: 'Own Wallet' });
  await pay.waitFor();
  await dialog.getByRole('button', { name: 'Own Wallet' }).click();
  await dialog.getByText('Confirm the transfer of 0.01 USDC in your wallet.').waitFor();
  await pay.click();
  await elsewhere.getByText('a wallet was asked for this sale already, and has not answered. Nothing was asked of your wallet.').waitFor();
  await elsewhere.getByText('Another browser may be at it').waitFor();
  assert.equal(await elsewhere.getByRole('button', { name: 'Nothing else was sent' }).count(), 0);
  assert.deepEqual([await pay.count(), second.calls], [0, []]);
  assert.deepEqual(await faults(other.page), []);
  held.resolve();
  await dialog.getByText('All of it has come back.').waitFor();
  assert.equal((await saleNow(sale)).refunds.length, 1);
  // What it refuses is an error of the console's.
  await other.close();
  assertClean(opened);
  await opened.close();
});

test('what was noted by mistake is taken off', async () => {
  const { page, dialog, sale, row, ...opened } = await atSale();
  const transaction = await transferred(PRICE);
  await dialog.getByLabel('Its transaction').fill(transaction);
  await page.keyboard.press('Enter');
  await dialog.getByText('All of it has come back.').waitFor();
  page.once('dialog', (it) => it.accept());
  await dialog.getByRole('button', { name: /^Take off/ }).click();
  await dialog.getByLabel('Amount in USDC').waitFor();
  assert.equal('refunded' in await saleNow(sale), false);
  assertClean(opened);
  await opened.close();
});

test('an answer of the Worker that gets lost loses no refund', async () => {
  const wallet = sellerWallet();
  const { page, dialog, sale, ...opened } = await atSale({ wallets: [wallet] });
  await page.route('**/desk/refunds', (route) => (route.request().method() === 'POST' ? route.abort() : route.continue()));
  await dialog.getByRole('button', { name: 'Own Wallet' }).click();
  const alert = dialog.getByRole('alert');
  await alert.waitFor();
  const [, transaction] = /The transaction is (0x[0-9a-f]{64})/.exec(await alert.innerText());
  assert.equal(wallet.calls.filter((method) => method === 'eth_sendTransaction').length, 1);
  await page.unroute('**/desk/refunds');
  assert.equal(await dialog.getByRole('button', { name: 'Own Wallet' }).count(), 0, 'it is not sent twice');
  await page.reload();
  await opened.row.getByRole('button', { name: 'Refund' }).click();
  await dialog.getByRole('button', { name: 'Tell the Worker again' }).click();
  await dialog.getByText('All of it has come back.').waitFor();
  assert.equal((await saleNow(sale)).refunds[0].transaction, transaction);
  assertClean(opened);
  await opened.close();
});

test('a second tab does not wipe what the first one has sent', async () => {
  const wallet = sellerWallet();
  const { page, dialog, sale, ...opened } = await atSale({ wallets: [wallet] });
  // As a tab that was open before: what another one keeps appears under it.
  const sent = { transaction: await transferred(PRICE), reservation: '1'.repeat(32) };
  await page.evaluate(([payment, it]) => localStorage.setItem('edge402 refunds', JSON.stringify({ [payment]: it })), [sale.payment, sent]);
  await dialog.getByRole('button', { name: 'Own Wallet' }).click();
  await dialog.getByText('Another tab of this browser is at it.').waitFor();
  assert.deepEqual(wallet.calls, []);
  await dialog.getByRole('button', { name: 'Tell the Worker again' }).click();
  await dialog.getByText('All of it has come back.').waitFor();
  assert.equal((await saleNow(sale)).refunds[0].transaction, sent.transaction);
  assertClean(opened);
  await opened.close();
});

test('what another transaction has taken the place of is warned of', async () => {
  const wallet = sellerWallet();
  const { page, dialog, row, sale, ...opened } = await atSale({ wallets: [wallet] });
  await dialog.getByRole('button', { name: 'Close' }).click();
  const name = `0x${'cd'.repeat(32)}`;
  const asked = [];
  await page.route('**/desk/refunds**', async (route) => {
    const request = route.request();
    if (request.method() === 'PUT') asked.push(request.postDataJSON().despite);
    if (request.method() !== 'GET' || !request.url().includes('payment=')) return route.continue();
    const response = await route.fetch();
    const terms = await response.json();
    const line = { network: sale.network, transaction: name, state: 'replaced', problem: 'another took its place', time: sale.time };
    return route.fulfill({ response, json: { ...terms, refunds: [...terms.refunds, line] } });
  });
  await row.getByRole('button', { name: 'Refund' }).click();
  await dialog.getByText('did not land: another transaction of the wallet took its place. If that was this refund, sped up, enter it below.').waitFor();
  assert.deepEqual(await faults(page), []);
  assert.equal(await dialog.getByRole('button', { name: 'Own Wallet' }).count(), 0);
  await dialog.getByLabel('I have looked').check();
  await dialog.getByRole('button', { name: 'Own Wallet' }).click();
  await dialog.getByText('All of it has come back.').waitFor();
  assert.deepEqual(asked, [[name]]);
  assertClean(opened);
  await opened.close();
});

test('no comma is taken for nothing', async () => {
  const wallet = sellerWallet();
  const { dialog, ...opened } = await atSale({ wallets: [wallet] });
  await dialog.getByRole('textbox', { name: 'Amount in USDC' }).fill('0,005');
  await dialog.getByRole('button', { name: 'Own Wallet' }).click();
  await dialog.getByText('The amount must be more than 0, and at most 0.01 USDC.').waitFor();
  assert.equal(wallet.calls.includes('eth_sendTransaction'), false);
  assertClean(opened);
  await opened.close();
});

test('whoever closes the dialog while the wallet asks is not sent there twice', async () => {
  const held = deferred();
  const wallet = sellerWallet({ answer: async (method) => { if (method === 'eth_sendTransaction') await held.promise; } });
  const { page, dialog, sale, row, ...opened } = await atSale({ wallets: [wallet] });
  await dialog.getByRole('button', { name: 'Own Wallet' }).click();
  await dialog.getByText('Confirm the transfer of 0.01 USDC in your wallet.').waitFor();
  await page.keyboard.press('Escape');
  await row.getByRole('button', { name: 'Refund' }).click();
  await dialog.getByText('A wallet was asked for 0.01 USDC at').waitFor();
  assert.equal(await dialog.getByRole('button', { name: 'Own Wallet' }).count(), 0);
  assert.equal(wallet.calls.filter((method) => method === 'eth_sendTransaction').length, 1);
  held.resolve();
  await row.getByText('0.01 USDC back').waitFor();
  assert.equal((await saleNow(sale)).refunds.length, 1);
  assertClean(opened);
  await opened.close();
});
