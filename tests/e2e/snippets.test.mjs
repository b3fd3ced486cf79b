/** README.md and docs/buyers.md, word for word, in a clone that nothing was done to yet. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { privateKeyToAccount } from 'viem/accounts';
import { readSecrets } from '../../cli/reader.mjs';
import { build } from '../../dev/build.mjs';
import { buildCheckModule } from '../../dev/check-module.mjs';
import { ROOT, waitFor } from '../../dev/util.mjs';
import { snippet } from '../documents/snippets.mjs';
import { base58Bytes, decode } from './support.mjs';

const clone = mkdtempSync(join(tmpdir(), 'edge402-clone-'));

/** What `git clone`, `npm ci` and a build would leave: the installed packages and tools are lent, not copied. */
before(async () => {
  await build();
  await buildCheckModule({ quiet: true });
  const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { cwd: ROOT, encoding: 'utf8' }).trim().split('\n');
  for (const path of [...files, '.dev/build.stamp', 'build']) {
    mkdirSync(dirname(join(clone, path)), { recursive: true });
    cpSync(join(ROOT, path), join(clone, path), { recursive: true });
  }
  for (const path of ['node_modules', '.tools']) symlinkSync(join(ROOT, path), join(clone, path));
});
after(() => rmSync(clone, { recursive: true, force: true }));

/** Runs a shell command of a document in the clone, to its end. */
function shell(command, environment = {}) {
  return spawnSync('bash', ['--norc', '-euo', 'pipefail', '-c', command], { cwd: clone, encoding: 'utf8', env: { ...process.env, ...environment } });
}

/** Starts what stays open, and answers it once it has said `ready`. */
async function open(command, ready) {
  const child = spawn('bash', ['--norc', '-euo', 'pipefail', '-c', command], { cwd: clone, detached: true });
  const shop = { output: '', child };
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (shop.output += data));
  await waitFor(() => ready.test(shop.output) || child.exitCode !== null, { timeout: 120_000, what: command });
  assert.match(shop.output, ready);
  return { ...shop, pid: Number(/`kill (\d+)`/.exec(shop.output)[1]), url: /shop is open: +(\S+)/.exec(shop.output)[1] };
}

/** Closes a shop as its last words say. */
async function close({ child, pid }) {
  process.kill(pid);
  await waitFor(() => child.exitCode !== null, { what: 'the shop to close' });
}

const OPEN = /Ctrl-C closes the shop.*\n/;
const HERE = 'http://127.0.0.1:8402';
const THERE = 'https://my-shop.example.workers.dev';

describe('the demo shop', () => {
  let shop;
  let evmKey;
  let solanaKey;
  before(async () => {
    shop = await open(snippet('README.md', 'npm ci && npm start').replace('npm ci && ', ''), OPEN);
    [evmKey, solanaKey] = [...shop.output.matchAll(/import the account (\w+)/g)].map(([, key]) => key);
  });
  after(() => shop && close(shop));

  test('npm run pay prints what README.md says', () => {
    const { stdout, stderr, status } = shell(snippet('README.md', 'npm run pay').replace(HERE, shop.url));
    assert.equal(status, 0, stderr);
    const said = (text) => text.split('\n').map((line) => line.replace(/0x[0-9a-f]{64}/, '0x…'));
    const lines = said(stdout);
    for (const line of said(snippet('README.md', 'Paying ').trim())) assert.ok(lines.includes(line), `${line}\n${stdout}`);
    assert.ok(stdout.includes('<!doctype html>'), 'and the page');
  });

  test('buy.mjs buys with the accounts and the node that npm start prints', () => {
    writeFileSync(join(clone, 'buy.mjs'), snippet('docs/buyers.md', 'import { ExactEvmScheme }'));
    const [, SOLANA_RPC] = /solana-devnet +(\S+)/.exec(shop.output);
    const evm = snippet('docs/buyers.md', 'BUYER_KEY=').replace('0x…', evmKey);
    const solana = snippet('docs/buyers.md', 'SOLANA_BUYER_KEY=').replace(/<.*?>/, solanaKey);
    for (const [command, network] of [[evm, 'eip155:84532'], [solana, 'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1']]) {
      const { stdout, stderr, status } = shell(command.replace(THERE, shop.url), { SOLANA_RPC });
      assert.equal(status, 0, stderr);
      assert.ok(stderr.startsWith(`Paid on ${network}: `), stderr);
      assert.ok(stdout.startsWith('<!doctype html>'), stdout);
    }
  });

  test('buy.mjs says in a sentence what is wrong', () => {
    const buy = (environment, path = '/premium/') => shell(`node buy.mjs ${shop.url}${path}`, environment);
    const stranger = { BUYER_KEY: `0x${'11'.repeat(32)}` };
    for (const [answer, words] of [
      [buy({}), /^Nothing was bought: .*BUYER_KEY=0x… node buy\.mjs/],
      [buy({ BUYER_KEY: 'secret' }), /^Nothing was bought: .*(private key|hex)/],
      [buy({ SOLANA_BUYER_KEY: '1111' }), /^Nothing was bought: .*bytes/],
      [buy(stranger), /^Nothing was bought: the shop answers 402 insufficient_funds\n$/],
      [shell('node buy.mjs http://127.0.0.1:9/', stranger), /^Nothing was bought: fetch failed.*(ECONNREFUSED|bad port)/],
      [buy(stranger, '/nowhere'), /^Nothing was bought: the shop answers 404/],
      [buy({ SOLANA_BUYER_KEY: solanaKey, SOLANA_RPC: 'http://127.0.0.1:9' }), /fetch failed.*\nSolana’s public node can’t be reached: name another one in SOLANA_RPC/],
    ]) {
      assert.match(answer.stderr, words);
      assert.doesNotMatch(answer.stderr, /\n\s+at /);
      assert.equal(answer.stdout, '');
      assert.equal(answer.status, 1);
    }
  });

  test('the wallet’s node answers as the one that a wallet is told of', async () => {
    const rpc = /RPC URL (\S+), chain ID (\d+)/.exec(shop.output);
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_chainId', params: [] });
    const answer = await fetch(rpc[1], { method: 'POST', headers: { 'content-type': 'application/json', origin: 'https://wallet.example' }, body });
    assert.equal(Number((await answer.json()).result), Number(rpc[2]));
    assert.equal(answer.headers.get('access-control-allow-origin'), '*');
  });
});

