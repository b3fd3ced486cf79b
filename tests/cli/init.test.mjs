/** `edge402 init`: what it writes, what it leaves alone, and what it refuses before it writes anything. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bindingsOf, readConfig, readSecrets, report } from '../../cli/reader.mjs';
import { EVM_PAY_TO, SOLANA_PAY_TO, edge402, folderOf } from './support.mjs';

const BASE_SEPOLIA = 'eip155:84532';
const DEVNET = 'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1';
const FLAGS = ['--origin', './site', '--sell', '/premium/*', '--price', '$0.02', '--network', 'base-sepolia', '--network', 'solana-devnet', '--pay-to', EVM_PAY_TO, '--pay-to', SOLANA_PAY_TO];

const init = (folder, args = FLAGS, options) => edge402(folder, ['init', ...args], options);

/** What the Worker would say of a folder's configuration. */
function faultsOf(folder) {
  const config = readConfig(join(folder, 'wrangler.toml'));
  return report({ variables: config.vars, secrets: readSecrets(join(folder, '.dev.vars')), bindings: bindingsOf(config) });
}

const filesIn = (folder) => readdirSync(folder, { recursive: true }).filter((name) => statSync(join(folder, name)).isFile()).sort();
const contents = (folder) => Object.fromEntries(filesIn(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]));

test('options alone make a shop without a fault, with keys of its own', async (t) => {
  const folder = folderOf(t);
  const { status, stdout } = await init(folder);
  assert.equal(status, 0, stdout);
  assert.deepEqual(filesIn(folder), ['.dev.vars', '.gitignore', 'README.md', 'package.json', 'site/index.html', 'site/premium/index.html', 'wrangler.toml']);
  const { faults, networks, routes, signers } = await faultsOf(folder);
  assert.deepEqual(faults, []);
  assert.deepEqual(networks.map(({ id, payTo }) => [id, payTo]), [[BASE_SEPOLIA, EVM_PAY_TO], [DEVNET, SOLANA_PAY_TO]]);
  assert.deepEqual(routes.map(({ path, price }) => [path, price]), [['/premium/', '$0.02']]);
  for (const address of [...signers.eip155, ...signers.solana]) assert.ok(stdout.includes(address), address);
  assert.match(stdout, /SOL on Solana Devnet, free at https:\/\/faucet\.solana\.com$/m);
  assert.equal(statSync(join(folder, '.dev.vars')).mode & 0o777, 0o600);
  assert.match(readFileSync(join(folder, '.gitignore'), 'utf8'), /^\.dev\.vars$/m);
  assert.ok(!stdout.includes(readSecrets(join(folder, '.dev.vars')).EVM_RELAYER_KEYS));
});

test('each shop has other keys', async (t) => {
  const [one, other] = [folderOf(t), folderOf(t)];
  await Promise.all([init(one), init(other)]);
  const [a, b] = [one, other].map((folder) => readSecrets(join(folder, '.dev.vars')));
  assert.deepEqual(Object.keys(a), ['EVM_RELAYER_KEYS', 'SOLANA_FEE_PAYER_KEYS', 'GRANT_SECRET']);
  for (const name of Object.keys(a)) assert.notEqual(a[name], b[name], name);
});

test('a second time nothing is written, and it says so', async (t) => {
  const folder = folderOf(t);
  await init(folder);
  const before = contents(folder);
  const { status, stdout } = await init(folder, [...FLAGS.slice(0, 4), '--price', '$9', ...FLAGS.slice(6)]);
  assert.equal(status, 0);
  assert.deepEqual(contents(folder), before);
  assert.doesNotMatch(stdout, /^wrote/m);
  for (const name of ['wrangler.toml', '.dev.vars', '.gitignore', 'README.md', 'package.json']) assert.match(stdout, new RegExp(`left alone ${name}: `));
});

