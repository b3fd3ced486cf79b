/** Every state of the page, in light, dark and 320 pixels: axe finds nothing, nothing is cut off, nothing is held back by the policy. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encode, EVM_NETWORK } from '../e2e/support.mjs';
import { answering, choose, faults, never, open, servedAs, useShop, walletError, withoutCookies } from './support.mjs';

const ROUTES = [
  { pattern: '/premium/*', price: '$0.01', description: 'Premium pages' },
  { pattern: '/post', price: '$0.01', methods: ['POST'] },
  { pattern: '/data/almanac.json', price: '$0.005', redeliver_max: 0 },
];
const shop = useShop({ worker: () => ({ vars: { ROUTES } }) });

const unfold = (page) => page.evaluate(() => document.querySelectorAll('details').forEach((it) => { it.open = true; }));

const signing = (answer) => () => [shop.evm(answering('eth_signTypedData_v4', answer))];
const pressed = (words) => async (page) => { await choose(page); await page.getByText(words).first().waitFor(); };
const paying = (answer) => (context) => context.route('**/*', (route) => (route.request().headers()['payment-signature'] ? answer(route) : route.fallback()));
const paidOnce = { wallets: () => [shop.evm()], path: '/data/almanac.json' };
const states = {
  'wallets': { wallets: shop.both, act: (page) => page.getByRole('button', { name: /^Sol Wallet/ }).waitFor() },
  'everything unfolded': { wallets: shop.both, act: unfold },
  'no wallet': { act: (page) => page.getByText('No wallet was found').waitFor() },
  'no wallet, at a public address': { host: 'https://shop.example', act: (page) => page.getByRole('img', { name: /QR/ }).waitFor() },
  'no wallet, on a phone': { options: { hasTouch: true, isMobile: true }, act: (page) => page.getByRole('link', { name: 'Solflare' }).waitFor() },
  'waiting for the wallet': { wallets: signing(never), act: pressed('Confirm') },
  'declined': { wallets: signing(() => { throw walletError(4001); }), act: pressed('You declined') },
  'the wallet failed': { wallets: signing(() => { throw walletError(-32000, 'x'.repeat(150)); }), act: pressed('blind signing') },
  'refused, with its transaction': { wallets: () => [shop.evm()], before: paying((route) => route.fulfill({ status: 402, headers: { 'payment-response': encode({ success: false, errorReason: 'duplicate_settlement', transaction: `0x${'ab'.repeat(32)}`, network: EVM_NETWORK }) } })), act: pressed('See the transaction') },
  'the shop is silent': { wallets: () => [shop.evm()], before: paying((route) => route.fulfill({ status: 503 })), act: pressed('Trying again') },
  'nobody knows': { wallets: () => [shop.evm()], before: paying((route) => route.fulfill({ status: 200, body: 'log in' })), act: pressed('Give up this payment') },
  'paid, not delivered': { wallets: () => [shop.evm()], before: paying((route) => route.fulfill({ status: 502, headers: { 'payment-response': encode({ success: true, transaction: '0x1', network: EVM_NETWORK }) } })), act: pressed('couldn’t deliver') },
  'paid': { ...paidOnce, act: pressed('Save what you bought') },
  'bought before': { ...paidOnce, act: async (page) => { await choose(page); await page.getByRole('heading', { name: 'Paid' }).waitFor(); await page.reload(); await page.getByText(/You bought this on/).waitFor(); } },
  'no cookies': { wallets: shop.both, before: withoutCookies, act: (page) => page.getByText('Cookies are off').waitFor() },
  'a payment was refused before the page': { before: (context) => context.setExtraHTTPHeaders({ 'payment-signature': encode({ x402Version: 2, accepted: { scheme: 'exact', network: 'eip155:1' }, payload: {} }) }), act: (page) => page.getByText('The payment was not taken').waitFor() },
  'sold to programs only': { path: '/post', before: postAsGet, act: (page) => page.getByText('sold to programs only').waitFor() },
};
const looks = {
  light: (page) => page.emulateMedia({ colorScheme: 'light' }),
  dark: (page) => page.emulateMedia({ colorScheme: 'dark' }),
  // What a zoom of 400 % leaves of a window, too.
  narrow: (page) => page.setViewportSize({ width: 320, height: 640 }),
};
for (const [name, { wallets = () => [], act, path = '/premium/', before, host, options }] of Object.entries(states)) {
  test(`${name}: axe finds nothing, nothing is cut off`, async () => {
    const served = host ? servedAs(host, shop.url) : before;
    const { page, seen, close } = await open(`${host ?? shop.url}${path}`, { wallets: wallets(), options, before: served });
    await act(page);
    for (const [look, put] of Object.entries(looks)) {
      await put(page);
      assert.deepEqual(await faults(page), [], look);
      const [wide, wider] = await page.evaluate(() => [innerWidth, document.documentElement.scrollWidth]);
      assert.ok(wider <= wide, `${look}: ${wider} of ${wide} pixels`);
    }
    assert.deepEqual(seen.violations, []);
    await close();
  });
}

/** A form that is sent by POST is answered with the page, too. */
async function postAsGet(context) {
  await context.route('**/post', (route) => route.continue({ method: 'POST' }));
}

test('without JavaScript axe finds nothing', async () => {
  // axe is a script itself: it looks at what the server wrote.
  const body = await (await fetch(shop.page, { headers: { accept: 'text/html', 'sec-fetch-dest': 'document' } })).text();
  const bare = body.replace(/<script[\s\S]*?<\/script>/g, '').replace(/<\/?noscript>/g, '');
  const { page, close } = await open('about:blank');
  await page.setContent(bare);
  assert.deepEqual(await faults(page), []);
  await close();
});
