/** Signing in at the desk: who gets a session, what ends it, and who never sees it. */
import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { after, before, test } from 'node:test';
import { startWorld } from '../../dev/world.mjs';
import { startSite } from './site.mjs';
import { send } from './support.mjs';

const SALES = '/.edge402/sales';
const SESSION = '/.edge402/desk/session';
const TOKEN = 'a token';
const hashOf = (token) => createHash('sha256').update(token).digest('hex');
const FROM_HERE = { 'sec-fetch-site': 'same-origin', 'content-type': 'application/json' };
const tokens = (...all) => ({ secrets: { DESK_TOKENS: all.map(hashOf).join(',') } });

let world;
let url;
before(async () => {
  world = await startWorld({ worker: tokens(TOKEN, 'another') });
  ({ url } = world);
});
after(() => world?.stop());

const signIn = (token, headers = FROM_HERE, at = url) => send(`${at}${SESSION}`, headers, { method: 'POST', body: JSON.stringify({ token }) });
const signOut = (cookie, headers = FROM_HERE) => send(`${url}${SESSION}`, { ...headers, cookie }, { method: 'DELETE' });
const salesWith = (cookie, at = url) => send(`${at}${SALES}`, { cookie });
const cookieOf = (answer) => answer.headers.get('set-cookie').split(';')[0];

async function session(at = url) {
  const answer = await signIn(TOKEN, FROM_HERE, at);
  assert.equal(answer.status, 204, answer.text);
  return cookieOf(answer);
}

/** Until the minute of tries that others have used up is over, a wrong token may be 429. */
const isRefused = ({ status }) => assert.ok(status === 401 || status === 429, String(status));

test('a token opens a session, which reads the sales until it is signed out', async () => {
  const cookie = await session();
  const other = await session();
  assert.notEqual(cookie, other);
  assert.deepEqual((await salesWith(cookie)).json, { sales: [], next: null });
  assert.equal((await salesWith(`a=b; ${cookie}; c=d`)).status, 200);
  const out = await signOut(cookie);
  assert.equal(out.status, 204);
  assert.match(out.headers.get('set-cookie'), /^edge402_desk=; .*Max-Age=0/);
  isRefused(await salesWith(cookie));
  assert.equal((await salesWith(other)).status, 200, 'another browser stays signed in');
  assert.equal((await signOut(cookie)).status, 204, 'once more');
});

test('a hash is no token, and makes no session', async () => {
  isRefused(await signIn(hashOf(TOKEN)));
  const number = `0x${'5a'.repeat(32)}`;
  const key = Buffer.from(hashOf(TOKEN), 'hex');
  const code = createHmac('sha256', key).update(`edge402 desk session 1\n${number}\n`).digest('hex');
  isRefused(await salesWith(`edge402_desk=${number}.0x${code}`));
});