test('a second time without options nothing is asked, keys that are missing are made, and it says what to do', async (t) => {
  const folder = folderOf(t);
  await init(folder);
  const before = contents(folder);
  const again = await init(folder, []);
  assert.equal(again.status, 0, again.stderr);
  assert.deepEqual(contents(folder), before);
  assert.match(again.stdout, /^left alone wrangler\.toml: it is there already/m);
  assert.match(again.stdout, /npx edge402 check/);
  rmSync(join(folder, '.dev.vars'));
  rmSync(join(folder, '.gitignore'));
  const { status, stdout } = await init(folder, []);
  assert.equal(status, 0, stdout);
  assert.match(stdout, /^wrote      \.dev\.vars$/m);
  assert.match(stdout, /0x\w{40}  ETH on Base Sepolia/);
  assert.deepEqual(Object.keys(readSecrets(join(folder, '.dev.vars'))), ['EVM_RELAYER_KEYS', 'SOLANA_FEE_PAYER_KEYS', 'GRANT_SECRET']);
  assert.equal(readFileSync(join(folder, '.gitignore'), 'utf8'), before['.gitignore']);
});

test('the seller’s README stores the keys once there is a Worker', async (t) => {
  const folder = folderOf(t);
  await init(folder);
  const commands = readFileSync(join(folder, 'README.md'), 'utf8').match(/^npx \S+ \w+/gm);
  assert.ok(commands.indexOf('npx edge402 deploy') < commands.indexOf('npx edge402 keys'), commands.join('\n'));
});

test('files that are there stay, and it says what they lack', async (t) => {
  const folder = folderOf(t);
  const theirs = { 'README.md': '# mine\n', '.gitignore': 'dist\n', 'package.json': '{"name":"mine"}\n', 'site/index.html': 'home', '.dev.vars': `EVM_RELAYER_KEYS=${'4'.repeat(64)}\n` };
  mkdirSync(join(folder, 'site'));
  for (const [name, text] of Object.entries(theirs)) writeFileSync(join(folder, name), text);
  const { status, stdout } = await init(folder, [...FLAGS.slice(0, 8), '--pay-to', EVM_PAY_TO]);
  assert.equal(status, 0, stdout);
  const { 'wrangler.toml': config, ...others } = contents(folder);
  assert.deepEqual(others, theirs);
  assert.match(config, /directory = "\.\/site"/);
  assert.match(stdout, /left alone \.gitignore: .*Add to it: .*\.dev\.vars/);
  assert.match(stdout, /left alone package\.json: .*npm install edge402/);
  assert.deepEqual((await faultsOf(folder)).faults, []);
});

for (const theirs of ['dist', 'dist\n', '.dev.vars\n!.dev.vars\n']) {
  test(`in a repository whose .gitignore is ${JSON.stringify(theirs)} the keys are covered before they are written`, async (t) => {
    const folder = folderOf(t);
    execFileSync('git', ['init', '-q'], { cwd: folder });
    writeFileSync(join(folder, '.gitignore'), theirs);
    const { status, stdout } = await init(folder);
    assert.equal(status, 0, stdout);
    assert.equal(readFileSync(join(folder, '.gitignore'), 'utf8'), `${theirs.trimEnd()}\n.dev.vars*\n`);
    assert.match(stdout, /^added to   \.gitignore: \.dev\.vars\*, so that git does not take the keys\. Add to it: node_modules\/ \.edge402\/ \.wrangler\/$/m);
    assert.doesNotMatch(stdout, /^left alone \.gitignore/m);
    execFileSync('git', ['check-ignore', '-q', '.dev.vars'], { cwd: folder });
  });
}

test('a .gitignore that covers the keys stays as it is', async (t) => {
  const folder = folderOf(t);
  execFileSync('git', ['init', '-q'], { cwd: folder });
  writeFileSync(join(folder, '.gitignore'), '.*\n');
  const { stdout } = await init(folder);
  assert.equal(readFileSync(join(folder, '.gitignore'), 'utf8'), '.*\n');
  assert.doesNotMatch(stdout, /^added/m);
});

