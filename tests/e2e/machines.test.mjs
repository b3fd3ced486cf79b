/** What machines are told where they look first: ours where the origin has none, and the origin's own wherever it has one. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import Ajv from 'ajv';
import { validateDiscoveryExtension, validateDiscoveryExtensionSpec } from '@x402/extensions/bazaar';
import { startWorld } from '../../dev/world.mjs';
import { assertPaid, payment, send } from './support.mjs';
import { answering, startSite } from './site.mjs';

const DOCUMENTS = [
  ['/robots.txt', 'text/plain; charset=utf-8'],
  ['/license.xml', 'application/rsl+xml'],
  ['/.well-known/prices.md', 'text/markdown; charset=utf-8'],
  ['/openapi.json', 'application/json'],
];
const SCHEMA = { type: 'object', required: ['city'], properties: { city: { type: 'string', minLength: 2 } } };
const ROUTES = [
  { pattern: '/premium/*', price: '$0.01', description: 'Tom & Jerry\'s "<best>" | pages', listed: true },
  { pattern: '/weather', price: '$0.25', methods: ['GET'], listed: true, input: { schema: SCHEMA, example: { city: 'Oslo' } }, output: { example: { degrees: -3 } } },
  { pattern: '/orders', price: '$0.02', methods: ['POST'], listed: true, input: { schema: SCHEMA, example: { city: 'Oslo' } } },
  { pattern: '/hidden/*', price: '$9' },
];

let world;
let site;
let url;
before(async () => {
  site = await startSite();
  for (const [path] of DOCUMENTS) site.on(path, answering(404, 'not here'));
  world = await startWorld({ worker: { vars: { ORIGIN: site.url, ROUTES, TELL_MACHINES: true, PAGE: { name: 'A & B <shop>', terms: '/terms?a=1&b=2' } } } });
  ({ url } = world);
});
after(async () => {
  await world?.stop();
  await site?.stop();
});

/** The elements of an XML document, each with its attributes, text and children; throws on what is not well-formed. */
function parseXml(text) {
  const plain = (it) => {
    assert.ok(!/[<>]|&(?!(amp|lt|gt|quot|apos);)/.test(it), it);
    return it.replace(/&(\w+);/g, (_, name) => ({ amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" })[name]);
  };
  const root = { children: [], text: '' };
  const open = [root];
  let at = 0;
  const body = text.replace(/^<\?xml version="1\.0" encoding="UTF-8"\?>\n/, '');
  assert.notEqual(body, text, 'a declaration');
  for (const match of body.matchAll(/<(\/?)([\w:]+)((?:\s+[\w:]+="[^"<]*")*)\s*(\/?)>/g)) {
    const [all, closes, name, attributes, isEmpty] = match;
    open.at(-1).text += plain(body.slice(at, match.index));
    at = match.index + all.length;
    if (closes) {
      assert.equal(open.pop().name, name);
      continue;
    }
    const element = { name, text: '', children: [], attributes: Object.fromEntries([...attributes.matchAll(/([\w:]+)="([^"]*)"/g)].map(([, key, value]) => [key, plain(value)])) };
    open.at(-1).children.push(element);
    if (!isEmpty) open.push(element);
  }
  assert.equal(plain(body.slice(at)).trim(), '');
  assert.equal(open.length, 1, 'all is closed');
  assert.equal(root.children.length, 1, 'one root');
  return root.children[0];
}

describe('an origin that has none of them', () => {
  for (const [path, type] of DOCUMENTS) {
    test(path, async () => {
      const answer = await send(url + path);
      assert.equal(answer.status, 200, answer.text);
      assert.equal(answer.headers.get('content-type'), type);
      assert.equal(answer.headers.get('cache-control'), 'public, max-age=300');
      assert.equal(answer.headers.get('access-control-allow-origin'), '*');
      assert.equal(site.requests.at(-1), path, 'the origin was asked first');
      for (const secret of ['hidden', site.url, '127.0.0.1:8545', '$9']) assert.ok(!answer.text.includes(secret), secret);

      const head = await send(url + path, {}, { method: 'HEAD' });
      assert.deepEqual([head.status, head.text, head.headers.get('etag')], [200, '', answer.headers.get('etag')]);
      const again = await send(url + path, { 'If-None-Match': answer.headers.get('etag') });
      assert.deepEqual([again.status, again.text, again.headers.get('cache-control')], [304, '', 'public, max-age=300']);
      assert.equal((await send(url + path, { 'If-None-Match': '"other"' })).status, 200);
      assert.equal((await send(url + path, {}, { method: 'POST' })).status, 404, 'only what is read is ours');
    });
  }

  test('the licence is well-formed, and names each price once', async () => {
    const rsl = parseXml((await send(`${url}/license.xml`)).text);
    assert.deepEqual([rsl.name, rsl.attributes], ['rsl', { xmlns: 'https://rslstandard.org/rsl' }]);
    const found = rsl.children.map(({ name, attributes, children: [license, terms] }) => {
      const [payment] = license.children;
      const [amount] = payment.children;
      return [name, attributes.url, license.name, payment.name, payment.attributes.type, amount.attributes.currency, amount.text, terms.text];
    });
    const row = (path, price) => ['content', path, 'license', 'payment', 'crawl', 'USD', price, `${url}/terms?a=1&b=2`];
    assert.deepEqual(found, [row('/premium/*', '0.01'), row('/weather$', '0.25')]);
  });

  test('robots.txt and the 402 lead to the licence', async () => {
    assert.match((await send(`${url}/robots.txt`)).text, new RegExp(`^License: ${url}/license\\.xml$`, 'm'));
    const link = `<${url}/license.xml>; rel="license"; type="application/rsl+xml"`;
    assert.equal((await send(`${url}/premium/x`)).headers.get('link'), link);
    const goods = await send(`${url}/premium/x`, await payment(world, `${url}/premium/x`));
    assertPaid(goods);
    assert.equal(goods.headers.get('link'), link);
    assert.equal((await send(`${url}/hidden/x`)).headers.get('link'), null);
    assert.equal((await send(`${url}/free`)).headers.get('link'), null);
  });

  test('the OpenAPI document has the form of one, its schemas are schemas, and what it names answers 402', async () => {
    const { json } = await send(`${url}/openapi.json`);
    const ajv = new Ajv({ strict: false });
    const text = { type: 'string', minLength: 1 };
    const object = (properties, required = Object.keys(properties)) => ({ type: 'object', additionalProperties: false, properties, required });
    const map = (of) => ({ type: 'object', minProperties: 1, additionalProperties: of });
    const content = map(object({ schema: { type: 'object' }, example: {} }, []));
    const operation = object({
      description: text,
      tags: { type: 'array', items: text },
      parameters: { type: 'array', items: object({ name: text, in: { enum: ['query', 'path'] }, required: { type: 'boolean' }, schema: { type: 'object' }, description: text, example: {} }, ['name', 'in', 'schema']) },
      requestBody: object({ required: { const: true }, content }),
      responses: object({ 200: object({ description: text, content }, ['description']), 402: object({ description: text }) }),
      'x-payment-info': object({
        price: object({ mode: { const: 'fixed' }, currency: { const: 'USD' }, amount: { type: 'string', pattern: '^\\d+(\\.\\d+)?$' } }),
        protocols: { const: [{ x402: {} }] },
      }),
    }, ['responses', 'x-payment-info']);
    const openApi = object({
      openapi: { const: '3.1.0' },
      info: object({ title: text, version: text }),
      servers: { type: 'array', minItems: 1, items: object({ url: { const: url } }) },
      paths: { type: 'object', propertyNames: { pattern: '^/' }, additionalProperties: { type: 'object', propertyNames: { enum: ['get', 'post'] }, additionalProperties: operation } },
    });
    const isValid = ajv.validate(openApi, json);
    assert.ok(isValid, ajv.errorsText());
    assert.equal(json.info.title, 'A & B <shop>');
    assert.deepEqual(Object.keys(json.paths).sort(), ['/orders', '/premium/{path}', '/weather']);
    for (const [path, operations] of Object.entries(json.paths)) {
      for (const [method, { parameters = [], 'x-payment-info': { price } }] of Object.entries(operations)) {
        const named = parameters.filter((it) => it.in === 'path').map((it) => `{${it.name}}`);
        assert.deepEqual(path.match(/\{\w+\}/g) ?? [], named, path);
        for (const { schema } of parameters) ajv.compile(schema);
        const { status, challenge } = await send(url + path.replace('{path}', 'a/b'), {}, { method: method.toUpperCase() });
        assert.equal(status, 402, path);
        assert.equal(Number(challenge.accepts[0].amount) / 1e6, Number(price.amount), path);
      }
    }
  });

  test('a challenge with input and output passes the reference\'s own checks', async () => {
    for (const [path, method, input] of [['/weather', 'GET', 'queryParams'], ['/orders', 'POST', 'body']]) {
      const { challenge: { extensions: { bazaar } } } = await send(url + path, {}, { method });
      assert.deepEqual(validateDiscoveryExtension(bazaar), { valid: true }, path);
      assert.deepEqual(validateDiscoveryExtensionSpec(bazaar), { valid: true }, path);
      assert.deepEqual(bazaar.info.input[input], { city: 'Oslo' });
      const wrong = { ...bazaar, info: { ...bazaar.info, input: { ...bazaar.info.input, [input]: { city: 'x' } } } };
      assert.equal(validateDiscoveryExtension(wrong).valid, false, 'the schema is the seller\'s');
    }
  });
});

describe('the origin\'s own word counts', () => {
  for (const [path] of DOCUMENTS) {
    for (const [status, body] of [[200, 'my own'], [410, 'gone'], [403, 'no'], [500, 'broken'], [301, '']]) {
      test(`${path}: ${status}`, async () => {
        site.on(path, answering(status, body, { 'x-own': 'yes', ...(status === 301 ? { location: '/elsewhere' } : {}) }));
        const answer = await send(url + path);
        site.on(path, answering(404, 'not here'));
        assert.deepEqual([answer.status, answer.text, answer.headers.get('x-own')], [status, body, 'yes']);
      });
    }
  }

  test('304 of its own', async () => {
    site.on('/robots.txt', (request, response) => response.writeHead(request.headers['if-none-match'] === '"own"' ? 304 : 200).end());
    const answer = await send(`${url}/robots.txt`, { 'If-None-Match': '"own"' });
    site.on('/robots.txt', answering(404, 'not here'));
    assert.equal(answer.status, 304);
  });
});

test('unasked, only the prices are told; with assets, too', async () => {
  const { url: other } = await world.startWorker({ vars: { ROUTES } });
  const statuses = [];
  for (const [path] of DOCUMENTS) statuses.push((await send(other + path)).status);
  assert.deepEqual(statuses, [404, 404, 200, 404]);
  assert.equal((await send(`${other}/premium/x`)).headers.get('link'), null);
});