test('nobody signs in, out or anything else from another site', async () => {
  const cookie = await session();
  for (const headers of [{}, { 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site', origin: url }, { origin: 'https://evil.example' }, { origin: 'null' }]) {
    assert.equal((await signIn(TOKEN, headers)).status, 403, JSON.stringify(headers));
    assert.equal((await signOut(cookie, headers)).status, 403);
    assert.equal((await send(`${url}${SALES}`, { ...headers, cookie }, { method: 'POST' })).status, 403);
  }
  assert.equal((await salesWith(cookie)).status, 200);
  assert.equal((await signIn(TOKEN, { origin: url })).status, 204, 'a browser that knows no Sec-Fetch-Site');
  assert.equal((await signIn(TOKEN, { authorization: `Bearer ${TOKEN}` })).status, 204, 'a program');
});

test('what can’t be read signs nobody in', async () => {
  for (const body of ['', '{}', 'null', '{"token":7}', '{"token":""}', `{"token":"${TOKEN}"`, `{"token":"x","token":"${TOKEN}"}`, '\u0000']) {
    isRefused(await send(`${url}${SESSION}`, FROM_HERE, { method: 'POST', body }));
  }
  const long = await send(`${url}${SESSION}`, FROM_HERE, { method: 'POST', body: JSON.stringify({ token: TOKEN, more: 'x'.repeat(5_000) }) });
  assert.equal(long.status, 400);
  const { status, headers } = await send(`${url}${SESSION}`);
  assert.deepEqual([status, headers.get('allow')], [405, 'POST, DELETE']);
});

test('a thousand wrong tokens keep no good one out, nor a session', async () => {
  const { url: own } = await world.startWorker(tokens(TOKEN));
  const cookie = await session(own);
  const seen = {};
  for (let n = 0; n < 50; n += 1) {
    const answers = await Promise.all(Array.from({ length: 20 }, (_, k) => signIn(`wrong ${n} ${k}`, FROM_HERE, own)));
    for (const { status } of answers) seen[status] = (seen[status] ?? 0) + 1;
  }
  assert.deepEqual(Object.keys(seen).sort(), ['401', '429']);
  assert.ok(seen['401'] <= 40, `${seen['401']} were looked at`);
  assert.equal((await salesWith(cookie, own)).status, 200);
  await session(own);
});

test('there are so many sessions, and the oldest ends', async () => {
  const { url: own } = await world.startWorker(tokens(TOKEN));
  const first = await session(own);
  for (let n = 0; n < 70; n += 1) await session(own);
  isRefused(await salesWith(first, own));
  assert.equal((await salesWith(await session(own), own)).status, 200);
});

test('a session ends when its token is taken away', async () => {
  const persist = `.dev/desk-${process.pid}`;
  const first = await world.startWorker({ ...tokens(TOKEN, 'another'), persist });
  const cookie = await session(first.url);
  await first.stop();
  const same = await world.startWorker({ ...tokens('another', TOKEN), persist });
  assert.equal((await salesWith(cookie, same.url)).status, 200, 'it outlives the Worker');
  await same.stop();
  const last = await world.startWorker({ ...tokens('another'), persist });
  isRefused(await salesWith(cookie, last.url));
});

test('all of it is closed without tokens, and the page holds no data', async () => {
  const { url: closed } = await world.startWorker();
  for (const path of [SALES, '/.edge402/desk']) assert.equal((await send(`${closed}${path}`)).status, 404, path);
  assert.equal((await signIn(TOKEN, FROM_HERE, closed)).status, 404);
  for (const path of ['/.edge402/desk', '/.edge402/desk/']) {
    const { status, headers } = await send(`${url}${path}`);
    assert.equal(status, 200);
    assert.match(headers.get('content-security-policy'), /^default-src 'none'; script-src 'sha256-[^ ]+'; style-src 'sha256-[^ ]+'; .*frame-ancestors 'none'$/);
    assert.equal(headers.get('cache-control'), 'no-store');
    assert.equal(headers.get('access-control-allow-origin'), null);
  }
});

test('no origin sees what is asked of the Worker itself, nor the session', async () => {
  const site = await startSite();
  try {
    const { url: own } = await world.startWorker({ vars: { ORIGIN: site.url }, ...tokens(TOKEN) });
    const cookie = await session(own);
    for (const path of ['', '/', '/desk', '/desk/', '/desk/session', '/desk/state', '/sales', '/sales/export', '/anything', '/../.edge402/desk', '/%64esk', '%2Fdesk', '%5cdesk', ';x/sales', '%3Bx/sales']) {
      await send(`${own}/.edge402${path}`, { cookie });
      await send(`${own}/.edge402${path}`, { ...FROM_HERE, cookie }, { method: 'PUT' });
    }
    assert.deepEqual(site.requests, []);
    // A cookie is for a path, but whoever sends it elsewhere shows it to nobody.
    for (const path of ['/free', '/.EDGE402/desk', '//.edge402/desk', '/%2eedge402/desk', '/.edge402x', '/x/.edge402/desk']) {
      const { json, status } = await send(`${own}${path}`, { cookie: `theme=dark; ${cookie}` });
      if (status === 200) assert.equal(json.headers.cookie, 'theme=dark', path);
    }
    assert.ok(site.requests.length >= 3, String(site.requests));
    assert.ok(site.requests.every((path) => !path.startsWith('/.edge402/')), String(site.requests));
  } finally {
    await site.stop();
  }
});
