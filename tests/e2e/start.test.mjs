/** `npm start` and the other commands: what they say of a mistake, whose site they sell, and what they leave behind. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { holderOf, isFree } from '../../dev/ports.mjs';
import { freePort, listen, ROOT, waitFor } from '../../dev/util.mjs';
import { findWorld } from '../../dev/world-file.mjs';

const COMMANDS = ['start', 'pay', 'test', 'build', 'tools', 'bench/bench'];

const runCommand = (name, args, env = process.env) =>
  spawnSync(process.execPath, [join(ROOT, `dev/${name}.mjs`), ...args], { encoding: 'utf8', env, cwd: ROOT });

/** Asserts that a person reads a sentence and no stack trace. */
function assertPlain({ status, stdout, stderr }, words, what) {
  assert.match(stderr, words, what);
  assert.doesNotMatch(stdout + stderr, /\n\s+at |node:internal|Error:/, what);
  assert.equal(status, 2, what);
}

for (const name of COMMANDS) {
  test(`dev/${name}.mjs answers what it doesn't know with its usage`, () => {
    for (const args of [['--foo'], ['one', 'two', 'three']]) {
      assertPlain(runCommand(name, args), /Usage: /, args.join(' '));
    }
    const help = runCommand(name, ['--help']);
    assert.match(help.stdout, /^Usage: /);
    assert.equal(help.status, 0);
  });
}

test('without Rust one sentence says what to install', () => {
  for (const name of ['build', 'test', 'tools']) {
    const answer = runCommand(name, [], { ...process.env, PATH: join(ROOT, 'tests') });
    assertPlain(answer, /^Rust is not installed: get 1\.\d+ or later from https:\/\/rustup\.rs/, name);
    assert.equal(answer.stderr.trim().split('\n').length, 1, name);
  }
});

test('npm start names what it can’t sell', () => {
  const folder = mkdtempSync(join(tmpdir(), 'edge402-start-'));
  const config = join(folder, 'wrangler.toml');
  const withConfig = (text) => {
    writeFileSync(config, text);
    return runCommand('start', ['--config', config]);
  };
  try {
    assertPlain(withConfig('[vars]\nORIGIN = "zone"\n'), /ORIGIN = "zone" is there on Cloudflare only/);
    assertPlain(withConfig('[vars]\nORIGIN = "assets"\n[assets]\ndirectory = "./nowhere"\n'), /"\.\/nowhere" is no folder/);
    assertPlain(withConfig('[vars'), /can't be read/);
    assertPlain(runCommand('start', ['--config', join(folder, 'none.toml')]), /There is no file/);
    assertPlain(runCommand('start', ['--site', join(folder, 'none')]), /There is no folder/);
    assertPlain(runCommand('start', ['--price', '$1']), /--sell and --price go with --site/);
    assertPlain(runCommand('start', ['--site', folder, '--price', 'bash.01']), /--price bash\.01 is no price like '\$0\.01'\. In single quotes/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the process that keeps a port is found', async () => {
  const server = createServer();
  const port = await listen(server);
  try {
    assert.equal(await isFree(port), false);
    assert.equal(holderOf(port).pid, process.pid);
    assert.match(holderOf(port).command, /node/);
  } finally {
    await new Promise((done) => server.close(done));
  }
  assert.equal(await isFree(port), true);
  assert.equal(holderOf(port), null);
});

const isAlive = (pid) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe('npm start -- --site', { skip: findWorld() ? 'a shop is open on this machine' : false }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'edge402-site-'));
  let shop;
  let port;
  let output = '';

  before(async () => {
    mkdirSync(join(folder, 'notes'));
    writeFileSync(join(folder, 'index.html'), 'free');
    writeFileSync(join(folder, 'notes/one.txt'), 'the first note');
    port = await freePort();
    const args = ['--site', folder, '--sell', '/notes/*', '--price', '$0.03', '--port', String(port)];
    shop = spawn(process.execPath, [join(ROOT, 'dev/start.mjs'), ...args], { cwd: ROOT });
    for (const stream of [shop.stdout, shop.stderr]) stream.on('data', (data) => (output += data));
    await waitFor(() => output.includes('The shop is open') || shop.exitCode !== null, { timeout: 150_000, what: 'the shop to open' });
    assert.ok(output.includes(`http://127.0.0.1:${port}`), output);
  });
  after(() => {
    shop?.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  test('sells that folder for test money', async () => {
    const url = `http://127.0.0.1:${port}`;
    assert.equal(await (await fetch(url)).text(), 'free');
    assert.equal((await fetch(`${url}/notes/one.txt`)).status, 402);
    const { stdout, status } = runCommand('pay', [`${url}/notes/one.txt`]);
    assert.equal(status, 0, stdout);
    assert.match(stdout, /Seller .*\+\$0\.03/);
    assert.match(stdout, /the first note/);
  });

  test('a second one says that the first is open, and which process it is', () => {
    assertPlain(runCommand('start', []), new RegExp(`open already: http://127\\.0\\.0\\.1:${port} \\(process ${shop.pid}\\).*\`kill ${shop.pid}\``));
  });

  test('SIGKILL leaves nothing behind: no chain, no Worker, no port', async () => {
    const [, anvilUrl] = /base-sepolia\s+(\S+)/.exec(output);
    const [, solanaUrl] = /solana-devnet\s+(\S+)/.exec(output);
    const ports = [anvilUrl, solanaUrl, `http://127.0.0.1:${port}`].map((url) => Number(new URL(url).port));
    const holders = ports.map((it) => holderOf(it).pid);
    shop.kill('SIGKILL');
    await waitFor(() => !holders.some(isAlive), { what: `${holders} to end` });
    for (const it of ports) await waitFor(() => isFree(it), { what: `port ${it} to be free` });
    assert.equal(findWorld(), null);
  });
});

describe('npm start, where npm alone is ended', { skip: findWorld() ? 'a shop is open on this machine' : false }, () => {
  for (const signal of ['SIGTERM', 'SIGKILL']) {
    test(`${signal} to npm closes the shop`, async () => {
      const port = await freePort();
      const npm = spawn('npm', ['start', '--', '--site', join(ROOT, 'www'), '--port', String(port)], { cwd: ROOT });
      let output = '';
      for (const stream of [npm.stdout, npm.stderr]) stream.on('data', (data) => (output += data));
      try {
        await waitFor(() => output.includes('The shop is open') || npm.exitCode !== null, { timeout: 150_000, what: 'the shop to open' });
        const { pid } = findWorld();
        assert.notEqual(pid, npm.pid);
        npm.kill(signal);
        await waitFor(() => !isAlive(pid), { timeout: 15_000, what: `process ${pid} to end` });
        await waitFor(() => isFree(port), { what: `port ${port} to be free` });
        assert.equal(findWorld(), null);
      } finally {
        npm.kill('SIGKILL');
        const left = findWorld();
        if (left) process.kill(left.pid, 'SIGKILL');
      }
    });
  }
});
