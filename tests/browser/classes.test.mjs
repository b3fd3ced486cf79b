/** What is free for people, in Chromium: pages that are gone to, what they load, and what else asks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startSite } from '../e2e/site.mjs';
import { assertClean, open, useShop } from './support.mjs';

const HTML = '<!doctype html><title>article</title><link rel="icon" href="data:,"><h1>read me</h1><img src="/articles/picture.svg"><script src="/articles/script.js"></script>';
const PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="7" height="7"/>';

const shop = useShop({
  site: true,
  worker: (site) => ({ vars: { ORIGIN: site.url, ROUTES: [{ pattern: '/articles/*', price: '$0.01', free_for: ['people'] }] } }),
  prepare: async ({ site }) => {
    const serving = (type, body) => (_, response) => response.writeHead(200, { 'content-type': type }).end(body);
    site.on('/articles/one', serving('text/html', HTML));
    site.on('/articles/picture.svg', serving('image/svg+xml', PICTURE));
    site.on('/articles/script.js', serving('text/javascript', 'document.querySelector("h1").dataset.alive = "yes"'));
    site.on('/free', serving('text/html', '<!doctype html><title>free</title><link rel="icon" href="data:,"><a href="/articles/one">the article</a>'));
  },
});

/** Chromium as people have it: started for a test it calls itself headless, and so a program. */
async function asPeople() {
  const { page, close } = await open(`${shop.url}/free`);
  const userAgent = (await page.evaluate(() => navigator.userAgent)).replace('HeadlessChrome', 'Chrome');
  await close();
  return { userAgent };
}

test('people read: what they go to, by a link and by an address, with all that it loads', async () => {
  const opened = await open(`${shop.url}/articles/one`, { options: await asPeople() });
  const { page, close } = opened;
  const assertRead = async () => {
    assert.equal(await page.locator('h1').getAttribute('data-alive'), 'yes');
    assert.equal(await page.evaluate(() => document.querySelector('img').naturalWidth), 7);
  };
  await assertRead();
  await page.goto(`${shop.url}/free`);
  await page.getByRole('link').click();
  await page.waitForURL('**/articles/one');
  await assertRead();
  await page.reload();
  await assertRead();
  const fetched = await page.evaluate(async () => {
    const answer = await fetch('/articles/one');
    return { status: answer.status, cache: answer.headers.get('cache-control') };
  });
  assert.deepEqual(fetched, { status: 200, cache: 'private, no-cache' }, 'a script of the page itself');
  assertClean(opened);
  await close();
});

test('a page of another site that fetches it is told the price, and one that shows its picture gets none', async () => {
  const other = await startSite();
  try {
    other.on('/', (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end(`<!doctype html><title>other</title><link rel="icon" href="data:,"><a href="${shop.url}/articles/one">there</a>`));
    // Another name for the same address is another site.
    const at = other.url.replace('127.0.0.1', 'localhost');
    const { page, close } = await open(`${at}/`, { options: await asPeople() });
    const status = (url) => page.evaluate(async (it) => (await fetch(it)).status, url);
    assert.equal(await status(`${shop.url}/articles/one`), 402);
    const width = await page.evaluate((url) => new Promise((done) => {
      const picture = new Image();
      picture.onload = () => done(picture.naturalWidth);
      picture.onerror = () => done('refused');
      picture.src = url;
    }), `${shop.url}/articles/picture.svg`);
    assert.equal(width, 'refused');
    await page.getByRole('link').click();
    await page.waitForURL('**/articles/one');
    assert.equal(await page.locator('h1').textContent(), 'read me', 'whoever follows its link reads');
    await close();
  } finally {
    await other.stop();
  }
});

test('programs pay: Chromium that says it is headless, and Node', async () => {
  const { page, close } = await open(`${shop.url}/free`);
  const answer = await page.goto(`${shop.url}/articles/one`);
  assert.equal(answer.status(), 402);
  await close();
  assert.equal((await fetch(`${shop.url}/articles/one`)).status, 402);
  const named = { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36' };
  assert.equal((await fetch(`${shop.url}/articles/one`, { headers: { ...named, 'sec-fetch-mode': 'navigate' } })).status, 402);
});
