/** The pages of `@x402/paywall`, fetched for the benchmark alone: with all that it depends on it would be a third of `npm ci`. */
import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Mistake } from '../cli.mjs';
import { DEV_DIR } from '../util.mjs';

const VERSION = '2.12.0';
const SHA256 = '58014553452027a46f9dbd55914601a8ea6f1c44d7436a9aca2c84450be80ad4';
const FOLDER = join(DEV_DIR, 'bench', `paywall-${VERSION}`);

/**
 * The page that it makes of a challenge whose first offer is on one of the networks that it is given.
 *
 * @param {'evm' | 'svm'} family
 * @param {object} challenge v2
 * @returns {Promise<string>} HTML
 */
export async function paywallPage(family, challenge) {
  fetchPackage();
  const load = (path) => import(pathToFileURL(join(FOLDER, 'package/dist/esm', path)));
  const { createPaywall } = await load('index.js');
  const { [`${family}Paywall`]: handler } = await load(`${family}/index.js`);
  return createPaywall().withNetwork(handler).withConfig({ appName: 'Bench', testnet: true }).build().generateHtml(challenge);
}

function fetchPackage() {
  if (existsSync(join(FOLDER, 'package/package.json'))) return;
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  execFileSync('npm', ['pack', '--silent', `@x402/paywall@${VERSION}`], { cwd: FOLDER });
  const archive = join(FOLDER, `x402-paywall-${VERSION}.tgz`);
  const hash = createHash('sha256').update(readFileSync(archive)).digest('hex');
  if (hash !== SHA256) throw new Mistake(`@x402/paywall ${VERSION} is not the package that it was: its SHA-256 is ${hash}.`);
  execFileSync('tar', ['-xzf', archive], { cwd: FOLDER });
}
