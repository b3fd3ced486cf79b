/** Being found: the extension bazaar in the challenge, and `/.well-known/x402`. The reference's own reader is the judge. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { extractDiscoveryInfo, isValidRouteTemplate, validateDiscoveryExtension, validateDiscoveryExtensionSpec } from '@x402/extensions/bazaar';
import { validatePaymentIdentifier } from '@x402/extensions/payment-identifier';
import { x402Fetch } from '../../dev/clients.mjs';
import { EVM_NETWORK, SOLANA_NETWORK, startWorld } from '../../dev/world.mjs';
import { assertPaid, decode, payment, raw, send, takeApart, unchanged } from './support.mjs';

const WELL_KNOWN = '/.well-known/x402';
const SERVICE = { service_name: 'Northern Lights & Co', tags: ['aurora', 'photos'], icon_url: 'https://shop.example/icon.png' };
const ROUTES = [
  { pattern: '/premium/*', price: '$0.01', description: 'Premium pages', listed: true, payment_identifier: 'optional' },
  { pattern: '/photos/aurora.jpg', price: '$0.02', mime_type: 'image/jpeg', methods: ['GET'], listed: true, ...SERVICE },
  { pattern: '/orders', price: '$0.01', methods: ['POST'], listed: true },
  { pattern: '/data/almanac.json', price: '$0.005', ...SERVICE },
  { pattern: '/secret/*', price: '$1' },
];
const LISTED = [
  { path: '/premium/', method: 'GET', template: '/premium/:var1' },
  { path: '/photos/aurora.jpg', method: 'GET' },
  { path: '/orders', method: 'POST', body: true },
];
const UNLISTED = ['/data/almanac.json', '/secret/'];

let world;
let url;
before(async () => {
  world = await startWorld({ worker: { vars: { ROUTES } } });
  ({ url } = world);
});
after(() => world?.stop());

const challengeOf = async ({ path, method = 'GET' }) => {
  const answer = await send(`${url}${path}`, {}, { method });
  assert.equal(answer.status, 402, `${method} ${path}: ${answer.text}`);
  assert.ok(answer.headers.get('payment-required').length <= 3_000);
  return answer.challenge;
};

/** What a facilitator of the reference makes of a challenge that a client sends back with its payment. */
const cataloged = ({ resource, extensions, accepts: [accepted] }) => extractDiscoveryInfo({ x402Version: 2, resource, accepted, extensions, payload: {} }, accepted);

describe('the challenge of a listed route', () => {
  for (const { path, method, template, body } of LISTED) {
    test(`${method} ${path}: the reference takes it`, async () => {
      const { extensions: { bazaar } } = await challengeOf({ path, method });
      assert.deepEqual(validateDiscoveryExtension(bazaar), { valid: true });
      assert.deepEqual(validateDiscoveryExtensionSpec(bazaar), { valid: true });
      assert.equal(bazaar.routeTemplate, template);
      if (template) assert.equal(isValidRouteTemplate(template), true);
      const input = { type: 'http', method, ...(body ? { bodyType: 'json', body: {} } : {}) };
      assert.deepEqual(bazaar.info, { input });
      // The schema tells right from wrong.
      for (const info of [{ input: { ...input, method: 'TRACE' } }, { input: { ...input, type: 'mcp' } }, { input: {} }, {}]) {
        assert.equal(validateDiscoveryExtension({ ...bazaar, info }).valid, false, JSON.stringify(info));
      }
    });

    test(`${method} ${path}: the reference catalogs it`, async () => {
      const challenge = await challengeOf({ path: `${path}?from=crawler`, method });
      const found = cataloged(challenge);
      assert.equal(found.resourceUrl, `${url}${template ?? path}`);
      assert.equal(found.method, method);
      assert.equal(found.routeTemplate, template);
      assert.equal(found.x402Version, 2);
    });
  }

  test('who sells it survives the reference, listed or not', async () => {
    const { challenge } = await send(`${url}/photos/aurora.jpg`);
    const { serviceName, tags, iconUrl, mimeType } = cataloged(challenge);
    assert.deepEqual({ serviceName, tags, iconUrl, mimeType }, { serviceName: SERVICE.service_name, tags: SERVICE.tags, iconUrl: SERVICE.icon_url, mimeType: 'image/jpeg' });
    const unlisted = await challengeOf({ path: '/data/almanac.json' });
    assert.deepEqual(unlisted.resource, { url: `${url}/data/almanac.json`, serviceName, tags, iconUrl });
  });

  test('holds the name of a payment as well', async () => {
    const { extensions } = await challengeOf({ path: '/premium/' });
    assert.deepEqual(Object.keys(extensions).sort(), ['bazaar', 'payment-identifier']);
    assert.deepEqual(validatePaymentIdentifier(extensions['payment-identifier']), { valid: true });
  });

  for (const network of [EVM_NETWORK, SOLANA_NETWORK]) {
    test(`is paid by the reference client on ${network}, which sends it back`, async () => {
      assertPaid(await takeApart(await x402Fetch({ ...world.buyer(network === EVM_NETWORK ? 1 : 0), network })(`${url}/premium/`)));
    });
  }

  test('is paid by hand, with all of it sent back', async () => {
    const { extensions, resource } = await challengeOf({ path: '/premium/' });
    const headers = await payment(world, `${url}/premium/`);
    const paid = { ...decode(headers['payment-signature']), extensions, resource };
    assertPaid(await send(`${url}/premium/`, { 'payment-signature': Buffer.from(JSON.stringify(paid)).toString('base64') }));
  });
});