describe('one’s own site', () => {
  const price = async (url) => decode((await fetch(url)).headers.get('payment-required')).accepts.map(({ amount }) => amount);

  test('a folder is sold for test money', async () => {
    mkdirSync(join(clone, 'my-folder/premium'), { recursive: true });
    writeFileSync(join(clone, 'my-folder/index.html'), 'free');
    writeFileSync(join(clone, 'my-folder/premium/one.txt'), 'dear');
    const shop = await open(snippet('README.md', 'npm start -- --site'), OPEN);
    try {
      assert.equal(await (await fetch(shop.url)).text(), 'free');
      assert.deepEqual(await price(`${shop.url}/premium/one.txt`), ['10000', '10000']);
    } finally {
      await close(shop);
    }
  });

  test('wrangler.toml is sold for test money', async () => {
    const shop = await open(snippet('README.md', 'npm start -- --config'), OPEN);
    try {
      assert.deepEqual(await price(`${shop.url}/premium/`), ['10000', '10000']);
    } finally {
      await close(shop);
    }
  });

  test('new keys are kept, their addresses printed, and what is still missing is said', () => {
    const [evm, solana, check] = [snippet('README.md', 'node cli/edge402.mjs keys --new evm'), snippet('README.md', 'node cli/edge402.mjs keys --new solana'), snippet('README.md', 'node cli/edge402.mjs check')].map((it) => () => shell(it));
    const made = [evm(), solana()].map(({ stdout, stderr }) => /^new in \.dev\.vars: (\S+)$/m.exec(stdout)?.[1] ?? stderr);
    const secrets = readSecrets(join(clone, '.dev.vars'));
    assert.equal(privateKeyToAccount(secrets.EVM_RELAYER_KEYS).address, made[0]);
    const bytes = base58Bytes(secrets.SOLANA_FEE_PAYER_KEYS);
    assert.equal(bytes.length, 64);
    assert.deepEqual(bytes.subarray(32), base58Bytes(made[1]));
    const { stdout, status } = check();
    assert.equal(status, 1, stdout);
    assert.match(stdout, /✘ NETWORKS\."eip155:84532"\.pay_to: is the zero address; put yours/);
  });

  test('what would be deployed is complete', () => {
    const { stdout, stderr, status } = shell(`${snippet('README.md', 'npx wrangler deploy').trim()} --dry-run`, { CI: '1', WRANGLER_SEND_METRICS: 'false' });
    assert.equal(status, 0, stderr);
    for (const binding of ['env.SETTLER', 'env.REPLAY', 'env.ASSETS', 'env.ROUTES', 'env.NETWORKS']) assert.ok(stdout.includes(binding), stdout);
  });
});
