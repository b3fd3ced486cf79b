/** The gate: no way around it, and what it says to those who stand before it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ROOT, waitFor } from '../../dev/util.mjs';
import { startWorld } from '../../dev/world.mjs';
import { assertPaid, decode, EVM_NETWORK, offerOf, payment, raw, send, SOLANA_NETWORK } from './support.mjs';

const HOSTILE = '</script><b>"&';
const ROUTES = [
  { pattern: '/premium/*', price: '$0.01', description: 'Premium pages' },
  { pattern: '/premium/solana/*', price: '$0.03' },
  { pattern: '/premium/solana/', price: '$0.04', networks: [EVM_NETWORK] },
  { pattern: '/data/almanac.json', price: '$0.005', mime_type: 'application/json' },
  { pattern: '/photos/aurora.jpg', price: '$0.02' },
  { pattern: '/favicon.svg', price: '$0.07', description: HOSTILE },
  { pattern: '/style.css', price: '$0.01', methods: ['GET'] },
  { pattern: '/about', price: '$0.01', methods: ['POST', 'DELETE'] },
];
/** One line of each protected file, by which it can be told that it got out. */
const GOODS = ['www/premium/index.html', 'www/premium/solana/index.html', 'www/data/almanac.json'].map((file) =>
  readFileSync(join(ROOT, file), 'latin1').split('\n').reduce((a, b) => (b.length > a.length ? b : a)),
);
const BROWSER = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8', 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' };
const SERVICE = `export default { fetch(request) { return new Response('the service served ' + new URL(request.url).pathname); } };`;

let world;
let service;
before(async () => {
  world = await startWorld({ worker: { vars: { ROUTES } } });
  service = await world.startWorker({
    vars: { ROUTES, ORIGIN: 'service' },
    services: [{ binding: 'ORIGIN_SERVICE', script: SERVICE }],
  });
});
after(() => world?.stop());

const isRedirect = (status) => status >= 300 && status < 400;

/** Asserts that an answer gave nothing away. A redirect is followed: it must lead to the gate. */
async function assertClosed(answer, what, base) {
  for (const line of GOODS) assert.ok(!answer.text.includes(line), `${what} gave the goods away`);
  if (isRedirect(answer.status) && base === world.url) {
    const next = new URL(answer.headers.get('location'), base);
    assert.equal(next.origin, new URL(base).origin, what);
    return assertClosed(await raw(base, next.pathname + next.search), `${what} → ${next.pathname}`, base);
  }
  assert.ok([400, 402].includes(answer.status), `${what}: ${answer.status}`);
}

describe('every spelling of a protected path is the plain one or is refused', () => {
  const page = [
    '/premium/', '/premium', '/premium//', '//premium/', '///premium///', '/./premium/', '/premium/.', '/premium/./',
    '/about/../premium/', '/premium/x/..', '/../premium/', '/%70remium/', '/%70%72%65%6d%69%75%6d/', '/premium%2F',
    '/premium%2f', '/premium%5C', '/premium%5c', '/premium\\', '/\\premium/',
    '/%2e/premium/', '/about/%2e%2e/premium/', '/about/.%2e/premium/', '/about/%2E./premium/', '/premium/%2e',
    '/premium.', '/premium./', '/premium/..../../', '/premium%2e', '/premium%20/', '/premium%00/', '/premium/%00',
    '/premium%0d%0a/', '/premium%c0%af', '/premium/%', '/premium/%zz', '/PREMIUM/', '/Premium/', '/premium;a=b/',
    '/premium;/', '/premium/;x', '/premium%3Bx/', '/premium/?x', '/premium?', '/premium/#x', '/premium/index.html',
    '/premium/index', '/premium/index.htm', '/premium/INDEX.HTML', '/premium/index.html/', '/premium/%69ndex.html',
    '/premium/index%2ehtml', '/premium//index.html', '/premium/./index.html', '/premium.html', '/premium/.html',
    '/premium/solana', '/premium/solana.html', '/premium/solana/index.html', '/premium/solana/index', '/premium/nothing',
    '/premium/\xff', '/premium/%ff',
  ];
  const file = [
    '/data/almanac.json', '//data/almanac.json', '/data//almanac.json', '/data/./almanac.json', '/data/x/../almanac.json',
    '/data%2Falmanac.json', '/data%5Calmanac.json', '/data\\almanac.json', '/data/almanac%2ejson', '/data/%61lmanac.json',
    '/data/almanac.json.', '/data/almanac.json/', '/data/almanac.json/.', '/data/almanac.json%20', '/data/almanac.json%2e',
    '/data/almanac.json%00', '/DATA/almanac.json', '/data/ALMANAC.JSON', '/data/almanac.json;x=1', '/data/almanac.json;.css',
    '/data;x/almanac.json', '/data/almanac.json?x=.css', '/data/almanac.json/index.html', '/data/almanac.json.html',
    '/%64%61%74%61/almanac.json', '/data/almanac.json#',
  ];
  for (const target of [...page, ...file]) {
    test(`GET ${JSON.stringify(target)}`, async () => {
      for (const { url } of [world, service]) {
        // What only the assets server takes for a name of the page is another page elsewhere.
        if (url === service.url && target.endsWith('.html') && !target.startsWith('/premium/')) continue;
        const answer = await raw(url, target);
        await assertClosed(answer, `${url}${target}`, url);
      }
    });
  }

  test('a request target that is no path opens nothing', async () => {
    // Wrangler's own server answers these, as the edge would: what counts is that nobody gets the goods.
    for (const target of [`${world.url}/premium/`, '%2Fpremium/', '\\premium\\', 'premium/', '*', '?/premium/']) {
      const { status, text } = await raw(world.url, target);
      assert.ok(status >= 400 && GOODS.every((line) => !text.includes(line)), `${target}: ${status}`);
    }
  });

  test('a double escape names another resource, never the goods', async () => {
    for (const target of ['/premium%252F', '/%2570remium/', '/data%252falmanac.json']) {
      const { text, status } = await raw(world.url, target);
      assert.ok(GOODS.every((line) => !text.includes(line)), target);
      assert.ok(status >= 300, `${target}: ${status}`);
    }
  });
});

