/** The browsers' rows of the table of who pays what (tests/data/classes.json), asked by Chromium itself under each maker's name. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../dev/util.mjs';
import { startSite } from '../e2e/site.mjs';
import { open, useShop } from './support.mjs';

const ROWS = JSON.parse(readFileSync(join(ROOT, 'tests/data/classes.json'), 'utf8'));
/** What says for whom a browser asks, which no page can write. */
const SAID = ['site', 'mode', 'dest'].map((it) => `sec-fetch-${it}`);
const PRICES = { 200: 'free', 402: '$0.05' };

const shop = useShop({
  site: true,
  worker: (site) => ({ vars: { ORIGIN: site.url, ROUTES: [{ pattern: '/sold/*', price: '$0.05', free_for: ['people'] }] } }),
  prepare: async ({ site }) => {
    site.on('/sold/page', serving('text/html', '<!doctype html><title>page</title><link rel="icon" href="data:,"><a href="/sold/page">again</a>'));
    site.on('/sold/picture', serving('image/svg+xml', '<svg xmlns="http://www.w3.org/2000/svg"/>'));
    site.on('/sold/script', serving('text/javascript', ''));
  },
});

const serving = (type, body) => (_, response) => response.writeHead(200, { 'content-type': type }).end(body);
const small = (headers) => Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
const keyOf = (headers) => SAID.map((name) => headers[name]).join(' ');

/** The rows of browsers as they are: what they send themselves, from nowhere in particular. */
function rowsByAgent() {
  const rows = ROWS.filter(({ who, headers, edge }) => /^(Chrome|Firefox|Safari)/.test(who) && headers['Sec-Fetch-Site'] && edge.score === undefined && edge.address);
  const agents = new Map();
  for (const { headers, pays, who } of rows) {
    const { 'user-agent': agent, ...said } = small(headers);
    if (!agents.has(agent)) agents.set(agent, new Map());
    agents.get(agent).set(keyOf(said), { pays, who });
  }
  return agents;
}

/** Has a browser of this name ask in every way; what it sent, and the status that it got. */
async function asked(userAgent, other) {
  const { port } = new URL(shop.url);
  const here = `http://shop.localhost:${port}`;
  const at = (name) => `http://${name}.localhost:${new URL(other.url).port}`;
  other.on('/', serving('text/html', `<!doctype html><title>other</title><link rel="icon" href="data:,"><a href="${here}/sold/page">there</a>`));
  const opened = await open('about:blank', { options: { userAgent } });
  const { page, close } = opened;
  const seen = [];
  const picture = `${here}/sold/picture`;
  const sold = () => shop.site.requests.filter((path) => path.startsWith('/sold/')).length;
  const before = sold();
  page.on('request', (request) => {
    if (request.url().startsWith(`${here}/sold/`) && request.url() !== picture) seen.push(request);
  });
  // What is no picture Chromium keeps from a page elsewhere, and from Playwright, too.
  const pictures = new Map();
  const note = (id, what) => pictures.set(id, { ...pictures.get(id), ...what });
  const cdp = await page.context().newCDPSession(page);
  cdp.on('Network.requestWillBeSent', ({ requestId, request }) => note(requestId, { url: request.url }));
  cdp.on('Network.requestWillBeSentExtraInfo', ({ requestId, headers }) => note(requestId, { said: keyOf(small(headers)) }));
  cdp.on('Network.responseReceivedExtraInfo', ({ requestId, statusCode }) => note(requestId, { status: statusCode }));
  await cdp.send('Network.enable');
  const show = (tag, url) => page.evaluate(([name, src]) => new Promise((done) => {
    const element = document.createElement(name);
    element.onload = element.onerror = () => done();
    element.src = src;
    document.body.append(element);
  }), [tag, url]);
  const fetchIt = () => page.evaluate((url) => fetch(url).then(() => {}, () => {}), `${here}/sold/page`);
  const follow = () => Promise.all([page.waitForResponse(`${here}/sold/page`), page.getByRole('link').first().click()]);
  // By an address that was typed in, and by a link of the page itself, with what a page loads.
  await page.goto(`${here}/sold/page`);
  await show('img', picture);
  await show('script', `${here}/sold/script`);
  await fetchIt();
  const first = await seen[0].response();
  if (first.status() === 200) await follow();
  // Pages of another host of this site, and of another site.
  for (const name of ['app.shop', 'other']) {
    await page.goto(`${at(name)}/`);
    await show('img', picture);
    await show('iframe', `${here}/sold/page`);
    await fetchIt();
    await follow();
  }
  const found = [];
  for (const request of seen) {
    const said = keyOf(await request.allHeaders());
    // A frame that may not be shown has none to see; then the site says below that it wasn't asked.
    found.push({ said, status: (await request.response())?.status() ?? 402 });
  }
  found.push(...[...pictures.values()].filter(({ url }) => url === picture).map(({ said, status }) => ({ said, status })));
  assert.equal(sold() - before, found.filter(({ status }) => status === 200).length, `${userAgent}: what the site was asked for`);
  await close();
  return found;
}

test('Chromium says what the table has browsers say, and pays what the table says', async () => {
  const other = await startSite();
  try {
    for (const [agent, rows] of rowsByAgent()) {
      const found = await asked(agent, other);
      assert.ok(found.length >= 12, `${agent}: ${JSON.stringify(found)}`);
      const left = new Map(rows);
      for (const { said, status } of found) {
        const row = rows.get(said);
        if (row) assert.equal(PRICES[status], row.pays, `${row.who}: ${said}`);
        left.delete(said);
      }
      assert.deepEqual([...left.values()].map(({ who }) => who), [], `rows of ${agent} that Chromium never asked`);
      // Whoever asks: pages elsewhere are told the price, and people read.
      for (const { said, status } of found) {
        const isFree = !/^(cross|same)-site /.test(said) || said.endsWith('navigate document');
        assert.equal(status, isFree && !/Headless/.test(agent) ? 200 : 402, `${agent}: ${said}`);
      }
    }
  } finally {
    await other.stop();
  }
});
