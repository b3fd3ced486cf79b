/** Finds a Chromium for the tests of the pay page. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { Mistake } from './cli.mjs';
import { run } from './util.mjs';

const USUAL = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/snap/bin/chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
];
const DEBIAN = '/usr/bin/apt-get';

const isRoot = () => process.getuid?.() === 0;

/**
 * The program: what the variable CHROMIUM names, else where it usually is,
 * else what Debian installs.
 */
export async function findChromium() {
  const named = process.env.CHROMIUM;
  if (named && !existsSync(named)) throw new Mistake(`CHROMIUM names ${named}, which is not there.`);
  const found = named || USUAL.find(existsSync);
  if (found) return found;
  if (!isRoot() || !existsSync(DEBIAN)) {
    throw new Mistake('Chromium is not here, which the tests of the pay page need: install the package chromium, or set CHROMIUM to the path of Chromium or Chrome.');
  }
  console.log('Installing Chromium (once)');
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  try {
    execFileSync(DEBIAN, ['update', '-qq'], { env, stdio: 'ignore' });
  } catch {
    // One source of several may be away: the installation says what is missing.
  }
  await run(DEBIAN, ['install', '-y', '-qq', '--no-install-recommends', 'chromium', 'fonts-noto-cjk'], { env, quiet: true });
  return findChromium();
}

/** Starts it without a window. */
export async function startChromium() {
  const executablePath = await findChromium();
  // Root has no sandbox in a container.
  return chromium.launch({ executablePath, args: isRoot() ? ['--no-sandbox'] : [] });
}
