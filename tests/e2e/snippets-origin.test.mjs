/** docs/origin.md: what an origin is told, and by what it knows the gate. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { parse } from 'smol-toml';
import { startWorld } from '../../dev/world.mjs';
import { snippet } from '../documents/snippets.mjs';
import { answering, startSite } from './site.mjs';
import { assertPaid, payment, raw, send } from './support.mjs';

const ROUTES = [{ pattern: '/premium/*', price: '$0.01' }, { pattern: '/first/*', price: '$0.01', settle: 'before' }];
const ECHO = 'export default { fetch: ({ headers }) => Response.json({ headers: Object.fromEntries(headers) }) };';
const PAGE_OF_PEOPLE = { accept: 'text/html', 'sec-fetch-dest': 'document' };

/** The headers that the origin got, in an answer that may be in chunks. */
const told = ({ text }) => JSON.parse(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1)).headers;

let world;
let site;
before(async () => {
  [world, site] = await Promise.all([startWorld({ worker: false }), startSite()]);
});
after(async () => {
  await world?.stop();
  await site?.stop();
});

describe('let only the gate in', () => {
  const KEY = '5ec7e7';
  const { ORIGIN_HEADERS } = parse(snippet('docs/origin.md', '[vars]\nORIGIN')).vars;
  const withKey = (vars, more = {}) => world.startWorker({ vars: { ORIGIN: site.url, ROUTES, ORIGIN_HEADERS, ...vars }, secrets: { ORIGIN_KEY: KEY }, ...more });
  const assertKnown = (headers, what) => assert.deepEqual([headers['x-origin-key'], headers['x-from']], [KEY, 'edge402'], what);

  let url;
  before(async () => ({ url } = await withKey()));

  test('each request brings the headers, free or sold, whatever the client says', async () => {
    const headers = [['X-ORIGIN-KEY', 'mine'], ['x-origin-key', 'mine, too'], ['X-From', '']];
    assertKnown(told(await raw(url, '/free', { headers })), 'free');
    assertKnown((await send(`${url}/free`, {}, { method: 'POST', body: 'x' })).json.headers, 'a free POST');
    for (const path of ['/premium/a', '/first/a']) {
      const answer = await send(url + path, { ...await payment(world, url + path), 'x-origin-key': 'mine' });
      assertPaid(answer);
      assertKnown(answer.json.headers, path);
      for (const name of ['x-origin-key', 'x-from']) assert.equal(answer.headers.get(name), null);
    }
  });

  test('a service gets them, too', async () => {
    const service = await withKey({ ORIGIN: 'service' }, { services: [{ binding: 'ORIGIN_SERVICE', script: ECHO }] });
    assertKnown((await send(`${service.url}/free`, { 'x-origin-key': 'mine' })).json.headers);
    const paid = `${service.url}/premium/a`;
    assertKnown((await send(paid, await payment(world, paid))).json.headers);
  });

  test('no redirect takes them to another host', async () => {
    const other = await startSite();
    try {
      const away = answering(302, '', { location: `${other.url}/stolen` });
      for (const path of ['/free/away', '/premium/away', '/first/away', '/till.html']) site.on(path, away);
      assert.equal((await send(`${url}/free/away`)).headers.get('location'), `${other.url}/stolen`);
      for (const path of ['/premium/away', '/first/away']) {
        assert.equal((await send(url + path, await payment(world, url + path))).headers.get('location'), `${other.url}/stolen`);
      }
      const { url: shop, log } = await withKey({ PAGE: { template: '/till.html' } });
      const asked = site.requests.length;
      assert.equal((await send(`${shop}/premium/`, PAGE_OF_PEOPLE)).status, 402);
      assert.ok(site.requests.slice(asked).includes('/till.html'), log());
      assert.deepEqual(other.requests, []);
    } finally {
      await other.stop();
    }
  });

  test('without the secret nothing is sold, and the log names it', async () => {
    const gate = await withKey({}, { secrets: { ORIGIN_KEY: undefined } });
    assert.equal((await send(`${gate.url}/premium/a`)).status, 503);
    assert.equal((await send(`${gate.url}/free`)).json.headers['x-origin-key'], undefined);
    assert.match(gate.log(), /ORIGIN_KEY: is needed for ORIGIN_HEADERS\."X-Origin-Key": wrangler secret put ORIGIN_KEY/);
  });
});
