/** The ledger within what Cloudflare bounds: rows that are written and read, and objects that are asked. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { runSql, sale, writeSales } from '../../dev/ledger.mjs';
import { DEV_DIR, listen, waitFor } from '../../dev/util.mjs';
import { watchedWorker } from '../../dev/watched.mjs';
import { EVM_NETWORK, SOLANA_NETWORK, startWorld } from '../../dev/world.mjs';
import { order, PATH, ask as settle, tokenHashes } from './facilitator-support.mjs';
import { assertPaid, assertRefused, PAGE, payment, send } from './support.mjs';

const TOKEN = 'a token';
/** One connection for each: what idles for long may be reset. */
const SELLER = { authorization: `Bearer ${TOKEN}`, connection: 'close' };
const DESK_TOKENS = createHash('sha256').update(TOKEN).digest('hex');
const WATCHED = `watched-${process.pid}`;

const folders = [join(DEV_DIR, WATCHED)];
let main;
let world;
before(async () => {
  main = watchedWorker(WATCHED);
  world = await startWorld({ worker: false, relayers: 3 });
});
after(async () => {
  await world?.stop();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function newFolder(name) {
  const folder = join(DEV_DIR, `${name}-${process.pid}`);
  folders.push(folder);
  return folder;
}

const start = (options) => world.startWorker({ main, secrets: { DESK_TOKENS, ...options.secrets }, ...options });
const watched = async ({ url }) => (await send(`${url}/watched`)).json;
const ask = async ({ url }, path) => {
  const answer = await send(`${url}/.edge402/${path}`, SELLER);
  assert.equal(answer.status, 200, JSON.stringify(answer.json));
  return answer.json;
};

test('a payment writes one row of the ledger, and none of anything that is counted later', async () => {
  const worker = await start({});
  const url = `${worker.url}${PAGE}`;
  for (const network of [EVM_NETWORK, SOLANA_NETWORK]) {
    assertPaid(await send(url, await payment(world, url, { network })));
    await waitFor(async () => (await ask(worker, 'sales')).sales.every(({ delivered }) => delivered), { what: 'the delivery' });
    const { statements } = await watched(worker);
    const written = statements.filter(({ query, written: rows }) => rows > 0 && /^\s*(INSERT|DELETE|UPDATE)/.test(query));
    const tableOf = ({ query }) => /(?:INTO|FROM|UPDATE) (\w+)/.exec(query)[1];
    const sales = written.filter((it) => tableOf(it) === 'sales').map((it) => it.written);
    // The row and its three indexes; later, that it was delivered, in the row alone.
    assert.deepEqual(sales, [4, 1], network);
    const tables = new Set(written.map(tableOf));
    for (const table of ['sums', 'refusals', 'kept']) assert.ok(!tables.has(table), `${network}: ${[...tables]}`);
  }
});

test('pages deep inside many sales read what they show, and sums what is there', async () => {
  const persist = newFolder('deep');
  const [{ address }] = world.accounts.evm.relayers;
  const count = 30_000;
  const from = Math.floor(Date.now() / 1_000) - 200 * 86_400;
  const sales = Array.from({ length: count }, (_, n) => sale(n, { time: from + n * 60, route: `/r${n % 3}/*` }));
  await writeSales(persist, `${EVM_NETWORK}/${address}`, sales);
  const worker = await start({ persist });
  const low = from + 600 * 60;
  const { next } = await ask(worker, `sales?to=${low}&limit=1`);
  const read = async (path) => {
    await watched(worker);
    const json = await ask(worker, path);
    const { statements } = await watched(worker);
    return { json, rows: statements.filter(({ query }) => /FROM\s+\(?.*sales|INTO sums/s.test(query)).reduce((sum, it) => sum + it.read, 0) };
  };
  const range = `from=${from}&to=${from + count * 60}`;
  for (const filter of ['', '&route=%2Fr1%2F*', `&payer=${sales[500].payer}`, `&route=%2Fr2%2F*&payer=${sales[500].payer}`]) {
    const { json, rows } = await read(`sales?${range}&cursor=${next}&limit=100${filter}`);
    assert.ok(json.sales.length > 0, filter);
    assert.ok(json.sales.every(({ time }) => time < low), filter);
    assert.ok(rows <= 1_000, `${filter}: ${rows} rows were read`);
  }
  const days = `from=${new Date(from * 1_000).toISOString().slice(0, 10)}&to=${new Date().toISOString().slice(0, 10)}`;
  await ask(worker, `sales/sums?${days}`);
  const byDay = await read(`sales/sums?${days}`);
  assert.equal(byDay.json.sums.reduce((sum, it) => sum + it.count, 0), count);
  assert.ok(byDay.rows <= 10_000, `${byDay.rows} rows were read`);
  const byPayer = await read(`sales/sums?${days}&by=payer`);
  assert.equal(byPayer.json.cut, false);
  assert.ok(byPayer.rows <= 4 * count, `${byPayer.rows} rows were read`);
});

test('sixty keys on twenty networks, with all their Settlers, are asked within fifty questions', async () => {
  const persist = newFolder('sixty');
  const [{ address }, , { address: third }] = world.accounts.evm.relayers;
  const ids = Array.from({ length: 20 }, (_, n) => `eip155:${910_000 + n}`);
  const network = { rpc: [world.evm.url], pay_to: world.accounts.evm.seller.address, asset: '0x036CbD53842c5426634e7929541eC2318f3dCF7e', decimals: 6, name: 'USDC', version: '2', symbol: 'USDC' };
  const now = Math.floor(Date.now() / 1_000);
  const sales = Array.from({ length: 90 }, (_, n) => sale(n, { time: now - 200 + n, network: ids[[0, 11, 19][n % 3]] }));
  const of = (id) => sales.filter((it) => it.network === id);
  await writeSales(persist, `${ids[0]}/${address}`, of(ids[0]));
  await writeSales(persist, `${ids[11]}/facilitator/b`, of(ids[11]));
  await writeSales(persist, `${ids[19]}/${third}`, of(ids[19]));
  const got = [];
  const receiver = createServer((request, response) => {
    let body = '';
    request.on('data', (data) => { body += data; }).on('end', () => {
      got.push(JSON.parse(body).data);
      response.writeHead(204).end();
    });
  });
  const port = await listen(receiver);
  try {
    const worker = await start({
      persist,
      vars: { NETWORKS: Object.fromEntries(ids.map((id) => [id, network])), WEBHOOKS: [{ url: `http://127.0.0.1:${port}/`, events: ['sale', 'fault'] }] },
      secrets: { DESK_TOKENS, RPC_URLS: undefined, WEBHOOK_SECRET: `whsec_${Buffer.alloc(32, 7).toString('base64')}` },
    });
    const all = sales.toReversed();
    const first = await ask(worker, 'sales?limit=50');
    const rest = await ask(worker, `sales?limit=50&cursor=${first.next}`);
    assert.deepEqual([...first.sales, ...rest.sales], all);
    assert.equal(rest.next, null);
    assert.deepEqual(await ask(worker, 'sales/export?format=json'), all);
    for (const by of ['day', 'network', 'payer']) {
      const { sums } = await ask(worker, `sales/sums?by=${by}`);
      assert.equal(sums.reduce((sum, it) => sum + it.count, 0), by === 'payer' ? 50 : 90, by);
    }
    const { keys } = await ask(worker, 'desk/state');
    assert.equal(keys.length, 60);
    // The Settlers that were asked have woken who sends.
    const told = await waitFor(() => got.filter(({ payment: it }) => it).length >= 60 && got, { what: 'the webhooks', timeout: 60_000 });
    // Three are sent at once.
    const payments = (list) => list.map(({ payment: it }) => it).toSorted();
    assert.deepEqual(payments(told.filter(({ payment: it }) => it)), payments(sales.filter((it) => it.network !== ids[11])));
    const { asked } = await watched(worker);
    const most = Math.max(...asked.map((it) => it.asked));
    assert.ok(asked.some(({ what }) => what.endsWith('/gather')));
    assert.ok(most > 20 && most <= 50, `${most} questions`);
  } finally {
    receiver.close();
  }
});

test('a file breaks off where a Settler fails in between', async () => {
  const persist = newFolder('cut');
  const [{ address }] = world.accounts.evm.relayers;
  // The newest come first: what can't be read is on the third page.
  const sales = Array.from({ length: 6_000 }, (_, n) => sale(n, n === 500 ? { raw: '{"time":' } : {}));
  await writeSales(persist, `${EVM_NETWORK}/${address}`, sales);
  const worker = await start({ persist });
  for (const format of ['csv', 'json']) {
    const answer = await fetch(`${worker.url}/.edge402/sales/export?format=${format}`, { headers: SELLER });
    assert.equal(answer.status, 200);
    let text = '';
    const decoder = new TextDecoder();
    // Where the transfer is seen to break off, the better.
    const pieces = (async () => {
      for await (const piece of answer.body) text += decoder.decode(piece, { stream: true });
    })();
    await pieces.catch(() => {});
    assert.ok(text.length > 1_000_000, `${text.length} characters came before`);
    if (format === 'json') assert.throws(() => JSON.parse(text));
    else assert.match(text, /\r\nINCOMPLETE: a Settler does not answer,+\r\n$/);
  }
  assert.match(worker.log(), /sales of eip155:84532\/0x/);
  // What is broken on the first page is no file at all.
  const late = await send(`${worker.url}/.edge402/sales/export?to=${sales[501].time}`, SELLER);
  assert.equal(late.status, 503);
  assert.equal((await ask(worker, `sales?from=${sales[501].time}`)).sales.length, 100);
});

test('a sale of which the disk does not take the row is in the ledger once it does', async () => {
  const persist = newFolder('full');
  const names = world.accounts.evm.relayers.map(({ address }) => `${EVM_NETWORK}/${address}`);
  for (const name of names) {
    await writeSales(persist, name, []);
    await runSql(persist, name, `CREATE TRIGGER full BEFORE INSERT ON sales BEGIN SELECT RAISE(ABORT, 'the disk is full'); END`);
  }
  const worker = await start({ persist });
  const url = `${worker.url}${PAGE}`;
  const paid = assertPaid(await send(url, await payment(world, url, { network: EVM_NETWORK })));
  await waitFor(() => worker.log().includes('the disk is full'), { what: 'the failure in the log' });
  assert.ok(!worker.log().includes('edge402.sale'), 'it is told as a sale');
  await worker.stop();
  for (const name of names) await runSql(persist, name, 'DROP TRIGGER full');
  const next = await start({ persist });
  await waitFor(async () => {
    const { sales } = await ask(next, 'sales');
    return sales.length === 1 && sales[0].transaction === paid.transaction;
  }, { what: 'the sale', timeout: 60_000 });
});

test('what a transaction has cost is not written without the end of its payment', async () => {
  const persist = newFolder('spent');
  const names = world.accounts.evm.relayers.map(({ address }) => `${EVM_NETWORK}/${address}`);
  for (const name of names) {
    await writeSales(persist, name, []);
    await runSql(persist, name, `CREATE TRIGGER full BEFORE INSERT ON sales BEGIN SELECT RAISE(ABORT, 'the disk is full'); END`);
  }
  const clients = [{ name: 'acme', pay_to: [world.accounts.evm.seller.address] }];
  const secrets = { DESK_TOKENS, FACILITATOR_TOKENS: tokenHashes(['acme', TOKEN]) };
  const facilitator = () => start({ persist, secrets, vars: { FACILITATOR: { path: PATH, clients } } });
  const worker = await facilitator();
  const body = await order(world);
  const answer = settle(worker.url, '/settle', body, { token: TOKEN }).catch(() => undefined);
  await waitFor(() => worker.log().includes('the disk is full'), { what: 'the failure in the log' });
  await worker.stop();
  await answer;
  for (const name of names) {
    await runSql(persist, name, 'CREATE TABLE spent (count INTEGER CHECK (count = 0)); INSERT INTO spent SELECT COUNT(*) FROM spending; DROP TRIGGER full');
  }
  const next = await facilitator();
  await waitFor(async () => (await ask(next, 'sales')).sales.length === 1, { what: 'the sale', timeout: 60_000 });
});

test('where refusals can not be counted, payments are refused and made as ever', async () => {
  const persist = newFolder('uncounted');
  await runSql(persist, 'desk/refusals', 'CREATE TABLE refusals (x INTEGER)');
  const worker = await start({ persist });
  const url = `${worker.url}${PAGE}`;
  const headers = await payment(world, url, { network: EVM_NETWORK });
  assertPaid(await send(url, headers));
  assertRefused(await send(`${url}?other`, headers), 'duplicate_settlement');
  await waitFor(() => worker.log().includes('counts of refusals: '), { what: 'the failure in the log' });
  assertPaid(await send(url, await payment(world, url, { network: SOLANA_NETWORK })));
  assert.equal((await ask(worker, 'sales')).sales.length, 2);
});
