/** Who pays, against the running Worker: people, staff with a pass, and agents that sign, with directories that hang, lie, or are too large. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { after, before, test } from 'node:test';
import { parse } from 'smol-toml';
import { startWorld } from '../../dev/world.mjs';
import { snippet } from '../documents/snippets.mjs';
import { startSite } from './site.mjs';
import { assertPaid, nowSeconds, payment, send } from './support.mjs';

const TRUSTED = 'https://staff.example';
const DIRECTORY = '/.well-known/http-message-signatures-directory';
const BROWSER = {
  'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0',
  'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document',
};
const { ROUTES: [articles] } = parse(snippet('docs/prices.md', '[[vars.ROUTES]]\npattern = "/articles/*"')).vars;

let world;
let site;
let agent;
let hosts;
let url;
let pass;
before(async () => {
  [site, agent] = await Promise.all([startSite(), startSite()]);
  hosts = { agent, lying: await startSite(), hanging: await startSite(), large: await startSite() };
  const hostOf = ({ url: at }) => new URL(at).host;
  world = await startWorld({ worker: false });
  const signed = { pattern: '/signed', price: '$0.01', free_for: Object.values(hosts).map((it) => `signed:${hostOf(it)}`) };
  const lines = snippet('docs/prices.md', 'PASS=') + snippet('docs/prices.md', 'echo "the pass') + snippet('docs/prices.md', 'echo "staff:');
  const { stdout, stderr } = spawnSync('bash', ['--norc', '-euo', 'pipefail', '-c', lines], { encoding: 'utf8' });
  const [, made, passes] = /^the pass of staff: ([0-9a-f]{64})\n(staff:[0-9a-f]{64})\n$/.exec(stdout) ?? assert.fail(stdout + stderr);
  pass = made;
  ({ url } = await world.startWorker({ vars: { ORIGIN: site.url, ROUTES: [articles, signed], CORS_CREDENTIALS: [TRUSTED] }, secrets: { PASSES: passes } }));
});
after(async () => {
  await world?.stop();
  for (const it of [site, ...Object.values(hosts ?? {})]) await it?.stop();
});

const priceOf = async (path, headers = {}) => {
  const { status, challenge, json } = await send(url + path, headers);
  if (status === 200) return json;
  assert.equal(status, 402);
  return Number(challenge.accepts[0].amount);
};

test('people and staff read, crawlers for training pay more, and anybody else the price', async () => {
  const path = '/articles/one';
  assert.equal((await priceOf(path, BROWSER)).path, path);
  assert.equal(await priceOf(path), 50_000);
  assert.equal(await priceOf(path, { 'user-agent': 'GPTBot/1.3' }), 200_000);
  // There is no edge here that writes the address over what a client says.
  assert.equal((await priceOf(path, { 'user-agent': 'Googlebot/2.1', 'cf-connecting-ip': '66.249.66.1' })).path, path);
  for (const more of [{}, { 'cf-connecting-ip': '203.0.113.1' }, { 'x-forwarded-for': '66.249.66.1' }, { 'x-real-ip': '66.249.66.1' }]) {
    assert.equal(await priceOf(path, { 'user-agent': 'Googlebot/2.1', ...more }), 50_000, JSON.stringify(more));
  }
  assert.equal(await priceOf(path, { 'payment-grant': `${pass}0` }), 50_000);
  for (const headers of [{ 'payment-grant': pass }, { cookie: `theme=dark; edge402_pass=${pass}` }]) {
    const told = await priceOf(path, headers);
    assert.equal(told.path, path);
    assert.ok(!JSON.stringify(told).includes(pass), 'the origin never sees a pass');
  }
  // What anybody else buys, people have for nothing, and nobody may keep.
  assertPaid(await send(url + path, await payment(world, url + path)));
  site.on('/articles/kept', (request, response) => {
    const isKnown = request.headers['if-none-match'] === '"1"';
    response.writeHead(isKnown ? 304 : 200, { etag: '"1"', 'cache-control': 'public, max-age=600', 'cdn-cache-control': 'max-age=600' }).end(isKnown ? undefined : 'kept');
  });
  site.on('/articles/secret', (_, response) => response.writeHead(200, { 'cache-control': 'no-store', 'access-control-allow-origin': 'https://app.example' }).end('secret'));
  const kept = await send(`${url}/articles/kept`, BROWSER);
  assert.deepEqual([kept.status, kept.text, kept.headers.get('cache-control'), kept.headers.get('cdn-cache-control')], [200, 'kept', 'private, no-cache', null]);
  assert.equal(kept.headers.get('access-control-allow-origin'), null, 'no page elsewhere has its visitors read for it');
  assert.equal(kept.headers.get('cross-origin-resource-policy'), 'same-origin', 'or shows it to them');
  assert.equal((await send(`${url}/articles/kept`, { ...BROWSER, 'if-none-match': '"1"' })).status, 304);
  assert.equal((await send(`${url}/articles/kept`, { 'if-none-match': '"1"' })).status, 402);
  // A page elsewhere is told the price, which it can pay.
  for (const [page, code, allowed] of [[TRUSTED, 200, [TRUSTED, 'true']], ['https://other.example', 402, ['*', null]]]) {
    const { status, headers } = await send(`${url}/articles/kept`, { 'payment-grant': pass, origin: page });
    assert.equal(status, code, page);
    assert.deepEqual(['origin', 'credentials'].map((name) => headers.get(`access-control-allow-${name}`)), allowed, page);
  }
  const { headers } = await send(`${url}/articles/secret`, BROWSER);
  assert.deepEqual(['cache-control', 'access-control-allow-origin'].map((name) => headers.get(name)), ['private, no-store', 'https://app.example']);
});

const base64url = (bytes) => Buffer.from(bytes).toString('base64url');
const keyPair = () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const { x } = publicKey.export({ format: 'jwk' });
  return { privateKey, jwk: { kty: 'OKP', crv: 'Ed25519', x }, id: base64url(createHash('sha256').update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`).digest()) };
};

/** The headers of a request that is signed as the draft says. */
function signing({ privateKey, id }, by, { created = nowSeconds(), life = 60, nonce = randomBytes(8).toString('hex') } = {}) {
  const input = `("@authority" "signature-agent");created=${created};expires=${created + life};keyid="${id}";nonce="${nonce}";tag="web-bot-auth"`;
  const who = `"https://${new URL(by.url).host}"`;
  const base = `"@authority": ${new URL(url).host}\n"signature-agent": ${who}\n"@signature-params": ${input}`;
  return { 'signature-agent': who, 'signature-input': `s=${input}`, signature: `s=:${sign(null, Buffer.from(base), privateKey).toString('base64')}:` };
}

