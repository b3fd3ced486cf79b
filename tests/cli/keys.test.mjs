/** `edge402 keys`: what it shows, makes, converts and hands to wrangler. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createCipheriv, createHash, randomBytes, scryptSync } from 'node:crypto';
import { chmodSync, lstatSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { keccak256 } from 'viem';
import { solanaAccount } from '../../dev/accounts.mjs';
import { configShop } from '../../dev/shop.mjs';
import { readSecrets, report } from '../../cli/reader.mjs';
import { edge402, folderOf } from './support.mjs';

const KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';
const ADDRESS = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266';
const PHRASE = 'test test test test test test test test test test test junk';
/** The example of the Web3 Secret Storage Definition, with PBKDF2. */
const KEYSTORE = {
  crypto: {
    cipher: 'aes-128-ctr',
    cipherparams: { iv: '6087dab2f9fdbbfaddc31a909735c1e6' },
    ciphertext: '5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46',
    kdf: 'pbkdf2',
    kdfparams: { c: 262144, dklen: 32, prf: 'hmac-sha256', salt: 'ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd' },
    mac: '517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2',
  },
  version: 3,
};
/** The same key as geth keeps it, with scrypt. */
function byScrypt(password) {
  const salt = randomBytes(32);
  const iv = randomBytes(16);
  const derived = scryptSync(password, salt, 32, { N: 4096, r: 8, p: 6 });
  const cipher = createCipheriv('aes-128-ctr', derived.subarray(0, 16), iv);
  const body = Buffer.concat([cipher.update(Buffer.from(KEYSTORE_KEY.slice(2), 'hex')), cipher.final()]);
  return {
    crypto: {
      cipher: 'aes-128-ctr', cipherparams: { iv: iv.toString('hex') }, ciphertext: body.toString('hex'), kdf: 'scrypt',
      kdfparams: { dklen: 32, n: 4096, p: 6, r: 8, salt: salt.toString('hex') }, mac: keccak256(Buffer.concat([derived.subarray(16, 32), body])).slice(2),
    },
    version: 3,
  };
}
const KEYSTORE_KEY = '0x7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d';

const convert = (folder, input, env) => edge402(folder, ['keys', '--convert', '-'], { input, env });

test('it shows whose keys are there, and never the keys', async (t) => {
  const folder = folderOf(t);
  const { address, secretBase58 } = await solanaAccount('fee payer 0');
  writeFileSync(join(folder, '.dev.vars'), `EVM_RELAYER_KEYS=${KEY.slice(2)}\nSOLANA_FEE_PAYER_KEYS='${secretBase58}'\n`);
  const { status, stdout } = await edge402(folder, ['keys']);
  assert.equal(status, 0);
  assert.match(stdout, new RegExp(`EVM_RELAYER_KEYS +relayer ${ADDRESS}`));
  assert.match(stdout, new RegExp(`SOLANA_FEE_PAYER_KEYS +fee payer ${address}`));
  assert.ok(!stdout.includes(KEY.slice(2)) && !stdout.includes(secretBase58));
});

test('a key that can’t be read is named, and the status is 1', async (t) => {
  const folder = folderOf(t);
  writeFileSync(join(folder, '.dev.vars'), `EVM_RELAYER_KEYS='${PHRASE}'\n`);
  const { status, stdout } = await edge402(folder, ['keys']);
  assert.equal(status, 1);
  assert.match(stdout, /EVM_RELAYER_KEYS +is a seed phrase; put the private key/);
});

