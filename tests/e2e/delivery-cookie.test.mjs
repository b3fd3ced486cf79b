/** What a pay page leans on: `Prefer: return=minimal`, the cookie that fetches the goods, the gate's time. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createServer, request as httpRequest } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { listen, waitFor } from '../../dev/util.mjs';
import { startWorld } from '../../dev/world.mjs';
import { assertPaid, assertRefused, decode, EVM_NETWORK, ledger, PAGE_PRICE, payment, send, SOLANA_NETWORK, unchanged } from './support.mjs';

const CHAINS = { evm: EVM_NETWORK, solana: SOLANA_NETWORK };
const SHORT = 4;
const ROUTES = [
  { pattern: '/film/*', price: '$0.01' },
  { pattern: '/before/*', price: '$0.01', settle: 'before' },
  { pattern: '/short', price: '$0.01', redeliver: `${SHORT}s` },
  { pattern: '/twice', price: '$0.01', redeliver_max: 1 },
  { pattern: '/never', price: '$0.01', redeliver: '0' },
  { pattern: '/once', price: '$0.01', redeliver_max: 0 },
  { pattern: '/dear', price: '$0.02', settle: 'before' },
  { pattern: '/hour', price: '$0.01', access: '1h' },
];
/** Somebody who has read the payment on chain, at another address, as Cloudflare's edge names it. */
const OBSERVER = { 'cf-connecting-ip': '198.51.100.9' };
const MINIMAL = { prefer: 'return=minimal' };
/** Where the site has what it was asked for. */
const MOVED = { '/before/old': '/before/new?from=old', '/before/dear': '/dear', '/film/old': '/film/new' };
const FILM = randomBytes(100_000);

let world;
let origin;
let site;
before(async () => {
  world = await startWorld({ worker: false });
  origin = await startOrigin();
  ({ url: site } = await world.startWorker({ vars: { ORIGIN: origin.url, ROUTES } }));
});
after(async () => {
  await world?.stop();
  await origin?.stop();
});

/** A site with one film, which knows ranges, and remembers what it was asked. */
async function startOrigin() {
  const it = { asked: [], status: 200 };
  const server = createServer(({ url, method, headers }, response) => {
    it.asked.push({ url, method, headers });
    if (it.status !== 200) return response.writeHead(it.status).end('no film');
    const moved = MOVED[url.split('?')[0]];
    if (moved) return response.writeHead(302, { location: moved }).end();
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '') ?? [];
    const start = Number(from ?? 0);
    const end = to ? Number(to) : FILM.length - 1;
    response.writeHead(from ? 206 : 200, {
      'content-type': 'video/mp4', 'accept-ranges': 'bytes', etag: '"film-1"', 'content-length': end - start + 1, 'cache-control': 'public, max-age=60',
      ...(from ? { 'content-range': `bytes ${start}-${end}/${FILM.length}` } : {}),
    });
    response.end(method === 'HEAD' ? undefined : FILM.subarray(start, end + 1));
  });
  it.url = `http://127.0.0.1:${await listen(server)}`;
  it.stop = async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  };
  return it;
}

/** The cookies of an answer that fetch what was bought, as `Set-Cookie` writes them. */
const deliveryCookies = ({ headers }) => headers.getSetCookie().filter((cookie) => cookie.startsWith('edge402_paid_'));

/** Pays for a URL as the pay page does: the answer, its cookie, and the payment. */
async function buy(url, options) {
  const paid = await payment(world, url, options);
  const answer = await send(url, { ...paid, ...MINIMAL });
  assert.equal(answer.status, 204, `${answer.reason} ${answer.text}`);
  const [setCookie, ...more] = deliveryCookies(answer);
  assert.equal(more.length, 0);
  return { answer, setCookie, cookie: { cookie: setCookie.split(';')[0] }, paid };
}

/** Asserts that a request gets the whole film, or a range of it, and moves no money. */
async function assertFilm(url, headers, [from, to] = []) {
  const answer = await unchanged(world, () => send(url, { ...headers, ...(to === undefined ? {} : { range: `bytes=${from}-${to}` }) }));
  assert.equal(answer.status, to === undefined ? 200 : 206, answer.text.slice(0, 300));
  assert.deepEqual(answer.bytes, to === undefined ? FILM : FILM.subarray(from, to + 1));
  assert.equal(answer.headers.get('content-type'), 'video/mp4');
  assert.equal(answer.headers.get('cache-control'), 'private, no-store');
  return answer;
}

