/** workerd killed between a settlement and its webhook: each sale is told at least once, and always as the same. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { devPath, freePort, listen, waitFor } from '../../dev/util.mjs';
import { EVM_NETWORK, SOLANA_NETWORK, startWorld } from '../../dev/world.mjs';
import { assertPaid, PAGE, payment, send } from './support.mjs';

const TOKEN = 'a token';
const SELLER = { authorization: `Bearer ${TOKEN}` };

let world;
let receiver;
let worker;
let options;
/** What came, in its order: the id, and the transaction of the sale. */
const got = [];
/** What the receiver does with it; by default it takes it. */
let answer;
const taken = (response) => response.writeHead(204).end();

before(async () => {
  world = await startWorld({ engine: 'wrangler', worker: false });
  receiver = createServer((request, response) => {
    // A message whose sender died on the way is none.
    take(request, response).catch(() => response.destroy());
  });
  const url = `http://127.0.0.1:${await listen(receiver)}/in`;
  options = {
    name: `webhooks-crash-${process.pid}`,
    port: await freePort(),
    persist: true,
    vars: { WEBHOOKS: [{ url, events: ['sale'] }] },
    secrets: { DESK_TOKENS: createHash('sha256').update(TOKEN).digest('hex'), WEBHOOK_SECRET: `whsec_${Buffer.alloc(32, 7).toString('base64')}` },
  };
  worker = await world.startWorker(options);
});
after(async () => {
  receiver?.closeAllConnections();
  receiver?.close();
  await world?.stop();
  if (options) rmSync(devPath(options.name), { recursive: true, force: true });
});

async function take(request, response) {
  const { data } = await json(request);
  got.push({ id: request.headers['webhook-id'], transaction: data.transaction });
  (answer ?? taken)(response);
}

const shown = async () => (await send(`${worker.url}/.edge402/desk/webhooks`, SELLER)).json.webhooks[0];

async function buy(query, network = EVM_NETWORK) {
  const url = `${worker.url}${PAGE}?${query}`;
  return assertPaid(await send(url, await payment(world, url, { network }))).transaction;
}

/** SIGKILL, and another life on the same disk. */
async function killAndRestart() {
  await worker.kill();
  answer = undefined;
  worker = await world.startWorker(options);
}

/** Asserts that each of these sales has come, however often, under one id of its own. */
async function assertTold(transactions) {
  await waitFor(async () => (await shown()).pending === 0, { timeout: 60_000, what: 'nothing to be left' });
  const ids = transactions.map((transaction) => {
    const own = got.filter((it) => it.transaction === transaction).map(({ id }) => id);
    assert.ok(own.length >= 1, `${transaction} came`);
    assert.equal(new Set(own).size, 1, `${transaction}: ${own}`);
    return own[0];
  });
  assert.equal(new Set(ids).size, transactions.length);
}

test('killed before anything is sent', async () => {
  const sold = [await buy('1'), await buy('2', SOLANA_NETWORK)];
  assert.deepEqual(got, [], 'it is sent some seconds later');
  await killAndRestart();
  await assertTold(sold);
});

test('killed while the receiver has it and has not answered', async () => {
  answer = () => {};
  got.length = 0;
  const sold = [await buy('3'), await buy('4')];
  await waitFor(() => got.length >= 1, { what: 'a message to be on its way' });
  const before = [...got];
  await killAndRestart();
  await assertTold(sold);
  assert.ok(got.length > before.length, 'what was on its way came again');
});

test('killed as soon as the receiver has answered', async () => {
  got.length = 0;
  let dies;
  answer = (response) => {
    taken(response);
    dies ??= worker.kill();
  };
  const sold = [await buy('5'), await buy('6', SOLANA_NETWORK)];
  await waitFor(() => dies !== undefined, { what: 'the first answer' });
  await dies;
  answer = undefined;
  worker = await world.startWorker(options);
  await assertTold(sold);
});
