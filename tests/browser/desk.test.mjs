/** The desk in Chromium: signing in, and whether what it shows is what was sold. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { startRpcProxy } from '../../dev/rpc-proxy.mjs';
import { EVM_NETWORK, SOLANA_NETWORK } from '../../dev/world.mjs';
import { waitFor } from '../../dev/util.mjs';
import { assertPaid, PAGE, payment, send } from '../e2e/support.mjs';
import { alertOf, assertClean, faults, open, useShop } from './support.mjs';

const TOKEN = 'the token of the seller';
const OLD = 'one that was taken away';
const PAGE_OF = 25;
const BOUGHT = PAGE_OF + 2;
const hashOf = (token) => createHash('sha256').update(token).digest('hex');

let proxy;
const shop = useShop({ worker: () => false, prepare });
after(() => proxy?.stop());

/** A shop that has sold more than a page holds, on both chains, at two prices. */
async function prepare({ world }) {
  proxy = await startRpcProxy(world.evm.url);
  const RPC_URLS = { [EVM_NETWORK]: [proxy.url], [SOLANA_NETWORK]: [world.solana.url] };
  ({ url: shop.url } = await world.startWorker({ secrets: { DESK_TOKENS: `${hashOf(TOKEN)},${hashOf('another')}`, RPC_URLS } }));
  const buy = async (path, network = EVM_NETWORK, buyer = 0) => {
    const answer = await send(`${shop.url}${path}`, await payment(world, `${shop.url}${path}`, { network, buyer }));
    assertPaid(answer);
  };
  for (let n = 0; n < BOUGHT - 4; n += 1) await buy(`${PAGE}?number=${n}`);
  await buy(PAGE, EVM_NETWORK, 1);
  for (let n = 0; n < 2; n += 1) await buy(`${PAGE}?number=${n}`, SOLANA_NETWORK);
  await buy('/data/almanac.json');
  // Delivery is told after the answer; what the page shows must not change under it.
  await waitFor(async () => (await ledgerOf()).every(({ delivered }) => delivered), { what: 'the deliveries' });
}

/** All sales, as a program reads them. */
async function ledgerOf(query = '') {
  const { json } = await send(`${shop.url}/.edge402/sales?limit=500${query}`, { authorization: `Bearer ${TOKEN}` });
  return json.sales;
}

const desk = (options) => open(`${shop.url}/.edge402/desk`, options);

async function signIn(page, token = TOKEN) {
  await page.getByLabel('Token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

const sales = (page) => page.getByRole('table', { name: 'Sales, the newest first' });

async function signedIn(options) {
  const opened = await desk(options);
  await signIn(opened.page);
  await sales(opened.page).waitFor();
  await opened.page.getByRole('table', { name: 'By network' }).waitFor();
  return opened;
}

/** The rows of the sales, as their cells' texts; payers and transactions in full. */
const rowsOf = (page) => sales(page).locator('tbody tr').evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.querySelector('[title]')?.title ?? cell.innerText)));

const usdc = (units) => `${(Number(units) / 1e6).toString()} USDC`;
const rowOf = ({ time, amount, network, payer, transaction }) => [
  new Date(time * 1_000).toISOString().slice(0, 16).replace('T', ' '), usdc(amount), network === EVM_NETWORK ? 'Base Sepolia' : 'Solana Devnet', payer, transaction, 'delivered', 'Refund',
];
const withoutWhat = ([time, , ...rest]) => [time, ...rest];

test('a wrong token and an old one are refused, and the right one opens the desk', async () => {
  const opened = await desk();
  const { page, context } = opened;
  for (const token of ['wrong', OLD, hashOf(TOKEN)]) {
    await signIn(page, token);
    await page.getByRole('alert').waitFor();
    assert.equal(await alertOf(page), 'This is no token of this shop.', token);
  }
  assert.deepEqual(await context.cookies(), []);
  await signIn(page);
  await sales(page).waitFor();
  const [cookie, ...others] = await context.cookies();
  const { httpOnly, secure, sameSite, path, name } = cookie;
  assert.deepEqual({ httpOnly, secure, sameSite, path, name, others }, { httpOnly: true, secure: true, sameSite: 'Strict', path: '/.edge402', name: 'edge402_desk', others: [] });
  assert.ok(Math.abs(cookie.expires - Date.now() / 1_000 - 43_200) < 300);
  assert.deepEqual(await page.evaluate(() => [document.cookie, localStorage.length, sessionStorage.length]), ['', 0, 0]);
  await page.reload();
  await sales(page).waitFor();
  assertClean(opened);
  await opened.close();
});

