/** `npm run screenshots [part of a name]`: the pay page and the desk in each of their states, light, dark and on a phone, into `.dev/screenshots/`. */
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { answering, choose, evmWallet, never, open, servedAs, solanaWallet, startBrowser, walletError, withoutCookies } from '../tests/browser/support.mjs';
import { build } from './build.mjs';
import { command, readArguments } from './cli.mjs';
import { DEV_DIR } from './util.mjs';
import { sale, writeSales } from './ledger.mjs';
import { placePermit2, TOKEN_ADDRESS } from './evm/permit2.mjs';
import { USDC_MINT } from './solana/setup.mjs';
import { EVM_NETWORK, SOLANA_NETWORK, startWorld } from './world.mjs';

const FOLDER = join(DEV_DIR, 'screenshots');
const LOOKS = {
  light: { viewport: { width: 900, height: 900 } },
  dark: { viewport: { width: 900, height: 900 }, colorScheme: 'dark' },
  phone: { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 },
};
const OWN_LOOK = { name: 'Tuppence', logo: '/favicon.svg', accent: '#a3243d', home: '/', terms: '/about.html', support: 'mailto:help@tuppence.example' };
const DESK = '/.edge402/desk';
const DESK_TOKEN = 'a token';
const DESK_DAYS = 300;
/** An address that phones can reach. */
const PUBLIC = 'https://shop.example';

/** By name: the wallets that are there, what is done, and what shows that it is done. */
function states(world) {
  const [evm, solana] = [world.accounts.evm.buyers[0], world.accounts.solana.buyers[0]];
  const refusing = (code, message) => answering('eth_signTypedData_v4', () => { throw walletError(code, message); });
  const alerts = (page) => page.getByRole('alert').waitFor();
  const press = async (page) => {
    await choose(page);
    await alerts(page);
  };
  const both = () => [evmWallet(world, evm, { name: 'MetaMask', rdns: 'io.metamask' }), solanaWallet(solana, { name: 'Phantom' })];
  const { evm: { seller }, solana: { seller: onSolana } } = world.accounts;
  const sellers = () => [evmWallet(world, seller, { name: 'MetaMask', rdns: 'io.metamask' }), solanaWallet(onSolana, { name: 'Phantom' })];
  const one = (options) => [evmWallet(world, evm, options)];
  return {
    'ready': { wallets: both() },
    'no-wallet': { at: PUBLIC, act: (page) => page.getByText('No wallet was found').waitFor() },
    'no-wallet-local': { act: (page) => page.getByText('No wallet was found').waitFor() },
    'folds': { at: PUBLIC, wallets: both(), act: (page) => page.evaluate(() => document.querySelectorAll('details').forEach((it) => { it.open = true; })) },
    'connecting': { wallets: one(answering('eth_requestAccounts', never)), act: async (page) => { await choose(page); await page.getByText('Connect this page').waitFor(); } },
    'signing': { wallets: one(answering('eth_signTypedData_v4', never)), act: async (page) => { await choose(page); await page.getByText('Confirm').waitFor(); } },
    'declined': { wallets: one(refusing(4001)), act: press },
    'wallet-failed': { wallets: one(refusing(-32000, 'Ledger device: blind signing is not enabled')), act: press },
    'poor': { wallets: one(answering('eth_call', () => '0x270f')), act: press },
    'refused': { wallets: one(answering('eth_signTypedData_v4', () => `0x${'11'.repeat(65)}`)), act: press },
    'sending': { wallets: one(), act: async (page) => {
      await page.route('**/*', (route) => (route.request().headers()['payment-signature'] ? route.fulfill({ status: 503 }) : route.continue()));
      await choose(page);
      await page.getByText('Trying again').waitFor();
    } },
    'paid': { path: '/data/almanac.json', wallets: one(), act: async (page) => {
      // Without cookies the page shows what was bought.
      await choose(page);
      await page.getByRole('heading', { name: 'Paid' }).waitFor();
    }, before: withoutCookies },
    'bought': { wallets: both(), before: (context, page) => context.addInitScript(() => {
      const receipt = { at: 1_790_000_000_000, amount: '0.01 USDC', title: 'Base Sepolia', network: 'eip155:84532', transaction: `0x${'ab'.repeat(32)}` };
      localStorage.setItem(`edge402 ${location.href}`, JSON.stringify(receipt));
    }) },
    'approve': { look: 'permit2', wallets: one(), act: press },
    'own-look': { look: 'own', wallets: [...one(refusing(4001)), solanaWallet(solana, { name: 'Phantom', icon: undefined })], act: press },
    'desk-sign-in': { look: 'desk', path: DESK, act: (page) => signIn(page, 'another').then(() => alerts(page)) },
    'desk': { look: 'desk', path: DESK, act: (page) => signIn(page).then(() => page.getByRole('table', { name: 'By network' }).waitFor()) },
    'desk-year': { look: 'desk', path: DESK, act: async (page) => {
      await signIn(page);
      await page.getByLabel('365 days').check();
      await page.locator('figcaption', { hasText: 'by week' }).waitFor();
    } },
    ...Object.fromEntries(Object.keys(REFUNDS).map((name) => [name, { look: 'desk', path: DESK, isDialog: true, wallets: sellers(), act: (page) => refund(page, name) }])),
    'no-script': { options: { javaScriptEnabled: false } },
  };
}

