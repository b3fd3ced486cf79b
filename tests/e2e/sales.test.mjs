/** `/.edge402/sales`: what was sold, for the seller's programs and nobody else. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { devPath, waitFor } from '../../dev/util.mjs';
import { EVM_NETWORK, SOLANA_NETWORK, startWorld } from '../../dev/world.mjs';
import { startSite } from './site.mjs';
import { assertPaid, PAGE, PAGE_PRICE, payment, send } from './support.mjs';

const SALES = '/.edge402/sales';
const TOKENS = ['a token', 'another token'];
const hashOf = (token) => createHash('sha256').update(token).digest('hex');
const bearer = (token) => ({ authorization: `Bearer ${token}` });

let world;
before(async () => {
  world = await startWorld({ worker: { secrets: { DESK_TOKENS: TOKENS.map(hashOf).join(',') } } });
});
after(() => world?.stop());

const salesOf = (query = '', token = TOKENS[0]) => send(`${world.url}${SALES}${query}`, bearer(token));

/** Buys a page, and says how it was paid for. */
async function buy(path, network) {
  const answer = await send(`${world.url}${path}`, await payment(world, `${world.url}${path}`, { network }));
  assertPaid(answer);
  return answer;
}

test('is closed until it has tokens, and never the origin’s', async () => {
  const { url } = await world.startWorker();
  const answer = await send(`${url}${SALES}`, bearer(TOKENS[0]));
  assert.equal(answer.status, 404);
  assert.match(answer.json.error, /DESK_TOKENS/);
});

test('no path of the gate’s own leads to an origin with a URL', async () => {
  const site = await startSite();
  try {
    const { url } = await world.startWorker({ vars: { ORIGIN: site.url }, secrets: { DESK_TOKENS: TOKENS.map(hashOf).join(',') } });
    const { status, json } = await send(`${url}${SALES}`, bearer(TOKENS[0]));
    assert.deepEqual([status, json], [200, { sales: [], next: null }]);
    assert.equal((await send(`${url}/.edge402/health`)).status, 200);
    assert.deepEqual(site.requests, []);
    assert.equal((await send(`${url}/free`)).status, 200);
    assert.equal(site.requests.length, 1);
  } finally {
    await site.stop();
  }
});

test('has what was sold on both chains, page by page', async () => {
  const { json: none } = await salesOf();
  assert.deepEqual(none, { sales: [], next: null });
  const networks = [EVM_NETWORK, SOLANA_NETWORK, EVM_NETWORK];
  for (const [number, network] of networks.entries()) await buy(`${PAGE}?number=${number}`, network);
  // Told when the answer was taken to its end.
  const all = await waitFor(async () => {
    const { json } = await salesOf();
    return json.sales.every(({ delivered }) => delivered) && json;
  }, { what: 'the deliveries' });
  assert.equal(all.next, null);
  assert.deepEqual(all.sales.map(({ network }) => network).sort(), [...networks].sort());
  for (const sale of all.sales) {
    const { route, path, method, amount, way, x402_version: version, delivered, redeliveries } = sale;
    assert.deepEqual({ path, method, amount, way, version, delivered, redeliveries }, { path: PAGE, method: 'GET', amount: String(PAGE_PRICE), way: 'gate', version: 2, delivered: true, redeliveries: 0 });
    assert.equal(route, PAGE, 'which is a route of its own');
    assert.ok(BigInt(sale.fee) > 0n);
    assert.ok(Math.abs(sale.time - Date.now() / 1_000) < 600);
  }
  const evm = all.sales.find(({ network }) => network === EVM_NETWORK);
  const receipt = await world.evm.client.getTransactionReceipt({ hash: evm.transaction });
  assert.equal(evm.fee, String(receipt.gasUsed * receipt.effectiveGasPrice), 'the fee on chain');
  const lines = () => world.worker.log().split('\n').filter((line) => line.includes('"edge402.sale"'));
  await waitFor(() => lines().length >= 3, { what: 'a line for each sale' });
  assert.equal(lines().length, 3);
  assert.ok(lines().some((line) => line.includes(evm.transaction)));
  const pages = [];
  let next;
  do {
    const { json } = await salesOf(`?limit=2${next ? `&cursor=${next}` : ''}`);
    pages.push(json.sales);
    ({ next } = json);
  } while (next);
  assert.deepEqual(pages.map(({ length }) => length), [2, 1]);
  assert.deepEqual(pages.flat(), all.sales);
  const only = async (query) => (await salesOf(query)).json.sales;
  assert.deepEqual(await only(`?transaction=${evm.transaction}`), [evm]);
  assert.deepEqual(await only(`?payer=${evm.payer.toLowerCase()}`), all.sales.filter(({ payer }) => payer === evm.payer));
  assert.deepEqual(await only(`?route=${encodeURIComponent(PAGE)}&from=${all.sales.at(-1).time}`), all.sales);
  assert.deepEqual(await only(`?to=${all.sales.at(-1).time}`), []);
});