/** Asserts that a request is asked to pay, as if it had brought nothing. */
async function assertAsked(url, headers, init) {
  const before = origin.asked.length;
  const answer = await send(url, headers, init);
  assert.equal(answer.status, 402, url);
  assert.ok(answer.challenge.accepts.length > 0);
  assert.equal(answer.receipt, undefined);
  assert.equal(origin.asked.length, before, 'the origin was not asked');
  return answer;
}

/** The status of what the Worker answers under another name than its address. */
function statusUnder(host, url, headers) {
  return new Promise((done, fail) => {
    const asked = httpRequest(url, { agent: false, headers: { ...headers, host } }, (answer) => done(answer.resume().statusCode));
    asked.on('error', fail).end();
  });
}

for (const [chain, network] of Object.entries(CHAINS)) {
  describe(`paid for on ${chain}`, () => {
    for (const [path, asked] of [['/film/a', 1], ['/before/a', 0]]) {
      test(`${path}: a receipt and a cookie, then the goods as often as a browser likes`, async () => {
        const url = `${site}${path}?q=${chain}`;
        const start = await ledger(world);
        const requests = origin.asked.length;
        const { answer, setCookie, cookie, paid } = await buy(url, { network });
        assert.equal(origin.asked.length - requests, asked);
        const end = await ledger(world);
        assert.equal(end[`${chain}Seller`] - start[`${chain}Seller`], PAGE_PRICE);
        assert.equal(end[`${chain}Buyers`][0] - start[`${chain}Buyers`][0], -PAGE_PRICE);

        const receipt = decode(answer.headers.get('payment-response'));
        assert.equal(receipt.success, true);
        assert.equal(answer.headers.get('preference-applied'), 'return=minimal');
        assert.equal(answer.headers.get('cache-control'), 'private, no-store');
        assert.equal(answer.headers.get('vary'), 'Prefer');
        assert.match(answer.headers.get('access-control-expose-headers'), /Preference-Applied/);
        assert.equal(answer.bytes.length, 0);
        const attributes = new RegExp(`^edge402_paid_[0-9a-f]{16}=[^;\\s]+; Path=${path}; Max-Age=(\\d+); HttpOnly; Secure; SameSite=Lax$`);
        const age = Number(attributes.exec(setCookie)?.[1]);
        assert.ok(age > 540 && age <= 600, setCookie);
        assert.ok(!setCookie.includes(Object.values(paid)[0]), 'the payment itself stays with its buyer');

        const film = await assertFilm(url, cookie);
        assert.equal(decode(film.headers.get('payment-response')).transaction, receipt.transaction);
        for (let again = 0; again < 5; again += 1) await assertFilm(url, cookie);
        for (const range of [[0, 1], [0, 99_999], [5_000, 5_999]]) await assertFilm(url, cookie, range);
        const head = await send(url, cookie, { method: 'HEAD' });
        assert.equal(head.status, 200);
        assert.equal(head.bytes.length, 0);
        // What the gate hears and gives is not the origin's to see.
        for (const { headers } of origin.asked.slice(requests)) {
          assert.equal(headers.cookie, undefined);
          assert.equal(headers.prefer, undefined);
        }
        await send(url, { cookie: `theme=dark; ${cookie.cookie}` });
        assert.equal(origin.asked.at(-1).headers.cookie, 'theme=dark');
        await unchanged(world, async () => assertRefused(await send(url, { ...paid, ...OBSERVER }), 'duplicate_settlement'));
      });
    }

    test('what is promised is nobody else\'s, before it is fetched and after', async () => {
      const url = `${site}/film/${chain}`;
      const { cookie, paid } = await buy(url, { network });
      for (const headers of [paid, { ...paid, ...MINIMAL }]) {
        assertRefused(await unchanged(world, () => send(url, { ...headers, ...OBSERVER })), 'duplicate_settlement');
      }
      // The cookie is good wherever its browser is.
      await assertFilm(url, { ...cookie, ...OBSERVER });
      assertRefused(await send(url, { ...paid, ...OBSERVER }), 'duplicate_settlement');
    });
  });
}

test('many ranges at once, and more than a payment is delivered again', async () => {
  const url = `${site}/film/ranges`;
  const { cookie } = await buy(url);
  const ranges = Array.from({ length: 60 }, (_, i) => [i * 1_000, i * 1_000 + 999]);
  await unchanged(world, () => Promise.all(ranges.map(async ([from, to]) => {
    const answer = await send(url, { ...cookie, range: `bytes=${from}-${to}` });
    assert.equal(answer.status, 206);
    assert.deepEqual(answer.bytes, FILM.subarray(from, to + 1));
  })));
  await assertFilm(url, cookie);
});

