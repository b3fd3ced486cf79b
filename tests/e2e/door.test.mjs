/** The door: what opens it, what it passes on and what it keeps, before a site at a URL. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { faremeterFetch, x402Fetch, x402FetchV1 } from '../../dev/clients.mjs';
import { listen } from '../../dev/util.mjs';
import { startWorld } from '../../dev/world.mjs';
import { assertPaid, assertRefused, EVM_NETWORK, ledger, PAGE_PRICE, payment, raw, send, unchanged } from './support.mjs';

const APP = 'https://app.example';
const MB = 1024 * 1024;

let world;
let origin;
let files;
let site;
before(async () => {
  [origin, files] = [await startSite(), await startSite()];
  world = await startWorld({
    worker: {
      vars: {
        ORIGIN: origin.url,
        CORS_CREDENTIALS: [APP],
        ROUTES: [
          { pattern: '/premium/*', price: '$0.01' },
          { pattern: '/page', price: '$0.01' },
          { pattern: '/report.php', price: '$0.01' },
          { pattern: '/caf%C3%A9/*', price: '$0.01' },
          { pattern: '/form', price: '$0.01', methods: ['GET'] },
          { pattern: '/hour/*', price: '$0.01', access: '1h' },
        ],
      },
    },
  });
  site = world.url;
});
after(async () => {
  await world?.stop();
  await origin?.stop();
  await files?.stop();
});

/** A site that says what it was asked, but for the paths that a test gives an answer of their own. */
async function startSite() {
  const started = { handlers: new Map(), requests: [] };
  const server = createServer(async (request, response) => {
    started.requests.push(request.url);
    const handler = started.handlers.get(request.url.split('?')[0]);
    if (handler) return handler(request, response);
    let size = 0;
    for await (const chunk of request) size += chunk.length;
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ path: request.url, size, headers: request.headers }));
  });
  started.url = `http://127.0.0.1:${await listen(server)}`;
  started.on = (path, handler) => started.handlers.set(path, handler);
  started.stop = async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  };
  return started;
}

const answering = (status, body, headers = {}) => (_, response) => response.writeHead(status, headers).end(body);

async function charged(work, times = 1n) {
  const start = (await ledger(world)).evmSeller;
  const value = await work();
  assert.equal((await ledger(world)).evmSeller - start, times * PAGE_PRICE);
  return value;
}

describe('names of a page', () => {
  const SOLD = [
    '/page', '/page/', '/page.html', '/page/index.html', '/page.json', '/page.pdf', '/PAGE', '/index.php/page', '/page%3Bx',
    '/report.php/x', '/report', '/premium.html', '/caf%C3%A9', '/CAF%C3%89', '/cafe%CC%81/x', '/Cafe', '/%EF%BD%83af%C3%A9', '/free/%EF%BC%8E%EF%BC%8E/page',
  ];
  for (const path of SOLD) {
    test(`${path} is sold`, async () => {
      const before = origin.requests.length;
      assert.equal((await raw(site, path)).status, 402);
      assert.equal(origin.requests.length, before, 'the site was not asked');
    });
  }

  for (const path of ['/page.css', '/page/x', '/%E6%9D%B1%E4%BA%AC', '/free/fetch/https://e.example/a//b', '/free/npm/@scope%2Fpkg', '/a%2520b']) {
    test(`${path} is free, and reaches the site as it is`, async () => {
      assert.equal((await raw(site, path)).status, 200);
      assert.equal(origin.requests.at(-1), path);
    });
  }

  for (const path of ['/free/..%2Fpage', '/free/..%252Fpage', '/x%2F%2Fy%2F..%2F..%2F..%2Fpage']) {
    test(`${path} is refused`, async () => {
      const before = origin.requests.length;
      assert.equal((await raw(site, path)).status, 400);
      assert.equal(origin.requests.length, before);
    });
  }
});

