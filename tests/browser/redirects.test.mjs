/** A shop that has no cookie for what was bought, and a site that has it elsewhere: the page tells the buyer where. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startWorld } from '../../dev/world.mjs';
import { answering, startSite } from '../e2e/site.mjs';
import { ledger, PAGE_PRICE } from '../e2e/support.mjs';
import { assertClean, choose, evmWallet, open, startBrowser } from './support.mjs';

const ROUTES = [
  { pattern: '/once/*', price: '$0.01', redeliver: '0' },
  { pattern: '/first/*', price: '$0.01', redeliver_max: 0, settle: 'before' },
];

let world;
let browser;
let site;
let files;
before(async () => {
  [site, files] = [await startSite(), await startSite()];
  world = await startWorld({ worker: { vars: { ORIGIN: site.url, ROUTES } } });
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await world?.stop();
  await site?.stop();
  await files?.stop();
});

/** Opens a page there, and pays: one price, by one signature. */
async function buys(path, ends) {
  const start = (await ledger(world)).evmSeller;
  const wallet = evmWallet(world, world.accounts.evm.buyers[0]);
  const opened = await open(world.url + path, { wallets: [wallet] });
  await choose(opened.page);
  await ends(opened.page);
  assert.equal((await ledger(world)).evmSeller - start, PAGE_PRICE);
  assert.equal(wallet.calls.filter((method) => method === 'eth_signTypedData_v4').length, 1);
  assertClean(opened);
  await opened.close();
}

for (const folder of ['once', 'first']) {
  test(`what is sold elsewhere is bought by the same payment: /${folder}/`, async () => {
    site.on(`/${folder}/old`, answering(302, '', { location: `/${folder}/new` }));
    site.on(`/${folder}/new`, answering(200, 'the goods', { 'content-type': 'text/plain' }));
    await buys(`/${folder}/old`, async (page) => {
      await page.locator('pre', { hasText: 'the goods' }).waitFor();
      assert.equal(page.url(), `${world.url}/${folder}/new`);
    });
  });

  test(`goods that are an address are opened there: /${folder}/`, async () => {
    files.on('/signed', answering(200, 'the goods', { 'content-type': 'text/plain' }));
    site.on(`/${folder}/away`, answering(307, '', { location: `${files.url}/signed?key=1` }));
    await buys(`/${folder}/away`, async (page) => {
      await page.getByRole('heading', { name: 'Paid' }).waitFor();
      await page.getByRole('link', { name: 'Open what you bought' }).click();
      await page.waitForURL(`${files.url}/signed?key=1`);
      assert.equal((await page.textContent('body')).trim(), 'the goods');
    });
  });
}