test('a refusal is a line of the log', async () => {
  const headers = await payment(world, `${world.url}${PAGE}`, { network: EVM_NETWORK });
  assertPaid(await send(`${world.url}${PAGE}`, headers));
  const answer = await send(`${world.url}${PAGE}?other`, headers);
  assert.equal(answer.status, 402);
  const line = '"error.type":"duplicate_settlement","http.route":"/premium/","url.path":"/premium/","http.request.method":"GET","edge402.way":"gate"';
  await waitFor(() => world.worker.log().includes(`{"event.name":"edge402.refusal",${line}}`), { what: 'the refusal in the log' });
});

test('takes no question that it can’t answer', async () => {
  for (const [query, part] of [['?cursor=00ff', /cursor/], ['?from=2&to=1', /ends before it starts/], ['?colour=red', /no parameter/]]) {
    const { status, json } = await salesOf(query, TOKENS[1]);
    assert.equal(status, 400, query);
    assert.match(json.error, part);
  }
  assert.equal((await send(`${world.url}${SALES}`, bearer(TOKENS[0]), { method: 'POST' })).status, 405);
});

test('is for holders of a token, and looks at few tries of others', async () => {
  const { url } = await world.startWorker({ secrets: { DESK_TOKENS: hashOf(TOKENS[0]) } });
  const ask = (headers) => send(`${url}${SALES}`, headers);
  const wrong = [{}, bearer(TOKENS[1]), bearer(hashOf(TOKENS[0])), { authorization: TOKENS[0] }, bearer('')];
  for (const headers of [...wrong, ...wrong]) {
    const answer = await ask(headers);
    if (answer.status === 429) break; // The minute may have ended between them: then they are counted anew.
    assert.deepEqual([answer.status, answer.headers.get('www-authenticate')], [401, 'Bearer']);
  }
  const statuses = [];
  for (let n = 0; n < 12; n += 1) statuses.push((await ask(bearer('guess'))).status);
  assert.ok(statuses.includes(429), String(statuses));
  const late = await waitFor(async () => {
    const answer = await ask(bearer('guess'));
    return answer.status === 429 && answer;
  }, { what: 'too many tries' });
  assert.ok(Number(late.headers.get('retry-after')) <= 60);
  assert.equal((await ask(bearer(TOKENS[0]))).status, 200, 'who has a token is let in from the same address');
});

test('a network that was moved to a facilitator shows what it sold before', async () => {
  const options = { name: `sales-${process.pid}`, persist: true, secrets: { DESK_TOKENS: hashOf(TOKENS[0]) } };
  let worker = await world.startWorker(options);
  try {
    const sales = () => send(`${worker.url}${SALES}`, bearer(TOKENS[0]));
    const url = `${worker.url}${PAGE}`;
    assertPaid(await send(url, await payment(world, url, { network: EVM_NETWORK })));
    const before = await waitFor(async () => {
      const { json } = await sales();
      return json.sales[0]?.delivered && json;
    }, { what: 'the delivery' });
    await worker.stop();
    const { evm, solana } = world.accounts;
    const NETWORKS = {
      [EVM_NETWORK]: { facilitator: 'http://127.0.0.1:9', pay_to: evm.seller.address },
      [SOLANA_NETWORK]: { rpc: [world.solana.url], pay_to: solana.seller.address },
    };
    worker = await world.startWorker({ ...options, vars: { NETWORKS } });
    const { status, json } = await sales();
    assert.deepEqual([status, json], [200, before]);
  } finally {
    await worker.stop();
    rmSync(devPath(options.name), { recursive: true, force: true });
  }
});