const serving = (status, body, headers = {}) => (_, response) => response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);

test('an agent that signs reads, one thing with each nonce, and its directory is asked once', async () => {
  const key = keyPair();
  agent.on(DIRECTORY, serving(200, JSON.stringify({ keys: [key.jwk] })));
  const first = signing(key, agent);
  assert.equal((await priceOf('/signed', first)).path, '/signed');
  assert.equal((await priceOf('/signed', first)).path, '/signed', 'as one does with a payment');
  assert.equal(await priceOf('/signed?page=2', first), 10_000, 'what somebody makes of it');
  assert.equal((await priceOf('/signed', signing(key, agent))).path, '/signed');
  assert.equal(await priceOf('/signed', signing(keyPair(), agent)), 10_000, 'another key');
  assert.equal(await priceOf('/signed', signing(key, agent, { created: nowSeconds() - 90 })), 10_000, 'over');
  assert.deepEqual(agent.requests, [DIRECTORY]);
});

test('a directory that hangs, lies, leads away or is too large makes nobody free', async () => {
  const key = keyPair();
  const good = JSON.stringify({ keys: [key.jwk] });
  hosts.lying.on(DIRECTORY, serving(302, good, { location: agent.url + DIRECTORY }));
  hosts.large.on(DIRECTORY, serving(200, `${good.slice(0, -1)},"x":"${'x'.repeat(10 * 1_024 * 1_024)}"}`));
  let left;
  hosts.hanging.on(DIRECTORY, (request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.write(good.slice(0, 9));
    left = new Promise((done) => response.on('close', done));
  });
  for (const name of ['lying', 'large', 'hanging']) assert.equal(await priceOf('/signed', signing(key, hosts[name])), 10_000, name);
  await left;
});