test('a cookie opens its own URL, for GET and HEAD, and nothing else', async () => {
  const url = `${site}/film/own?q=1`;
  const { cookie, setCookie } = await buy(url);
  const others = [`${site}/film/own`, `${site}/film/own?q=2`, `${site}/film/other?q=1`, `${site}/before/own?q=1`];
  for (const other of others) {
    assert.equal((await assertAsked(other, cookie)).headers.get('set-cookie'), null);
    // Nor under the name that such a cookie has there.
    const theirs = await buy(other);
    await assertAsked(other, { cookie: `${theirs.cookie.cookie.split('=')[0]}=${cookie.cookie.split('=').slice(1).join('=')}` });
  }
  for (const method of ['POST', 'PUT', 'DELETE']) await assertAsked(url, cookie, { method });
  await assertAsked(url, cookie, { method: 'POST', body: 'x' });
  assert.equal(await statusUnder('other.example', url, cookie), 402);
  const [name, token] = [setCookie.slice(0, setCookie.indexOf('=')), cookie.cookie.slice(cookie.cookie.indexOf('=') + 1)];
  const parts = token.split('~');
  const forged = [
    parts.with(0, String(Number(parts[0]) + 600)), parts.with(1, `${parts[1]}0`), parts.with(2, `${parts[2]}0`),
    parts.with(3, `0x${'0'.repeat(64)}`), parts.slice(0, 3), ['']];
  for (const it of forged) await assertAsked(url, { cookie: `${name}=${it.join('~')}` });
  assert.equal(await statusUnder(new URL(site).host, url, cookie), 200);
});

test('after the window it is a question of the price again', async () => {
  const url = `${site}/short`;
  const { cookie, setCookie } = await buy(url);
  const age = Number(/Max-Age=(\d+)/.exec(setCookie)[1]);
  assert.ok(age > 0 && age <= SHORT);
  await assertFilm(url, cookie);
  await waitFor(async () => (await send(url, cookie)).status === 402, { what: 'the window to end', every: 100 });
  await assertAsked(url, cookie);
});

test('more often than the route says it can\'t be had, and the cookie is taken back', async () => {
  const url = `${site}/twice`;
  const { cookie } = await buy(url);
  await assertFilm(url, cookie);
  await assertFilm(url, cookie);
  const answer = await assertAsked(url, cookie);
  const [cleared] = deliveryCookies(answer);
  assert.match(cleared, /^edge402_paid_[0-9a-f]{16}=; Path=\/twice; Max-Age=0; /);
  assert.equal(cleared.split('=')[0], cookie.cookie.split('=')[0]);
});

describe('the preference is not heard', () => {
  /** Asserts that a request gets the goods at once, and no cookie. */
  async function assertAtOnce(url, headers, init) {
    const answer = await send(url, { ...(await payment(world, url)), ...headers }, init);
    assertPaid(answer);
    assert.deepEqual(deliveryCookies(answer), []);
    assert.equal(answer.headers.get('preference-applied'), null);
    return answer;
  }

  test('where what is bought is not delivered again', async () => {
    for (const path of ['/never', '/once']) {
      const requests = origin.asked.length;
      assert.deepEqual((await assertAtOnce(`${site}${path}`, MINIMAL)).bytes, FILM);
      assert.equal(origin.asked.length - requests, 1, path);
    }
  });

  test('for another method', async () => {
    await assertAtOnce(`${site}/film/post`, MINIMAL, { method: 'POST', body: 'x' });
    assert.equal((await assertAtOnce(`${site}/film/head`, MINIMAL, { method: 'HEAD' })).bytes.length, 0);
  });

  test('if it is another one, or none', async () => {
    assert.deepEqual((await assertAtOnce(`${site}/film/plain`, {})).bytes, FILM);
    await assertAtOnce(`${site}/film/other`, { prefer: 'return=representation' });
    assert.equal(origin.asked.at(-1).headers.prefer, 'return=representation', 'it is the origin\'s');
  });

  test('without a payment, or with one that is refused', async () => {
    await assertAsked(`${site}/film/unpaid`, MINIMAL);
    const expired = await payment(world, `${site}/film/bad`, { authorization: { validBefore: '1' } });
    const answer = await unchanged(world, () => send(`${site}/film/bad`, { ...expired, ...MINIMAL }));
    assert.equal(answer.status, 402);
    assert.deepEqual(deliveryCookies(answer), []);
  });
});

