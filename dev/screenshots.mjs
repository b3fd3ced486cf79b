/** `npm run screenshots`: the pay page in each of its states, light, dark and on a phone, into `.dev/screenshots/`. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { choose, evmWallet, open, solanaWallet, startBrowser, walletError } from '../tests/browser/support.mjs';
import { build } from './build.mjs';
import { command, readArguments } from './cli.mjs';
import { DEV_DIR } from './util.mjs';
import { startWorld } from './world.mjs';

const FOLDER = join(DEV_DIR, 'screenshots');
const LOOKS = {
  light: { viewport: { width: 900, height: 900 } },
  dark: { viewport: { width: 900, height: 900 }, colorScheme: 'dark' },
  phone: { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 },
};
const OWN_LOOK = { name: 'Tuppence', logo: '/favicon.svg', accent: '#a3243d', home: '/', terms: '/about.html', support: 'mailto:help@tuppence.example' };
const forever = () => new Promise(() => {});

/** By name: the wallets that are there, what is done, and what shows that it is done. */
function states(world) {
  const [evm, solana] = [world.accounts.evm.buyers[0], world.accounts.solana.buyers[0]];
  const answering = (method, answer) => ({ answer: (asked) => (asked === method ? answer() : undefined) });
  const refusing = (code, message) => answering('eth_signTypedData_v4', () => { throw walletError(code, message); });
  const alerts = (page) => page.getByRole('alert').waitFor();
  const press = async (page) => {
    await choose(page);
    await alerts(page);
  };
  const both = () => [evmWallet(world, evm, { name: 'MetaMask', rdns: 'io.metamask' }), solanaWallet(solana, { name: 'Phantom' })];
  const one = (options) => [evmWallet(world, evm, options)];
  return {
    'ready': { wallets: both() },
    'no-wallet': { act: (page) => page.getByText('No wallet was found').waitFor() },
    'folds': { wallets: both(), act: (page) => page.evaluate(() => document.querySelectorAll('details').forEach((it) => { it.open = true; })) },
    'connecting': { wallets: one(answering('eth_requestAccounts', forever)), act: async (page) => { await choose(page); await page.getByText('Connect this page').waitFor(); } },
    'signing': { wallets: one(answering('eth_signTypedData_v4', forever)), act: async (page) => { await choose(page); await page.getByText('Confirm').waitFor(); } },
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
    }, before: (context) => context.addInitScript(() => Object.defineProperty(Navigator.prototype, 'cookieEnabled', { get: () => false })) },
    'bought': { wallets: both(), before: (context, page) => context.addInitScript(() => {
      const receipt = { at: 1_790_000_000_000, amount: '0.01 USDC', title: 'Base Sepolia', network: 'eip155:84532', transaction: `0x${'ab'.repeat(32)}` };
      localStorage.setItem(`edge402 ${location.href}`, JSON.stringify(receipt));
    }) },
    'own-look': { look: 'own', wallets: [...one(refusing(4001)), solanaWallet(solana, { name: 'Phantom', icon: undefined })], act: press },
    'no-script': { options: { javaScriptEnabled: false } },
  };
}

async function main() {
  readArguments('Usage: npm run screenshots');
  await build({ quiet: true });
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  const world = await startWorld();
  const own = await world.startWorker({ vars: { PAGE: OWN_LOOK } });
  const browser = await startBrowser();
  try {
    for (const [look, options] of Object.entries(LOOKS)) {
      for (const [name, state] of Object.entries(states(world))) {
        const { page, close } = await open(`${state.look ? own.url : world.url}${state.path ?? '/premium/'}`, { ...state, options: { ...options, ...state.options } });
        await (state.act ?? ((it) => it.waitForTimeout(800)))(page);
        await page.screenshot({ path: join(FOLDER, `${name}-${look}.png`), fullPage: true });
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