describe('another method than the request’s own', () => {
  test('is refused where the method counts', async () => {
    const post = (headers, query = '') => raw(site, `/form${query}`, { method: 'POST', headers: Object.entries(headers), body: 'x' });
    const before = origin.requests.length;
    for (const value of ['GET', 'GET, POST', 'POST, GET', '']) assert.equal((await post({ 'x-http-method-override': value })).status, 400, value);
    assert.equal((await raw(site, '/form', { method: 'POST', headers: [['X-HTTP-Method', 'POST'], ['X-HTTP-Method', 'GET']], body: 'x' })).status, 400);
    for (const query of ['?_method=GET', '?a=b&%5fmethod=get']) assert.equal((await post({}, query)).status, 400, query);
    assert.equal(origin.requests.length, before);
    assert.equal((await post({})).status, 200);
    assert.equal((await post({ 'x-http-method-override': 'PUT' })).status, 200);
  });
});

describe('what caches go by', () => {
  const CACHED = {
    'cache-control': 'public, max-age=60', 'cdn-cache-control': 'public, max-age=60', 'cloudflare-cdn-cache-control': 'public', 'vercel-cdn-cache-control': 'public',
    'surrogate-control': 'max-age=60', 'surrogate-key': 'a b', 'cache-tag': 'a', expires: new Date(Date.now() + 60_000).toUTCString(), pragma: 'cache',
  };
  const assertPrivate = ({ headers }) => {
    assert.equal(headers.get('cache-control'), 'private, no-store');
    for (const name of Object.keys(CACHED).slice(1)) assert.equal(headers.get(name), null, name);
    assert.equal(headers.get('etag'), '"kept"');
  };

  test('goes out neither with what is paid for nor with what was', async () => {
    origin.on('/hour/page', answering(200, 'goods', { ...CACHED, etag: '"kept"' }));
    const url = `${site}/hour/page`;
    const paid = await send(url, await payment(world, url));
    assertPaid(paid);
    assertPrivate(paid);
    const granted = await unchanged(world, () => send(url, { 'payment-grant': paid.headers.get('payment-grant') }));
    assert.equal(granted.text, 'goods');
    assertPrivate(granted);
  });
});

describe('redirects of the site', () => {
  const CLIENTS = { '@x402/fetch': x402Fetch, 'x402-fetch': x402FetchV1, '@faremeter/fetch': faremeterFetch };
  const STATUSES = [301, 302, 307, 308];
  let count = 0;
  /** A path that redirects there. */
  const from = (status, to) => {
    const path = `/premium/from-${(count += 1)}`;
    origin.on(path, answering(status, 'secret', { location: to }));
    return path;
  };

  for (const [name, client] of Object.entries(CLIENTS)) {
    test(`${name} gets the goods, wherever they are, and pays once`, async () => {
      const buy = async (path) => {
        const pay = await client({ ...world.buyer(), network: EVM_NETWORK });
        const response = await pay(site + path);
        return { response, text: await response.text() };
      };
      for (const status of STATUSES) {
        for (const to of ['/premium/target', 'target', `${site}/premium/target`, `${origin.url}/premium/target`]) {
          const { response, text } = await charged(() => buy(from(status, to)));
          assert.equal(response.status, 200, `${status} ${to}: ${text}`);
          assert.equal(JSON.parse(text).path, '/premium/target', `${status} ${to}`);
          assert.ok(response.headers.get('payment-response') ?? response.headers.get('x-payment-response'));
        }
        for (const to of ['/free/target', `${files.url}/target?signature=1`]) {
          const { response, text } = await charged(() => buy(from(status, to)));
          assert.equal(response.status, 200, `${status} ${to}: ${text}`);
          assert.ok(to.endsWith(JSON.parse(text).path));
        }
      }
    });
  }

  test('to what is sold carry neither receipt nor body; the payment stays good there', async () => {
    const url = site + from(308, '/premium/target#secret');
    const headers = await payment(world, url);
    const answer = await unchanged(world, () => send(url, headers));
    assert.equal(answer.status, 308);
    assert.equal(answer.headers.get('location'), `${site}/premium/target`);
    assert.equal(answer.receipt, undefined);
    assert.equal(answer.text, '');
    assert.equal(answer.headers.get('access-control-allow-origin'), '*');
    assertPaid(await charged(() => send(answer.headers.get('location'), headers)));
  });

  test('to anywhere else come with the receipt, and never without', async () => {
    const used = await payment(world, `${site}/premium/target`);
    assertPaid(await send(`${site}/premium/target`, used));
    for (const to of [`${files.url}/secret`, '/free/secret', '/\\files.example/premium/x']) {
      const url = site + from(302, to);
      assert.equal((await send(url)).headers.get('location'), null);
      const refused = await unchanged(world, () => send(url, used));
      assertRefused(refused, 'duplicate_settlement');
      assert.equal(refused.headers.get('location'), null);
      const headers = await payment(world, url);
      const answer = await charged(() => send(url, headers));
      assert.equal(answer.status, 302);
      assert.equal(answer.receipt.success, true);
    }
  });

  test('that go round in a circle cost nothing', async () => {
    origin.on('/premium/round', answering(301, '', { location: '/premium/round/' }));
    origin.on('/premium/round/', answering(301, '', { location: '/premium/round' }));
    const headers = await payment(world, `${site}/premium/round`);
    await unchanged(world, async () => {
      for (const path of ['/premium/round', '/premium/round/', '/premium/round']) assert.equal((await send(site + path, headers)).status, 301);
      await assert.rejects(fetch(`${site}/premium/round`, { headers }));
    });
    assertPaid(await charged(() => send(`${site}/premium/else`, headers)));
  });
});

