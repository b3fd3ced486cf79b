/** What wallets of Solana do to a transaction before they sign it, and the shop takes. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LIGHTHOUSE_PROGRAM } from '../../dev/solana/setup.mjs';
import { COMPUTE_BUDGET_PROGRAM, computeLimit, computePrice, unchanged } from '../e2e/support.mjs';
import { alertOf, arrived, assertClean, choose, open, useShop } from './support.mjs';

const shop = useShop();

/** Guards as wallets add them; their data is text, because the Memo program stands in for Lighthouse here. */
const guards = (count) => Array.from({ length: count }, (_, i) => ({ programAddress: LIGHTHOUSE_PROGRAM, accounts: [], data: new TextEncoder().encode(`guard ${i}`) }));
const isBudget = (kind) => ({ programAddress, data }) => programAddress === COMPUTE_BUDGET_PROGRAM && data[0] === kind;
const replacing = (kind, instruction) => (list) => list.map((it) => (isBudget(kind)(it) ? instruction : it));

async function buys(change = (list) => list) {
  const opened = await open(shop.page, { wallets: [shop.solana({ change })] });
  await shop.charged(async () => {
    await choose(opened.page, 'Sol Wallet');
    await arrived(opened.page);
  }, { chain: 'solana' });
  assertClean(opened);
  await opened.close();
}

describe('a wallet of Solana', () => {
  for (const count of [1, 2, 3, 4]) test(`adds ${count} guards behind the transfer`, () => buys((list) => [...list, ...guards(count)]));

  test('adds guards before and behind it', () => buys((list) => [list[0], ...guards(1), ...list.slice(1), ...guards(1)]));

  test('sets the price to 100,000, as phones do', () => buys(replacing(3, computePrice(100_000))));

  test('raises the limit', () => buys(replacing(2, computeLimit(200_000))));

  test('does all of it', () => buys((list) => [...replacing(3, computePrice(100_000))(replacing(2, computeLimit(120_000))(list)), ...guards(3)]));

  test('asks for more than the shop pays in fees: refused, with a sentence', () =>
    unchanged(shop.world, async () => {
      const opened = await open(shop.page, { wallets: [shop.solana({ change: replacing(3, computePrice(5_000_000)) })] });
      await choose(opened.page, 'Sol Wallet');
      assert.match(await alertOf(opened.page), /Sol Wallet changed the payment.*Nothing was charged.*another wallet/);
      await opened.close();
    }));

  test('signs two purchases in one blockhash: two messages', async () => {
    await buys();
    await buys();
  });

  test('that pays with no SOL at all', async () => {
    assert.ok(!shop.world.solana.svm.getAccount(shop.world.accounts.solana.buyers[0].address).exists);
    await buys();
  });
});