test('what was sold stands there as in the ledger, page by page', async () => {
  const opened = await signedIn();
  const { page } = opened;
  const all = await ledgerOf();
  assert.equal(all.length, BOUGHT);
  const turned = async (name, number) => {
    await page.getByRole('button', { name }).click();
    await page.getByText(`Page ${number}`).waitFor();
  };
  assert.deepEqual((await rowsOf(page)).map(withoutWhat), all.slice(0, PAGE_OF).map(rowOf));
  assert.ok(await page.getByRole('button', { name: 'Newer' }).isDisabled());
  await turned('Older', 2);
  assert.deepEqual((await rowsOf(page)).map(withoutWhat), all.slice(PAGE_OF).map(rowOf));
  assert.ok(await page.getByRole('button', { name: 'Older' }).isDisabled());
  await turned('Newer', 1);
  assert.equal((await rowsOf(page)).length, PAGE_OF);
  assertClean(opened);
  await opened.close();
});

test('one payer, one transaction, one route and one day are found', async () => {
  const opened = await signedIn();
  const { page } = opened;
  const [evm] = shop.world.accounts.evm.buyers.slice(1);
  const [{ transaction }] = await ledgerOf(`&payer=${shop.world.accounts.solana.buyers[0].address}`);
  const all = await ledgerOf();
  const find = async (text, isIt) => {
    await page.getByLabel('Payer, transaction or route').fill(text);
    await page.keyboard.press('Enter');
    const expected = all.filter(isIt).map(rowOf);
    assert.equal(expected.length, 1, text);
    await waitFor(async () => JSON.stringify((await rowsOf(page)).map(withoutWhat)) === JSON.stringify(expected), { what: `the sale of ${text}` });
  };
  await find(evm.address.toLowerCase(), ({ payer }) => payer === evm.address);
  await find(transaction, (it) => it.transaction === transaction);
  await find('/data/almanac.json', ({ route }) => route === '/data/almanac.json');
  const today = new Date().toISOString().slice(0, 10);
  const file = await page.getByRole('link', { name: 'CSV' }).getAttribute('href');
  assert.equal(file, '/.edge402/sales/export?format=csv&route=%2Fdata%2Falmanac.json');
  await page.getByLabel('Payer, transaction or route').fill('/nothing');
  await page.keyboard.press('Enter');
  await page.getByText('No sales are found.').waitFor();
  await page.getByLabel('Payer, transaction or route').fill('');
  await page.getByLabel('To', { exact: true }).fill(today);
  await page.getByLabel('From', { exact: true }).fill(today);
  await page.keyboard.press('Enter');
  const ofToday = all.filter(({ time }) => new Date(time * 1_000).toISOString().startsWith(today));
  await waitFor(async () => (await rowsOf(page)).length === Math.min(PAGE_OF, ofToday.length), { what: 'the sales of today' });
  assertClean(opened);
  await opened.close();
});

