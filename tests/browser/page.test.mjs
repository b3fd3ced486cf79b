/** The page itself: who can read and use it, what it lets in, and what it says without a wallet. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ROOT } from '../../dev/util.mjs';
import { PAGE_PRICE } from '../e2e/support.mjs';
import { answering, arrived, assertClean, choose, faults, GOODS, never, open, useShop, withoutCookies } from './support.mjs';

const HOSTILE = 'Tea </script><script>window.hurt = 1</script><img src=x onerror="window.hurt = 2"> {{data}}';
const languages = readdirSync(join(ROOT, 'www/pay/texts')).map((file) => JSON.parse(readFileSync(join(ROOT, 'www/pay/texts', file), 'utf8')));
const ROUTES = [
  { pattern: '/premium/*', price: '$0.01', description: 'Premium pages' },
  { pattern: '/hostile', price: '$0.01', description: HOSTILE },
  { pattern: '/post', price: '$0.01', methods: ['POST'] },
  { pattern: '/data/almanac.json', price: '$0.005', redeliver_max: 0 },
];

const shop = useShop({ worker: () => ({ vars: { ROUTES } }) });

const unfold = (page) => page.evaluate(() => document.querySelectorAll('details').forEach((it) => { it.open = true; }));

describe('everybody can use the page:', () => {
  test('nothing turns for those who want less motion', async () => {
    for (const [reducedMotion, running] of [['reduce', 0], ['no-preference', 1]]) {
      const { page, close } = await open(shop.page, { wallets: [shop.evm(answering('eth_signTypedData_v4', never))], options: { reducedMotion } });
      await choose(page);
      await page.getByText('Confirm').waitFor();
      assert.equal(await page.evaluate(() => document.getAnimations().length), running, reducedMotion);
      await close();
    }
  });

  test('the keyboard alone buys, and the result is where the focus is', async () => {
    const { page, close } = await open(`${shop.url}/data/almanac.json`, { wallets: shop.both() });
    await page.getByRole('button', { name: /^Test Wallet/ }).waitFor();
    const seen = [];
    for (let i = 0; i < 20; i += 1) {
      await page.keyboard.press('Tab');
      seen.push(await page.evaluate(() => document.activeElement.textContent.trim().slice(0, 30) || document.activeElement.value));
      if (/^Test Wallet/.test(seen.at(-1))) break;
    }
    assert.match(seen.at(-1), /^Test Wallet/, seen.join(', '));
    await shop.charged(async () => {
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'Paid' }).waitFor();
    }, { price: PAGE_PRICE / 2n });
    assert.ok(await page.evaluate(() => document.activeElement.contains(document.querySelector('.paid'))));
    await close();
  });

  test('the keyboard chooses the network, and keeps its place', async () => {
    const { page, close } = await open(shop.page, { wallets: shop.both() });
    await page.getByLabel('Base Sepolia').focus();
    await page.keyboard.press('ArrowRight');
    assert.match(await page.evaluate(() => document.activeElement.dataset.key), /^solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1\//);
    assert.ok(await page.getByLabel('Solana Devnet').isChecked());
    await close();
  });

  test('buttons and links to press are 44 pixels high', async () => {
    const { page, close } = await open(shop.page, { wallets: shop.both(), options: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true } });
    await page.getByRole('button', { name: /^Sol Wallet/ }).waitFor();
    await unfold(page);
    const heights = await page.evaluate(() => [...document.querySelectorAll('button, summary, label, .links a')].map((it) => it.getBoundingClientRect().height));
    const shown = heights.filter((height) => height > 0);
    assert.ok(shown.length >= 11);
    for (const height of shown) assert.ok(height >= 44, shown.join(' '));
    await close();
  });

  for (const { lang, wallets, program, total } of languages) {
    test(`in ${lang}`, async () => {
      const opened = await open(shop.page, { wallets: shop.both(), options: { locale: lang, viewport: { width: 320, height: 640 } } });
      const { page } = opened;
      assert.equal(await page.locator('html').getAttribute('lang'), lang);
      for (const text of [wallets, program]) await page.getByText(text, { exact: true }).waitFor();
      await page.getByText(total).waitFor();
      assert.deepEqual(await faults(page), []);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
      assertClean(opened);
      await opened.close();
    });
  }
});

describe('the page lets in nothing but itself:', () => {
  test('what the seller and the URL say is text', async () => {
    const opened = await open(`${shop.url}/hostile?</script><script>window.hurt=3</script>&"onload='x'`, { wallets: shop.both() });
    await opened.page.getByRole('button', { name: /^Test Wallet/ }).waitFor();
    assert.equal(await opened.page.evaluate(() => window.hurt), undefined);
    assert.equal(await opened.page.getByRole('heading', { level: 1 }).textContent(), HOSTILE);
    assertClean(opened);
    await opened.close();
  });

  test('a wallet’s name is text, and its icon a picture or nothing', async () => {
    const opened = await open(shop.page, { wallets: [shop.evm({ name: '<img src=x onerror="window.hurt=4">', icon: 'https://elsewhere.example/icon.png' })] });
    await opened.page.getByRole('button', { name: /^.?<img/ }).waitFor();
    assert.equal(await opened.page.evaluate(() => window.hurt), undefined);
    assert.equal(await opened.page.locator('.wallet img').count(), 0);
    assertClean(opened);
    await opened.close();
  });

  test('a faucet is named where its money could arrive', async () => {
    const faucets = async (page) => {
      await page.getByText('this is play money').waitFor();
      return page.getByRole('link', { name: 'Get test USDC for free' }).count();
    };
    for (const host of ['127.0.0.1', 'localhost', 'shop.localhost']) {
      const { page, close } = await open(shop.page.replace('127.0.0.1', host));
      assert.equal(await faucets(page), 0, host);
      await close();
    }
    // What the shop says, at a host that others can reach.
    const { page, close } = await open('about:blank');
    const answer = await fetch(shop.page, { headers: { accept: 'text/html', 'accept-language': 'en', 'sec-fetch-dest': 'document' } });
    const policy = { 'content-type': 'text/html', 'content-security-policy': answer.headers.get('content-security-policy') };
    const body = await answer.text();
    await page.route('https://shop.example/**', (route) => route.fulfill({ status: answer.status, headers: policy, body }));
    await page.goto('https://shop.example/');
    assert.equal(await faucets(page), 1);
    await close();
  });

  test('in a frame it is not shown', async () => {
    const { page, close } = await open('about:blank');
    await page.route('https://elsewhere.example/', (route) => route.fulfill({ contentType: 'text/html', body: `<iframe src="${shop.page}"></iframe>` }));
    await page.goto('https://elsewhere.example/');
    const frames = page.frames().filter((it) => it !== page.mainFrame());
    assert.equal(frames.length, 1);
    assert.equal(await frames[0].getByText('Premium pages').count(), 0);
    await close();
  });

  test('its headers say so', async () => {
    const { headers } = await fetch(shop.page, { headers: { accept: 'text/html', 'sec-fetch-dest': 'document' } });
    assert.match(headers.get('content-security-policy'), /^default-src 'none'; script-src 'sha256-[^ ]+'; style-src 'sha256-[^ ]+'; /);
    assert.equal(headers.get('cross-origin-opener-policy'), 'same-origin-allow-popups');
    assert.equal(headers.get('referrer-policy'), 'no-referrer');
    assert.equal(headers.get('x-frame-options'), 'DENY');
    assert.equal(headers.get('cache-control'), 'no-store');
    assert.match(headers.get('vary'), /Accept-Language/);
  });

  test('it asks nobody but the shop for anything', async () => {
    const asked = new Set();
    const opened = await open(shop.page, { wallets: shop.both(), before: async (context) => { context.on('request', (request) => asked.add(new URL(request.url()).origin)); } });
    await choose(opened.page);
    await arrived(opened.page);
    assert.deepEqual([...asked].filter((it) => it !== shop.url && it !== 'null'), []);
    await opened.close();
  });
});

test('the page has the seller’s look, and can be read in every colour', async () => {
  for (const accent of ['#ffee00', '#0a7f3f', '#777777', '#000000']) {
    const own = await shop.world.startWorker({ vars: { ROUTES, PAGE: { name: 'Tuppence', logo: '/favicon.svg', accent, terms: '/about.html' } } });
    for (const colorScheme of ['light', 'dark']) {
      const opened = await open(`${own.url}/data/almanac.json`, { wallets: shop.both(), options: { colorScheme } });
      const { page } = opened;
      await page.getByText('Tuppence', { exact: true }).waitFor();
      assert.ok(await page.evaluate(() => document.querySelector('.logo').naturalWidth > 0));
      assert.equal(await page.getByRole('link', { name: 'Terms' }).getAttribute('href'), '/about.html');
      await choose(page);
      await page.getByRole('link', { name: 'Save what you bought' }).waitFor();
      assert.deepEqual(await faults(page), [], `${accent} ${colorScheme}`);
      assertClean(opened);
      await opened.close();
    }
  }
});

describe('what can’t be sold so', () => {
  test('without JavaScript the page says what it costs, and how a program pays', async () => {
    const { page, close } = await open(shop.page, { options: { javaScriptEnabled: false } });
    for (const text of ['Premium pages', '$0.01']) await page.getByText(text).first().waitFor();
    assert.match(await page.locator('#pay').innerText(), /turn on JavaScript/);
    await page.getByText('Pay with a program').click();
    await page.getByText('wrapFetchWithPaymentFromConfig').first().waitFor();
    await close();
  });

  test('without cookies it says before paying that the goods are shown once, and shows them', async () => {
    const opened = await open(shop.page, { wallets: shop.both(), before: withoutCookies });
    await opened.page.getByText('Cookies are off in this browser').waitFor();
    await choose(opened.page);
    await opened.page.getByRole('link', { name: 'Save what you bought' }).waitFor();
    await opened.page.locator('pre', { hasText: GOODS }).waitFor();
    assertClean(opened);
    await opened.close();
  });

  for (const never of [{ redeliver_max: 0 }, { redeliver: '0' }]) {
    test(`with ${JSON.stringify(never)} the first answer is shown, and can be saved`, async () => {
      const once = await shop.world.startWorker({ vars: { ROUTES: [{ pattern: '/data/almanac.json', price: '$0.005', ...never }] } });
      const opened = await open(`${once.url}/data/almanac.json`, { wallets: shop.both() });
      await opened.page.getByText('What you buy is shown only once').waitFor();
      await choose(opened.page);
      await opened.page.locator('pre', { hasText: 'Almanac of light and dark' }).waitFor();
      const download = opened.page.waitForEvent('download');
      await opened.page.getByRole('link', { name: 'Save what you bought' }).click();
      const saved = await download;
      assert.equal(saved.suggestedFilename(), 'almanac.json');
      assert.deepEqual(readFileSync(await saved.path()), readFileSync(join(ROOT, 'www/data/almanac.json')));
      assertClean(opened);
      await opened.close();
    });
  }

  test('by POST: the page leaves it to programs', async () => {
    const opened = await open(`${shop.url}/post`, { wallets: shop.both(), before: (context) => context.route('**/post', (route) => route.continue({ method: 'POST' })) });
    await opened.page.getByText('This is sold to programs only').waitFor();
    assert.equal(await opened.page.getByRole('button').count(), 0);
    assert.ok(await opened.page.getByText('wrapFetchWithPaymentFromConfig').first().isVisible());
    assertClean(opened);
    await opened.close();
  });
});

test('what was bought before is remembered, with its transaction', async () => {
  const opened = await open(`${shop.url}/data/almanac.json`, { wallets: shop.both() });
  await choose(opened.page);
  await opened.page.getByRole('heading', { name: 'Paid' }).waitFor();
  const link = await opened.page.getByRole('link', { name: 'See the transaction' }).getAttribute('href');
  assert.match(link, /^https:\/\/sepolia\.basescan\.org\/tx\/0x[0-9a-f]{64}$/);
  await opened.page.reload();
  await opened.page.getByText(/You bought this on .*\. To see it again, buy it again/).waitFor();
  assert.equal(await opened.page.getByRole('link', { name: 'See the transaction' }).getAttribute('href'), link);
  await opened.page.getByRole('button', { name: /^Test Wallet/ }).waitFor();
  await opened.close();
});
