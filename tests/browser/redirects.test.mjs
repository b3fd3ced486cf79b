/** A shop that has no cookie for what was bought, and a site that has it elsewhere: the page tells the buyer where. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { answering, startSite } from '../e2e/site.mjs';
import { assertClean, choose, open, signaturesOf, useShop } from './support.mjs';

const ROUTES = [
  { pattern: '/once/*', price: '$0.01', redeliver: '0' },
  { pattern: '/first/*', price: '$0.01', redeliver_max: 0, settle: 'before' },
];

const shop = useShop({ site: true, worker: (site) => ({ vars: { ORIGIN: site.url, ROUTES } }) });
/** Where goods are that are an address. */
let files;
before(async () => { files = await startSite(); });
after(() => files.stop());

/** Opens a page there, and pays: one price, by one signature. */
async function buys(path, ends) {
  const wallet = shop.evm();
  const opened = await open(shop.url + path, { wallets: [wallet] });
  await shop.charged(async () => {
    await choose(opened.page);
    await ends(opened.page);
  });
  assert.equal(signaturesOf(wallet), 1);
  assertClean(opened);
  await opened.close();
}

for (const folder of ['once', 'first']) {
  test(`what is sold elsewhere is bought by the same payment: /${folder}/`, async () => {
    shop.site.on(`/${folder}/old`, answering(302, '', { location: `/${folder}/new` }));
    shop.site.on(`/${folder}/new`, answering(200, 'the goods', { 'content-type': 'text/plain' }));
    await buys(`/${folder}/old`, async (page) => {
      await page.locator('pre', { hasText: 'the goods' }).waitFor();
      assert.equal(page.url(), `${shop.url}/${folder}/new`);
    });
  });

  test(`goods that are an address are opened there: /${folder}/`, async () => {
    files.on('/signed', answering(200, 'the goods', { 'content-type': 'text/plain' }));
    shop.site.on(`/${folder}/away`, answering(307, '', { location: `${files.url}/signed?key=1` }));
    await buys(`/${folder}/away`, async (page) => {
      await page.getByRole('heading', { name: 'Paid' }).waitFor();
      await page.getByRole('link', { name: 'Open what you bought' }).click();
      await page.waitForURL(`${files.url}/signed?key=1`);
      assert.equal((await page.textContent('body')).trim(), 'the goods');
    });
  });
}
