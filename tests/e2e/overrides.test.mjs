/** Prices and a switch that the seller sets at `/.edge402/desk/overrides`, without deploying. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { devPath, freePort } from '../../dev/util.mjs';
import { EVM_NETWORK, startWorld } from '../../dev/world.mjs';
import { assertPaid, assertRefused, evmPayload, offerOf, PAGE, paymentHeader, send, unchanged } from './support.mjs';

const OVERRIDES = '/.edge402/desk/overrides';
const TOKEN = 'a token';
const PERSISTED = `overrides-${process.pid}`;
const HASH = createHash('sha256').update(TOKEN).digest('hex');
const SELLER = { authorization: `Bearer ${TOKEN}` };
const ROUTES = [
  { pattern: PAGE, price: '$0.01', payment_identifier: 'optional', listed: true },
  { pattern: '/data/almanac.json', price: '$0.005' },
];

let world;
before(async () => {
  world = await startWorld({ worker: { vars: { ROUTES }, secrets: { DESK_TOKENS: HASH } } });
});
after(async () => {
  await world?.stop();
  rmSync(devPath(PERSISTED), { recursive: true, force: true });
});

const shown = async (url = world.url) => (await send(`${url}${OVERRIDES}`, SELLER)).json;
const put = (body, url = world.url) => send(`${url}${OVERRIDES}`, SELLER, { method: 'PUT', body: JSON.stringify(body) });

async function set(route, price, on, url) {
  const { status, json } = await put({ route, price, on }, url);
  assert.equal(status, 200, JSON.stringify(json));
  return json;
}

/** A signed payment for what the page costs now. */
async function signed(url = `${world.url}${PAGE}`) {
  const offer = await offerOf(url, EVM_NETWORK);
  const payload = await evmPayload(world.accounts.evm.buyers[0], offer);
  const id = `pay_${createHash('sha256').update(payload.signature).digest('hex').slice(0, 32)}`;
  const extensions = { 'payment-identifier': { info: { required: false, id } } };
  return { offer, headers: paymentHeader(2, offer, payload, { extensions }) };
}

const buy = ({ headers }) => send(`${world.url}${PAGE}`, headers);

function assertOff(answer) {
  assert.equal(answer.status, 503, answer.text);
  assert.equal(answer.headers.get('retry-after'), '300');
  assert.match(answer.json.error, /does not sell this at the moment; nothing was charged/);
  assert.equal(answer.challenge, undefined);
}

test('is the seller’s alone', async () => {
  for (const method of ['GET', 'PUT']) assert.equal((await send(`${world.url}${OVERRIDES}`, {}, { method })).status, 401);
  const { url } = await world.startWorker({ secrets: {} });
  assert.equal((await send(`${url}${OVERRIDES}`, SELLER)).status, 404);
  assert.equal((await send(`${world.url}${OVERRIDES}`, SELLER, { method: 'POST' })).status, 405);
});

test('a price changes, and who has signed the old one is not charged', async () => {
  const before = await signed();
  const bought = await signed();
  const receipt = assertPaid(await buy(bought));
  const { routes, history } = await set(PAGE, '$0.02', true);
  assert.deepEqual(routes[0], { route: PAGE, price: '$0.02', on: true, default_price: '$0.01' });
  assert.deepEqual({ ...history[0], time: 0 }, { time: 0, who: HASH.slice(0, 8), route: PAGE, price: '$0.02', on: true });
  assert.ok(Math.abs(history[0].time - Date.now() / 1_000) < 600);
  await unchanged(world, async () => {
    const answer = await buy(before);
    assertRefused(answer, 'invalid_payment_requirements');
    assert.ok(answer.challenge.accepts.every(({ amount }) => amount === '20000'));
    // What was bought at the old price is had again.
    assert.equal(assertPaid(await buy(bought)).transaction, receipt.transaction);
  });
  const dear = await signed();
  assert.equal(dear.offer.amount, '20000');
  assert.equal(assertPaid(await buy(dear)).amount, '20000');
  // Lowered, and set back.
  await set(PAGE, '$0.001', true);
  assert.equal((await signed()).offer.amount, '1000');
  await unchanged(world, async () => assertPaid(await buy(dear)));
  await set(PAGE, null, true);
  assert.equal((await signed()).offer.amount, '10000');
  assertPaid(await buy(before));
});

