/** What the desk is told: refusals, exports and the state; each answer is what docs/sales-openapi.json says. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import Ajv from 'ajv/dist/2020.js';
import { sale, writeSales } from '../../dev/ledger.mjs';
import { DEV_DIR, ROOT, waitFor } from '../../dev/util.mjs';
import { EVM_NETWORK, SOLANA_NETWORK, startWorld } from '../../dev/world.mjs';
import { snippet } from '../documents/snippets.mjs';
import { assertPaid, evmPayload, offerOf, PAGE, payment, paymentHeader, send } from './support.mjs';

const TOKEN = 'a token';
const DESK_TOKENS = createHash('sha256').update(TOKEN).digest('hex');
const API = JSON.parse(readFileSync(join(ROOT, 'docs/sales-openapi.json'), 'utf8'));
const ajv = new Ajv.default({ strict: false });
ajv.addSchema(API, 'api');

const persist = join(DEV_DIR, `desk-data-${process.pid}`);
let world;
before(async () => {
  world = await startWorld({ worker: { secrets: { DESK_TOKENS } } });
});
after(async () => {
  await world?.stop();
  rmSync(persist, { recursive: true, force: true });
});

const authorization = `Bearer ${TOKEN}`;
const ask = (path, url = world.url) => send(`${url}${path}`, { authorization });

/** The answer, which must be what the description says. */
async function told(path, url) {
  const answer = await ask(path, url);
  const pattern = path.split('?')[0].replaceAll('/', '~1');
  const validate = ajv.getSchema(`api#/paths/${pattern}/get/responses/200/content/application~1json/schema`);
  assert.equal(answer.status, 200, JSON.stringify(answer.json));
  assert.ok(validate(answer.json), JSON.stringify(validate.errors));
  assert.equal(answer.headers.get('cache-control'), 'no-store');
  return answer.json;
}

test('is described in OpenAPI 3.1, parameter by parameter', async () => {
  assert.equal(API.openapi, '3.1.0');
  const operations = new Set();
  for (const [path, { get }] of Object.entries(API.paths)) {
    assert.ok(!operations.has(get.operationId));
    operations.add(get.operationId);
    const parameters = (get.parameters ?? []).map((it) => (it.$ref ? API.components.parameters[it.$ref.split('/').at(-1)] : it));
    for (const { name, schema } of parameters) {
      assert.ok(ajv.validateSchema(schema), name);
      // A value that can't be: were the name unknown, the sentence would be another.
      const { status, json } = await ask(`${path}?${name}=%00`);
      const isFree = ['route', 'payer', 'transaction'].includes(name);
      assert.equal(status, isFree ? 200 : 400, `${path} ${name}`);
      if (!isFree) assert.doesNotMatch(json.error, /no parameter/, `${path} ${name}`);
    }
    const unknown = await ask(`${path}?colour=red`);
    if (parameters.length > 0) assert.match(unknown.json.error, /no parameter "colour"/);
  }
});

test('the examples in the document are what the description says', () => {
  for (const [begins, schema] of [['{\n  "from"', 'Sums'], ['{\n  "keys"', 'State']]) {
    const validate = ajv.getSchema(`api#/components/schemas/${schema}`);
    assert.ok(validate(JSON.parse(snippet('docs/sales.md', begins))), JSON.stringify(validate.errors));
  }
});

test('refused payments are counted by reason and day, and no answer waits for it', async () => {
  const url = `${world.url}${PAGE}`;
  const { evm } = world.buyer();
  const refuse = async (changes) => {
    const offer = await offerOf(url);
    const answer = await send(url, paymentHeader(2, offer, await evmPayload(evm, offer, changes)));
    assert.equal(answer.status, 402);
  };
  for (let n = 0; n < 3; n += 1) await refuse({ authorization: { value: '1' } });
  await refuse({ authorization: { validBefore: '1' } });
  const day = new Date().toISOString().slice(0, 10);
  const refused = await waitFor(async () => {
    const { refused: all } = await told('/.edge402/sales/sums');
    return all.reduce((sum, { count }) => sum + count, 0) === 4 && all;
  }, { what: 'the counts', timeout: 30_000 });
  assert.deepEqual(new Set(refused.map(({ day: on, reason, count }) => `${on === day} ${reason} ${count}`)), new Set([
    'true invalid_exact_evm_payload_authorization_value_mismatch 3',
    'true invalid_exact_evm_payload_authorization_valid_before 1',
  ]));
});