describe('every method is gated', () => {
  const cases = [
    ['HEAD', {}], ['POST', {}], ['PUT', {}], ['PATCH', {}], ['DELETE', {}], ['OPTIONS', {}], ['PROPFIND', {}],
    ['GET', { range: 'bytes=0-10' }], ['GET', { 'if-none-match': '*' }], ['GET', { 'if-modified-since': new Date().toUTCString() }],
    ['GET', { 'if-range': '"x"', range: 'bytes=0-' }], ['GET', { 'x-http-method-override': 'OPTIONS' }], ['GET', { authorization: 'Bearer x' }],
    ['GET', { 'sec-fetch-mode': 'navigate' }], ['GET', { purpose: 'prefetch' }], ['GET', { 'x-payment-response': 'e30=' }],
  ];
  for (const [method, headers] of cases) {
    test(`${method} ${Object.keys(headers).join(' ')}`, async () => {
      for (const path of ['/premium/', '/data/almanac.json', '/photos/aurora.jpg']) {
        const answer = await send(`${world.url}${path}`, headers, { method });
        assert.equal(answer.status, 402, path);
        assert.equal(answer.challenge.x402Version, 2);
      }
    });
  }

  test('the ETag of a page that was paid for does not open it', async () => {
    const url = `${world.url}/premium/`;
    const bought = await send(url, await payment(world, url));
    assertPaid(bought);
    assert.ok(bought.bytes.toString('latin1').includes(GOODS[0]));
    const etag = bought.headers.get('etag') ?? '*';
    assert.equal((await send(url, { 'if-none-match': etag })).status, 402);
    assert.equal((await send(url, {}, { method: 'HEAD' })).status, 402);
  });
});

describe('routes', () => {
  const status = async (method, path) => (await send(`${world.url}${path}`, {}, { method })).status;

  test('free pages are free', async () => {
    for (const path of ['/', '/about', '/photos/aurora-preview.jpg']) assert.equal(await status('GET', path), 200, path);
    assert.equal(await status('GET', '/no-such-page'), 404);
    assert.equal((await send(`${world.url}/`)).headers.get('payment-required'), null);
  });

  test('a route for GET covers HEAD and leaves the others free', async () => {
    assert.equal(await status('GET', '/style.css'), 402);
    assert.equal(await status('HEAD', '/style.css'), 402);
    assert.notEqual(await status('POST', '/style.css'), 402);
  });

  test('a route for POST leaves GET free', async () => {
    assert.equal(await status('GET', '/about'), 200);
    assert.equal(await status('HEAD', '/about'), 200);
    assert.equal(await status('POST', '/about'), 402);
    assert.equal(await status('DELETE', '/about.html'), 402);
  });

  test('the most specific route sets the price', async () => {
    const price = async (path) => (await offerOf(`${world.url}${path}`)).amount;
    assert.equal(await price('/premium/'), '10000');
    assert.equal(await price('/premium/eip-3009/'), '10000');
    assert.equal(await price('/premium/solana/'), '40000');
    assert.equal(await price('/premium/solana/more'), '30000');
  });

  test('a payment for the cheap route does not open the dear one', async () => {
    const headers = await payment(world, `${world.url}/premium/`);
    const answer = await send(`${world.url}/premium/solana/`, headers);
    assert.equal(answer.status, 402);
    assert.equal(answer.reason, 'invalid_payment_requirements');
  });

  test('a route takes only the networks that it names', async () => {
    const { challenge, json } = await send(`${world.url}/premium/solana/`);
    assert.deepEqual(challenge.accepts.map(({ network }) => network), [EVM_NETWORK]);
    assert.deepEqual(json.accepts.map(({ network }) => network), ['base-sepolia']);
  });
});