describe('a site that is not there', () => {
  const sentence = async (answer, status) => {
    assert.equal(answer.status, status, answer.text);
    assert.match(answer.headers.get('content-type'), /json/);
    assert.equal(typeof answer.json.error, 'string');
  };

  test('answers free and granted requests with a sentence', async () => {
    const gone = await startSite();
    const { url } = await world.startWorker({ vars: { ORIGIN: gone.url, ROUTES: [{ pattern: '/hour/*', price: '$0.01', access: '1h' }] } });
    const bought = await send(`${url}/hour/a`, await payment(world, `${url}/hour/a`));
    assertPaid(bought);
    await gone.stop();
    await sentence(await send(`${url}/free`), 502);
    await sentence(await send(`${url}/hour/a`, { 'payment-grant': bought.headers.get('payment-grant') }), 502);
    const headers = await payment(world, `${url}/hour/b`);
    await sentence(await unchanged(world, () => send(`${url}/hour/b`, headers)), 502);
  });

  test('without its binding answers with a sentence', async () => {
    const { url } = await world.startWorker({ bindings: { assets: { binding: 'OTHER' } } });
    await sentence(await send(`${url}/about`), 503);
    await sentence(await send(`${url}/premium/`), 503);
  });

  test('and that is the Worker itself is found', async () => {
    const server = createServer();
    const port = await listen(server);
    await new Promise((done) => server.close(done));
    const { url } = await world.startWorker({ port, vars: { ORIGIN: `http://127.0.0.1:${port}`, ROUTES: [{ pattern: '/premium/*', price: '$0.01' }] } });
    await sentence(await send(`${url}/free`), 508);
    const headers = await payment(world, `${url}/premium/a`);
    await sentence(await unchanged(world, () => send(`${url}/premium/a`, headers)), 508);
  });

  test('is not found for who only says so', async () => {
    const answer = await send(`${site}/free`, { 'x-edge402-via': '0123456789abcdef' });
    assert.equal(answer.status, 200);
  });
});

describe('routes with placeholders', () => {
  for (const pattern of ['/api/chapters/:id', '/api/users/$id', '/api/users/%7Bid%7D', '/api/[id]', '/api/**']) {
    test(`${pattern} closes the shop, and opens nothing`, async () => {
      const { url } = await world.startWorker({ vars: { ORIGIN: origin.url, ROUTES: [{ pattern, price: '$0.01' }] } });
      assert.equal((await send(`${url}/api/users/1`)).status, 503);
      assert.equal((await send(`${url}/api/chapters/1`)).status, 503);
    });
  }
});