test('a new key stands behind the old one, and nothing else is changed', async (t) => {
  const folder = folderOf(t);
  const path = join(folder, '.dev.vars');
  writeFileSync(path, `# mine\nEVM_RELAYER_KEYS=${KEY}\nRPC_URLS='{"eip155:8453": ["https://node.example"]}'\n`);
  const { status, stdout } = await edge402(folder, ['keys', '--new', 'evm']);
  assert.equal(status, 0, stdout);
  const { EVM_RELAYER_KEYS: keys, RPC_URLS: urls, GRANT_SECRET: grants } = readSecrets(path);
  const [first, second, ...others] = keys.split(',');
  assert.equal(first, KEY);
  assert.match(second, /^0x[0-9a-f]{64}$/);
  assert.deepEqual(others, []);
  assert.equal(urls, '{"eip155:8453": ["https://node.example"]}');
  assert.match(grants, /^[0-9a-f]{64}$/);
  assert.match(readFileSync(path, 'utf8'), /^# mine\n/);
  const [, made] = /new in \.dev\.vars: (0x\w{40})/.exec(stdout);
  assert.match(stdout, new RegExp(`relayer ${made}`));
});

test('it begins a file that nobody else can read', async (t) => {
  const folder = folderOf(t);
  const { status } = await edge402(folder, ['keys', '--new', 'solana']);
  assert.equal(status, 0);
  assert.equal(statSync(join(folder, '.dev.vars')).mode & 0o777, 0o600);
  assert.deepEqual(Object.keys(readSecrets(join(folder, '.dev.vars'))), ['SOLANA_FEE_PAYER_KEYS', 'GRANT_SECRET']);
});

test('a file that others could read is closed to them when a key is added', async (t) => {
  const folder = folderOf(t);
  writeFileSync(join(folder, '.dev.vars'), '# mine\n', { mode: 0o644 });
  const { status, stderr } = await edge402(folder, ['keys', '--new', 'evm']);
  assert.equal(status, 0, stderr);
  assert.equal(statSync(join(folder, '.dev.vars')).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(folder), ['.dev.vars']);
});

test('where git would take the key none is made, and it says which line is missing', async (t) => {
  const folder = folderOf(t);
  execFileSync('git', ['init', '-q'], { cwd: folder });
  mkdirSync(join(folder, 'shop'));
  for (const [path, line] of [['.dev.vars', /the line \.dev\.vars\* to \.gitignore/], ['shop/keys.env', /the line keys\.env\* to \.gitignore/]]) {
    const make = () => edge402(folder, ['keys', '--new', 'evm', '--secrets', path]);
    const refused = await make();
    assert.equal(refused.status, 2, refused.stdout);
    assert.match(refused.stderr, line);
    assert.throws(() => statSync(join(folder, path)));
    writeFileSync(join(folder, '.gitignore'), '.dev.vars*\nkeys.env*\n');
    const made = await make();
    assert.equal(made.status, 0, made.stderr);
    writeFileSync(join(folder, '.gitignore'), '.dev.vars*\n');
  }
});

test('a link to a file of secrets stays one', async (t) => {
  const folder = folderOf(t);
  writeFileSync(join(folder, 'keys.env'), '');
  symlinkSync('keys.env', join(folder, '.dev.vars'));
  await edge402(folder, ['keys', '--new', 'evm']);
  assert.ok(lstatSync(join(folder, '.dev.vars')).isSymbolicLink());
  assert.match(readFileSync(join(folder, 'keys.env'), 'utf8'), /^EVM_RELAYER_KEYS='0x[0-9a-f]{64}'$/m);
});

for (const [what, files, words] of [
  ['one secret twice', { '.dev.vars': `EVM_RELAYER_KEYS=${KEY}\nexport EVM_RELAYER_KEYS = '${KEY}'\n` }, /^\.dev\.vars names EVM_RELAYER_KEYS twice: /],
  ['a file that another is writing', { '.dev.vars': `EVM_RELAYER_KEYS=${KEY}\n`, '.dev.vars.new': 'half' }, /\.dev\.vars\.new is there already/],
]) {
  test(`${what}: no key is added, and nothing is changed`, async (t) => {
    const folder = folderOf(t);
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    const { status, stderr } = await edge402(folder, ['keys', '--new', 'evm']);
    assert.equal(status, 2, stderr);
    assert.match(stderr, words);
    assert.ok(!stderr.includes(KEY));
    for (const [name, text] of Object.entries(files)) assert.equal(readFileSync(join(folder, name), 'utf8'), text);
  });
}

test('keys of other tools become ours', async (t) => {
  const folder = folderOf(t);
  const { address, secretKey, secretBase58 } = await solanaAccount('anybody');
  for (const [text, line, account, env] of [
    [KEY, `EVM_RELAYER_KEYS='${KEY}'`, ADDRESS],
    [KEY.slice(2), `EVM_RELAYER_KEYS='${KEY}'`, ADDRESS],
    [PHRASE, `EVM_RELAYER_KEYS='${KEY}'`, ADDRESS],
    [JSON.stringify([...secretKey]), `SOLANA_FEE_PAYER_KEYS='${JSON.stringify([...secretKey])}'`, address],
    [secretBase58, `SOLANA_FEE_PAYER_KEYS='${secretBase58}'`, address],
    [JSON.stringify(KEYSTORE), `EVM_RELAYER_KEYS='${KEYSTORE_KEY}'`, '0x008AeEda4D805471dF9b2A5B0f38A0C3bCBA786b', { KEY_PASSWORD: 'testpassword' }],
    [JSON.stringify(byScrypt('p')), `EVM_RELAYER_KEYS='${KEYSTORE_KEY}'`, '0x008AeEda4D805471dF9b2A5B0f38A0C3bCBA786b', { KEY_PASSWORD: 'p' }],
  ]) {
    const { status, stdout, stderr } = await convert(folder, `${text}\n`, env);
    assert.equal(status, 0, stderr);
    assert.equal(stdout.trim(), line);
    assert.ok(stderr.includes(account), stderr);
  }
});

test('what is no key is refused in words that hold nothing of it', async (t) => {
  const folder = folderOf(t);
  for (const [text, words, env] of [
    [ADDRESS, /is an address; put the account's private key/],
    ['zebra '.repeat(12), /seed phrase, and its words or their order/],
    [JSON.stringify(KEYSTORE), /put its password into KEY_PASSWORD/],
    [JSON.stringify(KEYSTORE), /is not the password of that keystore/, { KEY_PASSWORD: 'wrong' }],
    ['{"a": 1}', /neither what solana-keygen writes/],
    ['hunter2-secret', /That is no key that is known here/],
  ]) {
    const { status, stdout, stderr } = await convert(folder, text, env);
    assert.equal(status, 2, text);
    assert.match(stderr, words);
    assert.equal(stdout, '');
    assert.ok(!stderr.includes('hunter2'));
  }
});

/** A wrangler that notes what it is told. */
function fakeWrangler(folder) {
  const program = join(folder, 'node_modules/wrangler/bin/wrangler.js');
  mkdirSync(join(folder, 'node_modules/wrangler/bin'), { recursive: true });
  writeFileSync(join(folder, 'node_modules/wrangler/package.json'), '{"name":"wrangler"}');
  writeFileSync(program, `const fs = require('fs'); fs.writeFileSync('told.json', JSON.stringify({ args: process.argv.slice(2), input: process.argv.includes('bulk') ? fs.readFileSync(0, 'utf8') : '' }));`);
  chmodSync(program, 0o755);
  return () => JSON.parse(readFileSync(join(folder, 'told.json'), 'utf8'));
}

test('secrets go to wrangler by its standard input, and only secrets', async (t) => {
  const folder = folderOf(t);
  const told = fakeWrangler(folder);
  writeFileSync(join(folder, '.dev.vars'), `EVM_RELAYER_KEYS=${KEY}\nRPC_URLS='{"eip155:8453": ["https://node.example"]}'\nOTHER=1\n`);
  const { status, stdout, stderr } = await edge402(folder, ['keys', '--store', '--env', 'live']);
  assert.equal(status, 0, stderr);
  assert.deepEqual(told().args, ['secret', 'bulk', '--env', 'live']);
  assert.deepEqual(JSON.parse(told().input), { EVM_RELAYER_KEYS: KEY, RPC_URLS: '{"eip155:8453": ["https://node.example"]}' });
  assert.match(stdout, /stored: EVM_RELAYER_KEYS, RPC_URLS/);
  assert.ok(!stdout.includes(KEY.slice(2)));
});

test('what goes to the origin is stored with them', async (t) => {
  const folder = folderOf(t);
  const told = fakeWrangler(folder);
  writeFileSync(join(folder, 'wrangler.toml'), '[env.live.vars]\nORIGIN_HEADERS = { X-Key = { secret = "ORIGIN_KEY" } }\n');
  const secrets = { ORIGIN_KEY: 'abc', ORIGIN_SECRET: '5e'.repeat(32) };
  writeFileSync(join(folder, '.dev.vars'), Object.entries({ ...secrets, OTHER: 1 }).map(([name, value]) => `${name}=${value}\n`).join(''));
  const { status, stderr } = await edge402(folder, ['keys', '--store', '--env', 'live']);
  assert.equal(status, 0, stderr);
  assert.deepEqual(JSON.parse(told().input), secrets);
});

test('a shop on this machine has the seller’s secrets for the origin, and no others', (t) => {
  const folder = folderOf(t);
  const file = join(folder, 'wrangler.toml');
  writeFileSync(file, '[vars]\nORIGIN = "https://origin.example.com"\n[vars.ORIGIN_HEADERS]\nX-Key = { secret = "ORIGIN_KEY" }\nX-From = "edge402"\n');
  assert.deepEqual(configShop(file).worker.secrets, {});
  writeFileSync(join(folder, '.dev.vars'), `ORIGIN_KEY=abc\nORIGIN_SECRET=${'5e'.repeat(32)}\nEVM_RELAYER_KEYS=${KEY}\n`);
  assert.deepEqual(configShop(file).worker.secrets, { ORIGIN_KEY: 'abc', ORIGIN_SECRET: '5e'.repeat(32) });
});

test('a shop with a fault is not deployed, unless it is forced', async (t) => {
  const folder = folderOf(t);
  const told = fakeWrangler(folder);
  writeFileSync(join(folder, 'wrangler.toml'), 'name = "shop"\n');
  const refused = await edge402(folder, ['deploy', '--offline']);
  assert.equal(refused.status, 2);
  assert.match(refused.stdout, /^✘ ORIGIN: /m);
  assert.match(refused.stderr, /Nothing was deployed/);
  assert.throws(told);
  const forced = await edge402(folder, ['deploy', '--offline', '--force', '--dry-run']);
  assert.equal(forced.status, 0, forced.stderr);
  assert.deepEqual(told().args, ['deploy', '--config', 'wrangler.toml', '--dry-run']);
});

const sha256 = (text) => createHash('sha256').update(text).digest('hex');

test('tokens and passes are shown once, and only their hashes are kept', async (t) => {
  const folder = folderOf(t);
  const make = async (what) => {
    const { status, stdout, stderr } = await edge402(folder, ['keys', '--new', what]);
    assert.equal(status, 0, stderr);
    const [, token] = /: ([0-9a-f]{64})$/m.exec(stdout);
    return { token, stdout };
  };
  const [first, second] = [await make('desk'), await make('desk')];
  assert.notEqual(first.token, second.token);
  const [staff, next, client] = [await make('pass:staff'), await make('pass:staff'), await make('client:my-server')];
  const secrets = readSecrets(join(folder, '.dev.vars'));
  assert.deepEqual(secrets, {
    DESK_TOKENS: [first, second].map(({ token }) => sha256(token)).join(','),
    PASSES: [staff, next].map(({ token }) => `staff:${sha256(token)}`).join(','),
    FACILITATOR_TOKENS: `my-server:${sha256(client.token)}`,
  });
  assert.match(first.stdout, /It is shown this once/);
  const text = readFileSync(join(folder, '.dev.vars'), 'utf8');
  for (const { token } of [first, second, staff, next, client]) assert.ok(!text.includes(token));
  const { faults } = await report({ secrets });
  assert.deepEqual(faults.filter(({ key }) => Object.keys(secrets).includes(key)), []);
  const shown = await edge402(folder, ['keys']);
  assert.equal(shown.status, 0, shown.stdout);
  assert.match(shown.stdout, /^DESK_TOKENS +2 tokens open the desk$/m);
  assert.match(shown.stdout, /^PASSES +staff, staff$/m);
  assert.match(shown.stdout, /^FACILITATOR_TOKENS +my-server$/m);
});

test('secrets that somebody else needs too are shown: of webhooks, and the origin’s', async (t) => {
  const folder = folderOf(t);
  for (const [what, name, form] of [['webhook', 'WEBHOOK_SECRET', /^whsec_[\w+/]+=*$/], ['webhook:ORDERS_SECRET', 'ORDERS_SECRET', /^whsec_[\w+/]+=*$/], ['origin', 'ORIGIN_SECRET', /^[0-9a-f]{64}$/]]) {
    const { status, stdout, stderr } = await edge402(folder, ['keys', '--new', what]);
    assert.equal(status, 0, stderr);
    const value = readSecrets(join(folder, '.dev.vars'))[name];
    assert.match(value, form);
    assert.ok(stdout.includes(value), stdout);
  }
  const again = await edge402(folder, ['keys', '--new', 'webhook']);
  assert.equal(again.status, 0, again.stderr);
  const both = readSecrets(join(folder, '.dev.vars')).WEBHOOK_SECRET.split(',');
  assert.equal(both.length, 2);
  // The newest signs first, and the one before it goes on.
  assert.ok(again.stdout.includes(both[0]) && !again.stdout.includes(both[1]));
  const third = await edge402(folder, ['keys', '--new', 'webhook']);
  assert.equal(third.status, 2);
  assert.match(third.stderr, /WEBHOOK_SECRET holds two already: take out the older one/);
  const twice = await edge402(folder, ['keys', '--new', 'origin']);
  assert.equal(twice.status, 2);
  assert.match(twice.stderr, /ORIGIN_SECRET is there already/);
});

test('what can’t be made is refused with what can', async (t) => {
  const folder = folderOf(t);
  for (const what of ['bitcoin', 'pass', 'pass:', 'client', 'desk:x', 'evm:x', 'pass:a b', 'webhook:__proto__']) {
    const { status, stderr } = await edge402(folder, ['keys', '--new', what]);
    assert.equal(status, 2, what);
    assert.match(stderr, /--new .*: must be evm, solana, desk, pass:<name>, client:<name>, webhook or origin/, what);
  }
  assert.deepEqual(readdirSync(folder), []);
});

test('a hash that can’t be read is named, and the status is 1', async (t) => {
  const folder = folderOf(t);
  writeFileSync(join(folder, '.dev.vars'), `DESK_TOKENS=my token\n`);
  const { status, stdout } = await edge402(folder, ['keys']);
  assert.equal(status, 1);
  assert.match(stdout, /DESK_TOKENS +entry 1 must be 64 hex digits/);
});

test('secrets go to the Worker of the configuration beside them, which names those of webhooks', async (t) => {
  const folder = folderOf(t);
  const told = fakeWrangler(folder);
  mkdirSync(join(folder, 'shop'));
  writeFileSync(join(folder, 'shop/wrangler.jsonc'), '{ "name": "shop", "vars": { "WEBHOOKS": [{ "url": "https://hooks.example", "events": ["sale"], "secret": "ORDERS_SECRET" }] } }');
  writeFileSync(join(folder, 'shop/.dev.vars'), 'ORDERS_SECRET=whsec_abc\nWEBHOOK_SECRET=whsec_def\n');
  const { status, stderr } = await edge402(folder, ['keys', '--store', '--secrets', 'shop/.dev.vars']);
  assert.equal(status, 0, stderr);
  assert.deepEqual(told().args, ['secret', 'bulk', '--config', 'shop/wrangler.jsonc']);
  assert.deepEqual(JSON.parse(told().input), { ORDERS_SECRET: 'whsec_abc' });
});

test('an environment with secrets of its own gets those, and no others', async (t) => {
  const folder = folderOf(t);
  const told = fakeWrangler(folder);
  writeFileSync(join(folder, 'wrangler.toml'), 'name = "shop"\n[env.live.vars]\n[env.test.vars]\n');
  writeFileSync(join(folder, '.dev.vars'), `EVM_RELAYER_KEYS=${KEY}\n`);
  writeFileSync(join(folder, '.dev.vars.live'), `EVM_RELAYER_KEYS=${KEYSTORE_KEY}\n`);
  for (const [env, key] of [['live', KEYSTORE_KEY], ['test', KEY]]) {
    const { status, stderr } = await edge402(folder, ['keys', '--store', '--env', env]);
    assert.equal(status, 0, stderr);
    assert.deepEqual([told().args, JSON.parse(told().input)], [['secret', 'bulk', '--env', env], { EVM_RELAYER_KEYS: key }]);
  }
  const shown = await edge402(folder, ['keys', '--env', 'live']);
  assert.ok(!shown.stdout.includes(ADDRESS), shown.stdout);
});

test('a shop on this machine knows passes and the desk, and tells nobody far away of its sales', (t) => {
  const folder = folderOf(t);
  const file = join(folder, 'wrangler.jsonc');
  const [near, far] = [{ url: 'http://localhost:9000/hook', events: ['sale'], secret: 'NEAR' }, { url: 'https://hooks.example/a', events: ['sale'] }];
  writeFileSync(file, JSON.stringify({ vars: { ORIGIN: 'https://origin.example.com', WEBHOOKS: [far, near], ROUTES: [{ pattern: '/a/*', price: '$1', networks: ['eip155:1'] }, { pattern: '/b', price: '$1', scheme: 'upto' }] } }));
  const secrets = { PASSES: `staff:${sha256('x')}`, DESK_TOKENS: sha256('y'), NEAR: 'whsec_near' };
  writeFileSync(join(folder, '.dev.vars'), Object.entries({ ...secrets, WEBHOOK_SECRET: 'whsec_far', EVM_RELAYER_KEYS: KEY }).map(([name, value]) => `${name}=${value}\n`).join(''));
  const { worker, isByUse, notes } = configShop(file);
  assert.deepEqual(worker.secrets, secrets);
  assert.deepEqual(worker.vars.WEBHOOKS, [near]);
  assert.deepEqual(worker.vars.ROUTES.map(({ networks }) => networks), [undefined, ['eip155:84532']]);
  assert.equal(isByUse, true);
  assert.match(notes[0], /^hooks\.example is not told of what is bought here/);
  assert.match(notes[1], /\/\.edge402\/desk/);
});

test('where the secrets are not, a shop is deployed as well', async (t) => {
  const folder = folderOf(t);
  const told = fakeWrangler(folder);
  await edge402(folder, ['init', '--origin', './site', '--sell', '/premium/*', '--price', '0.01', '--network', 'base-sepolia', '--pay-to', '0x209693Bc6afc0C5328bA36FaF03C514EF312287C']);
  mkdirSync(join(folder, 'node_modules/edge402/build'), { recursive: true });
  writeFileSync(join(folder, 'node_modules/edge402/build/index.js'), '');
  rmSync(join(folder, '.dev.vars'));
  const refused = await edge402(folder, ['deploy', '--offline']);
  assert.equal(refused.status, 2, refused.stdout);
  assert.match(refused.stdout, /^✘ EVM_RELAYER_KEYS: /m);
  const { status, stdout, stderr } = await edge402(folder, ['deploy', '--offline', '--without-secrets']);
  assert.equal(status, 0, stdout + stderr);
  assert.deepEqual(told().args, ['deploy', '--config', 'wrangler.toml']);
});
