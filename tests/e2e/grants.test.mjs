/** Access grants: a payment that opens a route for a while, and nothing else. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '../../dev/util.mjs';
import { EVM_NETWORK, GRANT_SECRET, SOLANA_NETWORK, startWorld } from '../../dev/world.mjs';
import { assertPaid, payment, send, unchanged } from './support.mjs';

const HOUR = 3_600;
const SHORT = 2;
const OTHER_SECRET = '5a'.repeat(32);
const ROUTES = [
  { pattern: '/hour/*', price: '$0.01', access: '1h' },
  { pattern: '/hour-too', price: '$0.01', access: '1h' },
  { pattern: '/short', price: '$0.01', access: `${SHORT}s` },
  { pattern: '/once', price: '$0.01' },
];
/** An origin that says what it was asked. */
const MIRROR = `export default {
  fetch: (request) => Response.json({ method: request.method, headers: Object.fromEntries(request.headers) }),
};`;

let world;
let site;
let workers = 0;
before(async () => {
  world = await startWorld({ worker: false });
  site = await start();
});
after(() => world?.stop());

/** A Worker over the mirror; answers its URL. */
async function start({ routes = ROUTES, secret = GRANT_SECRET } = {}) {
  const { url } = await world.startWorker({
    vars: { ORIGIN: 'service', ROUTES: routes },
    services: [{ binding: 'ORIGIN_SERVICE', name: `mirror-${(workers += 1)}`, script: MIRROR }],
    secrets: { GRANT_SECRET: secret },
  });
  return url;
}

/** Buys access to a URL: the grant's text, and its cookie as a browser would send it. */
async function buy(url, options) {
  const answer = await send(url, await payment(world, url, options));
  assertPaid(answer);
  const setCookie = answer.headers.get('set-cookie');
  return { answer, token: answer.headers.get('payment-grant'), setCookie, cookie: setCookie?.split(';')[0] };
}

const byHeader = ({ token }) => ({ 'payment-grant': token });
const byCookie = ({ cookie }) => ({ cookie });

/** Asserts that a request is let in without a payment. */
async function assertAdmitted(url, headers, init) {
  const answer = await unchanged(world, () => send(url, headers, init));
  assert.equal(answer.status, 200, `${url}: ${answer.text.slice(0, 200)}`);
  assert.equal(answer.receipt, undefined);
  assert.equal(answer.headers.get('cache-control'), 'private, no-store');
  return answer;
}

/** Asserts that a request is asked to pay, as if it had brought nothing. */
async function assertAsked(url, headers, what) {
  const answer = await send(url, headers);
  assert.equal(answer.status, 402, what ?? url);
  assert.ok(answer.challenge.accepts.length > 0);
}

/** The status of what a Worker answers under another name than its address. */
function statusUnder(host, url, headers) {
  return new Promise((done, fail) => {
    const asked = request(url, { agent: false, headers: { ...headers, host } }, (answer) => done(answer.resume().statusCode));
    asked.on('error', fail).end();
  });
}

