/** The origins behind the gate: assets, a service, a site at a URL. Bodies stream, redirects stay, failures are free. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { listen, ROOT } from '../../dev/util.mjs';
import { startWorld } from '../../dev/world.mjs';
import { assertPaid, assertRefused, deferred, EVM_NETWORK, ledger, PAGE_PRICE, payment, send, SOLANA_NETWORK, unchanged } from './support.mjs';

const PAYMENT_HEADERS = ['x-payment', 'payment-signature'];
const LARGE = 256 * 1024;
const SERVICE = `export default { async fetch(request) {
  const { pathname, search } = new URL(request.url);
  if (pathname.startsWith('/premium/broken')) return new Response('broken', { status: 500 });
  if (pathname.startsWith('/premium/moved')) return Response.redirect(new URL('/elsewhere', request.url), 302);
  return Response.json({ path: pathname + search, method: request.method, body: await request.text(), headers: Object.fromEntries(request.headers) }, { headers: { 'x-from': 'service' } });
} };`;

let world;
let origin;
let site;
before(async () => {
  origin = await startOrigin();
  world = await startWorld({
    worker: {
      vars: {
        ORIGIN: `${origin.url}/base`,
        ROUTES: [
          { pattern: '/premium/*', price: '$0.01' },
          { pattern: '/first/*', price: '$0.01', settle: 'before' },
        ],
      },
    },
  });
  site = world.url;
});
after(async () => {
  await world?.stop();
  await origin?.stop();
});

/** A site whose answers the tests decide: a handler for each path below `/base`. */
async function startOrigin() {
  const started = { handlers: new Map(), requests: [] };
  const server = createServer((request, response) => {
    const path = request.url.split('?')[0];
    started.requests.push({ path: request.url, method: request.method, headers: request.headers });
    const handler = started.handlers.get(path);
    if (handler) return handler(request, response);
    response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'public, max-age=3600', 'x-from': 'site' });
    response.end(JSON.stringify({ path: request.url, method: request.method, headers: request.headers }));
  });
  started.url = `http://127.0.0.1:${await listen(server)}`;
  started.on = (path, handler) => started.handlers.set(`/base${path}`, handler);
  started.stop = async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  };
  return started;
}

const answering = (status, body = 'sorry', headers = {}) => (_, response) => response.writeHead(status, headers).end(body);

async function charged(work, times = 1n) {
  const start = (await ledger(world)).evmSeller;
  const value = await work();
  assert.equal((await ledger(world)).evmSeller - start, times * PAGE_PRICE);
  return value;
}

