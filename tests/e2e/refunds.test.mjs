/** Refunds told to the Worker: which transactions it takes, and what the ledger says then. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import Ajv from 'ajv/dist/2020.js';
import { encodeFunctionData, parseAbi } from 'viem';
import { ROOT, waitFor } from '../../dev/util.mjs';
import { EVM_NETWORK, startWorld } from '../../dev/world.mjs';
import { assertPaid, PAGE, payment, send, USDC_ADDRESS } from './support.mjs';

const TOKEN = 'a token';
const REFUNDS = '/.edge402/desk/refunds';
const PRICE = 10_000n;
const ABI = parseAbi(['function transfer(address to, uint256 amount) returns (bool)']);
const API = JSON.parse(readFileSync(join(ROOT, 'docs/sales-openapi.json'), 'utf8'));
const ajv = new Ajv.default({ strict: false });
ajv.addSchema(API, 'api');

let world;
before(async () => {
  world = await startWorld({ worker: { secrets: { DESK_TOKENS: createHash('sha256').update(TOKEN).digest('hex') } } });
  // More than the sales bring: what is no refund is sent as well.
  await world.evm.mintUsdc(world.accounts.evm.seller.address, 1_000_000n);
});
after(() => world?.stop());

const authorization = `Bearer ${TOKEN}`;
const asSeller = (path, init) => send(`${world.url}${path}`, { authorization }, init);
const post = (body) => asSeller(REFUNDS, { method: 'POST', body: JSON.stringify(body) });
const place = ({ network, time, payment: name }) => `?${new URLSearchParams({ network, time, payment: name })}`;
const ID = '0123456789abcdef'.repeat(2);
const reserve = ({ network, time, payment: name, amount }, more) => asSeller(REFUNDS, { method: 'PUT', body: JSON.stringify({ network, time, payment: name, amount, reservation: ID, despite: [], ...more }) });
const release = ({ payment: name }, reservation) => asSeller(`${REFUNDS}?${new URLSearchParams({ payment: name, reservation })}`, { method: 'DELETE' });
const tell = ({ network, time, payment: name }, more) => post({ network, time, payment: name, ...more });

/** A new sale. */
async function sold() {
  const { transaction } = assertPaid(await send(`${world.url}${PAGE}`, await payment(world, `${world.url}${PAGE}`)));
  return (await asSeller(`/.edge402/sales?transaction=${transaction}`)).json.sales[0];
}

/** A transfer by the seller that is in a block; its hash. */
async function transferred(...args) {
  const hash = await transfer(...args);
  await world.evm.client.waitForTransactionReceipt({ hash });
  return hash;
}

/** One that is sent; its hash. */
async function transfer(amount, { to = world.accounts.evm.buyers[0].address, token = USDC_ADDRESS, ...more } = {}) {
  const { client } = world.evm;
  const data = encodeFunctionData({ abi: ABI, functionName: 'transfer', args: [to, amount] });
  // By anvil's own key: with gas in it nobody asks first whether it would fail.
  if (more.gas) return client.request({ method: 'eth_sendTransaction', params: [{ from: world.accounts.evm.seller.address, to: token, data, gas: more.gas }] });
  return client.sendTransaction({ account: world.accounts.evm.seller, to: token, data });
}

const saleNow = async ({ transaction }) => (await asSeller(`/.edge402/sales?transaction=${transaction}`)).json.sales[0];
const validatePage = () => ajv.getSchema('api#/paths/~1.edge402~1sales/get/responses/200/content/application~1json/schema');

test('a transfer to the payer is noted once, and stands in the ledger', async () => {
  const sale = await sold();
  assert.equal('refunded' in sale, false);
  const transaction = await transferred(PRICE);
  for (let n = 0; n < 2; n += 1) {
    const { status, json } = await tell(sale, { transaction: transaction.toUpperCase().replace('X', 'x') });
    assert.equal(status, 200, JSON.stringify(json));
    assert.deepEqual([json.state, json.amount, json.transaction, json.payment], ['noted', '10000', transaction, sale.payment]);
  }
  const now = await saleNow(sale);
  const { timestamp } = await world.evm.client.getBlock();
  const [{ time, ...refund }] = now.refunds;
  assert.deepEqual({ ...now, refunds: undefined }, { ...sale, delivered: now.delivered, refunded: '10000', refunds: undefined });
  assert.deepEqual(refund, { amount: '10000', transaction });
  assert.ok(Math.abs(Number(timestamp) - time) < 120);
  const { json } = await asSeller('/.edge402/sales');
  assert.ok(validatePage()(json), JSON.stringify(validatePage().errors));
});

