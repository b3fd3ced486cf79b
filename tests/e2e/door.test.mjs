/** The door: what opens it, what it passes on and what it keeps, before a site at a URL. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { startWorld } from '../../dev/world.mjs';
import { answering, startSite } from './site.mjs';
import { assertPaid, ledger, PAGE_PRICE, payment, raw, send, unchanged } from './support.mjs';

const APP = 'https://app.example';
const MB = 1024 * 1024;

let world;
let origin;
let site;
before(async () => {
  origin = await startSite();
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
          { pattern: '/json', price: '$0.01', methods: ['DELETE'] },
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
});

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

  test('a form names no method where the method counts, and reaches the site whole', async () => {
    const form = (body, type = 'application/x-www-form-urlencoded') => fetch(`${site}/form`, { method: 'POST', headers: { 'content-type': type }, body });
    const multipart = (name) => form(`--x\r\nContent-Disposition: form-data; name="${name}"\r\n\r\nGET\r\n--x--\r\n`, 'multipart/form-data; boundary=x');
    const before = origin.requests.length;
    assert.equal((await form('a=b&_method=GET')).status, 400);
    assert.equal((await multipart('_method')).status, 400);
    assert.equal((await form('a'.repeat(MB + 1))).status, 413);
    // Without a type it is a form to some origins; packed, or in EBCDIC, only they can read it.
    const untyped = (body) => raw(site, '/form', { method: 'POST', body });
    assert.equal((await untyped('_method=GET')).status, 400);
    const packed = { 'content-type': 'application/x-www-form-urlencoded', 'content-encoding': 'gzip' };
    assert.equal((await fetch(`${site}/form`, { method: 'POST', headers: packed, body: gzipSync('_method=GET') })).status, 415);
    assert.equal((await form(Buffer.from('6d94a3889684', 'hex'), 'application/x-www-form-urlencoded; charset=IBM037')).status, 415);
    assert.equal(origin.requests.length, before);
    assert.equal((await untyped('a=b')).status, 200);
    assert.equal((await multipart('method')).status, 200);
    const large = `a=${'b'.repeat(MB - 2)}`;
    const answer = await form(large);
    assert.equal(answer.status, 200);
    assert.equal((await answer.json()).size, large.length);
    assert.equal((await form('_method=GET', 'text/plain')).status, 200);
  });
});

describe('JSON names a method as a form does', () => {
  const json = (body, type = 'application/json') => fetch(`${site}/json`, { method: 'POST', headers: { 'content-type': type }, body });
  test('and is refused where the other one is sold', async () => {
    const before = origin.requests.length;
    for (const body of ['{"_method":"DELETE"}', '{"a":1,"_Method":"delete"}', '{"_\\u006dethod":"DELETE"}', '{"a":1}\n{"_method":"DELETE"}', '{"_method":"DELETE"', '{"X-HTTP-Method-Override":"DELETE"}']) {
      for (const type of ['application/json', 'application/vnd.api+json']) assert.equal((await json(body, type)).status, 400, `${type} ${body}`);
    }
    assert.equal((await json(`{"a":"${'a'.repeat(MB)}"}`)).status, 413);
    assert.equal(origin.requests.length, before, 'the site was not asked');
  });
  test('and what names none reaches the site whole', async () => {
    for (const body of ['{"method":"DELETE"}', '{"a":{"_method":"DELETE"}}', '[{"_method":"DELETE"}]', '{"a":"_method"}', `{"a":"${'b'.repeat(MB - 8)}"}`, '']) {
      const answer = await json(body);
      assert.equal(answer.status, 200, body.slice(0, 40));
      assert.equal((await answer.json()).size, body.length);
    }
    assert.equal((await json('{"_method":"DELETE"}', 'text/plain')).status, 200);
    assert.equal((await fetch(`${site}/json`, { method: 'DELETE' })).status, 402);
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
  test('takes the mark of no other gate for its own', async () => {
    const answer = await send(`${site}/free`, { 'x-edge402-via': '0123456789abcdef' });
    assert.equal(answer.status, 200);
    assert.match(answer.json.headers['x-edge402-via'], /^0123456789abcdef, [0-9a-f]{16}$/);
  });

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

/** A form that is looked into, nearly all of it at once and then a byte now and then, until its answer comes. */
function drip() {
  const length = 1_000_000;
  const sending = request(`${site}/json`, { method: 'POST', agent: false, headers: { 'content-type': 'application/json', 'content-length': length } });
  sending.on('error', () => {});
  sending.write(' '.repeat(length - 50_000));
  const drop = setInterval(() => sending.write(' '), 50);
  const answered = once(sending, 'response').then(([{ statusCode, headers }]) => {
    clearInterval(drop);
    return { status: statusCode, retryAfter: headers['retry-after'] };
  });
  // Those that nobody waits for end without an answer.
  answered.catch(() => {});
  const end = () => {
    clearInterval(drop);
    sending.destroy();
  };
  return { answered, end };
}

test('bodies that drip give way to others, the first of them first', { timeout: 30_000 }, async () => {
  const bodies = [];
  try {
    // What has come of three of them is more than half of the room there is.
    for (let count = 0; count < 3; count += 1) bodies.push(drip());
    const { status, retryAfter } = await bodies[0].answered;
    assert.equal(status, 503);
    assert.ok(Number(retryAfter) >= 1, `Retry-After: ${retryAfter}`);
    // Meanwhile whoever sends his at once is heard.
    assert.equal((await fetch(`${site}/json`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' })).status, 200);
  } finally {
    for (const body of bodies) body.end();
  }
});