test('what is off is not sold, and what was bought is still to be had', async () => {
  const before = await signed();
  const bought = await signed();
  assertPaid(await buy(bought));
  const listed = async () => (await send(`${world.url}/.well-known/x402`)).json.resources;
  assert.deepEqual(await listed(), [`${world.url}${PAGE}`]);
  await set(PAGE, null, false);
  await unchanged(world, async () => {
    for (const headers of [{}, { accept: 'text/html' }, before.headers]) assertOff(await send(`${world.url}${PAGE}`, headers));
    assertPaid(await buy(bought));
  });
  assert.deepEqual(await listed(), []);
  assert.equal((await send(`${world.url}/`)).status, 200);
  assert.equal((await send(`${world.url}/data/almanac.json`)).status, 402);
  await set(PAGE, null, true);
  assertPaid(await buy(before));
});

test('what can’t be is refused with a sentence', async () => {
  const { history } = await shown();
  for (const [body, part] of [
    [{ route: PAGE, price: '$0', on: true }, /is zero/],
    [{ route: PAGE, price: '$0.0000001', on: true }, /finer than the 6 decimals of USDC/],
    [{ route: '/none', price: null, on: false }, /there is no route/],
    [{ route: PAGE }, /the body must be/],
    ['x'.repeat(5_000), /too long/],
  ]) {
    const { status, json } = await put(body);
    assert.equal(status, 400, JSON.stringify(json));
    assert.match(json.error, part);
  }
  assert.deepEqual((await shown()).history, history);
});

test('what a change does not name stays as it is', async () => {
  assert.equal((await put({ route: PAGE, on: false })).json.routes[0].on, false);
  // As a page of the desk does that was opened before.
  const { status, json } = await put({ route: PAGE, price: '$0.03' });
  assert.deepEqual([status, json.routes[0], json.published], [200, { route: PAGE, price: '$0.03', on: false, default_price: '$0.01' }, true]);
  assertOff(await send(`${world.url}${PAGE}`));
  await put({ route: PAGE, on: true });
  assert.equal((await signed()).offer.amount, '30000');
  await set(PAGE, null, true);
});

test('a switch outlives a restart, and a KV that fails', async () => {
  const options = { name: PERSISTED, port: await freePort(), persist: true, vars: { ROUTES }, secrets: { DESK_TOKENS: HASH } };
  const first = await world.startWorker(options);
  await set(PAGE, null, false, first.url);
  assertOff(await send(`${first.url}${PAGE}`));
  await first.stop();
  const again = await world.startWorker(options);
  // The first thing that it is asked for.
  assert.ok(!(await send(`${again.url}/.well-known/prices.md`)).text.includes(PAGE), 'what is off is not listed');
  assertOff(await send(`${again.url}${PAGE}`));
  assert.equal((await send(`${again.url}/data/almanac.json`)).status, 402);
  await again.stop();
  // A KV that still says what it said before the switch.
  const old = 'import { WorkerEntrypoint } from "cloudflare:workers"; export default class extends WorkerEntrypoint { get() { return null; } put() {} }';
  const outdated = await world.startWorker({ ...options, bindings: { kv_namespaces: [] }, services: [{ binding: 'REPLAY', script: old }] });
  assertOff(await send(`${outdated.url}${PAGE}`));
  assert.equal((await send(`${outdated.url}/data/almanac.json`)).status, 402);
  await outdated.stop();
  // Nothing that answers as KV does.
  const script = 'export default { fetch: () => new Response("no", { status: 500 }) };';
  const broken = await world.startWorker({ ...options, bindings: { kv_namespaces: [] }, services: [{ binding: 'REPLAY', script }] });
  assertOff(await send(`${broken.url}${PAGE}`));
  assert.equal((await send(`${broken.url}/data/almanac.json`)).status, 402, 'what is known of it is that it is on');
  const { status, json } = await put({ route: PAGE, on: true }, broken.url);
  assert.equal(status, 202, 'kept, but KV has not taken it');
  assert.deepEqual([json.routes[0].on, json.published], [true, false]);
  assert.equal((await shown(broken.url)).published, false);
  assert.equal((await send(`${broken.url}${PAGE}`)).status, 402);
});