/** A shop that takes a token by Permit2 alone, of a buyer who has not allowed it yet. */
async function permit2Shop(world) {
  const { seller, buyers: [buyer] } = world.accounts.evm;
  const token = await placePermit2(world.evm);
  await token.mint(buyer.address, 1_000_000n);
  await world.evm.fund(buyer.address);
  const tokens = [{ asset: TOKEN_ADDRESS, symbol: 'TUSD', decimals: 6, asset_transfer_method: 'permit2' }];
  const ROUTES = [{ pattern: '/premium/*', price: '$0.01', description: 'Premium pages', networks: [`${EVM_NETWORK}/TUSD`] }];
  return world.startWorker({ vars: { ROUTES, NETWORKS: { [EVM_NETWORK]: { rpc: [world.evm.url], pay_to: seller.address, tokens } } } });
}

async function signIn(page, token = DESK_TOKEN) {
  await page.getByLabel('Token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/**
 * The states of a refund's dialog, by the place of their sale in the list: what is told of it before, and what is done
 * in the dialog then.
 */
const REFUNDS = {
  'desk-refund': {},
  'desk-refund-open': { tell: 'ab' },
  'desk-refund-silent': { tell: 'cd', takeOff: true, act: (dialog) => dialog.getByLabel('I have looked').check() },
  'desk-refund-reserved': { reserve: true },
  'desk-refund-refused': { act: async (dialog) => {
    await dialog.getByLabel('Its transaction').fill('0x12');
    await dialog.getByRole('button', { name: 'Note it' }).click();
    await dialog.getByRole('alert').waitFor();
  } },
};

/** Tells a shop what the states of its refunds begin with. */
async function prepareRefunds({ url }) {
  const asked = (path, init) => fetch(`${url}/.edge402/${path}`, { ...init, headers: { authorization: `Bearer ${DESK_TOKEN}` } });
  const { sales } = await (await asked(`sales?network=${EVM_NETWORK}&limit=${Object.keys(REFUNDS).length}`)).json();
  for (const [at, state] of Object.values(REFUNDS).entries()) {
    const { network, time, payment, amount } = sales[at];
    state.sale = sales[at].transaction;
    const transaction = `0x${state.tell?.repeat(32)}`;
    if (state.tell) await asked('desk/refunds', { method: 'POST', body: JSON.stringify({ network, time, payment, transaction }) });
    if (state.takeOff) await asked(`desk/refunds?${new URLSearchParams({ network, transaction })}`, { method: 'DELETE' });
    if (state.reserve) await asked('desk/refunds', { method: 'PUT', body: JSON.stringify({ network, time, payment, amount, reservation: '0'.repeat(32), despite: [] }) });
  }
}

async function refund(page, name) {
  await signIn(page);
  const { sale, act } = REFUNDS[name];
  const row = page.getByRole('table', { name: 'Sales, the newest first' }).locator('tbody tr').filter({ has: page.locator(`[title="${sale}"]`) });
  await row.getByRole('button', { name: 'Refund' }).click();
  const dialog = page.getByRole('dialog', { name: 'Refund' });
  await dialog.getByLabel('Its transaction').waitFor();
  await act?.(dialog);
}

/** A shop that has sold for most of a year, a little more in some weeks than in others. */
async function deskShop(world) {
  const persist = join(DEV_DIR, 'screenshots-desk');
  rmSync(persist, { recursive: true, force: true });
  const now = Math.floor(Date.now() / 1_000);
  const { evm: { relayers: [relayer] }, solana: { feePayers: [feePayer], buyers: [buyer] } } = world.accounts;
  const sold = Array.from({ length: DESK_DAYS * 3 }, (_, n) => ({ n, day: (n * 7) % DESK_DAYS, time: now - ((n * 7) % DESK_DAYS) * 86_400 - (n * 631) % 80_000 }));
  const evm = sold.filter(({ n, day }) => n % 4 && (day + n) % 5).map(({ n, time, day }) => sale(n, {
    time, amount: String(10_000 + (day % 40) * 500), payer: `0x${String(n % 9).repeat(40)}`,
    ...(n % 3 === 0 && { route: '/data/almanac.json', path: '/data/almanac.json' }), ...(n % 7 === 3 && { redeliveries: 1 }),
  }));
  const solana = sold.filter(({ n }) => n % 4 === 0).map(({ n, time }) => sale(n, {
    time, network: SOLANA_NETWORK, asset: USDC_MINT, payer: buyer.address, payment: `solana/${n}`, transaction: `${'5VERv8NMvzbJMEkV8xnrLkEaWRtSz9CosKDYjCJjBRnbJLgp8uirBgmQpjKhoR4tjF3ZpRzrFmBV6UjKdi'}${String(n).padStart(3, '1').replaceAll('0', 'z')}`, fee: '10000',
  }));
  await writeSales(persist, `${EVM_NETWORK}/${relayer.address}`, evm);
  await writeSales(persist, `${SOLANA_NETWORK}/${feePayer.address}`, solana);
  const shop = await world.startWorker({ persist, secrets: { DESK_TOKENS: createHash('sha256').update(DESK_TOKEN).digest('hex') } });
  await prepareRefunds(shop);
  return shop;
}

async function main() {
  const { positionals: [part = ''] } = readArguments('Usage: npm run screenshots [part of a name]', { arguments: [0, 1] });
  await build({ quiet: true });
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  const world = await startWorld();
  const shops = { own: await world.startWorker({ vars: { PAGE: OWN_LOOK } }), permit2: await permit2Shop(world), desk: await deskShop(world) };
  const browser = await startBrowser();
  try {
    for (const [look, options] of Object.entries(LOOKS)) {
      for (const [name, state] of Object.entries(states(world)).filter(([name]) => name.includes(part))) {
        const url = shops[state.look]?.url ?? world.url;
        const before = state.at ? servedAs(state.at, url) : state.before;
        const { page, close } = await open(`${state.at ?? url}${state.path ?? '/premium/'}`, { ...state, before, options: { ...options, ...state.options } });
        await (state.act ?? ((it) => it.waitForTimeout(800)))(page);
        await page.screenshot({ path: join(FOLDER, `${name}-${look}.png`), fullPage: !state.isDialog });
        await close();
      }
    }
    console.log(`written to ${FOLDER}`);
  } finally {
    await browser.close();
    await world.stop();
  }
}

await command(main);
