/** docs/prices.md: an origin that says its own prices, and one that is protected, sold to clients of both versions. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { parse } from 'smol-toml';
import { x402Fetch, x402FetchV1 } from '../../dev/clients.mjs';
import { devPath, listen } from '../../dev/util.mjs';
import { startWorld } from '../../dev/world.mjs';
import { snippet } from '../documents/snippets.mjs';
import { assertPaid, assertRefused, EVM_NETWORK, evmPayload, ledger, offerOf, payment, paymentHeader, send, SOLANA_NETWORK, unchanged } from './support.mjs';

const SECRET = '5e'.repeat(32);
const folder = devPath('quotes', 'x').slice(0, -2);

let world;
let paymentOf;
let documented;
before(async () => {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'payment-of.mjs'), snippet('docs/origin.md', 'import { createHmac'));
  writeFileSync(join(folder, 'server.mjs'), snippet('docs/prices.md', 'import { createServer'));
  process.env.ORIGIN_SECRET = SECRET;
  const load = (name) => import(pathToFileURL(join(folder, name)).href);
  [{ paymentOf }, { server: documented }] = await Promise.all([load('payment-of.mjs'), load('server.mjs')]);
  world = await startWorld({ worker: false });
});
after(async () => {
  await world?.stop();
  documented?.closeAllConnections();
  documented?.close();
  delete process.env.ORIGIN_SECRET;
  rmSync(folder, { recursive: true, force: true });
});

/** An origin of which each test says what it does. */
async function startOrigin() {
  const origin = { asked: [] };
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const asked = { method: request.method, url: request.url, headers: request.headers, body: Buffer.concat(chunks).toString(), paid: paymentOf(request, SECRET) };
    origin.asked.push(asked);
    origin.answer(asked, response);
  });
  const url = `http://127.0.0.1:${await listen(server)}`;
  return Object.assign(origin, {
    url,
    stop: () => {
      server.closeAllConnections();
      return new Promise((done) => server.close(done));
    },
  });
}

const sellerGot = async (work) => {
  const start = await ledger(world);
  const value = await work();
  const end = await ledger(world);
  return [value, end.evmSeller - start.evmSeller + (end.solanaSeller - start.solanaSeller)];
};

describe('the origin of the document', () => {
  const { ROUTES } = parse(snippet('docs/prices.md', '[[vars.ROUTES]]\npattern = "/reports/*"')).vars;
  let url;
  before(async () => {
    const origin = `http://127.0.0.1:${await listen(documented)}`;
    ({ url } = await world.startWorker({ vars: { ORIGIN: origin, ROUTES }, secrets: { ORIGIN_SECRET: SECRET } }));
  });

  for (const [name, client] of [['v2', x402Fetch], ['v1', x402FetchV1]]) {
    for (const network of [EVM_NETWORK, SOLANA_NETWORK]) {
      test(`unmodified clients of ${name} buy at its prices on ${network.split(':')[0]}`, async () => {
        const pay = client({ ...world.buyer(), network });
        for (const [path, price] of [['/reports/short', 20_000n], ['/reports/full', 500_000n]]) {
          const [answer, got] = await sellerGot(() => pay(`${url}${path}?for=${name}`));
          const text = await answer.text();
          assert.equal(answer.status, 200, text);
          assert.equal(text, `the report of ${path}?for=${name}`);
          assert.equal(got, price);
        }
      });
    }
  }
});