for (const [what, put] of [
  ['holds a slip', (path) => writeFileSync(path, '{"name": "mine",}\n')],
  ['is empty', (path) => writeFileSync(path, '')],
  ['holds null', (path) => writeFileSync(path, 'null')],
  ['is a folder', (path) => mkdirSync(path)],
]) {
  test(`a package.json that ${what} doesn’t stop it half-way`, async (t) => {
    const folder = folderOf(t);
    put(join(folder, 'package.json'));
    const { status, stdout, stderr } = await init(folder);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^left alone package\.json: it is there already\. It can't be read \(.*\): mend it, then run npm install edge402/m);
    for (const name of ['wrangler.toml', 'README.md', '.dev.vars']) assert.ok(filesIn(folder).includes(name), name);
  });
}

test('beside a wrangler.jsonc no wrangler.toml is written that nobody would read', async (t) => {
  const folder = folderOf(t);
  writeFileSync(join(folder, 'wrangler.jsonc'), '{}');
  const { stdout } = await init(folder);
  assert.ok(!filesIn(folder).includes('wrangler.toml'));
  assert.match(stdout, /left alone wrangler\.jsonc: .*No wrangler\.toml was written/);
});

test('what no option says is asked, and a wrong answer is asked again', async (t) => {
  const folder = folderOf(t);
  const answers = ['https://shop.example/base', '/api/*', '$0.05', 'nowhere', 'Base', EVM_PAY_TO];
  const { status, stdout, stderr } = await init(folder, [], { input: `${answers.join('\n')}\n` });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /There is no network nowhere/);
  const { vars } = readConfig(join(folder, 'wrangler.toml'));
  assert.equal(vars.ORIGIN, 'https://shop.example/base');
  assert.deepEqual(vars.ROUTES.map((route) => ({ ...route })), [{ pattern: '/api/*', price: '$0.05' }]);
  assert.deepEqual(Object.keys(vars.NETWORKS), ['eip155:8453']);
});

test('without anybody who answers it says what to do', async (t) => {
  const { status, stderr } = await init(folderOf(t), []);
  assert.equal(status, 2);
  assert.match(stderr, /give what is asked for as options/);
});

for (const [what, changes, words] of [
  ['a pattern', ['--sell', '/premium*'], /--sell: .*"\/premium\/\*"/],
  ['a price', ['--price', 'free'], /--price: must be dollars/],
  ['an address with a slip in it', ['--pay-to', `${EVM_PAY_TO.slice(0, -1)}D`], /--pay-to: must be an address/],
  ['the zero address', ['--pay-to', `0x${'0'.repeat(40)}`], /--pay-to: is the zero address/],
  ['a network', ['--network', 'bitcoin'], /There is no network bitcoin/],
  ['an address of another kind of chain', ['--pay-to', SOLANA_PAY_TO], /--pay-to 4vJ9\S+ is no address on Base Sepolia/],
  ['a folder that would publish the keys', ['--origin', '.'], /would publish your keys/],
  ['a folder elsewhere', ['--origin', '../site'], /must lie in this one/],
  ['a name', ['--name', 'My Shop'], /--name My Shop: must be small letters/],
]) {
  test(`it refuses ${what}, and writes nothing`, async (t) => {
    const folder = folderOf(t);
    const good = { '--origin': './site', '--sell': '/premium/*', '--price': '$0.02', '--network': 'base-sepolia', '--pay-to': EVM_PAY_TO };
    const flags = Object.entries(good).filter(([name]) => name !== changes[0]).flat();
    const input = `${EVM_PAY_TO}\n`;
    const { status, stderr } = await init(folder, [...flags, ...changes], { input });
    assert.equal(status, 2, stderr);
    assert.match(stderr, words);
    assert.deepEqual(readdirSync(folder), []);
  });
}
