/** docs/origin.md: what an origin is told, and by what it knows the gate. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { parse } from 'smol-toml';
import { devPath, listen } from '../../dev/util.mjs';
import { startWorld } from '../../dev/world.mjs';
import { snippet } from '../documents/snippets.mjs';
import { answering, startSite } from './site.mjs';
import { assertPaid, EVM_NETWORK, PAGE_PRICE, payment, raw, send, SOLANA_NETWORK, USDC_ADDRESS, USDC_MINT } from './support.mjs';

const ROUTES = [{ pattern: '/premium/*', price: '$0.01' }, { pattern: '/first/*', price: '$0.01', settle: 'before' }];
const ECHO = 'export default { fetch: ({ headers }) => Response.json({ headers: Object.fromEntries(headers) }) };';
const PAGE_OF_PEOPLE = { accept: 'text/html', 'sec-fetch-dest': 'document' };

/** The headers that the origin got, in an answer that may be in chunks. */
const told = ({ text }) => JSON.parse(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1)).headers;

let world;
let site;
before(async () => {
  [world, site] = await Promise.all([startWorld({ worker: false }), startSite()]);
});
after(async () => {
  await world?.stop();
  await site?.stop();
});

describe('let only the gate in', () => {
  const KEY = '5ec7e7';
  const { ORIGIN_HEADERS } = parse(snippet('docs/origin.md', '[vars]\nORIGIN = "https://origin.example.com"\n\n')).vars;
  const withKey = (vars, more = {}) => world.startWorker({ vars: { ORIGIN: site.url, ROUTES, ORIGIN_HEADERS, ...vars }, secrets: { ORIGIN_KEY: KEY }, ...more });
  const assertKnown = (headers, what) => assert.deepEqual([headers['x-origin-key'], headers['x-from']], [KEY, 'edge402'], what);

  let url;
  before(async () => ({ url } = await withKey()));

  test('each request brings the headers, free or sold, whatever the client says', async () => {
    const headers = [['X-ORIGIN-KEY', 'mine'], ['x-origin-key', 'mine, too'], ['X-From', ''], ['X_From', 'me'], ['X-Origin_Key', 'mine']];
    const free = told(await raw(url, '/free', { headers }));
    assertKnown(free, 'free');
    assert.deepEqual(Object.keys(free).filter((name) => name.includes('_')), [], 'CGI takes _ for -');
    assertKnown((await send(`${url}/free`, {}, { method: 'POST', body: 'x' })).json.headers, 'a free POST');
    for (const path of ['/premium/a', '/first/a']) {
      const answer = await send(url + path, { ...await payment(world, url + path), 'x-origin-key': 'mine' });
      assertPaid(answer);
      assertKnown(answer.json.headers, path);
      for (const name of ['x-origin-key', 'x-from']) assert.equal(answer.headers.get(name), null);
    }
  });

  test('a name of many dashes has no other spelling, either', async () => {
    const name = 'X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id';
    const { url: other } = await withKey({ ORIGIN_HEADERS: { ...ORIGIN_HEADERS, [name]: 'ours' } });
    const headers = [[name, 'mine'], [name.replaceAll('-', '_'), 'mine'], [name.replace('-', '_'), 'mine'], [`${name}-2`, 'mine']];
    for (const path of ['/free', '/premium/a']) {
      const pays = path === '/free' ? {} : await payment(world, other + path);
      const all = told(await raw(other, path, { headers: [...headers, ...Object.entries(pays)] }));
      assert.deepEqual(Object.entries(all).filter(([it]) => /^x.amz/.test(it)), [[name.toLowerCase(), 'ours'], [`${name}-2`.toLowerCase(), 'mine']]);
    }
  });

  test('a service gets them, too', async () => {
    const service = await withKey({ ORIGIN: 'service' }, { services: [{ binding: 'ORIGIN_SERVICE', script: ECHO }] });
    assertKnown((await send(`${service.url}/free`, { 'x-origin-key': 'mine' })).json.headers);
    const paid = `${service.url}/premium/a`;
    assertKnown((await send(paid, await payment(world, paid))).json.headers);
  });

  test('no redirect takes them to another host', async () => {
    const other = await startSite();
    try {
      const away = answering(302, '', { location: `${other.url}/stolen` });
      for (const path of ['/free/away', '/premium/away', '/first/away', '/till.html']) site.on(path, away);
      assert.equal((await send(`${url}/free/away`)).headers.get('location'), `${other.url}/stolen`);
      for (const path of ['/premium/away', '/first/away']) {
        assert.equal((await send(url + path, await payment(world, url + path))).headers.get('location'), `${other.url}/stolen`);
      }
      const { url: shop, log } = await withKey({ PAGE: { template: '/till.html' } });
      const asked = site.requests.length;
      assert.equal((await send(`${shop}/premium/`, PAGE_OF_PEOPLE)).status, 402);
      assert.ok(site.requests.slice(asked).includes('/till.html'), log());
      assert.deepEqual(other.requests, []);
    } finally {
      await other.stop();
    }
  });

  test('without the secret nothing is sold, and the log names it', async () => {
    const gate = await withKey({}, { secrets: { ORIGIN_KEY: undefined } });
    assert.equal((await send(`${gate.url}/premium/a`)).status, 503);
    assert.equal((await send(`${gate.url}/free`)).json.headers['x-origin-key'], undefined);
    assert.match(gate.log(), /ORIGIN_KEY: is needed for ORIGIN_HEADERS\."X-Origin-Key": wrangler secret put ORIGIN_KEY/);
  });
});

