/** A page of the seller's own: what it holds and may load, and what people see where it can't be had. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startWorld } from '../../dev/world.mjs';
import { snippet } from '../documents/snippets.mjs';
import { answering, startSite } from '../e2e/site.mjs';
import { ledger, PAGE_PRICE } from '../e2e/support.mjs';
import { alertOf, assertClean, choose, evmWallet, open, startBrowser } from './support.mjs';

const EXAMPLE = snippet('docs/configuration.md', '<!doctype html>');
const HTML = { 'content-type': 'text/html; charset=utf-8' };
const HOSTILE = 'Tea </script><script>window.hurt = 1</script><img src=x onerror="window.hurt = 2">';
const BROWSER = { accept: 'text/html', 'sec-fetch-dest': 'document' };

let world;
let browser;
let site;
before(async () => {
  site = await startSite();
  world = await startWorld({ worker: false });
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await world?.stop();
  await site?.stop();
});

/** A shop whose page is this file of its site. */
async function shopWith(path, answer) {
  if (answer) site.on(path, answer);
  const ROUTES = [{ pattern: '/sold/*', price: '$0.01', description: HOSTILE }];
  return world.startWorker({ vars: { ORIGIN: site.url, ROUTES, PAGE: { template: path, name: 'Tuppence', terms: '/terms' } } });
}

const asBrowser = (url) => fetch(url, { headers: BROWSER });

describe('a page of the seller’s own', () => {
  test('is the example of the documents: filled in, styled by the shop, and paid on', async () => {
    site.on('/till.css', answering(200, 'h1 { font-size: 77px }', { 'content-type': 'text/css' }));
    site.on('/favicon.svg', answering(404, ''));
    site.on('/sold/tea', answering(200, '<!doctype html><link rel="icon" href="data:,"><h1>alive</h1>', HTML));
    const shop = await shopWith('/till.html', answering(200, EXAMPLE, HTML));
    const start = await ledger(world);
    const opened = await open(`${shop.url}/sold/tea`, { wallets: [evmWallet(world, world.accounts.evm.buyers[0])] });
    const { page } = opened;
    assert.equal(await page.getByRole('heading', { level: 1 }).textContent(), HOSTILE);
    assert.equal(await page.getByRole('heading', { level: 1 }).evaluate((it) => getComputedStyle(it).fontSize), '77px');
    assert.equal(await page.evaluate(() => window.hurt), undefined);
    await page.getByText('Yours for $0.01 from Tuppence.').waitFor();
    assert.equal(await page.getByRole('link', { name: 'Terms' }).getAttribute('href'), '/terms');
    await choose(page);
    await page.getByRole('heading', { name: 'alive' }).waitFor();
    assert.equal((await ledger(world)).evmSeller - start.evmSeller, PAGE_PRICE);
    assertClean(opened);
    await opened.close();
  });

  test('is answered as every 402 is, and kept by nobody', async () => {
    const shop = await shopWith('/headers.html', answering(200, '<p>{{price}}</p>{{pay}}', { ...HTML, 'cache-control': 'public, max-age=600', 'set-cookie': 'a=b' }));
    const answer = await asBrowser(`${shop.url}/sold/tea`);
    assert.equal(answer.status, 402);
    assert.match(await answer.text(), /^<p>\$0.01<\/p><section id="pay">/);
    assert.ok(answer.headers.get('payment-required').length > 100);
    assert.equal(answer.headers.get('cache-control'), 'no-store');
    assert.equal(answer.headers.get('set-cookie'), null);
    assert.match(answer.headers.get('content-security-policy'), /^default-src 'none'; script-src 'self' 'sha256-[^ ]+'; style-src 'self' 'sha256-[^ ]+'; img-src 'self' data:; font-src 'self'; .*frame-ancestors 'none'$/);
    assert.equal(answer.headers.get('x-frame-options'), 'DENY');
    const program = await fetch(`${shop.url}/sold/tea`);
    assert.equal((await program.json()).x402Version, 1);
    await asBrowser(`${shop.url}/sold/coffee`);
    assert.equal(site.requests.filter((it) => it === '/headers.html').length, 1, 'asked for once');
  });

  test('is asked for once, however many come first, and all of them see it', async () => {
    const slowly = async (request, response) => {
      await new Promise((done) => setTimeout(done, 300));
      return answering(200, '<p>mine {{price}}</p>{{pay}}', HTML)(request, response);
    };
    const shop = await shopWith('/first.html', slowly);
    const answers = await Promise.all(Array.from({ length: 20 }, () => asBrowser(`${shop.url}/sold/tea`)));
    for (const answer of answers) assert.match(await answer.text(), /^<p>mine \$0.01<\/p>/);
    assert.equal(site.requests.filter((it) => it === '/first.html').length, 1);
  });

  test('runs scripts of the shop’s host, and none that stand in it', async () => {
    site.on('/own.js', answering(200, 'window.offers = JSON.parse(document.getElementById("facts").textContent).offers.map((it) => it.shown);', { 'content-type': 'text/javascript' }));
    const file = '<!doctype html><html lang="{{lang}}"><link rel="icon" href="data:,"><script type="application/json" id="facts">{{data}}</script><script>window.hurt = 1</script><script src="/own.js"></script>';
    const shop = await shopWith('/own.html', answering(200, file, HTML));
    const { page, seen, close } = await open(`${shop.url}/sold/tea`);
    await page.waitForFunction(() => window.offers);
    assert.deepEqual(await page.evaluate(() => window.offers), ['0.01', '0.01']);
    assert.equal(await page.evaluate(() => window.hurt), undefined);
    assert.equal(seen.violations.length, 1, 'the inline one was held back');
    await close();
  });

  test('says why a payment was refused', async () => {
    const shop = await shopWith('/refused.html', answering(200, '{{error}}{{pay}}', HTML));
    const opened = await open(`${shop.url}/sold/tea`, { before: (context) => context.setExtraHTTPHeaders({ 'payment-signature': Buffer.from(JSON.stringify({ x402Version: 2, accepted: { scheme: 'exact', network: 'eip155:1' }, payload: {} })).toString('base64') }) });
    assert.match(await alertOf(opened.page), /The payment was not taken: invalid_network/);
    await opened.close();
  });
});