test('files and sums say what has come back', async () => {
  const sums = async () => {
    const { json } = await asSeller('/.edge402/sales/sums?by=payer');
    const [{ refunded = '0' }] = json.sums.filter((it) => it.network === EVM_NETWORK);
    return BigInt(refunded);
  };
  const before = await sums();
  const sale = await sold();
  const parts = [await transferred(4_000n), await transferred(1_000n)];
  for (const transaction of parts) assert.equal((await tell(sale, { transaction })).status, 200);
  assert.equal(await sums() - before, 5_000n);
  for (const by of ['day', 'route', 'network', 'payer']) {
    const { json } = await asSeller(`/.edge402/sales/sums?by=${by}`);
    const all = json.sums.filter((it) => it.network === EVM_NETWORK);
    assert.equal(all.reduce((sum, it) => sum + BigInt(it.refunded ?? 0), 0n), await sums(), by);
    const validate = ajv.getSchema('api#/paths/~1.edge402~1sales~1sums/get/responses/200/content/application~1json/schema');
    assert.ok(validate(json), JSON.stringify(validate.errors));
  }
  const { json } = await asSeller(`/.edge402/sales/export?format=json&from=${sale.time}`);
  const own = json.find((it) => it.payment === sale.payment);
  assert.deepEqual([own.refunded, own.refunds.map((it) => it.transaction).sort()], ['5000', [...parts].sort()]);
  const validate = ajv.getSchema('api#/paths/~1.edge402~1sales~1export/get/responses/200/content/application~1json/schema');
  assert.ok(validate(json), JSON.stringify(validate.errors));
  const { text } = await asSeller('/.edge402/sales/export');
  const row = text.split('\r\n').find((it) => it.includes(sale.payment));
  const [refunds, refunded] = row.split(',').reverse();
  assert.deepEqual([refunded, refunds.split(' ').sort()], ['5000', [...parts].sort()]);
});

test('what is none is refused with the reason, and no sale shows it', async () => {
  const sale = await sold();
  const other = await sold();
  const { client, addToken } = world.evm;
  const { seller, buyers } = world.accounts.evm;
  const fake = await addToken('0x00000000000000000000000000000000000fa4e0', 'Fake');
  await fake.mintUsdc(seller.address, PRICE);
  const counted = await transferred(PRICE);
  assert.equal((await tell(other, { transaction: counted })).status, 200);
  const elsewhere = await transferred(PRICE, { to: buyers[1].address });
  const ofFake = await transferred(PRICE, { token: '0x00000000000000000000000000000000000fa4e0' });
  const failed = await transferred(10n ** 30n, { gas: '0x186a0' });
  const plain = await client.sendTransaction({ account: seller, to: buyers[0].address, value: 1n });
  const before = await asSeller(REFUNDS);
  for (const [transaction, part] of [
    [counted, /another sale/], [elsewhere, /nothing in the token/], [ofFake, /nothing in the token/],
    [plain, /nothing in the token/], [sale.transaction, /nothing in the token/],
  ]) {
    const { status, json } = await tell(sale, { transaction });
    assert.equal(status, 409, `${part} ${JSON.stringify(json)}`);
    assert.match(json.error, part);
  }
  // It could still succeed in a block that takes the place of its own.
  assert.equal((await tell(sale, { transaction: failed })).status, 202);
  await client.mine({ blocks: 21 });
  const { status, json } = await tell(sale, { transaction: failed });
  assert.equal(status, 409);
  assert.match(json.error, /failed/);
  assert.equal('refunded' in (await saleNow(sale)), false);
  assert.deepEqual((await asSeller(REFUNDS)).json, before.json, 'nothing is left of them');
});

test('parts are noted, and more than was paid is shown as that', async () => {
  const sale = await sold();
  const parts = [];
  for (const amount of [3_000n, 7_000n, 1n]) parts.push(await transferred(amount));
  const told = await Promise.all(parts.map((transaction) => tell(sale, { transaction })));
  assert.deepEqual(told.map(({ status }) => status), [200, 200, 200]);
  const { refunded, refunds } = await saleNow(sale);
  assert.equal(refunded, '10001');
  assert.deepEqual(refunds.map(({ transaction }) => transaction).sort(), parts.sort());
  const { left, over } = (await asSeller(`${REFUNDS}${place(sale)}`)).json;
  assert.deepEqual([left, over], ['0', '1']);
});

