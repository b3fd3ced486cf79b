/** What is free: so many requests of one address and no more, whoever asks at once, and only goods count. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { waitFor } from '../../dev/util.mjs';
import { startWorld } from '../../dev/world.mjs';
import { assertPaid, EVM_NETWORK, evmPayload, payment, paymentHeader, send } from './support.mjs';
import { answering, startSite } from './site.mjs';

const ROUTES = [
  { pattern: '/premium/*', price: '$0.01', free: '20/day' },
  { pattern: '/few', price: '$0.01', free: '2/day' },
  { pattern: '/paid', price: '$0.01', free: '1/day' },
  { pattern: '/moved', price: '$0.01', free: '2/day' },
  { pattern: '/call', price: '$0.01', methods: ['POST'], free: '2/hour' },
];
const DAY = 86_400;

let world;
let site;
let url;
let client;
before(async () => {
  site = await startSite();
  world = await startWorld({ worker: { vars: { ORIGIN: site.url, ROUTES } } });
  ({ url } = world);
});
after(async () => {
  await world?.stop();
  await site?.stop();
});
let number = 0;
beforeEach(() => {
  number += 1;
  client = { 'CF-Connecting-IP': `203.0.113.${number}` };
});

const left = (answer) => /^"free";r=(\d+);t=\d+$/.exec(answer.headers.get('ratelimit'))?.[1];

test('twenty are free, the next one costs, and each says what is left', async () => {
  for (let n = 19; n >= 0; n -= 1) {
    const answer = await send(`${url}/premium/${n}`, client);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.json.path, `/premium/${n}`);
    assert.equal(answer.headers.get('ratelimit-policy'), `"free";q=20;w=${DAY}`);
    assert.equal(left(answer), String(n));
    assert.equal(answer.headers.get('cache-control'), 'private, no-store');
    assert.equal(answer.headers.get('payment-response'), null);
  }
  const answer = await send(`${url}/premium/x`, client);
  assert.equal(answer.status, 402);
  assert.equal(answer.challenge.accepts[0].amount, '10000');
  assert.equal(left(answer), '0');
  const reset = Number(/t=(\d+)$/.exec(answer.headers.get('ratelimit'))[1]);
  assert.ok(reset > 0 && reset <= DAY);
  // Others, and other routes, have their own.
  assert.equal((await send(`${url}/few`, client)).status, 200);
  assert.equal((await send(`${url}/premium/x`, { 'CF-Connecting-IP': '198.51.100.1' })).status, 200);
});

test('of a hundred at once exactly twenty are free', async () => {
  const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => send(`${url}/premium/${n}`, client)));
  const count = (status) => answers.filter((it) => it.status === status).length;
  assert.deepEqual([count(200), count(402)], [20, 80]);
  const seen = answers.filter((it) => it.status === 200).map(left).map(Number).sort((a, b) => a - b);
  assert.deepEqual(seen, Array.from({ length: 20 }, (_, n) => n), 'no unit twice');
});

test('a household of IPv6 is one client', async () => {
  const at = async (address) => (await send(`${url}/few`, { 'CF-Connecting-IP': address })).status;
  assert.deepEqual([await at('2001:db8:1:2::1'), await at('2001:db8:1:2:ffff::9'), await at('2001:db8:1:2::3')], [200, 200, 402]);
  assert.equal(await at('2001:db8:1:3::1'), 200);
});

test('who has no address of its own pays', async () => {
  for (const address of ['2a06:98c0:3600::103', 'unknown', '203.0.113.7, 203.0.113.8']) {
    const answer = await send(`${url}/few`, { 'CF-Connecting-IP': address });
    assert.deepEqual([answer.status, answer.headers.get('ratelimit')], [402, null], address);
  }
});

describe('only goods count', () => {
  for (const [status, headers] of [[500, {}], [503, {}], [404, {}], [403, {}], [307, { location: '/premium/elsewhere' }]]) {
    test(`${status}`, async () => {
      site.on('/few', answering(status, 'none', headers));
      for (let n = 0; n < 4; n += 1) {
        const answer = await send(`${url}/few`, client);
        assert.equal(answer.status, status);
        assert.equal(left(answer), '1', 'the last one was given back');
      }
      site.handlers.delete('/few');
      assert.equal((await send(`${url}/few`, client)).status, 200);
      assert.equal((await send(`${url}/few`, client)).status, 200);
      assert.equal((await send(`${url}/few`, client)).status, 402);
    });
  }

  test('an origin that hangs up', async () => {
    site.on('/few', (request) => request.socket.destroy());
    for (let n = 0; n < 3; n += 1) assert.equal((await send(`${url}/few`, client)).status, 502);
    site.handlers.delete('/few');
    assert.equal(left(await send(`${url}/few`, client)), '1');
  });

  test('a redirect elsewhere is the goods, and conditions bring no 304', async () => {
    site.on('/moved', answering(302, '', { location: 'https://files.example/signed' }));
    assert.equal(left(await send(`${url}/moved`, client)), '1');
    site.on('/moved', (request, response) => response.writeHead(request.headers['if-none-match'] ? 304 : 200).end('goods'));
    const answer = await send(`${url}/moved`, { ...client, 'If-None-Match': '"x"' });
    assert.deepEqual([answer.status, answer.text, left(answer)], [200, 'goods', '0']);
  });

  test('HEAD of a redirect has the goods, and so takes a unit', async () => {
    site.on('/moved', answering(302, '', { location: 'https://files.example/signed' }));
    const head = () => send(`${url}/moved`, client, { method: 'HEAD' });
    for (const expected of ['1', '0']) {
      const answer = await head();
      assert.deepEqual([answer.status, answer.headers.get('location'), left(answer)], [302, 'https://files.example/signed', expected]);
    }
    const answer = await head();
    assert.deepEqual([answer.status, answer.headers.get('location')], [402, null]);
    site.handlers.delete('/moved');
  });

  test('what the origin refuses after its work is refused here in the end', async () => {
    site.on('/few', answering(422, 'no'));
    for (let n = 0; n < 10; n += 1) assert.equal((await send(`${url}/few`, client)).status, 422, String(n));
    const before = site.requests.length;
    assert.equal((await send(`${url}/few`, client)).status, 402);
    assert.equal(site.requests.length, before);
    site.handlers.delete('/few');
  });

  test('HEAD says what GET would, and counts nothing; OPTIONS is no request for goods', async () => {
    for (let n = 0; n < 4; n += 1) {
      const answer = await send(`${url}/few`, client, { method: 'HEAD' });
      assert.deepEqual([answer.status, left(answer)], [200, '2']);
    }
    assert.equal((await send(`${url}/few`, client, { method: 'OPTIONS' })).status, 402);
    const preflight = { ...client, Origin: 'https://a.example', 'Access-Control-Request-Method': 'GET' };
    assert.equal((await send(`${url}/few`, preflight, { method: 'OPTIONS' })).status, 204);
    assert.equal(left(await send(`${url}/few`, client)), '1');
    assert.equal(left(await send(`${url}/few`, client)), '0');
    assert.equal((await send(`${url}/few`, client, { method: 'HEAD' })).status, 402);
  });
});

test('a page elsewhere is told the price, which it can read and pay, and takes nothing of its visitors', async () => {
  site.on('/few', answering(200, 'goods', { 'access-control-allow-origin': 'https://elsewhere.example' }));
  const page = { ...client, Origin: 'https://elsewhere.example' };
  // With what browsers say of it, and without, as older ones and those over http.
  for (const more of [{}, { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }]) {
    const answer = await send(`${url}/few`, { ...page, ...more });
    assert.deepEqual([answer.status, answer.headers.get('access-control-allow-origin'), answer.headers.get('ratelimit')], [402, '*', null]);
    assert.match(answer.headers.get('access-control-expose-headers'), /PAYMENT-REQUIRED/i);
    const [offer] = answer.challenge.accepts.filter(({ network }) => network === EVM_NETWORK);
    const paid = paymentHeader(2, offer, await evmPayload(world.accounts.evm.buyers[0], offer));
    assertPaid(await send(`${url}/few`, { ...page, ...more, ...paid }));
  }
  site.handlers.delete('/few');
  assert.equal(left(await send(`${url}/few`, { ...client, Origin: new URL(url).origin })), '1', 'a page of its own');
});

test('no page elsewhere shows what is free, or uses it up', async () => {
  const image = { ...client, 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image' };
  assert.equal((await send(`${url}/few`, image)).status, 402);
  const answer = await send(`${url}/few`, client);
  assert.deepEqual([answer.status, left(answer), answer.headers.get('cross-origin-resource-policy')], [200, '1', 'same-origin']);
  site.on('/few', answering(200, 'goods', { 'cross-origin-resource-policy': 'cross-origin' }));
  assert.equal((await send(`${url}/few`, client)).headers.get('cross-origin-resource-policy'), 'cross-origin');
  site.handlers.delete('/few');
});

test('a body reaches the origin, and what the origin says of payments stays here', async () => {
  site.on('/call', async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    response.writeHead(200, { 'Settlement-Overrides': '{"amount":"0"}', 'Cache-Control': 'public, max-age=9', Expires: 'Thu, 01 Jan 2099 00:00:00 GMT' }).end(body);
  });
  const answer = await send(`${url}/call`, client, { method: 'POST', body: 'hello' });
  assert.deepEqual([answer.status, answer.text, left(answer)], [200, 'hello', '1']);
  assert.equal(answer.headers.get('settlement-overrides'), null);
  assert.deepEqual([answer.headers.get('cache-control'), answer.headers.get('expires')], ['private, no-store', null]);
});

test('who pays uses nothing up', async () => {
  assert.equal((await send(`${url}/paid`)).status, 200);
  assert.equal((await send(`${url}/paid`)).status, 402, 'the address that the offer is asked from has had its one');
  const answer = await send(`${url}/paid`, { ...client, ...(await payment(world, `${url}/paid`)) });
  assertPaid(answer);
  assert.equal(answer.headers.get('ratelimit'), null);
  // A payment that is refused is no request for nothing.
  assert.equal((await send(`${url}/paid`, { ...client, ...(await payment(world, `${url}/paid`, { authorization: { value: '1' } })) })).status, 402);
  assert.equal(left(await send(`${url}/paid`, client)), '0', 'the one that was free is still there');
  assert.equal((await send(`${url}/paid`, client)).status, 402);
});

describe('where nobody counts, it costs', () => {
  for (const [how, fetch] of [['fails', 'return new Response("no", { status: 500 });'], ['throws', 'throw new Error("down");'], ['hangs', 'return new Promise((done) => setTimeout(done, 20_000));']]) {
    test(`the object ${how}`, async () => {
      const script = `export class Down { async fetch() { ${fetch} } }\nexport default { fetch: () => new Response("") };\n`;
      const bindings = { durable_objects: { bindings: [{ name: 'SETTLER', class_name: 'Down', script_name: 'down' }] } };
      const { url: other } = await world.startWorker({ vars: { ORIGIN: site.url, ROUTES }, bindings, services: [{ binding: 'DOWN', name: 'down', script }] });
      const before = site.requests.length;
      const answer = await send(`${other}/few`, client);
      assert.deepEqual([answer.status, answer.headers.get('ratelimit')], [402, null]);
      assert.equal(site.requests.length, before, 'the origin was not asked');
    });
  }

  test('the object is late: it gets back what it has granted', async () => {
    // What is left it tells by how often it was given something back.
    const script = `let taken = 0, back = 0;
      export class Late {
        async fetch(request) {
          if (!new URL(request.url).pathname.endsWith("/take")) return (back += 1, new Response("null"));
          if ((taken += 1) === 1) await new Promise((done) => setTimeout(done, 3_000));
          return Response.json({ is_granted: true, left: back, until: 4_000_000_000 });
        }
      }
      export default { fetch: () => new Response("") };`;
    const bindings = { durable_objects: { bindings: [{ name: 'SETTLER', class_name: 'Late', script_name: 'late' }] } };
    const { url: other } = await world.startWorker({ vars: { ORIGIN: site.url, ROUTES }, bindings, services: [{ binding: 'LATE', name: 'late', script }] });
    assert.equal((await send(`${other}/few`, client)).status, 402, 'nobody waits for it');
    await waitFor(async () => left(await send(`${other}/few`, client)) === '1', { what: 'the unit to be given back' });
  });
});
