/** Webhooks: what a receiver gets, signed, and what becomes of what it doesn't take. */
import assert from 'node:assert/strict';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { Webhook } from 'standardwebhooks';
import { waitFor } from '../../dev/util.mjs';
import { snippet } from '../documents/snippets.mjs';
import { EVM_NETWORK, SOLANA_NETWORK, startWorld } from '../../dev/world.mjs';
import { assertPaid, PAGE, payment, send } from './support.mjs';

const TOKEN = 'a token';
const SELLER = { authorization: `Bearer ${TOKEN}` };
const KEY = randomBytes(32);
const WEBHOOK_SECRET = `whsec_${KEY.toString('base64')}`;

let world;
let receiver;
/** What comes: `{ id, time, signatures, body, event }`. */
const got = [];
/** What the receiver answers with; by default all is well. */
let answer = (response) => response.writeHead(204).end();

before(async () => {
  receiver = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    const { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': signature, 'content-type': type } = request.headers;
    got.push({ id, time, signatures: signature.split(' '), type, method: request.method, path: request.url, body, event: JSON.parse(body) });
    answer(response);
  });
  await new Promise((done) => receiver.listen(0, '127.0.0.1', done));
  const url = `http://127.0.0.1:${receiver.address().port}/in`;
  const DESK_TOKENS = createHash('sha256').update(TOKEN).digest('hex');
  world = await startWorld({ worker: { vars: { WEBHOOKS: [{ url, events: ['sale'] }] }, secrets: { DESK_TOKENS, WEBHOOK_SECRET } } });
});
after(async () => {
  receiver?.close();
  await world?.stop();
});

const shown = async () => (await send(`${world.url}/.edge402/desk/webhooks`, SELLER)).json.webhooks[0];

async function buy(query, network = EVM_NETWORK) {
  const url = `${world.url}${PAGE}?${query}`;
  return assertPaid(await send(url, await payment(world, url, { network })));
}

/** As the specification has it: HMAC-SHA256 over id, timestamp and body. */
function assertSigned({ id, time, signatures, body }) {
  const expected = createHmac('sha256', KEY).update(`${id}.${time}.${body}`).digest('base64');
  assert.deepEqual(signatures, [`v1,${expected}`]);
  assert.ok(Math.abs(Number(time) - Date.now() / 1_000) < 600);
}

/** As the specification's own library has it. */
const verify = ({ id, time, signatures }, body) =>
  new Webhook(WEBHOOK_SECRET).verify(body, { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': signatures.join(' ') });

test('each sale is told, signed, once it is taken', async () => {
  const { transaction } = await buy('1');
  await waitFor(() => got.length === 1, { what: 'the sale' });
  assertSigned(got[0]);
  assert.deepEqual(verify(got[0], got[0].body), got[0].event);
  assert.throws(() => verify(got[0], `${got[0].body} `));
  const { type, method, path, event } = got[0];
  assert.deepEqual([type, method, path, event.type], ['application/json', 'POST', '/in', 'sale']);
  assert.match(event.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  const { json } = await send(`${world.url}/.edge402/sales`, SELLER);
  const { delivered: _, ...row } = json.sales[0];
  const { delivered: __, ...told } = event.data;
  assert.deepEqual(told, row);
  assert.equal(told.transaction, transaction);
  const solana = await buy('2', SOLANA_NETWORK);
  await waitFor(() => got.length === 2, { what: 'the other sale' });
  assert.equal(got[1].event.data.transaction, solana.transaction);
  assert.notEqual(got[0].id, got[1].id);
  const { events, pending, last, failing_since: failing } = await waitFor(async () => {
    const it = await shown();
    return it.pending === 0 && it;
  }, { what: 'both taken' });
  assert.deepEqual([events, pending, last.status, failing], [['sale'], 0, 204, null]);
});

test('what is not taken comes again, the same, holds up nothing, and redirects lead nowhere', async () => {
  got.length = 0;
  answer = (response) => response.writeHead(302, { location: '/elsewhere' }).end();
  const first = await buy('3');
  await waitFor(() => got.length === 1, { what: 'the first try' });
  const second = await buy('4');
  const failing = await waitFor(async () => {
    const it = await shown();
    return it.pending === 2 && it.failing_since && it;
  }, { what: 'that it fails' });
  assert.equal(failing.last.status, 302);
  answer = (response) => response.writeHead(200).end('ok');
  await waitFor(async () => (await shown()).pending === 0, { timeout: 60_000, what: 'both' });
  for (const it of got) assertSigned(it);
  const of = ({ transaction }) => got.filter(({ event }) => event.data.transaction === transaction).map(({ id, body }) => `${id} ${body}`);
  assert.ok(of(first).length >= 2, 'again');
  assert.deepEqual([first, second].map((sale) => new Set(of(sale)).size), [1, 1], 'the same each time');
  assert.notEqual(of(first)[0], of(second)[0]);
  assert.ok(got.every(({ path }) => path === '/in'));
  await waitFor(async () => (await shown()).failing_since === null, { what: 'that it fails no more' });
});

test('how they are doing is the seller’s alone', async () => {
  assert.equal((await send(`${world.url}/.edge402/desk/webhooks`)).status, 401);
});

test('what the document has checks a message', async () => {
  const text = snippet('docs/webhooks.md', 'import { createHmac');
  const { isOurs } = await import(`data:text/javascript,${encodeURIComponent(text)}`);
  const { id, time, signatures, body } = got.at(-1);
  const headers = { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': signatures.join(' ') };
  assert.equal(isOurs(headers, body, WEBHOOK_SECRET), true);
  assert.equal(isOurs({ ...headers, 'webhook-signature': `v1a,x v1,${Buffer.alloc(32).toString('base64')} ${signatures[0]}` }, body, WEBHOOK_SECRET), true);
  assert.equal(isOurs(headers, `${body} `, WEBHOOK_SECRET), false);
  assert.equal(isOurs({ ...headers, 'webhook-timestamp': String(Number(time) - 600) }, body, WEBHOOK_SECRET), false);
});