describe('a site at a URL', () => {
  test('gets the request under its own base path, without the payment', async () => {
    for (const version of [1, 2]) {
      const url = `${site}/premium/%70age?q=1`;
      const headers = await payment(world, url, { version });
      const answer = await charged(() => send(url, { ...headers, 'x-mine': 'kept', 'if-none-match': '"old"' }));
      assertPaid(answer, version);
      assert.equal(answer.json.path, '/base/premium/page?q=1');
      assert.equal(answer.json.headers['x-mine'], 'kept');
      for (const name of [...PAYMENT_HEADERS, 'if-none-match']) assert.equal(answer.json.headers[name], undefined, name);
      assert.equal(answer.headers.get('x-from'), 'site');
    }
  });

  test('its free pages pass as they are', async () => {
    const answer = await send(`${site}/free?x=%20y`);
    assert.equal(answer.status, 200);
    assert.equal(answer.json.path, '/base/free?x=%20y');
    assert.equal(answer.headers.get('cache-control'), 'public, max-age=3600');
    assert.equal((await send(`${site}/free`, {}, { method: 'POST', body: 'x' })).json.method, 'POST');
  });

  test('is never asked for what was not paid', async () => {
    const before = origin.requests.length;
    assert.equal((await send(`${site}/premium/unpaid`)).status, 402);
    assert.equal((await send(`${site}/premium/unpaid`, { 'x-payment': 'e30=' })).status, 400);
    assert.equal(origin.requests.length, before);
  });

  const redirects = {
    'absolute': [() => `${origin.url}/base/free?a#b`, () => `${site}/free?a#b`],
    'without a scheme': [() => `${origin.url.slice(5)}/base/free`, () => `${site}/free`],
    'in capitals': [() => `${origin.url.replace('http', 'HTTP')}/base/free`, () => `${site}/free`],
    'from the root': [() => '/base/free', () => `${site}/free`],
    'relative': [() => 'next?a', () => 'next?a'],
    'to another site': [() => 'https://other.example/x', () => 'https://other.example/x'],
  };
  for (const [what, [given, seen]] of Object.entries(redirects)) {
    test(`a redirect ${what} stays on the seller’s host unless it leads to another site`, async () => {
      for (const path of ['/free/moved', '/premium/moved']) {
        origin.on(path, answering(302, '', { location: given() }));
        const headers = path.startsWith('/premium') ? await payment(world, `${site}${path}?${encodeURIComponent(what)}`) : {};
        const answer = await send(`${site}${path}?${encodeURIComponent(what)}`, headers);
        assert.equal(answer.status, 302);
        assert.equal(answer.headers.get('location'), seen());
        assert.ok(!answer.headers.get('location').includes(new URL(origin.url).host));
      }
    });
  }

  test('the first byte of a slow answer arrives before its end', async () => {
    const arrived = deferred();
    origin.on('/premium/slow', async (_, response) => {
      response.writeHead(200, { 'content-type': 'text/plain' });
      response.write('begin ');
      await arrived.promise;
      response.end('end');
    });
    const headers = await payment(world, `${site}/premium/slow`);
    const response = await fetch(`${site}/premium/slow`, { headers: { ...headers, 'accept-encoding': 'identity' } });
    assert.equal(response.status, 200);
    const reader = response.body.getReader();
    const first = await reader.read();
    assert.equal(new TextDecoder().decode(first.value), 'begin ');
    arrived.resolve();
    let rest = '';
    for (let part = await reader.read(); !part.done; part = await reader.read()) rest += new TextDecoder().decode(part.value);
    assert.equal(rest, 'end');
  });

  test('a large upload reaches the site before its end', async () => {
    const begun = deferred();
    origin.on('/premium/upload', async (request, response) => {
      let size = 0;
      for await (const chunk of request) {
        size += chunk.length;
        begun.resolve();
      }
      response.end(String(size));
    });
    const chunk = new Uint8Array(LARGE).fill(97);
    async function* body() {
      yield chunk;
      // The rest is sent only once the site has got some of it.
      await begun.promise;
      yield chunk;
    }
    const url = `${site}/premium/upload`;
    const headers = await payment(world, url);
    const answer = await charged(() => send(url, headers, { method: 'POST', body: ReadableStream.from(body()), duplex: 'half' }));
    assertPaid(answer);
    assert.equal(answer.text, String(2 * LARGE));
    // A body that nobody kept can't be compared: the payment is spent.
    assertRefused(await unchanged(world, () => send(url, headers, { method: 'POST', body: 'a' })), 'duplicate_settlement');
  });

  for (const [network, seller] of [[EVM_NETWORK, 'evmSeller'], [SOLANA_NETWORK, 'solanaSeller']]) {
    for (const status of [500, 404, 400, 503]) {
      test(`its ${status} is passed on and costs nothing on ${network.split(':')[0]}; the payment stays good`, async () => {
        const path = `/premium/broken-${status}`;
        origin.on(path, answering(status, `the site says ${status}`, { 'x-from': 'site' }));
        const headers = await payment(world, site + path, { network });
        const answer = await unchanged(world, () => send(site + path, headers));
        assert.equal(answer.status, status);
        assert.equal(answer.text, `the site says ${status}`);
        assert.equal(answer.headers.get('x-from'), 'site');
        assert.equal(answer.receipt, undefined);
        origin.on(path, answering(200, 'mended'));
        const start = (await ledger(world))[seller];
        const mended = await send(site + path, headers);
        assertPaid(mended);
        assert.equal(mended.text, 'mended');
        assert.equal((await ledger(world))[seller] - start, PAGE_PRICE);
      });
    }
  }

  test('a site that hangs up costs nothing; the payment buys something else instead', async () => {
    origin.on('/premium/gone', (request) => request.destroy());
    const headers = await payment(world, `${site}/premium/gone`);
    const answer = await unchanged(world, () => send(`${site}/premium/gone`, headers));
    assert.equal(answer.status, 502);
    assert.ok(!answer.text.includes(new URL(origin.url).host), 'the origin stays unnamed');
    assertPaid(await send(`${site}/premium/else`, headers));
  });

  test('a payment is bound to the body of its POST', async () => {
    const url = `${site}/premium/form`;
    const post = (body, headers) => send(url, headers, { method: 'POST', body });
    const headers = await payment(world, url);
    const first = await charged(() => post('order 1', headers));
    const receipt = assertPaid(first);
    await unchanged(world, async () => {
      assertRefused(await post('order 2', headers), 'duplicate_settlement');
      assertRefused(await post('', headers), 'duplicate_settlement');
      assertRefused(await send(url, headers), 'duplicate_settlement');
      assert.deepEqual(assertPaid(await post('order 1', headers)), receipt);
    });
  });

  test('HEAD is sold like GET, and is another resource', async () => {
    const url = `${site}/premium/head`;
    const headers = await payment(world, url);
    const answer = await charged(() => send(url, headers, { method: 'HEAD' }));
    assertPaid(answer);
    assert.equal(answer.text, '');
  });

  test('what was paid for is never cacheable, whatever the site says', async () => {
    const url = `${site}/premium/cached`;
    const { headers } = await send(url, await payment(world, url));
    assert.equal(headers.get('cache-control'), 'private, no-store');
  });
});

