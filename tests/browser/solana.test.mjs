/** What wallets of Solana do to a transaction before they sign it, and the shop takes. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { LIGHTHOUSE_PROGRAM } from '../../dev/solana/setup.mjs';
import { startWorld } from '../../dev/world.mjs';
import { COMPUTE_BUDGET_PROGRAM, computeLimit, computePrice, ledger, PAGE_PRICE, unchanged } from '../e2e/support.mjs';
import { alertOf, assertClean, choose, GOODS, open, solanaWallet, startBrowser } from './support.mjs';

let world;
let browser;
let shop;
before(async () => {
  world = await startWorld();
  browser = await startBrowser();
  shop = `${world.url}/premium/`;
});
after(async () => {
  await browser?.close();
  await world?.stop();
});

const wallet = (options) => solanaWallet(world.accounts.solana.buyers[0], options);
/** Guards as wallets add them; their data is text, because the Memo program stands in for Lighthouse here. */
const guards = (count) => Array.from({ length: count }, (_, i) => ({ programAddress: LIGHTHOUSE_PROGRAM, accounts: [], data: new TextEncoder().encode(`guard ${i}`) }));
const isBudget = (kind) => ({ programAddress, data }) => programAddress === COMPUTE_BUDGET_PROGRAM && data[0] === kind;
const replacing = (kind, instruction) => (list) => list.map((it) => (isBudget(kind)(it) ? instruction : it));

async function buys(change = (list) => list) {
  const start = await ledger(world);
  const opened = await open(shop, { wallets: [wallet({ change })] });
  await choose(opened.page, 'Sol Wallet');
  await opened.page.getByText(GOODS).first().waitFor();
  const end = await ledger(world);
  assert.equal(end.solanaSeller - start.solanaSeller, PAGE_PRICE);
  assert.equal(start.solanaBuyers[0] - end.solanaBuyers[0], PAGE_PRICE);
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
    unchanged(world, async () => {
      const opened = await open(shop, { wallets: [wallet({ change: replacing(3, computePrice(5_000_000)) })] });
      await choose(opened.page, 'Sol Wallet');
      assert.match(await alertOf(opened.page), /Sol Wallet changed the payment.*Nothing was charged.*another wallet/);
      await opened.close();
    }));

  test('signs two purchases in one blockhash: two messages', async () => {
    await buys();
    await buys();
  });

  test('that pays with no SOL at all', async () => {
    assert.ok(!world.solana.svm.getAccount(world.accounts.solana.buyers[0].address).exists);
    await buys();
  });
});
