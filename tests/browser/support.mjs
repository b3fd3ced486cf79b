/** Chromium on the pay page: wallets that sign in Node, and what a page is asked afterwards. */
import assert from 'node:assert/strict';
import { createPrivateKey, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { SignTypedDataVersion, signTypedData } from '@metamask/eth-sig-util';
import { compileTransactionMessage, decompileTransactionMessage, getCompiledTransactionMessageDecoder, getCompiledTransactionMessageEncoder, getTransactionDecoder } from '@solana/kit';
import { buildSync } from 'esbuild';
import { startChromium } from '../../dev/chromium.mjs';
import { ROOT } from '../../dev/util.mjs';
import { startWorld } from '../../dev/world.mjs';
import { startSite } from '../e2e/site.mjs';
import { base58Bytes, ledger, PAGE_PRICE } from '../e2e/support.mjs';

export const ICON = 'data:image/svg+xml,<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><path fill="teal" d="M0 0h1v1H0z"/></svg>';
/** Stands in the demo shop's first article, and nowhere on the pay page. */
export const GOODS = 'The thirty-cent floor';
export const DEVNET = 'solana:devnet';

/** An error as wallets throw it. */
export const walletError = (code, message = 'the wallet says no', data) => Object.assign(new Error(message), { code, data });

/**
 * A wallet for EVM chains. `answer` may take over any method: what it returns
 * other than undefined is the answer, and what it throws the error.
 */
export function evmWallet(world, account, options = {}) {
  const wallet = {
    kind: 'evm', name: 'Test Wallet', rdns: 'test.wallet', icon: ICON, chainId: 84532, calls: [],
    accounts: [account.address], announce: true, after: 0, answer: () => undefined,
    ...options,
  };
  const methods = {
    eth_requestAccounts: () => wallet.accounts,
    eth_accounts: () => wallet.accounts,
    eth_chainId: () => `0x${wallet.chainId.toString(16)}`,
    wallet_switchEthereumChain([{ chainId }]) {
      wallet.chainId = Number(chainId);
      return null;
    },
    eth_sendTransaction: ([{ to, data }]) => world.evm.client.sendTransaction({ account, to, data }),
    // As MetaMask does it: an empty domain where there is no type for it, and another chain refused.
    eth_signTypedData_v4([from, text]) {
      const data = JSON.parse(text);
      assert.equal(from, account.address);
      if (Number(data.domain.chainId) !== wallet.chainId) throw walletError(-32603, 'Provided chainId must match the active chainId');
      return signTypedData({ privateKey: Buffer.from(account.privateKey.slice(2), 'hex'), data, version: SignTypedDataVersion.V4 });
    },
  };
  wallet.request = async (method, params) => {
    wallet.calls.push(method);
    const own = await wallet.answer(method, params, wallet);
    if (own !== undefined) return own;
    if (methods[method]) return methods[method](params);
    return world.evm.client.request({ method, params });
  };
  return wallet;
}

/** A wallet for Solana. `change` rewrites the list of instructions before it is signed. */
export function solanaWallet(account, options = {}) {
  const wallet = { kind: 'solana', name: 'Sol Wallet', icon: ICON, chains: [DEVNET, 'solana:mainnet'], address: account.address, calls: [], after: 0, answer: () => undefined, change: (list) => list, ...options };
  wallet.request = async (method, params) => {
    wallet.calls.push(method);
    const own = await wallet.answer(method, params, wallet);
    if (own !== undefined) return own;
    if (method === 'signTransaction') return signSolana(account, Buffer.from(params, 'base64'), wallet.change).toString('base64');
    return null;
  };
  return wallet;
}

function signSolana(account, bytes, change) {
  const { messageBytes } = getTransactionDecoder().decode(bytes);
  const before = getCompiledTransactionMessageDecoder().decode(messageBytes);
  const message = decompileTransactionMessage(before, { lastValidBlockHeight: 0n });
  const compiled = compileTransactionMessage({ ...message, instructions: change([...message.instructions]) });
  const out = Buffer.from(getCompiledTransactionMessageEncoder().encode(compiled));
  const signers = compiled.staticAccounts.slice(0, compiled.header.numSignerAccounts);
  const slots = signers.map((address) => (address === account.address ? signBytes(account, out) : Buffer.alloc(64)));
  return Buffer.concat([Buffer.from([slots.length]), ...slots, out]);
}

function signBytes({ secretKey }, bytes) {
  // The fixed PKCS #8 prefix of an ed25519 seed (RFC 8410, section 7).
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), secretKey.subarray(0, 32)]);
  return sign(null, bytes, createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
}

let bundled;
/** What puts wallets into a page: by EIP-6963, `window.ethereum`, and the real `registerWallet` of the Wallet Standard. */
function walletScript() {
  bundled ??= buildSync({ entryPoints: [join(ROOT, 'tests/browser/in-page.mjs')], bundle: true, write: false, format: 'iife' }).outputFiles[0].text;
  return bundled;
}