test('the takings, the plot and the breakdowns are the ledger’s sums', async () => {
  const opened = await signedIn();
  const { page } = opened;
  const all = await ledgerOf();
  const sum = (list) => usdc(list.reduce((units, { amount }) => units + BigInt(amount), 0n));
  for (const name of ['7 days', '30 days', '365 days']) {
    await page.getByLabel(name).check();
    assert.match(await page.locator('label', { hasText: name }).innerText(), new RegExp(`${sum(all)}\\s+${all.length} sales`), name);
    await page.getByRole('img', { name: `${sum(all)} from ` }).waitFor();
  }
  await page.getByLabel('30 days').check();
  // Those of the seven days say "by day" as well.
  await waitFor(async () => (await page.locator('svg g').count()) === 30, { what: 'a bar for each of 30 days' });
  const bars = await page.locator('svg g').evaluateAll((list) => list.map((bar) => bar.querySelector('.bar').getAttribute('height')));
  assert.equal(bars.length, 30);
  assert.ok(bars.includes('1000'), 'the best day is as high as the plot');
  const cells = (name) => page.getByRole('table', { name }).locator('tbody tr').evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.querySelector('[title]')?.title ?? cell.innerText)));
  const by = (key, nameOf = (it) => it) => [...new Set(all.map((it) => it[key]))].map((it) => all.filter((sale) => sale[key] === it))
    .sort((a, b) => b.length - a.length).map((list) => [nameOf(list[0][key]), String(list.length), sum(list)]);
  assert.deepEqual(await cells('By route'), by('route'));
  assert.deepEqual((await cells('By network')).map((row) => row.slice(0, 3)), by('network', (it) => (it === EVM_NETWORK ? 'Base Sepolia' : 'Solana Devnet')));
  assert.deepEqual((await cells('By payer')).sort(), by('payer').sort());
  await page.getByText('The numbers').click();
  const numbers = await cells('USDC taken');
  assert.ok(numbers.length >= 1 && numbers.length <= 2, 'one day, or the night between two');
  if (numbers.length === 1) assert.deepEqual(numbers[0].slice(1), [`${all.length} sales`, sum(all)]);
  await page.getByRole('table', { name: 'By route' }).getByRole('button', { name: '/data/almanac.json' }).click();
  await waitFor(async () => (await rowsOf(page)).length === 1, { what: 'the sales of that route' });
  assertClean(opened);
  await opened.close();
});

test('the sales are had as files', async () => {
  const opened = await signedIn();
  const { page } = opened;
  const all = await ledgerOf();
  for (const [name, read] of [['CSV', (text) => text.trim().split('\r\n').length - 1], ['JSON', (text) => JSON.parse(text).length]]) {
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name }).click()]);
    const text = readFileSync(await download.path(), 'utf8');
    assert.equal(read(text), all.length, name);
    assert.ok(all.every(({ transaction }) => text.includes(transaction)), name);
  }
  assertClean(opened);
  await opened.close();
});

test('the keys stand there with what they hold', async () => {
  const opened = await signedIn();
  const { page } = opened;
  for (const { address } of [shop.world.accounts.evm.relayers[0], { address: shop.world.accounts.solana.feePayers[0].address }]) {
    const row = page.getByRole('table', { name: 'What pays the fees' }).locator('tr', { hasText: address });
    assert.match(await row.innerText(), /[\d.,]+ (ETH|SOL)/);
  }
  await page.getByText('Selling on every network.').waitFor();
  await opened.close();
});

test('a route is switched off and on, and costs what the desk says', async () => {
  const opened = await signedIn();
  const { page } = opened;
  const save = async (shown) => {
    await page.getByRole('button', { name: `Save ${PAGE}`, exact: true }).click();
    await waitFor(async () => (await page.locator('details', { hasText: 'Who changed what' }).locator('tbody tr').allTextContents())[0]?.includes(shown), { what: `the history to say ${shown}` });
  };
  const asked = async () => {
    const { status, challenge } = await send(`${shop.url}${PAGE}`);
    return challenge ? [...new Set(challenge.accepts.map(({ amount }) => amount))] : status;
  };
  const usual = await asked();
  const price = page.getByLabel(`Price of ${PAGE}`, { exact: true });
  const sold = page.getByLabel(`${PAGE} is for sale`, { exact: true });
  const stale = await signedIn();
  await sold.uncheck();
  await save('no');
  assert.equal(await asked(), 503);
  // A page that was opened before saves a price, and nothing else.
  await stale.page.getByLabel(`Price of ${PAGE}`, { exact: true }).fill('$0.07');
  await stale.page.getByRole('button', { name: `Save ${PAGE}`, exact: true }).click();
  await waitFor(async () => !(await stale.page.getByLabel(`${PAGE} is for sale`, { exact: true }).isChecked()), { what: 'the other page to show that it is off' });
  assert.equal(await asked(), 503);
  await stale.close();
  await sold.check();
  await save('yes');
  assert.ok(await sold.isChecked());
  assert.equal(await price.inputValue(), '$0.07');
  assert.deepEqual(await asked(), ['70000']);
  await price.fill('');
  await save('set back');
  assert.deepEqual(await asked(), usual);
  await page.getByText('There are none.').waitFor();
  assert.deepEqual(await faults(page), []);
  assertClean(opened);
  await opened.close();
});

