/** What was bought arrives as what it is: the browser itself opens it, by the cookie that the payment brought. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { assertClean, choose, open, signaturesOf, useShop } from './support.mjs';

const LARGE_BYTES = 20 * 1_024 * 1_024;

const shop = useShop({
  site: true,
  worker: (site) => ({ vars: { ORIGIN: site.url, ROUTES: [{ pattern: '/sold/*', price: '$0.01' }, { pattern: '/open/*', price: '$0.01', access: '1h' }] } }),
});

/** Serves bytes, and parts of them to whoever asks for a range. */
function serving(type, bytes, headers = {}) {
  return (request, response) => {
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
    const all = { 'content-type': type, 'accept-ranges': 'bytes', etag: `"${bytes.length}"`, ...headers };
    if (from === undefined) return response.writeHead(200, { ...all, 'content-length': bytes.length }).end(bytes);
    const end = Math.min(to ? Number(to) : bytes.length - 1, bytes.length - 1);
    const part = bytes.subarray(Number(from), end + 1);
    return response.writeHead(206, { ...all, 'content-length': part.length, 'content-range': `bytes ${from}-${end}/${bytes.length}` }).end(part);
  };
}

const HTML = '<!doctype html><title>goods</title><link rel="icon" href="data:,"><h1>dead</h1><script>document.querySelector("h1").textContent = "alive"</script>';

/** A second of silence: 8,000 samples of 8 bits. */
function wav() {
  const samples = 8_000;
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.writeUInt32LE(36 + samples, 4);
  head.write('WAVEfmt ', 8);
  for (const [value, at, size] of [[16, 16, 4], [1, 20, 2], [1, 22, 2], [8_000, 24, 4], [8_000, 28, 4], [1, 32, 2], [8, 34, 2], [samples, 40, 4]]) head[`writeUInt${size * 8}LE`](value, at);
  head.write('data', 36);
  return Buffer.concat([head, Buffer.alloc(samples, 128)]);
}

/** A grey picture of 3 by 2 pixels. */
function png() {
  const crc = (bytes) => {
    let value = ~0;
    for (const byte of bytes) {
      value ^= byte;
      for (let i = 0; i < 8; i += 1) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
    }
    return ~value >>> 0;
  };
  const chunk = (name, data) => {
    const named = Buffer.concat([Buffer.from(name), data]);
    const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    check.writeUInt32BE(crc(named));
    return Buffer.concat([length, named, check]);
  };
  const head = Buffer.from([0, 0, 0, 3, 0, 0, 0, 2, 8, 0, 0, 0, 0]);
  const rows = Buffer.from([0, 128, 128, 128, 0, 128, 128, 128]);
  return Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), chunk('IHDR', head), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))]);
}

const PDF = Buffer.from('%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF');

/** Buys `path` and answers the page once `arrived(page)` is through; one price is charged, for one signature. */
async function buy(path, handler, arrived, settings = {}) {
  shop.site.on(path.split('#')[0], handler);
  const own = shop.evm();
  const opened = await open(`${shop.url}${path}`, { wallets: [own], ...settings });
  const result = await shop.charged(async () => {
    await choose(opened.page);
    return arrived(opened.page, opened);
  });
  assert.equal(signaturesOf(own), 1);
  return { ...opened, result };
}

const typeOf = (type) => (page) => page.waitForFunction((wanted) => document.contentType === wanted, type);
const isAlive = (page) => page.getByRole('heading', { name: 'alive' }).waitFor();

describe('the browser opens', () => {
  test('a document, and its scripts run', async () => {
    const opened = await buy('/sold/page', serving('text/html', Buffer.from(HTML)), isAlive);
    assertClean(opened);
    await opened.close();
  });

  test('an image', async () => {
    const { page, close } = await buy('/sold/image.png', serving('image/png', png()), typeOf('image/png'));
    assert.equal(await page.evaluate(() => document.querySelector('img').naturalWidth), 3);
    await close();
  });

  test('JSON', async () => {
    const { page, close } = await buy('/sold/data.json', serving('application/json', Buffer.from('{"sold":true}')), typeOf('application/json'));
    assert.match(await page.locator('body').innerText(), /"sold"/);
    await close();
  });

  test('a PDF', async () => {
    const { page, close } = await buy('/sold/paper.pdf', serving('application/pdf', PDF), (it) => Promise.race([typeOf('application/pdf')(it), it.waitForEvent('download')]));
    assert.equal(page.url(), `${shop.url}/sold/paper.pdf`);
    await close();
  });

  test('a sound, by ranges', async () => {
    const ranges = [];
    const sound = serving('audio/wav', wav());
    const { page, close } = await buy('/sold/sound.wav', (request, response) => { ranges.push(request.headers.range); sound(request, response); }, (it) => it.locator('video, audio').waitFor({ state: 'attached' }));
    await page.waitForFunction(() => document.querySelector('video, audio').duration > 0);
    assert.equal(await page.evaluate(() => document.querySelector('video, audio').duration), 1);
    assert.ok(ranges.some((it) => /^bytes=/.test(it ?? '')), ranges.join(' '));
    await close();
  });

  test('a download, under its name, and the page says that it is paid', async () => {
    const bytes = Buffer.from('sold');
    const handler = serving('application/octet-stream', bytes, { 'content-disposition': 'attachment; filename="Tea & cake.bin"' });
    const { page, close, result } = await buy('/sold/file', handler, (it) => it.waitForEvent('download'));
    assert.equal(result.suggestedFilename(), 'Tea & cake.bin');
    assert.deepEqual(readFileSync(await result.path()), bytes);
    await page.getByRole('heading', { name: 'Paid' }).waitFor();
    const again = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Open what you bought' }).click();
    assert.deepEqual(readFileSync(await (await again).path()), bytes);
    await close();
  });

  test('a large download, whole', async () => {
    const bytes = Buffer.alloc(LARGE_BYTES, 'large');
    const { close, result } = await buy('/sold/large', serving('application/octet-stream', bytes, { 'content-disposition': 'attachment' }), (it) => it.waitForEvent('download'));
    assert.ok(readFileSync(await result.path()).equals(bytes));
    await close();
  });
});