describe('an origin with its own quotes', () => {
  const ROUTES = [
    { pattern: '/quoted/*', price: 'origin', price_max: '$1', methods: ['GET', 'POST'] },
    { pattern: '/first/*', price: 'origin', price_max: '$1', settle: 'before' },
  ];
  let origin;
  let gate;
  let url;
  let price = '$0.02';
  let unpaid;
  let paid;
  before(async () => {
    origin = await startOrigin();
    origin.answer = (asked, response) => (asked.paid ? paid : unpaid)(asked, response);
    gate = await world.startWorker({ vars: { ORIGIN: origin.url, ROUTES, TELL_ORIGIN: true }, secrets: { ORIGIN_SECRET: SECRET } });
    ({ url } = gate);
  });
  after(() => origin?.stop());
  beforeEach(() => {
    price = '$0.02';
    unpaid = (_, response) => response.writeHead(402, { price, 'x-inner': 'kept' }).end('pay first');
    paid = (asked, response) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(asked.paid));
    origin.asked.length = 0;
  });

  const buyer = () => world.accounts.evm.buyers[0];
  const paying = async (offer, version = 2) => paymentHeader(version, offer, await evmPayload(buyer(), offer));
  const asks = () => origin.asked.map(({ method, paid: it }) => `${method} ${it ? it.amount : 'unpaid'}`);

  test('the challenge is ours, and nothing of the answer that asks for it is in it', async () => {
    const answer = await send(`${url}/quoted/a`);
    assert.equal(answer.status, 402);
    assert.deepEqual(answer.challenge.accepts.map(({ amount }) => amount), ['20000', '20000']);
    for (const { extra } of answer.challenge.accepts) assert.match(extra.quote, /^\d{10}\.0x[0-9a-f]{64}$/);
    assert.deepEqual(answer.json.accepts.map(({ maxAmountRequired }) => maxAmountRequired), ['20000', '20000']);
    assert.deepEqual([answer.headers.get('price'), answer.headers.get('x-inner')], [null, null]);
    assert.equal(answer.headers.get('cache-control'), 'no-store');
    assert.equal(origin.asked[0].headers['cache-control'], 'no-cache', 'what is cached of a paid answer is no answer to this');
    const page = await send(`${url}/quoted/a`, { accept: 'text/html', 'sec-fetch-dest': 'document' });
    assert.equal(page.status, 402);
    assert.match(page.text, /0\.02/);
  });

  test('what the buyer has signed is charged, whatever the origin asks by then', async () => {
    for (const path of ['/quoted/a', '/first/a']) {
      price = '$0.02';
      const offer = await offerOf(url + path);
      for (const [dearer, now] of [['$0.05', 20_000n], ['$0.01', 20_000n]]) {
        price = dearer;
        origin.asked.length = 0;
        const header = await paying(offer);
        const [answer, got] = await sellerGot(() => send(url + path, header));
        assertPaid(answer);
        assert.equal(got, now);
        assert.equal(answer.json.amount, '20000');
        assert.deepEqual(asks(), ['GET 20000'], 'a quote spares the question');
      }
    }
  });

  test('v1 has no place for a quote: the origin is asked once more', async () => {
    const offer = await offerOf(`${url}/quoted/a`);
    origin.asked.length = 0;
    const header = await paying(offer, 1);
    assertPaid(await send(`${url}/quoted/a`, header), 1);
    assert.deepEqual(asks(), ['GET unpaid', 'GET 20000']);
    price = '$0.03';
    const other = await paying(offer, 1);
    const refused = await unchanged(world, () => send(`${url}/quoted/a`, other));
    assertRefused(refused, 'invalid_payment_requirements');
    assert.equal(refused.challenge.accepts[0].amount, '30000');
    assert.deepEqual(asks().filter((it) => it.endsWith('20000')).length, 1, 'the origin did not work for it');
    // What was bought is had again at the price that it was bought at.
    const again = await send(`${url}/quoted/a`, header);
    assertPaid(again, 1);
    assert.equal(again.json.amount, '20000');
  });

  test('a quote buys nothing else, and no other amount', async () => {
    const offer = await offerOf(`${url}/quoted/a`);
    price = '$0.50';
    for (const [path, change] of [
      ['/quoted/b', {}],
      ['/quoted/a?b', {}],
      ['/quoted/a', { amount: '1' }],
      ['/quoted/a', { extra: { ...offer.extra, quote: `9999999999.${offer.extra.quote.split('.')[1]}` } }],
      ['/quoted/a', { extra: { ...offer.extra, quote: undefined } }],
    ]) {
      const header = await paying({ ...offer, ...change });
      const refused = await unchanged(world, () => send(url + path, header));
      assertRefused(refused, 'invalid_payment_requirements', JSON.stringify(change));
      assert.equal(refused.challenge.accepts[0].amount, '500000');
    }
    const posted = await paying(offer);
    const refused = await unchanged(world, () => send(`${url}/quoted/a`, posted, { method: 'POST', body: '{}' }));
    assert.equal(refused.status, 402);
    assert.deepEqual(asks().filter((it) => !it.endsWith('unpaid')), []);
  });

  test('a page asks by HEAD and buys by GET, and a cookie fetches it whatever it costs by then', async () => {
    const target = `${url}/quoted/page`;
    const head = await send(target, {}, { method: 'HEAD' });
    const [offer] = head.challenge.accepts;
    price = '$0.70';
    const bought = await send(target, { ...await paying(offer), prefer: 'return=minimal' });
    assert.equal(bought.status, 204, bought.text);
    const [cookie] = bought.headers.getSetCookie().find((it) => it.startsWith('edge402_paid_')).split(';');
    const fetched = await send(target, { cookie });
    assert.equal(fetched.status, 200, fetched.text);
    assert.deepEqual([fetched.json.amount, fetched.json.transaction], ['20000', bought.receipt.transaction]);
    const elsewhere = await send(`${url}/quoted/other`, { cookie });
    assert.deepEqual([elsewhere.status, elsewhere.challenge.accepts[0].amount], [402, '700000']);
  });

  test('a body has its own price, and is bound', async () => {
    unpaid = ({ body }, response) => response.writeHead(402, { price: `$0.0${JSON.parse(body).pages}` }).end();
    const order = (pages) => ({ method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ pages }) });
    for (const [client, pages] of [[x402Fetch, 3], [x402FetchV1, 4]]) {
      const pay = client({ ...world.buyer(), network: EVM_NETWORK });
      const [answer, got] = await sellerGot(() => pay(`${url}/quoted/job`, order(pages)));
      assert.equal(answer.status, 200, await answer.text());
      assert.equal(got, BigInt(pages) * 10_000n);
    }
    assert.deepEqual(origin.asked.filter((it) => it.paid).map(({ body }) => body), ['{"pages":3}', '{"pages":4}']);
    const { challenge } = await send(`${url}/quoted/job`, {}, order(1));
    const header = await paying(challenge.accepts[0]);
    assertRefused(await send(`${url}/quoted/job`, header, order(9)), 'invalid_payment_requirements');
    const long = await send(`${url}/quoted/job`, {}, { method: 'POST', body: 'x'.repeat(65_537) });
    assert.equal(long.status, 413);
    const asked = origin.asked.length;
    assert.equal((await send(`${url}/first/job`, {}, { method: 'POST', body: '{}' })).status, 405, 'methods does not name it');
    assert.equal(origin.asked.length, asked);
  });

  test('a price that is none is not taken', async () => {
    let count = gate.log().split('origin: the price of /quoted/*').length - 1;
    const two = (_, response) => response.writeHead(402, [['price', '$0.01'], ['price', '$0.02']].flat()).end();
    for (const [says, problem] of [['$1.01', 'is above price_max'], ['$-0.02', 'is not one amount'], ['$0', 'is zero'], ['free', 'is not one amount'], ['$0.0000001', 'is finer than'], [two, 'is not one amount']]) {
      if (typeof says === 'function') unpaid = says;
      else price = says;
      const offered = await send(`${url}/quoted/a`);
      assert.equal(offered.status, 502, String(says));
      assert.equal(offered.challenge, undefined);
      assert.deepEqual(offered.json, { error: 'the origin did not say what this costs' });
      const lines = gate.log().split('\n').filter((line) => line.includes('origin: the price of /quoted/*'));
      assert.equal(lines.length, count += 1);
      assert.ok(lines.at(-1).includes(problem), lines.at(-1));
    }
  });

  test('whatever asks for no money is passed on, and nothing is charged', async () => {
    unpaid = (_, response) => response.writeHead(200, { 'content-type': 'text/plain', 'cache-control': 'max-age=60', etag: '"1"' }).end('for nothing');
    const free = await send(`${url}/quoted/a`);
    assert.deepEqual([free.status, free.text, free.headers.get('cache-control'), free.headers.get('etag')], [200, 'for nothing', 'max-age=60', '"1"']);
    const offer = { ...(await offerFor()), amount: '20000' };
    for (const version of [1, 2]) {
      const header = await paying({ ...offer, extra: { ...offer.extra, quote: undefined } }, version);
      const answer = await unchanged(world, () => send(`${url}/quoted/a`, header));
      assert.deepEqual([answer.status, answer.text, answer.receipt], [200, 'for nothing', undefined]);
    }
    for (const status of [302, 403, 404, 429, 503]) {
      unpaid = (_, response) => response.writeHead(status, { location: '/elsewhere', price }).end('own');
      assert.equal((await send(`${url}/quoted/a`)).status, status);
    }
    unpaid = (_, response) => response.destroy();
    assert.equal((await send(`${url}/quoted/a`)).status, 502);
  });

  /** An offer as this shop makes it, whatever the origin says now. */
  async function offerFor() {
    const former = unpaid;
    unpaid = (_, response) => response.writeHead(402, { price: '$0.02' }).end();
    const offer = await offerOf(`${url}/quoted/a`);
    unpaid = former;
    return offer;
  }

  test('an origin that fails loses no buyer what was bought, and sells nothing', async () => {
    const offer = await offerOf(`${url}/quoted/kept`);
    const header = await paying(offer, 1);
    const bought = assertPaid(await send(`${url}/quoted/kept`, header), 1);
    for (const failing of [(_, response) => response.writeHead(503).end(), (_, response) => response.destroy(), (_, response) => response.writeHead(402, { price: 'much' }).end()]) {
      unpaid = failing;
      const again = await send(`${url}/quoted/kept`, header);
      assert.equal(assertPaid(again, 1).transaction, bought.transaction);
      const fresh = await paying(offer, 1);
      const refused = await unchanged(world, () => send(`${url}/quoted/kept`, fresh));
      assert.equal(refused.status, 503);
    }
  });

  test('a payment goes with a redirect to where no more is asked, and no further', async () => {
    const prices = { '/first/door': '$0.02', '/first/same': '$0.02', '/first/less': '$0.01', '/first/dear': '$0.50' };
    unpaid = ({ url: path }, response) => response.writeHead(402, { price: prices[path] }).end();
    for (const [target, had] of [['/first/same', true], ['/first/less', true], ['/first/dear', false]]) {
      paid = ({ url: path }, response) => (path === '/first/door' ? response.writeHead(302, { location: target }).end() : response.end('goods'));
      const header = await paying(await offerOf(`${url}/first/door`));
      const door = await send(`${url}/first/door`, header);
      assert.deepEqual([door.status, door.headers.get('location'), door.receipt.success], [302, url + target, true]);
      const there = await send(url + target, header);
      if (had) {
        assert.deepEqual([there.status, there.text, there.receipt.transaction], [200, 'goods', door.receipt.transaction]);
      } else {
        assertRefused(there, 'duplicate_settlement');
        assert.equal(there.challenge.accepts[0].amount, '500000');
      }
      // A browser's page is sent on with a cookie.
      const page = await send(`${url}/first/door`, { ...await paying(await offerOf(`${url}/first/door`)), prefer: 'return=minimal' });
      assert.equal(page.status, 204);
      const cookieOf = (answer) => answer.headers.getSetCookie().find((it) => it.startsWith('edge402_paid_')).split(';')[0];
      const moved = await send(`${url}/first/door`, { cookie: cookieOf(page) });
      assert.equal(moved.status, 302);
      const fetched = await send(url + target, { cookie: cookieOf(moved) });
      assert.deepEqual([fetched.status, fetched.text === 'goods'], had ? [200, true] : [402, false]);
    }
    // What can't be told to cost no more is not given.
    paid = ({ url: path }, response) => (path === '/first/door' ? response.writeHead(302, { location: '/first/dear' }).end() : response.end('goods'));
    const header = await paying(await offerOf(`${url}/first/door`));
    assert.equal((await send(`${url}/first/door`, header)).status, 302);
    for (const says of ['$7', 'much']) {
      prices['/first/dear'] = says;
      assert.notEqual((await send(`${url}/first/dear`, header)).status, 200, says);
    }
    // And where it is settled last, nothing is charged for a redirect.
    prices['/quoted/a'] = '$0.02';
    const late = await paying(await offerOf(`${url}/quoted/a`));
    paid = (_, response) => response.writeHead(302, { location: '/quoted/dear' }).end();
    assert.equal((await unchanged(world, () => send(`${url}/quoted/a`, late))).status, 302);
  });

  test('an origin that asks for money again is not passed on', async () => {
    paid = (_, response) => response.writeHead(402, { price: '$0.50', 'www-authenticate': 'Basic' }).end('more');
    const after = await paying(await offerOf(`${url}/quoted/again`));
    const refused = await unchanged(world, () => send(`${url}/quoted/again`, after));
    assert.deepEqual([refused.status, refused.json.error], [502, 'the origin asks for money again; nothing was charged']);
    assert.equal(refused.headers.get('www-authenticate'), null);
    assert.match(gate.log(), /origin: 402 to what was paid for, \/quoted\/\*/);
    // With settle = "before" it was charged, and is had once the origin sees that.
    const first = await paying(await offerOf(`${url}/first/again`));
    const charged = await send(`${url}/first/again`, first);
    assert.deepEqual([charged.status, charged.receipt.success], [502, true]);
    paid = (_, response) => response.end('here');
    const had = await send(`${url}/first/again`, first);
    assert.deepEqual([had.status, had.text, had.receipt.transaction], [200, 'here', charged.receipt.transaction]);
  });
});