describe('edge402’s own page is shown, and the log says why,', () => {
  const cases = {
    'where the file is missing': [answering(404, 'none', HTML), /PAGE\.template: \/.*the origin answered 404 text\/html/],
    'where it is no page': [answering(200, '{{pay}}', { 'content-type': 'text/plain' }), /the origin answered 200 text\/plain/],
    'where it is too long': [answering(200, `{{pay}}${'x'.repeat(65_536)}`, HTML), /longer than 65536 bytes/],
    'where a placeholder is unknown': [answering(200, '{{pay}}{{wallets}}', HTML), /there is no {{wallets}}; it knows lang, /],
    'where one stands in a script': [answering(200, '{{pay}}<script>"{{url}}"</script>', HTML), /{{url}} stands neither in an element nor in a quoted attribute/],
    'where nothing pays': [answering(200, '<p>{{price}}</p>', HTML), /must hold {{pay}} once, or {{data}} once/],
    'where the origin fails': [answering(503, ''), /the origin answered 503/],
    'where the origin is silent': [() => {}, /the origin is silent/],
  };
  for (const [number, [what, [answer, line]]] of Object.entries(cases).entries()) {
    test(what, async () => {
      const path = `/fault-${number}.html`;
      const shop = await shopWith(path, answer);
      const page = await asBrowser(`${shop.url}/sold/tea`);
      assert.equal(page.status, 402);
      assert.match(await page.text(), /<p class="amount">\$0\.01<\/p>/);
      assert.match(page.headers.get('content-security-policy'), /script-src 'sha256-/);
      assert.match(shop.log(), line);
      assert.match(shop.log(), /people see edge402's own page/);
      const asked = () => site.requests.filter((it) => it === path).length;
      assert.equal(asked(), 1);
      await asBrowser(`${shop.url}/sold/tea`);
      assert.equal(asked(), 1, 'the origin is left in peace');
    });
  }
});

test('a file among the Worker’s own assets is found, though they are served without .html', async () => {
  const shop = await world.startWorker({ vars: { PAGE: { template: '/about.html' } } });
  await asBrowser(`${shop.url}/premium/`);
  assert.match(shop.log(), /PAGE\.template: \/about\.html: it must hold {{pay}} once/);
});
