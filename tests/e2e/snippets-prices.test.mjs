/** docs/prices.md: an origin with two models, whose price the body says, bought by unmodified `@x402/fetch`. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { parse } from 'smol-toml';
import { x402Fetch } from '../../dev/clients.mjs';
import { serve } from '../../dev/servers/serve.mjs';
import { startWorld } from '../../dev/world.mjs';
import { snippet } from '../documents/snippets.mjs';
import { assertPaid, decode, evmPayload, ledger, paymentHeader, send, unchanged } from './support.mjs';

const CHAT = '/v1/chat/completions';
const { ROUTES } = parse(snippet('docs/prices.md', '[[vars.ROUTES]]\npattern = "/v1/chat/completions"')).vars;

let world;
let origin;
let url;
before(async () => {
  origin = await serve(async (request) => {
    if (new URL(request.url).pathname !== CHAT) return Response.json({ quality: request.headers.get('x-quality') });
    const { model, messages } = await request.json();
    return Response.json({ object: 'chat.completion', model, choices: [{ message: { role: 'assistant', content: messages.at(-1).content } }] });
  });
  world = await startWorld({ worker: false });
  const routes = [...ROUTES, { pattern: '/work', price: '$0.05', prices: [{ when: { header: { 'X-Quality': 'low' } }, price: '$0.01' }] }];
  ({ url } = await world.startWorker({ vars: { ORIGIN: origin.url, ROUTES: routes } }));
});
after(async () => {
  await world?.stop();
  await origin?.stop();
});

const asking = (model, more = {}) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ model, messages: [{ role: 'user', content: `to ${model}` }], ...more }),
});

/** The headers of a payment of what a request costs. */
async function payingFor(target, headers = {}, init = {}) {
  const { challenge } = await send(target, headers, init);
  const [offer] = challenge.accepts;
  return paymentHeader(2, offer, await evmPayload(world.accounts.evm.buyers[0], offer));
}

test('each model costs its price, and the seller has it', async () => {
  const pay = x402Fetch(world.buyer());
  for (const [model, price] of [['mini-1', 10_000n], ['small-2', 20_000n], ['large', 50_000n]]) {
    const start = await ledger(world);
    const answer = await pay(url + CHAT, asking(model));
    const text = await answer.text();
    assert.equal(answer.status, 200, text);
    assert.equal(JSON.parse(text).model, model);
    assert.equal(JSON.parse(text).choices[0].message.content, `to ${model}`);
    assert.equal(decode(answer.headers.get('payment-response')).success, true);
    const end = await ledger(world);
    assert.equal(end.evmSeller - start.evmSeller, price, model);
  }
});

test('what was paid for one model buys no other', async () => {
  const cheap = await payingFor(url + CHAT, {}, asking('mini-1'));
  const refused = await send(url + CHAT, cheap, asking('large'));
  assert.equal(refused.status, 402);
  assert.equal(refused.challenge.accepts[0].amount, '50000');
  const start = await ledger(world);
  assertPaid(await send(url + CHAT, cheap, asking('mini-1')));
  const end = await ledger(world);
  assert.equal(end.evmSeller - start.evmSeller, 10_000n);
});

test('a body that can be read in two ways, or not at all, costs the most', async () => {
  const asked = async (body, type = 'application/json') => {
    const { status, challenge } = await send(url + CHAT, { 'content-type': type }, { method: 'POST', body });
    assert.equal(status, 402);
    return challenge.accepts[0].amount;
  };
  const mini = asking('mini-1').body;
  assert.equal(await asked(mini), '10000');
  assert.equal(await asked(mini, 'text/plain'), '50000');
  assert.equal(await asked(mini.replace('{', '{"model":"large",')), '50000');
  const empty = asking('mini-1', { x: '' }).body.length;
  const ofLength = (length) => asking('mini-1', { x: 'x'.repeat(length - empty) }).body;
  assert.equal(await asked(ofLength(65_536)), '10000');
  assert.equal(await asked(ofLength(65_537)), '50000');
});

test('what was paid with one header collects nothing with another', async () => {
  const low = { 'x-quality': 'low' };
  const paid = await payingFor(`${url}/work`, low);
  const first = await send(`${url}/work`, { ...paid, ...low });
  assertPaid(first);
  assert.equal(first.json.quality, 'low');
  assert.equal((await send(`${url}/work`, { ...paid, 'x-quality': 'high' })).status, 402);
  assert.equal((await send(`${url}/work`, paid)).status, 402);
  assertPaid(await send(`${url}/work`, { ...paid, ...low }));
});

test('what was paid dearly is fetched where less is asked, and nothing else is charged dearly', async () => {
  const target = `${url}/work?dear`;
  const low = { 'x-quality': 'low' };
  const cookieOf = (answer) => answer.headers.getSetCookie().find((it) => it.startsWith('edge402_paid_'));
  const promised = async (headers) => {
    const answer = await send(target, { ...(await payingFor(target, headers)), ...headers, prefer: 'return=minimal' });
    assert.equal(answer.status, 204, answer.text);
    return { cookie: cookieOf(answer).split(';')[0] };
  };
  const dear = await promised({});
  assert.equal((await unchanged(world, () => send(target, { ...dear, ...low }))).json.quality, 'low');
  assert.equal((await unchanged(world, () => send(target, dear))).status, 200);
  // Where more is asked a cookie fetches nothing, and is left for where it does.
  const cheap = await promised(low);
  const refused = await send(target, cheap);
  assert.deepEqual([refused.status, refused.challenge.accepts[0].amount, cookieOf(refused)], [402, '50000', undefined]);
  assert.equal((await send(target, { ...cheap, ...low })).status, 200);
  // Signed for more than is asked now: not charged, until it is asked again.
  const fresh = await payingFor(target);
  const asked = await unchanged(world, () => send(target, { ...fresh, ...low }));
  assert.deepEqual([asked.status, asked.challenge.accepts[0].amount, asked.reason], [402, '10000', 'invalid_payment_requirements']);
  assertPaid(await send(target, fresh));
  assertPaid(await unchanged(world, () => send(target, { ...fresh, ...low })));
});