describe('what the origin is told', () => {
  const SECRET = '5e'.repeat(32);
  const { TELL_ORIGIN } = parse(snippet('docs/origin.md', '[vars]\nORIGIN = "https://origin.example.com"\nTELL_ORIGIN')).vars;
  const folder = devPath('snippets-origin', 'x').slice(0, -2);
  const shop = (vars, more) => world.startWorker({ vars: { ORIGIN: origin.url, ROUTES, TELL_ORIGIN, ...vars }, secrets: { ORIGIN_SECRET: SECRET }, ...more });
  let paymentOf;
  let origin;
  let url;
  before(async () => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'origin.mjs'), snippet('docs/origin.md', 'import { createHmac'));
    ({ paymentOf } = await import(pathToFileURL(join(folder, 'origin.mjs')).href));
    origin = await startVerifier(paymentOf, SECRET);
    ({ url } = await shop());
  });
  after(async () => {
    await origin?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const expected = (network, buyer) => ({
    payer: buyer.address,
    amount: String(PAGE_PRICE),
    asset: network === EVM_NETWORK ? USDC_ADDRESS : USDC_MINT,
    network,
  });

  /** Buys, and asserts what the origin was told; answers that and the receipt. */
  async function bought(target, { network = EVM_NETWORK, headers = {}, init = {} } = {}) {
    const paid = await payment(world, target, { network });
    const answer = await send(target, { ...paid, ...headers }, init);
    const receipt = assertPaid(answer);
    const buyer = (network === EVM_NETWORK ? world.accounts.evm : world.accounts.solana).buyers[0];
    const { time, transaction, claim, ...told } = answer.json.told;
    assert.deepEqual(told, expected(network, buyer));
    assert.ok(Math.abs(Date.now() / 1000 - time) < 60, time);
    return { paid, receipt, transaction, claim, answer };
  }

  for (const network of [EVM_NETWORK, SOLANA_NETWORK]) {
    test(`a claim, and once it is settled the transaction, on ${network.split(':')[0]}`, async () => {
      const target = `${url}/premium/a?b=${network}`;
      const { paid, receipt, transaction, claim } = await bought(target, { network });
      assert.equal(transaction, '');
      assert.match(claim, /^[\w:/]{30,}$/);
      const again = await send(target, paid);
      assert.deepEqual(assertPaid(again), receipt);
      assert.deepEqual([again.json.told.transaction, again.json.told.claim], [receipt.transaction, '']);

      const first = await bought(`${url}/first/a?b=${network}`, { network });
      assert.deepEqual([first.transaction, first.claim], [first.receipt.transaction, '']);
    });
  }

  test('whatever the URL and the method are', async () => {
    for (const path of ['/premium/%61%20b;c', '/premium/a?', "/premium/a?q=%20+'x'|y&z=%C3%A4&&=#", '/premium/a?"<>`{}^', '/premium//b/../c', '/premium/%E4%B8%AD?u=http://x/?y', '/premium/a?%zz']) {
      await bought(url + path);
    }
    // As no client of its own accord writes it.
    const target = '/premium/a?x={"|`^<>\\}&%zz\'';
    const answer = await raw(url, target, { headers: Object.entries(await payment(world, `${url}/premium/a`)) });
    assert.equal(answer.status, 200, answer.text);
    await bought(`${url}/premium/form`, { init: { method: 'POST', body: 'order' } });
    const base = await shop({ ORIGIN: `${origin.url}/base` });
    await bought(`${base.url}/premium/a?b=c`);
  });

  test('nothing that a client says passes for it', async () => {
    const genuine = (await bought(`${url}/premium/mine`)).answer.json.headers;
    const stolen = Object.entries(genuine).filter(([name]) => name.startsWith('x-payment-'));
    assert.equal(stolen.length, 7);
    const spelled = (change) => stolen.map(([name, value]) => [change(name), value]);
    for (const sent of [
      stolen,
      spelled((name) => name.toUpperCase()),
      [...stolen, ...spelled((name) => name.toUpperCase())],
      ...['x_payment_', 'X_Payment-', 'x-payment_'].map((prefix) => spelled((name) => name.replace('x-payment-', prefix))),
    ]) {
      const free = told(await raw(url, '/free', { headers: sent }));
      assert.deepEqual(Object.keys(free).filter((name) => /^x[-_]payment/i.test(name)), [], 'free');
      assert.equal((await raw(url, '/guarded', { headers: sent })).status, 403);

      const target = `${url}/premium/theirs`;
      const [[name, value]] = Object.entries(await payment(world, target));
      const answer = await raw(url, '/premium/theirs', { headers: [...sent, [name, value], ['x-payment-transaction', '0xfeed']] });
      assert.equal(answer.status, 200, answer.text);
      const headers = told(answer);
      assert.notEqual(headers['x-payment-claim'], genuine['x-payment-claim']);
      assert.deepEqual(Object.keys(headers).filter((it) => /^x[-_]payment/i.test(it)).sort(), Object.keys(genuine).filter((it) => /^x-payment/.test(it)).sort());
    }
  });

  test('the origin refuses what is forged, of another request, or old', async () => {
    const { headers } = (await bought(`${url}/premium/mine`)).answer.json;
    const ask = (path, changes = {}, method = 'GET') => fetch(origin.url + path, { method, headers: Object.fromEntries(Object.entries({ ...headers, ...changes }).filter(([name, value]) => value !== undefined && name.startsWith('x-payment-'))) });
    assert.equal((await ask('/premium/mine')).status, 200, 'as the gate sent it');
    for (const [path, changes, method] of [
      ['/premium/other'], ['/premium/mine?a'], ['/premium/mine', {}, 'POST'],
      ['/premium/mine', { 'x-payment-payer': '0x0000000000000000000000000000000000000001' }],
      ['/premium/mine', { 'x-payment-amount': '99999' }],
      ['/premium/mine', { 'x-payment-claim': undefined, 'x-payment-transaction': headers['x-payment-claim'] }],
      ['/premium/mine', { 'x-payment-time': String(Number(headers['x-payment-time']) + 1) }],
      ['/premium/mine', { 'x-payment-signature': undefined }], ['/premium/mine', { 'x-payment-signature': 'v1=' }],
      ['/premium/mine', { 'x-payment-signature': `v1=${'0'.repeat(64)}` }],
    ]) {
      assert.equal((await ask(path, changes, method)).status, 403, JSON.stringify([path, changes, method]));
    }
    const old = String(Math.floor(Date.now() / 1000) - 301);
    const lines = ['v1', 'GET', '/premium/mine', old, ...['payer', 'amount', 'asset', 'network'].map((name) => headers[`x-payment-${name}`]), '', headers['x-payment-claim'], ''];
    const signature = `v1=${createHmac('sha256', SECRET).update(lines.join('\n')).digest('hex')}`;
    assert.equal((await ask('/premium/mine', { 'x-payment-time': old, 'x-payment-signature': signature })).status, 403);
    assert.throws(() => paymentOf({ method: 'GET', url: '/', headers: {} }, ''), /ORIGIN_SECRET is missing/);
  });

  test('a delivery cookie, and a service', async () => {
    const target = `${url}/premium/film`;
    const paid = await send(target, { ...await payment(world, target), prefer: 'return=minimal' });
    assert.equal(paid.status, 204);
    const [cookie] = paid.headers.getSetCookie().find((it) => it.startsWith('edge402_paid_')).split(';');
    const fetched = await send(target, { cookie });
    assert.equal(fetched.json.told.transaction, paid.receipt.transaction);

    const service = await shop({ ORIGIN: 'service' }, { services: [{ binding: 'ORIGIN_SERVICE', script: ECHO }] });
    const at = `${service.url}/premium/a?b`;
    const answer = await send(at, await payment(world, at));
    assertPaid(answer);
    assert.ok(paymentOf({ method: 'GET', url: '/premium/a?b', headers: answer.json.headers }, SECRET));
    const free = await send(`${service.url}/free`, { 'X-Payment-Payer': '0x1', x_payment_payer: '0x1' });
    assert.deepEqual(Object.keys(free.json.headers).filter((name) => name.includes('payment')), []);
  });

  test('a route that does not tell, and a shop without a secret', async () => {
    const silent = await shop({ ORIGIN: site.url, ROUTES: [{ ...ROUTES[0], tell_origin: false }] });
    const plain = await shop({ ORIGIN: site.url, TELL_ORIGIN: false }, { secrets: { ORIGIN_SECRET: undefined } });
    for (const gate of [silent, plain]) {
      for (const path of ['/premium/a', '/free']) {
        const headers = path === '/free' ? {} : await payment(world, gate.url + path);
        const answer = await send(gate.url + path, { ...headers, 'X-Payment-Payer': '0x1', 'x-payment-signature': 'v1=0' });
        assert.equal(answer.status, 200);
        assert.deepEqual(Object.keys(answer.json.headers).filter((name) => name.includes('payment')), [], path);
      }
    }
    const closed = await shop({}, { secrets: { ORIGIN_SECRET: undefined } });
    assert.equal((await send(`${closed.url}/premium/a`)).status, 503);
    assert.match(closed.log(), /ORIGIN_SECRET: is needed for tell_origin/);
  });
});

/** An origin that gives what is not free only to whoever the gate has told it of. */
async function startVerifier(paymentOf, secret) {
  const server = createServer((request, response) => {
    const isFree = request.url.startsWith('/free');
    const known = isFree ? undefined : paymentOf(request, secret);
    response.writeHead(isFree || known ? 200 : 403, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ told: known, headers: request.headers }));
  });
  const url = `http://127.0.0.1:${await listen(server)}`;
  const stop = async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  };
  return { url, stop };
}