test('what no block has yet is looked for by itself, and is noted without being told again', async () => {
  const sale = await sold();
  const { client } = world.evm;
  await client.setAutomine(false);
  await client.setIntervalMining({ interval: 0 });
  let transaction;
  try {
    transaction = await transfer(PRICE);
    const { status, json } = await tell(sale, { transaction });
    assert.deepEqual([status, json.state, json.amount], [202, 'open', undefined]);
    const terms = await asSeller(`${REFUNDS}?${new URLSearchParams({ network: sale.network, time: sale.time, payment: sale.payment })}`);
    assert.deepEqual([terms.json.left, terms.json.refunds.map((it) => it.state)], ['10000', ['open']]);
    assert.deepEqual((await asSeller(REFUNDS)).json.refunds.map((it) => it.transaction), [transaction]);
  } finally {
    // The last one holds.
    await client.setIntervalMining({ interval: 2 });
    await client.setAutomine(true);
    await client.mine({ blocks: 1 });
  }
  await waitFor(async () => (await saleNow(sale)).refunded === '10000', { what: 'the refund to be noted', timeout: 60_000 });
  assert.deepEqual((await asSeller(REFUNDS)).json.refunds, []);
});

test('what may still land is not waited for once it is taken off, and is noted all the same', async () => {
  const sale = await sold();
  const { client } = world.evm;
  await client.setAutomine(false);
  await client.setIntervalMining({ interval: 0 });
  try {
    const transaction = await transfer(PRICE);
    assert.equal((await tell(sale, { transaction })).status, 202);
    const path = `${REFUNDS}?${new URLSearchParams({ network: sale.network, transaction })}`;
    const { status, json } = await asSeller(path, { method: 'DELETE' });
    assert.deepEqual([status, json], [200, { state: 'silent' }]);
    assert.equal((await asSeller(path, { method: 'DELETE' })).status, 409);
    assert.deepEqual((await asSeller(REFUNDS)).json.refunds.map((it) => [it.transaction, it.state]), [[transaction, 'silent']]);
    const refused = await reserve(sale, { despite: [] });
    assert.equal(refused.status, 409);
    assert.match(refused.json.error, new RegExp(`${transaction} may still land`));
    const held = await reserve(sale, { despite: [transaction] });
    assert.equal(held.status, 200);
    assert.equal((await release(sale, ID)).status, 200);
  } finally {
    await client.setIntervalMining({ interval: 2 });
    await client.setAutomine(true);
    await client.mine({ blocks: 1 });
  }
  await waitFor(async () => (await saleNow(sale)).refunded === '10000', { what: 'the refund to be noted', timeout: 60_000 });
});

test('a transaction whose nonce another one has used is waited for no more', async () => {
  const sale = await sold();
  const { client } = world.evm;
  const { seller, buyers } = world.accounts.evm;
  const nonce = await client.getTransactionCount({ address: seller.address });
  await client.setAutomine(false);
  await client.setIntervalMining({ interval: 0 });
  let lost;
  try {
    const send = (value) => client.request({ method: 'eth_sendTransaction', params: [{ from: seller.address, to: buyers[0].address, value, nonce: `0x${nonce.toString(16)}`, gas: '0x5208', gasPrice: value === '0x1' ? '0x77359400' : '0x2540be400' }] });
    lost = await send('0x1');
    assert.equal((await tell(sale, { transaction: lost })).status, 202);
    await send('0x2');
  } finally {
    await client.setIntervalMining({ interval: 2 });
    await client.setAutomine(true);
    await client.mine({ blocks: 1 });
  }
  const stands = async () => (await asSeller(REFUNDS)).json.refunds.find((it) => it.transaction === lost);
  // It is asked about, and again many blocks later.
  await waitFor(async () => {
    await client.mine({ blocks: 400 });
    return (await stands()).state === 'replaced';
  }, { what: 'the transaction to be given up', timeout: 120_000, every: 2_000 });
  assert.match((await stands()).problem, /took its place/);
});

test('one wallet at a time is asked, and only its holder may say at once that nothing was sent', async () => {
  const sale = await sold();
  const held = await reserve(sale);
  assert.deepEqual([held.status, held.json.reservation.amount, held.json.reservation.is_over], [200, '10000', false]);
  assert.equal(JSON.stringify(held.json).includes(ID), false, 'its number is for its holder alone');
  const other = 'f'.repeat(32);
  const refused = await reserve(sale, { reservation: other });
  assert.equal(refused.status, 409);
  assert.match(refused.json.error, /a wallet was asked/);
  assert.equal((await asSeller(REFUNDS)).json.reservations.length, 1);
  assert.equal((await release(sale, other)).status, 409);
  assert.equal((await release(sale, ID)).status, 200);
  assert.equal((await reserve(sale, { reservation: other })).status, 200);
  const transaction = await transferred(PRICE);
  assert.equal((await tell(sale, { transaction, reservation: other })).json.state, 'noted');
  assert.deepEqual((await asSeller(REFUNDS)).json.reservations, []);
  // A wallet has sent it: that is no mistake.
  assert.equal((await asSeller(`${REFUNDS}?${new URLSearchParams({ network: sale.network, transaction })}`, { method: 'DELETE' })).status, 409);
  for (const amount of ['0', '1']) assert.match((await reserve(sale, { amount })).json.error, /at most 0/);
  for (const more of [{ amount: '-1' }, { reservation: 'x' }, { despite: ['x'] }, { more: 1 }]) assert.equal((await reserve(sale, more)).status, 400);
});

