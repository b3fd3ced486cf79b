/** The package: from the tarball, in an empty folder with Node alone, to a page that was paid for. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { freePort, startProcess, waitFor } from '../../dev/util.mjs';
import { snippet } from '../documents/snippets.mjs';
import { PATH_WITHOUT_RUST, folderOf, install, lend, runIn } from './support.mjs';

const MIB = 1 << 20;
const LARGEST_INSTALLATION = 60 * MIB;

const sizeOf = (folder) => readdirSync(folder, { recursive: true }).map((name) => statSync(join(folder, name))).reduce((sum, it) => sum + (it.isFile() ? it.size : 0), 0);

const pathOf = (folder, name) => join(folder, 'node_modules', name);
const env = { PATH: PATH_WITHOUT_RUST };

/** Runs a line of a document; npx finds what is installed there. */
const shell = (folder, line) => runIn(folder, 'bash', ['--norc', '-c', line], { env });

/** Runs the installed command. */
const edge402 = (folder, ...args) => runIn(folder, pathOf(folder, '.bin/edge402'), args, { env });

test('the tarball is small, complete, and needs nothing but Node', async (t) => {
  const folder = folderOf(t);
  install(folder);
  t.diagnostic(`installed: ${(sizeOf(pathOf(folder, '')) / MIB).toFixed(1)} MiB`);
  assert.ok(sizeOf(pathOf(folder, '')) <= LARGEST_INSTALLATION);
  assert.deepEqual(readdirSync(pathOf(folder, '')).filter((name) => !name.startsWith('.')), ['edge402']);
  const own = pathOf(folder, 'edge402');
  for (const name of ['LICENSE-MIT', 'LICENSE-APACHE', 'README.md', 'docs/configuration.md', 'build/index_bg.wasm']) assert.ok(existsSync(join(own, name)), name);
  const notices = readFileSync(join(own, 'THIRD-PARTY.md'), 'utf8');
  for (const part of ['smol-toml', 'viem', '@x402/fetch', 'k256', 'serde_json']) assert.match(notices, new RegExp(`^- ${part} `, 'm'), part);
  const { stdout } = await edge402(folder, '--version');
  assert.equal(stdout.trim(), JSON.parse(readFileSync(join(own, 'package.json'), 'utf8')).version);
  const { status, stderr } = await edge402(folder, 'sell');
  assert.equal(status, 2);
  assert.match(stderr, /There is no command 'sell'/);
});

test('dev says what it needs besides, by name, version and size', async (t) => {
  const folder = folderOf(t);
  install(folder);
  writeFileSync(join(folder, 'wrangler.toml'), '');
  const { status, stderr } = await edge402(folder, 'dev', '--no-install');
  assert.equal(status, 2);
  assert.match(stderr, /@foundry-rs\/anvil \d+\.\d+\.\d+, about \d+ MB: an EVM chain/);
  assert.match(stderr, /litesvm \d+\.\d+\.\d+, about \d+ MB: a Solana cluster/);
  assert.match(stderr, /npm install --save-dev @foundry-rs\/anvil@\S+ litesvm@/);
});

test('dev installs it, and says so if npm did not', async (t) => {
  const folder = folderOf(t);
  install(folder);
  writeFileSync(join(folder, 'wrangler.toml'), '');
  mkdirSync(join(folder, 'bin'));
  writeFileSync(join(folder, 'bin/npm'), '#!/bin/sh\necho "npm $*"\n', { mode: 0o755 });
  const { status, stdout, stderr } = await runIn(folder, pathOf(folder, '.bin/edge402'), ['dev'], { env: { PATH: `${join(folder, 'bin')}:${PATH_WITHOUT_RUST}` } });
  assert.equal(status, 2);
  assert.match(stdout, /^npm install --save-dev @foundry-rs\/anvil@\S+ litesvm@\S+ --no-audit --no-fund$/m);
  assert.match(stderr, /npm has not installed @foundry-rs\/anvil and litesvm/);
});

