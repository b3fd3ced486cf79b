/** People buy in a browser, on both chains; balances are read there. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startWorld } from '../../dev/world.mjs';
import { ledger, PAGE_PRICE } from '../e2e/support.mjs';
import { assertClean, choose, evmWallet, GOODS, open, solanaWallet, startBrowser } from './support.mjs';

let world;
let browser;
before(async () => {
  world = await startWorld();
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await world?.stop();
});

describe('a purchase', () => {
  test('by a wallet of an EVM chain', async () => {
    const wallet = evmWallet(world, world.accounts.evm.buyers[0]);
    const start = await ledger(world);
    const opened = await open(`${world.url}/premium/`, { wallets: [wallet] });
    await choose(opened.page);
    await opened.page.getByText(GOODS).first().waitFor();
    const end = await ledger(world);
    assert.equal(end.evmSeller - start.evmSeller, PAGE_PRICE);
    assert.equal(start.evmBuyers[0] - end.evmBuyers[0], PAGE_PRICE);
    assertClean(opened);
    await opened.close();
  });

  test('by a wallet of Solana', async () => {
    const wallet = solanaWallet(world.accounts.solana.buyers[0]);
    const start = await ledger(world);
    const opened = await open(`${world.url}/premium/`, { wallets: [wallet] });
    await choose(opened.page, 'Sol Wallet');
    await opened.page.getByText(GOODS).first().waitFor();
    const end = await ledger(world);
    assert.equal(end.solanaSeller - start.solanaSeller, PAGE_PRICE);
    assert.equal(start.solanaBuyers[0] - end.solanaBuyers[0], PAGE_PRICE);
    assertClean(opened);
    await opened.close();
  });
});