describe('cross-origin requests', () => {
  const wanted = ['payment-signature', 'x-payment', 'access-control-expose-headers'];
  const preflight = (path, method = 'GET') =>
    send(`${world.url}${path}`, {
      origin: 'https://elsewhere.example',
      'access-control-request-method': method,
      'access-control-request-headers': wanted.join(','),
    }, { method: 'OPTIONS' });

  test('a preflight is answered without charge', async () => {
    const { status, headers, text } = await preflight('/premium/');
    assert.equal(status, 204);
    assert.equal(text, '');
    const allowed = headers.get('access-control-allow-headers').toLowerCase().split(/\s*,\s*/);
    for (const name of wanted) assert.ok(allowed.includes(name), name);
    assert.equal(headers.get('access-control-allow-origin'), '*');
    assert.match(headers.get('access-control-allow-methods'), /\bGET\b.*\bPOST\b/);
  });

  test('a preflight for a method that is sold is the gate’s, for another the origin’s', async () => {
    assert.equal((await preflight('/about', 'POST')).status, 204);
    assert.notEqual((await preflight('/about', 'GET')).status, 204);
  });

  test('a page elsewhere may read the challenge and the receipt', async () => {
    const url = `${world.url}/premium/`;
    for (const answer of [await send(url), await send(url, await payment(world, url))]) {
      const exposed = answer.headers.get('access-control-expose-headers').toUpperCase();
      for (const name of ['PAYMENT-REQUIRED', 'PAYMENT-RESPONSE', 'X-PAYMENT-RESPONSE']) assert.ok(exposed.includes(name), name);
      assert.equal(answer.headers.get('access-control-allow-origin'), '*');
    }
  });
});

describe('the challenge', () => {
  test('says the same in the header and in the body', async () => {
    const url = `${world.url}/data/almanac.json?year=2026`;
    const { challenge, json, headers } = await send(url);
    assert.equal(challenge.x402Version, 2);
    assert.equal(json.x402Version, 1);
    assert.equal(challenge.error, json.error);
    assert.deepEqual(challenge.resource, { url, mimeType: 'application/json' });
    const names = { [EVM_NETWORK]: 'base-sepolia', [SOLANA_NETWORK]: 'solana-devnet' };
    assert.equal(challenge.accepts.length, 2);
    for (const [i, v2] of challenge.accepts.entries()) {
      const { network, maxAmountRequired: amount, resource, description, mimeType, ...same } = json.accepts[i];
      assert.equal(network, names[v2.network]);
      assert.equal(resource, url);
      assert.equal(mimeType, 'application/json');
      assert.equal(typeof description, 'string');
      assert.deepEqual({ ...same, amount, network: v2.network }, v2);
    }
    assert.equal(headers.get('cache-control'), 'no-store');
    assert.match(headers.get('vary'), /accept/i);
    assert.ok(headers.get('payment-required').length < 3_000);
  });

  test('its Solana entry carries all that a client without a node needs', async () => {
    const { extra } = await offerOf(`${world.url}/premium/`, SOLANA_NETWORK);
    assert.equal(extra.feePayer, world.accounts.solana.feePayers[0].address);
    assert.equal(extra.decimals, 6);
    assert.ok(world.solana.chain.isBlockhashValid(extra.recentBlockhash, 'confirmed'));
  });

  test('stays below 3,000 bytes for a URL of any length', async () => {
    const { headers, challenge } = await send(`${world.url}/premium/${'x'.repeat(3_000)}?${'y'.repeat(3_000)}`);
    assert.ok(headers.get('payment-required').length < 3_000);
    assert.equal(challenge.accepts.length, 2);
  });

  test('a browser gets a page, everybody else JSON', async () => {
    const url = `${world.url}/premium/`;
    const page = await send(url, BROWSER);
    assert.equal(page.status, 402);
    assert.match(page.headers.get('content-type'), /^text\/html/);
    assert.match(page.headers.get('vary'), /accept/i);
    assert.match(page.text, /\$0\.01/);
    for (const part of ['Premium pages', EVM_NETWORK, SOLANA_NETWORK]) assert.ok(page.text.includes(part), part);
    assert.deepEqual(page.challenge.accepts.map(({ amount }) => amount), ['10000', '10000']);
    for (const accept of [undefined, '*/*', 'application/json', 'image/*']) {
      const answer = await send(url, accept ? { accept } : {});
      assert.match(answer.headers.get('content-type'), /^application\/json/, accept);
    }
  });

  test('a description is data on the page, not markup', async () => {
    const { text, challenge } = await send(`${world.url}/favicon.svg`, BROWSER);
    assert.ok(!text.includes(HOSTILE) && !text.includes('<b>"'));
    assert.ok(text.includes('&lt;/script&gt;&lt;b&gt;&quot;&amp;'));
    assert.equal(challenge.resource.description, HOSTILE);
    assert.equal((await send(`${world.url}/favicon.svg`)).json.accepts[0].description, HOSTILE);
  });

  test('a URL is data on the page, not a template and not markup', async () => {
    const target = `/favicon.svg?{{price}}{{networks}}<i>'"&amp;`;
    const answer = await raw(world.url, target, { headers: [['Accept', 'text/html'], ['User-Agent', 'Mozilla/5.0'], ['Accept-Encoding', 'identity']] });
    assert.equal(answer.status, 402);
    const plain = await raw(world.url, '/favicon.svg', { headers: [['Accept', 'text/html'], ['User-Agent', 'Mozilla/5.0'], ['Accept-Encoding', 'identity']] });
    const count = (text, part) => text.split(part).length - 1;
    assert.ok(count(plain.text, '$0.07') > 0);
    for (const part of ['$0.07', '<i>', EVM_NETWORK, '<li>']) assert.equal(count(answer.text, part), count(plain.text, part), part);
    assert.ok(answer.text.includes('&amp;amp;'));
    assert.ok(decode(answer.headers.get('payment-required')).resource.url.includes('{{price}}'));
  });
});