test('from the tarball to a bought page, without Rust', async (t) => {
  const folder = folderOf(t);
  assert.throws(() => execFileSync('cargo', ['--version'], { env, stdio: 'ignore' }), { code: 'ENOENT' });
  const start = Date.now();
  const step = (what) => t.diagnostic(`${((Date.now() - start) / 1_000).toFixed(1)} s: ${what}`);

  install(folder);
  lend(folder, ['wrangler', 'miniflare', 'litesvm', '@foundry-rs']);
  step('installed');
  const shop = await shell(folder, snippet('docs/cli.md', 'npx edge402 init '));
  assert.equal(shop.status, 0, shop.stderr);
  step('init');

  const dryRun = await runIn(folder, process.execPath, ['node_modules/wrangler/bin/wrangler.js', 'deploy', '--dry-run', '--outdir', 'out'], { env });
  assert.equal(dryRun.status, 0, dryRun.stderr);
  for (const binding of ['SETTLER', 'REPLAY', 'ASSETS', 'ORIGIN', 'ROUTES', 'NETWORKS']) assert.match(dryRun.stdout, new RegExp(`env\\.${binding}\\b`));
  const wasm = readdirSync(join(folder, 'out')).find((name) => name.endsWith('.wasm'));
  assert.deepEqual(readFileSync(join(folder, 'out', wasm)), readFileSync(pathOf(folder, 'edge402/build/index_bg.wasm')));
  step('wrangler deploy --dry-run');

  const port = await freePort();
  const dev = snippet('docs/cli.md', 'npx edge402 dev').split('#')[0].trim();
  const open = startProcess('bash', ['--norc', '-c', `${dev} --port ${port}`], { cwd: folder, env: { ...process.env, ...env } });
  t.after(() => open.stop());
  await waitFor(() => open.log().includes('The shop is open') || !open.alive(), { timeout: 120_000, what: 'the shop to open' });
  const url = `http://127.0.0.1:${port}`;
  assert.ok(open.log().includes(url), open.log());
  step('dev: the shop is open');

  assert.equal((await fetch(`${url}/`)).status, 200);
  assert.equal((await fetch(`${url}/premium/`)).status, 402);
  for (const network of ['base-sepolia', 'solana-devnet']) {
    const buy = snippet('docs/cli.md', 'npx edge402 buy http').trim().replace('http://127.0.0.1:8402', url);
    const bought = await shell(folder, `${buy} --network ${network}`);
    assert.equal(bought.status, 0, bought.stdout + bought.stderr);
    assert.match(bought.stdout, /Settled +yes/);
    assert.match(bought.stdout, /Seller .*\(\+\$0\.01\)/);
    assert.match(bought.stdout, /This page was paid for\./);
    step(`buy: a page, on ${network}`);
  }
  const tooDear = await edge402(folder, 'buy', `${url}/premium/`, '--max', '$0.005');
  assert.equal(tooDear.status, 2);
  assert.match(tooDear.stderr, /That is \$0\.01, and no more than \$0\.005 is paid: --max/);

  // The same folder against a chain that runs: first the relayer has nothing.
  const [, node] = /base-sepolia +(\S+)/.exec(open.log());
  appendFileSync(join(folder, '.dev.vars'), `RPC_URLS='${JSON.stringify({ 'eip155:84532': [node] })}'\n`);
  const poor = await shell(folder, snippet('docs/cli.md', 'npx edge402 check\n'));
  assert.equal(poor.status, 1, poor.stdout);
  const [, relayer] = /✘ EVM_RELAYER_KEYS: relayer (0x\w{40}) has 0 ETH on Base Sepolia/.exec(poor.stdout);
  await fetch(node, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'anvil_setBalance', params: [relayer, '0xde0b6b3a7640000'] }) });
  const good = await edge402(folder, 'check');
  assert.equal(good.status, 0, good.stdout);
  assert.match(good.stdout, /0 faults, 0 warnings/);
  const inCi = await shell(folder, `${snippet('docs/cli.md', 'npx edge402 check --without-secrets').trim()} --offline`);
  assert.equal(inCi.status, 0, inCi.stdout);
  step('check: nothing to find');
});