describe('an origin that is protected', () => {
  const { ORIGIN_HEADERS, ROUTES } = parse(snippet('docs/prices.md', '[vars.ORIGIN_HEADERS]\nAuthorization')).vars;
  const KEY = 'Bearer for-the-gate';
  let origin;
  let gate;
  let url;
  before(async () => {
    origin = await startOrigin();
    origin.answer = ({ headers, url: path }, response) => {
      if (path.startsWith('/free')) return response.end(JSON.stringify(headers));
      if (![KEY, 'Bearer customer'].includes(headers.authorization)) return response.writeHead(401, { 'www-authenticate': 'Bearer', price: '$0.07' }).end('who are you?');
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ as: headers.authorization }));
    };
    gate = await shop();
    ({ url } = gate);
  });
  after(() => origin?.stop());
  const shop = (vars = {}, secrets = {}) => world.startWorker({ vars: { ORIGIN: origin.url, ROUTES, ORIGIN_HEADERS, ...vars }, secrets: { ORIGIN_AUTHORIZATION: KEY, ...secrets } });

  test('strangers buy, and who has a log-in of the origin goes in as before', async () => {
    for (const [client, init] of [[x402Fetch], [x402FetchV1], [x402Fetch, { method: 'POST', body: 'x'.repeat(70_000) }]]) {
      const [answer, got] = await sellerGot(() => client({ ...world.buyer(), network: EVM_NETWORK })(`${url}/api/a`, init));
      assert.deepEqual([answer.status, got], [200, 10_000n]);
      assert.deepEqual(await answer.json(), { as: KEY });
    }
    const asked = await send(`${url}/api/a`);
    assert.equal(asked.status, 402);
    assert.equal(asked.headers.get('www-authenticate'), null);
    assert.equal(asked.challenge.accepts[0].amount, '10000');
    const customer = await send(`${url}/api/a`, { authorization: 'Bearer customer' });
    assert.deepEqual([customer.status, customer.json], [200, { as: 'Bearer customer' }]);
    assert.equal((await send(`${url}/api/a`, { authorization: 'Bearer wrong' })).status, 402);
    // Who pays goes as the gate, whatever it says of itself.
    const paid = await send(`${url}/api/a`, { ...await payment(world, `${url}/api/a`), authorization: 'Bearer wrong' });
    assertPaid(paid);
    assert.deepEqual(paid.json, { as: KEY });
    const asOthers = origin.asked.filter(({ headers }) => headers.authorization === KEY);
    assert.equal(asOthers.length, 4, 'the key went with what was paid for alone');
    assert.equal((await send(`${url}/free`)).text.includes('for-the-gate'), false);
  });

  test('a payment that is none is refused without the origin', async () => {
    const header = await payment(world, `${url}/api/a`, { authorization: { value: '1' } });
    origin.asked.length = 0;
    const refused = await unchanged(world, () => send(`${url}/api/a`, header));
    assert.equal(refused.status, 402);
    assert.ok(refused.reason);
    assert.deepEqual(origin.asked, []);
    // Nor is it asked by methods that the seller hasn't named.
    const other = await shop({ ROUTES: [{ ...ROUTES[0], methods: undefined }] });
    assert.equal((await send(`${other.url}/api/a`, {}, { method: 'DELETE' })).status, 402);
    assert.deepEqual(origin.asked, []);
    assert.equal((await send(`${other.url}/api/a`)).status, 402);
    assert.equal(origin.asked.length, 1);
  });

  test('a key that the origin does not take costs no buyer anything', async () => {
    const wrong = await shop({}, { ORIGIN_AUTHORIZATION: 'Bearer old' });
    const header = await payment(world, `${wrong.url}/api/a`);
    const answer = await unchanged(world, () => send(`${wrong.url}/api/a`, header));
    assert.deepEqual([answer.status, answer.json.error], [502, 'the origin asks for money again; nothing was charged']);
    assert.match(wrong.log(), /origin: 401 to what was paid for, \/api\/\*/);
  });

  test('its 401 may say the price', async () => {
    const priced = await shop({ ROUTES: [{ pattern: '/api/*', price: 'origin', price_max: '$1', challenge_on: 401, tell_origin: true }] }, { ORIGIN_SECRET: SECRET });
    const [answer, got] = await sellerGot(() => x402Fetch({ ...world.buyer(), network: EVM_NETWORK })(`${priced.url}/api/a`));
    assert.deepEqual([answer.status, got], [200, 70_000n]);
  });
});
