/** Redirects of a site: the way to what is sold, or the goods themselves. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { faremeterFetch, x402Fetch, x402FetchV1 } from '../../dev/clients.mjs';
import { startWorld } from '../../dev/world.mjs';
import { answering, startSite } from './site.mjs';
import { assertPaid, assertRefused, EVM_NETWORK, ledger, PAGE_PRICE, payment, send, unchanged } from './support.mjs';

const ROUTES = [
  { pattern: '/premium/*', price: '$0.01' },
  { pattern: '/before/*', price: '$0.01', settle: 'before', redeliver_max: 0 },
  { pattern: '/other/*', price: '$0.01', settle: 'before' },
  { pattern: '/before/dear', price: '$0.02' },
];

let world;
let origin;
let files;
let site;
before(async () => {
  [origin, files] = [await startSite(), await startSite()];
  world = await startWorld({ worker: { vars: { ORIGIN: origin.url, ROUTES } } });
  site = world.url;
});
after(async () => {
  await world?.stop();
  await origin?.stop();
  await files?.stop();
});

async function charged(work, times = 1n) {
  const start = (await ledger(world)).evmSeller;
  const value = await work();
  assert.equal((await ledger(world)).evmSeller - start, times * PAGE_PRICE);
  return value;
}

const CLIENTS = { '@x402/fetch': x402Fetch, 'x402-fetch': x402FetchV1, '@faremeter/fetch': faremeterFetch };

describe('redirects of the site', () => {
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

describe('redirects after the settlement', () => {
  let count = 0;
  const from = (status, to) => {
    const path = `/before/from-${(count += 1)}`;
    origin.on(path, answering(status, 'secret', { location: to }));
    return path;
  };

  for (const [name, client] of Object.entries(CLIENTS)) {
    test(`${name} gets the goods where they are, and pays once`, async () => {
      for (const status of [301, 302, 303, 307, 308]) {
        for (const to of ['/before/target', 'target?a=b&c=%20', '/other/target', `${origin.url}/before/target`]) {
          const path = from(status, to);
          const pay = await client({ ...world.buyer(), network: EVM_NETWORK });
          const response = await charged(() => pay(site + path));
          const text = await response.text();
          assert.equal(response.status, 200, `${status} ${to}: ${text}`);
          assert.ok(JSON.parse(text).path.includes('/target'), text);
          assert.ok(response.headers.get('payment-response') ?? response.headers.get('x-payment-response'));
        }
      }
    });
  }

  test('carry the receipt and no body; the purchase is delivered once, at either place', async () => {
    const url = site + from(308, '/before/target');
    const headers = await payment(world, url);
    const answer = await charged(() => send(url, headers));
    assert.equal(answer.status, 308);
    assert.equal(answer.receipt.success, true);
    assert.equal(answer.text, '');
    assert.equal(answer.headers.get('location'), `${site}/before/target`);
    await unchanged(world, async () => {
      assertRefused(await send(`${site}/before/else`, headers), 'duplicate_settlement');
      assert.equal((await send(url, headers)).status, 308, 'it leads on as often as it is asked');
      assertPaid(await send(`${site}/before/target`, headers));
      assertRefused(await send(`${site}/before/target`, headers), 'duplicate_settlement');
    });
  });

  test('to what costs something else leave it where it was paid for', async () => {
    const path = from(302, '/before/dear');
    const headers = await payment(world, site + path);
    const answer = await charged(() => send(site + path, headers));
    assert.equal(answer.status, 302);
    assert.equal(answer.receipt.success, true);
    await unchanged(world, async () => {
      assert.equal((await send(`${site}/before/dear`, headers)).status, 402);
      origin.on(path, answering(200, 'the goods'));
      const goods = await send(site + path, headers);
      assertPaid(goods);
      assert.equal(goods.text, 'the goods');
    });
  });

  test('that go round in a circle are charged once', async () => {
    origin.on('/before/round', answering(301, '', { location: '/before/round/' }));
    origin.on('/before/round/', answering(301, '', { location: '/before/round' }));
    const headers = await payment(world, `${site}/before/round`);
    await charged(() => assert.rejects(fetch(`${site}/before/round`, { headers })));
    origin.on('/before/round', answering(200, 'the goods'));
    assertPaid(await unchanged(world, () => send(`${site}/before/round`, headers)));
  });
});

describe('redirects for a client that can read none', () => {
  const MANUAL = { prefer: 'redirect=manual' };
  const ask = async (path, { status = 302, to, location = to }) => {
    origin.on(path, answering(status, 'secret', { location: to }));
    const headers = await payment(world, site + path);
    const answer = await send(site + path, { ...headers, ...MANUAL });
    assert.equal(answer.headers.get('preference-applied'), 'redirect=manual');
    assert.equal(answer.headers.get('location'), location);
    assert.match(answer.headers.get('access-control-expose-headers'), /\bLocation\b/);
    assert.ok(!answer.text.includes('secret'));
    return { answer, headers };
  };

  test('are a 409 where it is sold elsewhere, with the receipt if it was charged', async () => {
    const free = await unchanged(world, () => ask('/premium/manual', { to: '/premium/there', location: `${site}/premium/there` }));
    assert.equal(free.answer.status, 409);
    assert.equal(free.answer.receipt, undefined);
    assertPaid(await charged(() => send(free.answer.headers.get('location'), { ...free.headers, ...MANUAL })));
    const { answer, headers } = await charged(() => ask('/before/manual', { to: '/before/there', location: `${site}/before/there` }));
    assert.equal(answer.status, 409);
    assert.equal(answer.receipt.success, true);
    assertPaid(await unchanged(world, () => send(answer.headers.get('location'), { ...headers, ...MANUAL })));
  });

  for (const path of ['/premium/goods', '/before/goods']) {
    test(`are a 200 with the receipt where they are the goods: ${path}`, async () => {
      const to = `${files.url}/target?signature=1`;
      const { answer, headers } = await charged(() => ask(path, { status: 307, to }));
      assert.equal(answer.status, 200);
      assert.equal(answer.receipt.success, true);
      assert.equal(answer.text, '');
      // Delivered by that.
      const again = await unchanged(world, () => send(site + path, { ...headers, ...MANUAL, 'cf-connecting-ip': '198.51.100.9' }));
      assertRefused(again, 'duplicate_settlement');
    });
  }

  test('is no word to the origin, and to no other answer', async () => {
    const url = `${site}/premium/plain`;
    const answer = await charged(async () => send(url, { ...(await payment(world, url)), ...MANUAL }));
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('preference-applied'), null);
    assert.equal(answer.json.headers.prefer, undefined);
  });
});