test('the state has the keys, and for how many sales they will do', async () => {
  for (const network of [EVM_NETWORK, SOLANA_NETWORK]) assertPaid(await send(`${world.url}${PAGE}`, await payment(world, `${world.url}${PAGE}`, { network })));
  const state = await told('/.edge402/desk/state');
  assert.deepEqual(state.problems, []);
  assert.deepEqual(state.waiting, []);
  const { relayers } = world.accounts.evm;
  const { feePayers } = world.accounts.solana;
  assert.deepEqual(state.keys.map(({ network, role, address, symbol, decimals }) => ({ network, role, address, symbol, decimals })), [
    { network: EVM_NETWORK, role: 'relayer', address: relayers[0].address, symbol: 'ETH', decimals: 18 },
    { network: SOLANA_NETWORK, role: 'fee payer', address: String(feePayers[0].address), symbol: 'SOL', decimals: 9 },
  ]);
  for (const { balance, sales_left: left } of state.keys) {
    assert.ok(BigInt(balance) > 0n);
    assert.ok(left > 100, String(left));
  }
});

/** The rows of a CSV text (RFC 4180). */
function rowsOf(text) {
  const rows = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|$)/g)) {
    if (end === '' && (quoted ?? plain) === '' && rows.at(-1).length === 0) break;
    rows.at(-1).push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === '\r\n') rows.push([]);
  }
  return rows.filter((row) => row.length > 0);
}

test('all sales of a range are one file, streamed, and no cell of it runs', async () => {
  const evil = ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', 'a,"b"\r\nc', '/plain'];
  const sales = Array.from({ length: 2_600 }, (_, n) => sale(n, { path: evil[n % evil.length], route: `/r${n % 2}/*` }));
  const [{ address }] = world.accounts.evm.relayers;
  const { address: feePayer } = world.accounts.solana.feePayers[0];
  const there = sales.filter((_, n) => n % 3 === 0).map((it) => ({ ...it, network: SOLANA_NETWORK }));
  const here = sales.filter((_, n) => n % 3 !== 0);
  await writeSales(persist, `${EVM_NETWORK}/${address}`, here);
  await writeSales(persist, `${SOLANA_NETWORK}/${feePayer}`, there);
  const { url } = await world.startWorker({ persist, secrets: { DESK_TOKENS } });
  const all = [...here, ...there].sort((a, b) => b.time - a.time);
  assert.deepEqual(await told('/.edge402/sales/export?format=json', url), all);
  const part = all.filter((it) => it.time >= all[2_000].time && it.time < all[10].time && it.route === '/r1/*' && it.network === SOLANA_NETWORK);
  const query = `from=${all[2_000].time}&to=${all[10].time}&route=%2Fr1%2F*&network=${SOLANA_NETWORK}`;
  assert.deepEqual(await told(`/.edge402/sales/export?format=json&${query}`, url), part);
  const page = await told(`/.edge402/sales?limit=500&${query}`, url);
  assert.deepEqual(page.sales, part.slice(0, 500));

  const answer = await fetch(`${url}/.edge402/sales/export`, { headers: { authorization } });
  assert.match(answer.headers.get('content-type'), /^text\/csv/);
  assert.match(answer.headers.get('content-disposition'), /^attachment/);
  const [names, ...rows] = rowsOf(await answer.text());
  assert.deepEqual(names, ['time', 'route', 'path', 'method', 'amount', 'asset', 'network', 'payer', 'transaction', 'payment', 'way', 'x402_version', 'fee', 'delivered', 'redeliveries', 'refunded', 'refunds']);
  assert.equal(rows.length, all.length);
  const expected = all.map((it) => names.map((name) => {
    if (name === 'time') return new Date(it.time * 1_000).toISOString().replace('.000', '');
    const text = String(it[name] ?? '').replace(/(^|[;\t\r\n])(?=[=+\-@])/g, "$1'");
    return /^[\t\r\n]/.test(text) ? `'${text}` : text;
  }));
  assert.deepEqual(rows, expected);
  const head = await fetch(`${url}/.edge402/sales/export`, { method: 'HEAD', headers: { authorization } });
  assert.equal(head.status, 200);
});

test('tells what can not be exported', async () => {
  for (const [query, part] of [['?format=xml', /csv or json/], ['?network=base', /network/], ['?from=2&to=1', /ends before/], ['?cursor=00', /no parameter/]]) {
    const { status, json } = await ask(`/.edge402/sales/export${query}`);
    assert.equal(status, 400, query);
    assert.match(json.error, part);
  }
  for (const path of Object.keys(API.paths)) assert.equal((await send(`${world.url}${path}`)).status, 401, path);
});