describe('pages of other sites', () => {
  const preflight = (page, headers, path = '/premium/a') =>
    send(site + path, { origin: page, 'access-control-request-method': 'POST', 'access-control-request-headers': headers }, { method: 'OPTIONS' });

  test('may send what they ask for', async () => {
    for (const asked of ['content-type, mcp-protocol-version, mcp-session-id, payment-signature', 'authorization,payment-signature', 'baggage, sentry-trace, traceparent, idempotency-key']) {
      const { status, headers } = await preflight('https://page.example', asked);
      assert.equal(status, 204);
      const allowed = headers.get('access-control-allow-headers').toLowerCase().split(', ');
      for (const name of asked.split(/, ?/)) assert.ok(allowed.includes(name), name);
      assert.equal(headers.get('access-control-allow-origin'), '*');
      assert.equal(headers.get('access-control-allow-credentials'), null);
    }
  });

  test('may send credentials where the seller trusts them', async () => {
    const url = `${site}/premium/credentials`;
    const assertTrusted = ({ headers }) => {
      assert.equal(headers.get('access-control-allow-origin'), APP);
      assert.equal(headers.get('access-control-allow-credentials'), 'true');
      assert.match(headers.get('vary'), /\borigin\b/i);
    };
    assertTrusted(await preflight(APP, 'payment-signature'));
    assertTrusted(await send(url, { origin: APP }));
    const goods = await send(url, { ...(await payment(world, url)), origin: APP });
    assertPaid(goods);
    assertTrusted(goods);
    const other = await send(url, { origin: 'https://other.example' });
    assert.equal(other.headers.get('access-control-allow-origin'), '*');
    assert.equal(other.headers.get('access-control-allow-credentials'), null);
  });

  test('may read what the site says to an order', async () => {
    origin.on('/premium/unprocessable', answering(422, '{"why":"size"}', { 'content-type': 'application/json' }));
    const url = `${site}/premium/unprocessable`;
    const headers = await payment(world, url);
    const answer = await unchanged(world, () => send(url, { ...headers, origin: 'https://page.example' }));
    assert.deepEqual([answer.status, answer.json], [422, { why: 'size' }]);
    assert.equal(answer.headers.get('access-control-allow-origin'), '*');
  });
});

describe('a proxy', () => {
  test('names the host that was asked', async () => {
    const lies = { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'gopher' };
    const { host } = new URL(site);
    const url = `${site}/premium/named`;
    for (const answer of [await send(`${site}/free`, lies), await send(url, { ...lies, ...(await payment(world, url)) })]) {
      assert.equal(answer.json.headers['x-forwarded-host'], host);
      assert.equal(answer.json.headers['x-forwarded-proto'], 'http');
    }
  });

  for (const size of [5, 2 * MB]) {
    test(`${size} bytes of a client that waits to be asked for them are sold once`, async () => {
      const url = `${site}/premium/upload`;
      const [[name, value]] = Object.entries(await payment(world, url));
      const answer = JSON.parse(await charged(() => curl(['-H', 'Expect: 100-continue', '-H', `${name}: ${value}`, '--data-binary', '@-', url], Buffer.alloc(size, 97))));
      assert.equal(answer.size, size);
      assert.equal(answer.headers.expect, undefined);
      const free = JSON.parse(await curl(['-H', 'Expect: 100-continue', '--data-binary', '@-', `${site}/free`], Buffer.alloc(size, 97)));
      assert.equal(free.size, size);
      assert.equal(free.headers.expect, undefined);
    });
  }
});

function curl(options, body) {
  return new Promise((done, fail) => {
    const process = spawn('curl', ['-sS', '-m', '30', ...options]);
    const chunks = [];
    process.stdout.on('data', (chunk) => chunks.push(chunk));
    process.on('error', fail);
    process.on('close', (code) => (code === 0 ? done(Buffer.concat(chunks).toString()) : fail(new Error(`curl ended with ${code}`))));
    process.stdin.end(body);
  });
}
