/** People buy in a browser, on both chains; balances are read there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ledger, PAGE_PRICE } from '../e2e/support.mjs';
import { arrived, assertClean, choose, open, useShop } from './support.mjs';

const shop = useShop();

for (const [chain, name, buyers] of [['evm', 'Test Wallet', 'evmBuyers'], ['solana', 'Sol Wallet', 'solanaBuyers']]) {
  test(`a purchase by ${name}: the buyer pays the price, and the seller has it`, async () => {
    const start = await ledger(shop.world);
    const opened = await open(shop.page, { wallets: [shop[chain]()] });
    await shop.charged(async () => {
      await choose(opened.page, name);
      await arrived(opened.page);
    }, { chain });
    assert.equal(start[buyers][0] - (await ledger(shop.world))[buyers][0], PAGE_PRICE);
    assertClean(opened);
    await opened.close();
  });
}