test('an origin that fails before the settlement costs nothing, after it only a retry', async () => {
  origin.status = 500;
  const headers = { ...(await payment(world, `${site}/film/down`)), ...MINIMAL };
  const refused = await unchanged(world, () => send(`${site}/film/down`, headers));
  assert.equal(refused.status, 500);
  assert.deepEqual(deliveryCookies(refused), []);
  const url = `${site}/before/down`;
  const { cookie } = await buy(url);
  for (let tries = 0; tries < 12; tries += 1) assert.equal((await send(url, cookie)).status, 500);
  origin.status = 200;
  await assertFilm(url, cookie);
});

test('what the origin has elsewhere is fetched there, if it costs the same', async () => {
  const { cookie, paid } = await buy(`${site}/before/old`);
  const led = await unchanged(world, () => send(`${site}/before/old`, cookie));
  assert.equal(led.status, 302);
  assert.equal(new URL(led.headers.get('location'), site).href, `${site}/before/new?from=old`);
  const [there] = deliveryCookies(led);
  assert.match(there, /; Path=\/before\/new; Max-Age=\d+; HttpOnly; Secure; SameSite=Lax$/);
  const follow = { cookie: there.split(';')[0] };
  await assertAsked(`${site}/before/new?from=old`, cookie);
  await assertFilm(`${site}/before/new?from=old`, { ...follow, ...OBSERVER });
  await assertAsked(`${site}/before/new`, follow);
  assertRefused(await send(`${site}/before/new?from=old`, { ...paid, ...OBSERVER }), 'duplicate_settlement');
  // What costs something else is not had for it.
  const dear = await buy(`${site}/before/dear`);
  assert.deepEqual(deliveryCookies(await send(`${site}/before/dear`, dear.cookie)), []);
});

test('what another site leads a browser to leaves half to the buyer, and the cookie', async () => {
  const url = `${site}/twice`;
  const { cookie } = await buy(url);
  const elsewhere = { ...cookie, 'sec-fetch-site': 'cross-site' };
  await assertFilm(url, elsewhere);
  // One more is left, and it is the buyer's.
  const asked = await assertAsked(url, elsewhere);
  assert.deepEqual(deliveryCookies(asked), []);
  await assertFilm(url, { ...cookie, 'sec-fetch-site': 'same-origin' });
  assert.match(deliveryCookies(await assertAsked(url, { ...cookie, 'sec-fetch-site': 'none' }))[0], /Max-Age=0/);
});

test('a redirect before the settlement is not charged, and the same payment is good there', async () => {
  const paid = { ...(await payment(world, `${site}/film/old`)), ...MINIMAL };
  const led = await unchanged(world, () => send(`${site}/film/old`, paid));
  // A page can't read where a redirect leads. A client that asks for the goods themselves is redirected.
  assert.equal(led.status, 409);
  assert.equal(led.headers.get('preference-applied'), 'return=minimal');
  assert.equal(new URL(led.headers.get('location'), site).href, `${site}/film/new`);
  assert.equal((await unchanged(world, () => send(`${site}/film/old`, { 'payment-signature': paid['payment-signature'] }))).status, 302);
  assert.deepEqual(deliveryCookies(led), []);
  const answer = await send(`${site}/film/new`, paid);
  assert.equal(answer.status, 204);
  await assertFilm(`${site}/film/new`, { cookie: deliveryCookies(answer)[0].split(';')[0] });
});

test('a route with access gives its grant along', async () => {
  const { answer, cookie } = await buy(`${site}/hour`);
  const grant = answer.headers.getSetCookie().find((it) => !it.startsWith('edge402_paid_'));
  assert.ok(answer.headers.get('payment-grant'));
  await assertFilm(`${site}/hour`, { cookie: grant.split(';')[0] });
  await assertFilm(`${site}/hour`, cookie);
});

test('every challenge says what time it is, to pages elsewhere, too', async () => {
  for (const [headers, init] of [[{ accept: 'application/json' }], [{ accept: 'application/json' }, { method: 'HEAD' }]]) {
    const from = Math.floor(Date.now() / 1_000) * 1_000;
    const answer = await send(`${site}/film/time`, headers, init);
    const time = Date.parse(answer.headers.get('date'));
    assert.ok(time >= from && time <= Date.now(), answer.headers.get('date'));
    assert.equal(new Date(time).toUTCString(), answer.headers.get('date'));
    assert.match(answer.headers.get('access-control-expose-headers'), /\bDate\b/);
  }
  const preflight = await send(`${site}/film/time`, { origin: 'https://page.example', 'access-control-request-method': 'GET' }, { method: 'OPTIONS' });
  assert.match(preflight.headers.get('access-control-allow-headers'), /\bPrefer\b/);
});
