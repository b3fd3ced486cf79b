/** A page that takes several tokens on one network: the buyer chooses, and pays in what was chosen. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EVM_NETWORK } from '../../dev/world.mjs';
import { arrived, assertClean, choose, open, useShop } from './support.mjs';

const OTHER = '0x808456652fdb597867f38412077A9182bf77359F';
const OTHER_PRICE = 10n ** 16n;

let other;
const shop = useShop({ worker: () => false, prepare });

async function prepare({ world }) {
  const { evm, accounts } = world;
  other = await evm.addToken(OTHER, 'Other Dollar');
  await other.mintUsdc(accounts.evm.buyers[0].address, 10n ** 20n);
  const tokens = [{ asset: OTHER, name: 'Other Dollar', version: '2', decimals: 18, symbol: 'OTHER' }];
  const NETWORKS = { [EVM_NETWORK]: { rpc: [evm.url], pay_to: accounts.evm.seller.address, tokens } };
  const { url } = await world.startWorker({ vars: { NETWORKS } });
  shop.page = `${url}/premium/`;
}

test('the second token of a network is chosen, signed and paid', async () => {
  const { buyers: [buyer], seller } = shop.world.accounts.evm;
  const balances = () => Promise.all([shop.world.evm, other].flatMap((token) => [buyer, seller].map(({ address }) => token.usdcBalance(address))));
  const before = await balances();
  const wallet = shop.evm();
  const opened = await open(shop.page, { wallets: [wallet] });
  const { page } = opened;
  for (const line of ['0.01 USDC', '0.01 OTHER']) assert.equal(await page.locator('li', { hasText: `Base Sepolia ${line}` }).count(), 1, line);
  assert.ok(await page.getByLabel('Base Sepolia, 0.01 USDC').isChecked());
  await page.getByLabel('Base Sepolia, 0.01 OTHER').check();
  await page.getByText('0.01 OTHER on Base Sepolia').first().waitFor();
  await choose(page, wallet.name);
  await arrived(page);
  assert.deepEqual(await balances(), [before[0], before[1], before[2] - OTHER_PRICE, before[3] + OTHER_PRICE]);
  assertClean(opened);
  await opened.close();
});