describe('settle = "before"', () => {
  test('charges before the site is asked', async () => {
    const url = `${site}/first/page`;
    const headers = await payment(world, url);
    const before = (await ledger(world)).evmSeller;
    const balance = deferred();
    origin.on('/first/page', (_, response) => {
      ledger(world).then(({ evmSeller }) => balance.resolve(evmSeller));
      response.end('goods');
    });
    assertPaid(await send(url, headers));
    assert.equal((await balance.promise) - before, PAGE_PRICE);
  });

  test('a failing site has the receipt on it, and the same payment gets the mended page', async () => {
    const url = `${site}/first/broken`;
    origin.on('/first/broken', answering(500));
    const headers = await payment(world, url);
    const failed = await charged(() => send(url, headers));
    assert.equal(failed.status, 500);
    assert.equal(failed.receipt.success, true);
    assert.equal(failed.headers.get('cache-control'), 'private, no-store');
    origin.on('/first/broken', answering(200, 'mended'));
    const mended = await unchanged(world, () => send(url, headers));
    assert.deepEqual(assertPaid(mended), failed.receipt);
    assert.equal(mended.text, 'mended');
  });

  test('a payment that does not settle never reaches the site', async () => {
    const url = `${site}/first/unpaid`;
    const asked = origin.requests.length;
    const headers = await payment(world, url, { authorization: { value: '1' } });
    assertRefused(await send(url, headers), 'invalid_exact_evm_payload_authorization_value_mismatch');
    assert.equal(origin.requests.length, asked);
  });
});

describe('a service', () => {
  test('gets the canonical path without the payment', async () => {
    const { url } = await world.startWorker({
      vars: { ORIGIN: 'service', ROUTES: [{ pattern: '/premium/*', price: '$0.01' }] },
      services: [{ binding: 'ORIGIN_SERVICE', script: SERVICE }],
    });
    const target = `${url}/premium/%61?b=c`;
    const headers = await payment(world, target);
    const answer = await charged(() => send(target, { ...headers, 'content-type': 'text/plain' }, { method: 'POST', body: 'hello' }));
    assertPaid(answer);
    const { path, method, body, headers: seen } = answer.json;
    assert.deepEqual({ path, method, body }, { path: '/premium/a?b=c', method: 'POST', body: 'hello' });
    for (const name of PAYMENT_HEADERS) assert.equal(seen[name], undefined, name);
    assert.equal((await send(`${url}/x/../free`)).json.path, '/free');

    const broken = await unchanged(world, async () => send(`${url}/premium/broken`, await payment(world, `${url}/premium/broken`)));
    assert.deepEqual([broken.status, broken.text], [500, 'broken']);
    const moved = await send(`${url}/premium/moved`, await payment(world, `${url}/premium/moved`));
    assert.equal(moved.status, 302);
    assert.equal(moved.headers.get('location'), `${url}/elsewhere`);
  });
});

describe('assets', () => {
  test('are sold whole; what is not there costs nothing', async () => {
    const { url } = await world.startWorker();
    const photo = `${url}/photos/aurora.jpg`;
    const headers = await payment(world, photo);
    const answer = await charged(() => send(photo, { ...headers, 'if-none-match': '*' }), 2n);
    assertPaid(answer);
    assert.deepEqual(answer.bytes, readFileSync(join(ROOT, 'www/photos/aurora.jpg')));

    const missing = `${url}/premium/no-such-page`;
    const absent = await unchanged(world, async () => send(missing, await payment(world, missing)));
    assert.equal(absent.status, 404);
    // The assets server redirects this to the page's one name: the page is what is sold.
    const alias = `${url}/premium/index.html`;
    const redirected = await unchanged(world, async () => send(alias, await payment(world, alias)));
    assert.ok([301, 302, 307, 308].includes(redirected.status));
    assert.equal(new URL(redirected.headers.get('location'), url).pathname, '/premium/');
    const alone = await payment(world, alias);
    assertPaid(await charged(() => send(alias, alone, { redirect: 'follow' })));
  });
});

describe('a zone', () => {
  // Without Cloudflare's edge there is no zone to fetch from: a free or paid request would come back to
  // the Worker itself, for ever. So all of it is sold here, and only what the gate answers is tested.
  test('is closed like the others', async () => {
    const { url } = await world.startWorker({ vars: { ORIGIN: 'zone', ROUTES: [{ pattern: '/*', price: '$0.01' }] } });
    for (const path of ['/', '/premium/', '/premium/../x']) assert.equal((await send(url + path)).status, 402, path);
    assert.equal((await send(`${url}/premium/`, { 'x-original-url': '/' })).status, 400);
  });
});