describe('what was bought', () => {
  test('stays over refresh, back and forward, and with a fragment', async () => {
    const opened = await buy('/sold/again#part', serving('text/html', Buffer.from(HTML)), isAlive);
    const { page } = opened;
    assert.equal(page.url(), `${shop.url}/sold/again#part`);
    await page.reload();
    await isAlive(page);
    await page.goto(`${shop.url}/free`);
    await page.goBack();
    await isAlive(page);
    await page.goForward();
    assert.equal(page.url(), `${shop.url}/free`);
    await page.goto(`${shop.url}/sold/again`);
    await isAlive(page);
    await opened.close();
  });

  test('is remembered when the cookie has ended', async () => {
    const opened = await buy('/sold/ended', serving('text/html', Buffer.from(HTML)), isAlive);
    const { page, context } = opened;
    await page.evaluate(() => {
      const [key, value] = Object.entries(sessionStorage)[0];
      sessionStorage.setItem(key, JSON.stringify({ ...JSON.parse(value), paid: 1 }));
    });
    await context.clearCookies();
    await page.reload();
    await page.getByText(/You bought this on/).waitFor();
    await page.getByRole('button', { name: /^Test Wallet/ }).waitFor();
    await opened.close();
  });

  test('is shown by the page where the browser keeps no cookie, for the same payment', async () => {
    const before = (context) => context.route('**/sold/none', async (route) => {
      if (!route.request().headers()['payment-signature']) return route.continue();
      const response = await route.fetch();
      const { 'set-cookie': _, ...headers } = response.headers();
      // What is fetched so leaves its cookies in the browser, too.
      await context.clearCookies();
      return route.fulfill({ response, headers });
    });
    const shown = (page) => page.locator('pre', { hasText: 'alive' }).waitFor();
    const opened = await buy('/sold/none', serving('text/html', Buffer.from(HTML)), shown, { before });
    await opened.page.getByRole('link', { name: 'Save what you bought' }).waitFor();
    await opened.close();
  });

  test('opens nothing else', async () => {
    const opened = await buy('/sold/one', serving('text/html', Buffer.from(HTML)), isAlive);
    const [cookie, ...others] = await opened.context.cookies();
    assert.deepEqual(others, []);
    assert.ok(cookie.httpOnly && cookie.secure && cookie.path === '/sold/one');
    const status = async (path, { value = cookie.value, ...init } = {}) => (await fetch(new URL(path, shop.url), { ...init, headers: { cookie: `${cookie.name}=${value}` } })).status;
    assert.equal(await status('/sold/one'), 200);
    const letter = cookie.value.at(-1) === 'A' ? 'B' : 'A';
    const stolen = {
      'for another page': ['/sold/two'],
      'for another query': ['/sold/one?x'],
      'by another method': ['/sold/one', { method: 'POST' }],
      'at another host': [shop.url.replace('127.0.0.1', 'localhost') + '/sold/one'],
      'forged at its end': ['/sold/one', { value: cookie.value.slice(0, -1) + letter }],
      'forged at its beginning': ['/sold/one', { value: `1${cookie.value}` }],
    };
    for (const [how, [path, init]] of Object.entries(stolen)) assert.equal(await status(path, init), 402, how);
    await opened.close();
  });

  test('opens its route for a while, where that is what is sold', async () => {
    shop.site.on('/open/two', serving('text/html', Buffer.from(HTML.replace('goods', 'two'))));
    const opened = await buy('/open/one', serving('text/html', Buffer.from(HTML)), isAlive);
    await opened.page.goto(`${shop.url}/open/two`);
    await isAlive(opened.page);
    await opened.close();
  });
});

test('what the site has moved to an address that is sold is bought there, and charged once', async () => {
  shop.site.on('/sold/old', (_, response) => response.writeHead(301, { location: '/sold/new' }).end());
  shop.site.on('/sold/new', (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><h1>found</h1>'));
  const opened = await open(`${shop.url}/sold/old`, { wallets: [shop.evm()] });
  await shop.charged(async () => {
    await choose(opened.page);
    await opened.page.getByRole('heading', { name: 'found' }).waitFor();
  });
  assert.equal(opened.page.url(), `${shop.url}/sold/new`);
  await opened.close();
});