test('what was told by mistake is taken off, and counts for another sale', async () => {
  const [sale, right] = [await sold(), await sold()];
  const transaction = await transferred(PRICE);
  assert.equal((await tell(sale, { transaction })).status, 200);
  assert.equal((await tell(right, { transaction })).status, 409);
  const path = `${REFUNDS}?${new URLSearchParams({ network: sale.network, transaction })}`;
  assert.equal((await asSeller(path, { method: 'DELETE' })).status, 200);
  assert.equal((await asSeller(path, { method: 'DELETE' })).status, 404);
  assert.equal('refunded' in (await saleNow(sale)), false);
  assert.equal((await tell(right, { transaction })).status, 200);
});

test('what a refund needs is told to the seller alone', async () => {
  const sale = await sold();
  const query = `?${new URLSearchParams({ network: sale.network, time: sale.time, payment: sale.payment })}`;
  const { status, json } = await asSeller(`${REFUNDS}${query}`);
  assert.equal(status, 200);
  const { payer, asset, amount } = sale;
  assert.deepEqual(json, { network: EVM_NETWORK, time: sale.time, payment: sale.payment, payer, asset, amount, left: amount, decimals: 6, symbol: 'USDC', refunds: [] });
  for (const [method, path] of [['GET', REFUNDS], ['GET', `${REFUNDS}${query}`], ['POST', REFUNDS], ['PUT', REFUNDS], ['DELETE', `${REFUNDS}?network=eip155:1&transaction=0x`]]) {
    assert.equal((await send(`${world.url}${path}`, {}, { method })).status, 401, `${method} ${path}`);
  }
});

test('what can’t be read, or names no sale, says what to change', async () => {
  const sale = await sold();
  const transaction = await transferred(1n);
  for (const [body, status, part] of [
    [{}, 400, /the body must be/], [{ ...sale, transaction }, 400, /the body must be/],
    [{ network: sale.network, time: sale.time, payment: sale.payment, transaction: '0x12' }, 400, /transaction is none/],
    [{ network: sale.network, time: sale.time, payment: sale.payment, signed: 'AAAA' }, 400, /signed must be/],
    [{ network: sale.network, time: sale.time + 1, payment: sale.payment, transaction }, 404, /no such sale/],
    [{ network: sale.network, time: sale.time, payment: 'x', transaction }, 404, /no such sale/],
    [{ network: 'eip155:1', time: sale.time, payment: sale.payment, transaction }, 409, /NETWORKS."eip155:1" needs rpc/],
  ]) {
    const answer = await post(body);
    assert.equal(answer.status, status, JSON.stringify(answer.json));
    assert.match(answer.json.error, part);
  }
  assert.equal((await asSeller(REFUNDS, { method: 'POST', body: 'x'.repeat(9_000) })).status, 400);
  const patch = await asSeller(REFUNDS, { method: 'PATCH' });
  assert.deepEqual([patch.status, patch.headers.get('allow')], [405, 'GET, HEAD, PUT, POST, DELETE']);
  for (const query of ['?network=eip155:1', '?x=1', '?network=base&time=1&payment=p', '?network=eip155:1&time=-1&payment=p']) {
    assert.equal((await asSeller(`${REFUNDS}${query}`)).status, 400, query);
  }
});

test('no page of another site tells of a refund with the seller’s session', async () => {
  const sale = await sold();
  const transaction = await transferred(PRICE);
  const from = { 'sec-fetch-site': 'same-origin' };
  const signIn = await send(`${world.url}/.edge402/desk/session`, from, { method: 'POST', body: JSON.stringify({ token: TOKEN }) });
  const cookie = signIn.headers.get('set-cookie').split(';')[0];
  const body = JSON.stringify({ network: sale.network, time: sale.time, payment: sale.payment, transaction });
  for (const headers of [{}, { 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site', origin: world.url }, { origin: 'https://evil.example' }]) {
    assert.equal((await send(`${world.url}${REFUNDS}`, { ...headers, cookie }, { method: 'POST', body })).status, 403, JSON.stringify(headers));
  }
  assert.equal((await send(`${world.url}${REFUNDS}`, { ...from, cookie }, { method: 'POST', body })).status, 200);
});