describe('a grant', () => {
  for (const network of [EVM_NETWORK, SOLANA_NETWORK]) {
    test(`bought on ${network} is a cookie and a header, and each admits`, async () => {
      const grant = await buy(`${site}/hour/a`, { network });
      assert.match(grant.setCookie, /^edge402_[0-9a-f]{16}=[^;\s]+; Path=\/; Max-Age=\d+; HttpOnly; Secure; SameSite=Lax$/);
      const age = Number(/Max-Age=(\d+)/.exec(grant.setCookie)[1]);
      assert.ok(age > HOUR - 120 && age <= HOUR, `Max-Age=${age}`);
      assert.equal(grant.cookie.split('=').slice(1).join('='), grant.token);
      assert.match(grant.answer.headers.get('access-control-expose-headers') ?? '', /payment-grant/i);
      await assertAdmitted(`${site}/hour/a`, byHeader(grant));
      await assertAdmitted(`${site}/hour/a`, byCookie(grant));
      await assertAdmitted(`${site}/hour/another?page=2`, byCookie(grant));
      await assertAdmitted(`${site}/hour/a`, { cookie: `theme=dark; ${grant.cookie}; edge402_0=x` });
    });
  }

  test('is the same again when the same payment is sent again', async () => {
    const url = `${site}/hour/again`;
    const headers = await payment(world, url);
    const [first, second] = [await send(url, headers), await send(url, headers)];
    assertPaid(first);
    assert.equal(second.headers.get('payment-grant'), first.headers.get('payment-grant'));
  });

  test('admits other methods, and HEAD', async () => {
    const grant = await buy(`${site}/hour/a`);
    const posted = await assertAdmitted(`${site}/hour/a`, byHeader(grant), { method: 'POST', body: 'x' });
    assert.equal(posted.json.method, 'POST');
    const head = await assertAdmitted(`${site}/hour/a`, byCookie(grant), { method: 'HEAD' });
    assert.equal(head.bytes.length, 0);
  });

  test('is bought by a POST too', async () => {
    const headers = await payment(world, `${site}/hour/form`);
    const answer = await send(`${site}/hour/form`, headers, { method: 'POST', body: 'x' });
    assertPaid(answer);
    await assertAdmitted(`${site}/hour/form`, { 'payment-grant': answer.headers.get('payment-grant') });
  });

  const seenByOrigin = async (headers) => [await assertAdmitted(`${site}/hour/a`, headers), await send(`${site}/free`, headers)];

  test('in its header is not forwarded to the origin, whether it admits or not', async () => {
    const grant = await buy(`${site}/hour/a`);
    for (const { json } of await seenByOrigin(byHeader(grant))) assert.equal(json.headers['payment-grant'], undefined);
  });

  test('in its cookie is not forwarded to the origin, and other cookies are', async () => {
    const grant = await buy(`${site}/hour/a`);
    for (const cookie of [`${grant.cookie}; theme=dark`, `theme=dark; ${grant.cookie}`]) {
      for (const { json } of await seenByOrigin({ cookie })) assert.equal(json.headers.cookie, 'theme=dark');
    }
  });

  test('comes with no route that sells single requests, and opens none', async () => {
    const { token, setCookie } = await buy(`${site}/once`);
    assert.deepEqual([token, setCookie], [null, null]);
    const grant = await buy(`${site}/hour/a`);
    await assertAsked(`${site}/once`, byHeader(grant));
  });

  test('opens no other route of the same price, even under its cookie', async () => {
    const grant = await buy(`${site}/hour/a`);
    await assertAsked(`${site}/hour-too`, byHeader(grant));
    await assertAsked(`${site}/hour-too`, byCookie(grant));
    const other = await buy(`${site}/hour-too`);
    assert.notEqual(other.cookie.split('=')[0], grant.cookie.split('=')[0], 'a cookie for each route');
    await assertAsked(`${site}/hour-too`, { cookie: `${other.cookie.split('=')[0]}=${grant.token}` });
  });

  test('can be held beside another one', async () => {
    const [one, two] = [await buy(`${site}/hour/a`), await buy(`${site}/hour-too`)];
    for (const url of [`${site}/hour/a`, `${site}/hour-too`]) {
      await assertAdmitted(url, { cookie: `${one.cookie}; ${two.cookie}` });
      await assertAdmitted(url, { 'payment-grant': `${one.token}, ${two.token}` });
      await assertAdmitted(url, { 'payment-grant': one.token, cookie: two.cookie });
    }
  });

  test('is worth nothing with any part of it changed', async () => {
    const grant = await buy(`${site}/hour/a`);
    const parts = grant.token.split('.');
    const later = String(Number(parts[0]) + 1);
    const changed = parts.map((part, i) => parts.with(i, i === 0 ? later : flipLast(part)).join('.'));
    const others = [
      parts.slice(0, -1).join('.'), parts.slice(1).join('.'), `${grant.token}.`, `.${grant.token}`, `${grant.token}00`,
      `0${grant.token}`, `+${grant.token}`, `${parts.slice(0, -1).join('.')}.`, `${parts.slice(0, -1).join('.')}.0x`,
      grant.token.slice(0, -2), '', '.', '...', `${parts[0]}.${'0'.repeat(64)}`, `x${grant.token}`,
    ];
    for (const token of [...changed, ...others]) {
      await assertAsked(`${site}/hour/a`, { 'payment-grant': token }, token);
      await assertAsked(`${site}/hour/a`, { cookie: `${grant.cookie.split('=')[0]}=${token}` }, token);
    }
    await assertAdmitted(`${site}/hour/a`, byHeader(grant));
  });

  test('is over after its time, and can be bought again', async () => {
    const grant = await buy(`${site}/short`);
    for (const headers of [byHeader(grant), byCookie(grant)]) {
      await waitFor(async () => (await send(`${site}/short`, headers)).status === 402, { what: 'the grant to end', every: 100 });
    }
    const ends = Number(grant.token.split('.')[0]);
    assert.ok(Math.floor(Date.now() / 1_000) >= ends, 'not before its end');
    assert.notEqual((await buy(`${site}/short`)).token, grant.token);
  });

  test('opens nothing under another host', async () => {
    const grant = await buy(`${site}/hour/a`);
    const at = (host) => statusUnder(host, `${site}/hour/a`, byHeader(grant));
    assert.equal(await at(new URL(site).host), 200);
    assert.equal(await at('other.example'), 402);
  });
});

/** A text whose last letter is another one of the same alphabet. */
function flipLast(text) {
  return `${text.slice(0, -1)}${text.endsWith('0') ? '1' : '0'}`;
}

describe('after a change of the configuration', () => {
  /** Whether a grant of the first Worker opens the same path of one with another configuration. */
  async function opens(options) {
    const grant = await buy(`${site}/hour/a`);
    const other = await start(options);
    // The host is a part of a grant: the other Worker is asked under the first one's.
    return (await statusUnder(new URL(site).host, `${other}/hour/a`, byHeader(grant))) === 200;
  }

  test('a grant is still good if nothing changed', async () => {
    assert.equal(await opens({}), true);
  });

  test('a new price ends it', async () => {
    assert.equal(await opens({ routes: ROUTES.map((route) => ({ ...route, price: '$0.02' })) }), false);
  });

  test('another secret ends it', async () => {
    assert.equal(await opens({ secret: OTHER_SECRET }), false);
  });

  test('two secrets, the old one second: it is still good', async () => {
    assert.equal(await opens({ secret: `${OTHER_SECRET},${GRANT_SECRET}` }), true);
  });

  test('a route without access takes no grants', async () => {
    assert.equal(await opens({ routes: ROUTES.map(({ access: _, ...route }) => route) }), false);
  });
});