test('whoever signs out is out, in this browser and with its cookie', async () => {
  const opened = await signedIn();
  const { page, context } = opened;
  const [{ name, value }] = await context.cookies();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Token').waitFor();
  assert.deepEqual(await context.cookies(), []);
  assert.equal(await sales(page).count(), 0);
  const again = await send(`${shop.url}/.edge402/sales`, { cookie: `${name}=${value}` });
  assert.ok([401, 429].includes(again.status), String(again.status));
  await page.reload();
  await page.getByLabel('Token').waitFor();
  assertClean(opened);
  await opened.close();
});

test('a session that is over asks for the token again', async () => {
  const opened = await signedIn();
  const { page, context } = opened;
  await context.clearCookies();
  await page.getByRole('button', { name: 'Refresh' }).click();
  await page.getByLabel('Token').waitFor();
  assert.equal(await alertOf(page), 'Your session is over.');
  await opened.close();
});

test('all of it is done by keyboard', async () => {
  const opened = await desk();
  const { page } = opened;
  await page.getByLabel('Token').waitFor();
  await page.keyboard.type(TOKEN);
  await page.keyboard.press('Enter');
  await page.getByRole('table', { name: 'By network' }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.tagName), 'MAIN');
  const focused = () => page.evaluate(() => {
    const it = document.activeElement;
    return it.labels?.[0]?.innerText.split('\n')[0] ?? it.innerText;
  });
  await page.keyboard.press('Tab');
  assert.equal(await focused(), '30 days');
  await page.keyboard.press('ArrowRight');
  assert.equal(await focused(), '365 days');
  await page.locator('figcaption', { hasText: 'by week' }).waitFor();
  const reached = [];
  for (let n = 0; n < 120 && !reached.includes('JSON'); n += 1) {
    await page.keyboard.press('Tab');
    reached.push(await focused());
  }
  for (const name of ['The numbers', '/data/almanac.json', 'Payer, transaction or route', 'Search', 'Older', 'CSV', 'JSON']) assert.ok(reached.includes(name), `${name}: ${reached}`);
  await opened.close();
});

test('nothing is wrong for those who see or hear it otherwise, and it fits a phone', async () => {
  for (const options of [{ viewport: { width: 1_100, height: 900 } }, { viewport: { width: 1_100, height: 900 }, colorScheme: 'dark' }, { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true }]) {
    const opened = await desk({ options });
    const { page } = opened;
    await page.getByLabel('Token').waitFor();
    assert.deepEqual(await faults(page), []);
    await signIn(page, 'wrong');
    await page.getByRole('alert').waitFor();
    assert.deepEqual(await faults(page), []);
    await signIn(page);
    await page.getByRole('table', { name: 'By network' }).waitFor();
    assert.deepEqual(await faults(page), []);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), options.viewport.width);
    assertClean(opened);
    await opened.close();
  }
});

test('a node that is down while the desk is open hides no sale', async () => {
  const opened = await signedIn();
  const { page } = opened;
  const before = await rowsOf(page);
  proxy.rule = () => ({ before: true });
  try {
    await page.getByRole('button', { name: 'Refresh' }).click();
    // What was seen of the chain is told again for some seconds.
    await waitFor(async () => {
      await page.getByRole('button', { name: 'Refresh' }).click();
      await page.getByRole('table', { name: 'By network' }).waitFor();
      return page.getByText('Not everything can be sold now.').isVisible();
    }, { what: 'the desk to say so', timeout: 60_000, every: 2_000 });
    assert.match(await page.getByRole('alert').first().innerText(), /eip155:84532.*rpc/);
    await waitFor(async () => JSON.stringify(await rowsOf(page)) === JSON.stringify(before), { what: 'the sales as they were' });
  } finally {
    proxy.rule = null;
  }
  assertClean(opened);
  await opened.close();
});

test('an answer that never comes is no desk, but says so', async () => {
  const opened = await signedIn();
  const { page } = opened;
  await page.route('**/.edge402/sales?**', (route) => route.abort());
  await page.getByRole('button', { name: 'Search' }).click();
  await page.getByText('The Worker can’t be reached. Try again.').waitFor();
  await page.unroute('**/.edge402/sales?**');
  await page.getByRole('button', { name: 'Search' }).click();
  await sales(page).waitFor();
  await opened.close();
});
