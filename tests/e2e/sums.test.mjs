/** `/.edge402/sales/sums`: what was sold, summed, however many sales there are and however they are folded. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sale, writeSales } from '../../dev/ledger.mjs';
import { DEV_DIR } from '../../dev/util.mjs';
import { EVM_NETWORK, SOLANA_NETWORK, startWorld } from '../../dev/world.mjs';
import { assertPaid, PAGE, PAGE_PRICE, payment, send } from './support.mjs';

const TOKEN = 'a token';
const DESK_TOKENS = createHash('sha256').update(TOKEN).digest('hex');
const DAY = 86_400;
const today = Math.floor(Date.now() / 1_000 / DAY);
const dayOf = (day) => new Date(day * DAY * 1_000).toISOString().slice(0, 10);

const persist = join(DEV_DIR, `sums-${process.pid}`);
let world;
before(async () => {
  world = await startWorld({ worker: { secrets: { DESK_TOKENS } } });
});
after(async () => {
  await world?.stop();
  rmSync(persist, { recursive: true, force: true });
});

const ask = (url, query = '') => send(`${url}/.edge402/sales/sums${query}`, { authorization: `Bearer ${TOKEN}` });

async function sumsOf(url, query) {
  const { status, json } = await ask(url, query);
  assert.equal(status, 200, JSON.stringify(json));
  return json;
}

test('sums what was sold on both chains, by what is asked for', async () => {
  for (const [number, network] of [EVM_NETWORK, SOLANA_NETWORK, EVM_NETWORK].entries()) {
    const url = `${world.url}${PAGE}?number=${number}`;
    assertPaid(await send(url, await payment(world, url, { network })));
  }
  const { json: { sales } } = await send(`${world.url}/.edge402/sales`, { authorization: `Bearer ${TOKEN}` });
  const feeOf = (network) => String(sales.filter((it) => it.network === network).reduce((sum, { fee }) => sum + BigInt(fee), 0n));
  const line = (key, network, count) => ({
    key, network, asset: sales.find((it) => it.network === network).asset, decimals: 6, symbol: 'USDC', count, amount: String(PAGE_PRICE * BigInt(count)), fee: feeOf(network),
  });
  const lines = (key) => [line(key(EVM_NETWORK), EVM_NETWORK, 2), line(key(SOLANA_NETWORK), SOLANA_NETWORK, 1)];
  const [{ time }] = sales;
  const day = dayOf(Math.floor(time / DAY));
  const byDay = await sumsOf(world.url);
  assert.deepEqual({ ...byDay, refused: [] }, {
    from: dayOf(Math.floor(time / DAY) - 29), to: day, by: 'day', sums: lines(() => day), cut: false, refused: [],
  });
  const range = `from=${day}&to=${day}`;
  assert.deepEqual((await sumsOf(world.url, `?by=route&${range}`)).sums, lines(() => PAGE));
  assert.deepEqual((await sumsOf(world.url, `?by=network&${range}`)).sums, lines((network) => network));
  const payers = (await sumsOf(world.url, `?by=payer&${range}`)).sums;
  assert.deepEqual(payers, [line(world.buyer().evm.address, EVM_NETWORK, 2), line(world.buyer().solana.address, SOLANA_NETWORK, 1)]);
  const before = dayOf(Math.floor(time / DAY) - 1);
  assert.deepEqual((await sumsOf(world.url, `?from=${before}&to=${before}`)).sums, []);
});

/** The sums that lines must have, by key and token. */
function expected(sales, keyOf) {
  const sums = new Map();
  for (const it of sales) {
    const name = `${keyOf(it) ?? null} ${it.asset}`;
    const sum = sums.get(name) ?? { count: 0, amount: 0n, fee: 0n };
    sums.set(name, { count: sum.count + 1, amount: sum.amount + BigInt(it.amount), fee: sum.fee + BigInt(it.fee ?? 0) });
  }
  return sums;
}

function assertSums(json, sums, which) {
  const said = json.sums.map(({ key, asset, count, amount, fee }) => [`${key} ${asset}`, { count, amount: BigInt(amount), fee: BigInt(fee) }]);
  assert.deepEqual(new Map(said), sums, which);
  assert.equal(json.sums.length, sums.size);
}

test('is right to the last digit over many sales, folded or not', async () => {
  const [{ address }] = world.accounts.evm.relayers;
  const other = '0x1111111111111111111111111111111111111111';
  // So that folds end within seconds, days and tokens; amounts of up to 128 bits.
  const sales = Array.from({ length: 12_345 }, (_, n) => sale(n, {
    time: (today - 29) * DAY + Math.floor(n / 7) * 1_500,
    route: n % 11 === 0 ? undefined : `/r${n % 3}/*`,
    ...(n % 5 === 0 && { asset: other, amount: String((1n << 128n) / 3_000n - BigInt(n)), fee: undefined }),
  }));
  await writeSales(persist, `${EVM_NETWORK}/${address}`, sales);
  const worker = await world.startWorker({ persist, secrets: { DESK_TOKENS } });
  for (const round of ['first', 'second']) {
    const all = `?from=${dayOf(today - 29)}&to=${dayOf(today)}`;
    const until = sales.filter(({ time }) => time < (today + 1) * DAY);
    assert.ok(until.length < sales.length, 'some are later');
    assertSums(await sumsOf(worker.url, `${all}&by=day`), expected(until, ({ time }) => dayOf(Math.floor(time / DAY))), round);
    assertSums(await sumsOf(worker.url, `${all}&by=route`), expected(until, ({ route }) => route), round);
    assertSums(await sumsOf(worker.url, `${all}&by=network`), expected(until, ({ network }) => network), round);
    const one = sales.filter(({ time }) => Math.floor(time / DAY) === today - 17);
    assertSums(await sumsOf(worker.url, `?from=${dayOf(today - 17)}&to=${dayOf(today - 17)}`), expected(one, () => dayOf(today - 17)), round);
    const payers = await sumsOf(worker.url, `${all}&by=payer`);
    assert.equal(payers.cut, false);
    assert.equal(payers.sums.length, 50);
    const byPayer = expected(until, ({ payer }) => payer);
    for (const { key, asset, count, amount } of payers.sums) {
      const sum = byPayer.get(`${key} ${asset}`);
      assert.deepEqual([count, BigInt(amount)], [sum.count, sum.amount]);
    }
  }
});

test('tells what can not be asked', async () => {
  for (const [query, part] of [
    ['?from=1764000000', /from must be a day/], ['?to=2026-02-30', /to must be a day/], ['?by=week', /day, route, network or payer/],
    ['?from=2026-02-02&to=2026-02-01', /ends before it starts/], ['?from=2000-01-01&to=2026-01-01', /longer than/], ['?limit=5', /no parameter/],
  ]) {
    const { status, json } = await ask(world.url, query);
    assert.equal(status, 400, query);
    assert.match(json.error, part);
  }
  assert.equal((await send(`${world.url}/.edge402/sales/sums`)).status, 401);
});