let browser;

export async function startBrowser() {
  browser = await startChromium();
  return browser;
}

/**
 * What the tests of one file share: a world, Chromium, and a site behind the
 * gate if they want one of their own.
 *
 * @param {object} [options]
 * @param {boolean} [options.site]
 * @param {(site: any) => object | false} [options.worker] for `startWorld`
 * @param {(shop: any) => Promise<void>} [options.prepare] what else is to be there. Not a second `before`: Node runs those at once
 */
export function useShop({ site = false, worker = () => ({}), prepare = async () => {} } = {}) {
  const shop = {
    evm: (options) => evmWallet(shop.world, shop.world.accounts.evm.buyers[0], options),
    solana: (options) => solanaWallet(shop.world.accounts.solana.buyers[0], options),
    /** One wallet of each kind. */
    both: () => [shop.evm(), shop.solana()],
    /** Asserts that a piece of work moves one price to the seller on one chain, and nothing on the other. */
    async charged(work, { price = PAGE_PRICE, chain = 'evm' } = {}) {
      const start = await ledger(shop.world);
      const value = await work();
      const end = await ledger(shop.world);
      const came = { evm: end.evmSeller - start.evmSeller, solana: end.solanaSeller - start.solanaSeller };
      assert.deepEqual(came, { evm: 0n, solana: 0n, [chain]: price });
      return value;
    },
  };
  before(async () => {
    if (site) shop.site = await startSite();
    shop.world = await startWorld({ worker: worker(shop.site) });
    shop.url = shop.world.url;
    /** What the demo shop sells first. */
    shop.page = `${shop.url}/premium/`;
    await startBrowser();
    await prepare(shop);
  });
  after(async () => {
    await browser?.close();
    await shop.world?.stop();
    await shop.site?.stop();
  });
  return shop;
}

/** Lets pages of a host that is nobody's, and is no loopback address, come from a shop. */
export function servedAs(host, url) {
  return (context) => context.route(`${host}/**`, async (route) => {
    const response = await route.fetch({ url: route.request().url().replace(host, url) });
    return route.fulfill({ response });
  });
}

/** A browser that keeps no cookies. */
export const withoutCookies = (context) => context.addInitScript(() => Object.defineProperty(Navigator.prototype, 'cookieEnabled', { get: () => false }));

/** How often a wallet was asked to sign a payment. */
export const signaturesOf = ({ calls }) => calls.filter((method) => method === 'eth_signTypedData_v4' || method === 'signTransaction').length;

/** What takes over one method of a wallet. */
export const answering = (method, answer) => ({ answer: (asked, params, wallet) => (asked === method ? answer(params, wallet) : undefined) });

/** A wallet's answer that never comes. */
export const never = () => new Promise(() => {});

/** The end of a purchase in the demo shop: its first article is there. */
export const arrived = (page) => page.getByText(GOODS).first().waitFor();

/**
 * Opens a page with these wallets in it.
 *
 * @param {string} url
 * @param {{ wallets?: object[], options?: object, before?: (context: any) => Promise<void>, go?: boolean }} [settings]
 */
export async function open(url, { wallets = [], options = {}, before, go = true } = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const seen = { violations: [], errors: [] };
  page.on('console', (message) => {
    if (/content security policy/i.test(message.text())) seen.violations.push(message.text());
  });
  page.on('pageerror', (error) => seen.errors.push(String(error)));
  await context.exposeBinding('__wallet', async (_, index, method, params) => {
    try {
      return { result: await wallets[index].request(method, params) };
    } catch ({ code, message, data }) {
      return { error: { code, message, data } };
    }
  });
  const described = wallets.map(({ kind, name, rdns, icon, announce, after, chains, address }) => (
    { kind, name, rdns, icon, announce, after, chains, address, publicKey: address && [...base58Bytes(address)] }));
  await context.addInitScript(`window.__wallets = ${JSON.stringify(described)};${walletScript()}`);
  await before?.(context, page);
  if (go) await page.goto(url);
  return { page, context, seen, close: () => context.close() };
}

/** The sentence that a page alerts with. */
export const alertOf = async (page) => (await page.getByRole('alert').first().textContent()).trim();

/** Presses a wallet's button. */
export const choose = (page, name = 'Test Wallet') => page.getByRole('button', { name: new RegExp(`^${name}`) }).click();

/** Asserts that nothing was held back by the policy, and no script failed. */
export function assertClean({ seen }) {
  assert.deepEqual(seen, { violations: [], errors: [] });
}

let axe;
/** What axe finds wrong with a page as it stands. */
export async function faults(page) {
  axe ??= readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
}