describe('requests that can’t be meant', () => {
  const both = [['X-PAYMENT', 'e30='], ['PAYMENT-SIGNATURE', 'e30=']];
  const cases = { 'both payment headers': both, 'X-PAYMENT twice': [both[0], both[0]], 'PAYMENT-SIGNATURE twice': [both[1], both[1]] };
  for (const [what, headers] of Object.entries(cases)) {
    test(`${what}: 400`, async () => assert.equal((await raw(world.url, '/premium/', { headers })).status, 400));
  }

  test('a valid payment sent twice in one request is refused, and still good', async () => {
    const url = `${world.url}/premium/`;
    const [[name, value]] = Object.entries(await payment(world, url));
    assert.equal((await raw(world.url, '/premium/', { headers: [[name, value], [name, value]] })).status, 400);
    assertPaid(await send(url, { [name]: value }));
  });

  test('another path in a header is refused where an origin might follow it', async () => {
    for (const name of ['X-Original-URL', 'X-Rewrite-URL', 'X_Rewrite_URL', 'SCRIPT_NAME']) {
      for (const path of ['/', '/about', '/premium/']) {
        assert.equal((await send(`${service.url}${path}`, { [name]: '/premium/' })).status, 400, `${name} ${path}`);
      }
    }
    assert.equal((await send(`${service.url}/`)).status, 200);
  });
});

describe('a configuration with faults', () => {
  test('closes what is sold, leaves open what is free, and is logged whole', async () => {
    const broken = await world.startWorker({
      vars: {
        ROUTES: [
          { pattern: '/premium/*', price: 'free' },
          { pattern: '/data/almanac.json', price: '$0.01', settle: 'later' },
          { pattern: '/photos/aurora.jpg', price: '$0.01', networks: ['eip155:1'] },
        ],
        NETWORKS: { [EVM_NETWORK]: { rpc: [world.evm.url], pay_to: '0x1234' }, [SOLANA_NETWORK]: { rpc: [world.solana.url], pay_to: 'nobody' } },
      },
      secrets: { EVM_RELAYER_KEYS: '0xsecret', SOLANA_FEE_PAYER_KEYS: 'nonsense' },
    });
    const keys = [
      'ROUTES[0].price', 'ROUTES[1].settle', 'ROUTES[2].networks', `NETWORKS."${EVM_NETWORK}".pay_to`,
      `NETWORKS."${SOLANA_NETWORK}".pay_to`, 'EVM_RELAYER_KEYS', 'SOLANA_FEE_PAYER_KEYS',
    ];
    for (const path of ['/premium/', '/%70remium/', '/data/almanac.json', '/photos/aurora.jpg']) {
      for (const headers of [{}, BROWSER, { 'x-payment': 'e30=' }]) {
        const { status, text } = await send(`${broken.url}${path}`, headers);
        assert.equal(status, 503, path);
        for (const detail of [...keys, 'ROUTES', 'price', 'RELAYER', 'secret', '0x', 'pay_to']) assert.ok(!text.includes(detail), detail);
      }
    }
    for (const path of ['/', '/about', '/style.css']) assert.equal((await send(`${broken.url}${path}`)).status, 200, path);
    for (const key of keys) await waitFor(() => broken.log().includes(key), { timeout: 5_000, what: `${key} in the log` });
    assert.ok(!broken.log().includes('0xsecret'));
  });
});