describe('the well-known document', () => {
  test('names what is listed, for everyone to read and to keep for a while', async () => {
    const answer = await unchanged(world, () => send(`${url}${WELL_KNOWN}`));
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.json, { version: 1, resources: LISTED.map(({ path }) => `${url}${path}`) });
    assert.equal(answer.headers.get('content-type'), 'application/json');
    assert.equal(answer.headers.get('access-control-allow-origin'), '*');
    assert.match(answer.headers.get('cache-control'), /^public, max-age=\d{2,3}$/);
    assert.equal((await send(`${url}${WELL_KNOWN}?v=1`)).status, 200);
  });

  test('HEAD tells the same without it', async () => {
    const answer = await send(`${url}${WELL_KNOWN}`, {}, { method: 'HEAD' });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('content-type'), 'application/json');
    assert.equal(answer.text, '');
  });

  test('says no more of the host than the request did', async () => {
    const { hostname, port } = new URL(url);
    const { text } = await raw(url, WELL_KNOWN, { headers: [['X-Forwarded-Host', 'evil.example'], ['Forwarded', 'host=evil.example']] });
    assert.ok(!text.includes('evil'), text);
    assert.ok(text.includes(`http://${hostname}:${port}/premium/`), text);
  });

  test('each of its URLs asks for a payment', async () => {
    const { json: { resources } } = await send(`${url}${WELL_KNOWN}`);
    for (const [n, resource] of resources.entries()) {
      const { status, challenge } = await send(resource, {}, { method: LISTED[n].method });
      assert.equal(status, 402, resource);
      assert.equal(challenge.resource.url, resource);
    }
  });

  test('other methods and other spellings are the site\'s', async () => {
    for (const method of ['POST', 'PUT', 'DELETE']) assert.notEqual((await send(`${url}${WELL_KNOWN}`, {}, { method })).status, 200, method);
    assert.equal((await send(`${url}${WELL_KNOWN}/more`)).status, 404);
  });
});

test('an unlisted route is nowhere but in its own challenge', async () => {
  const { text } = await send(`${url}${WELL_KNOWN}`);
  for (const path of UNLISTED) {
    assert.ok(!text.includes(path), `${path}: ${text}`);
    const challenge = await challengeOf({ path });
    assert.equal(challenge.extensions, undefined);
    assert.equal(cataloged(challenge), null);
  }
});

/** The URL of another Worker on the same chains, with routes of its own. */
const shopWith = async (routes) => (await world.startWorker({ vars: { ROUTES: routes } })).url;

test('where nothing is listed the path is the origin\'s', async () => {
  const shop = await shopWith([{ pattern: '/premium/*', price: '$0.01', ...SERVICE }]);
  const answer = await send(`${shop}${WELL_KNOWN}`);
  assert.equal(answer.status, 404);
  assert.match(answer.headers.get('content-type'), /^text\/html/);
  assert.equal((await send(`${shop}/premium/`)).challenge.extensions, undefined);
});

test('a shop that sells everything, this path too, can still be found', async () => {
  const shop = await shopWith([{ pattern: '/*', price: '$0.01', listed: true }, { pattern: WELL_KNOWN, price: '$1' }]);
  const { json, status } = await send(`${shop}${WELL_KNOWN}`);
  assert.equal(status, 200);
  assert.deepEqual(json, { version: 1, resources: [`${shop}/`] });
  // Nothing is given away by another spelling or method.
  for (const [path, method] of [[WELL_KNOWN, 'POST'], [`${WELL_KNOWN}/`, 'GET'], ['/.WELL-KNOWN/x402', 'GET'], ['/', 'GET']]) {
    assert.equal((await send(`${shop}${path}`, {}, { method })).status, 402, `${method} ${path}`);
  }
  const { challenge } = await send(`${shop}/`);
  assert.deepEqual(validateDiscoveryExtension(challenge.extensions.bazaar), { valid: true });
  assert.equal(cataloged(challenge).resourceUrl, `${shop}/`);
});

test('a shop that sells everything and lists nothing sells this path, too', async () => {
  const shop = await shopWith([{ pattern: '/*', price: '$0.01' }]);
  assert.equal((await send(`${shop}${WELL_KNOWN}`)).status, 402);
});

test('a shop with a fault in its configuration lists nothing', async () => {
  const shop = await shopWith([{ pattern: '/premium/*', price: 'free', listed: true }]);
  assert.equal((await send(`${shop}${WELL_KNOWN}`)).status, 404);
});
