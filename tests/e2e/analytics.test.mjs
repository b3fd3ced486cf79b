/** A data point of each sale, where `ANALYTICS` is bound; whatever becomes of it is nothing to a payment. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { waitFor } from '../../dev/util.mjs';
import { EVM_NETWORK, SOLANA_NETWORK, startWorld } from '../../dev/world.mjs';
import { assertPaid, assertRefused, PAGE, payment, send } from './support.mjs';

const TOKEN = 'a token';
const SELLER = { authorization: `Bearer ${TOKEN}` };
const DESK_TOKENS = createHash('sha256').update(TOKEN).digest('hex');

/** What stands in for Analytics Engine: keeps points, or does what else it is told to. */
const standIn = (name, does) => ({
  binding: 'ANALYTICS',
  name,
  script: `import { WorkerEntrypoint } from 'cloudflare:workers';
const points = [];
export default class extends WorkerEntrypoint {
  fetch() { return Response.json(points); }
  writeDataPoint(point) { ${does} }
}`,
});

let world;
before(async () => {
  world = await startWorld({ worker: false });
});
after(() => world?.stop());

const start = (options) => world.startWorker({ secrets: { DESK_TOKENS }, ...options });

async function buy({ url }, network) {
  const answer = await send(`${url}${PAGE}`, await payment(world, `${url}${PAGE}`, { network }));
  return assertPaid(answer);
}

test('each sale is one point, a refusal none', async () => {
  const worker = await start({ services: [standIn('analytics-keeps', 'points.push(point);')] });
  const engine = await worker.miniflare.getWorker('analytics-keeps');
  const points = async () => (await engine.fetch('http://engine/')).json();
  const headers = await payment(world, `${worker.url}${PAGE}`, { network: EVM_NETWORK });
  assertPaid(await send(`${worker.url}${PAGE}`, headers));
  assertRefused(await send(`${worker.url}${PAGE}?other`, headers), 'duplicate_settlement');
  // The same buyer again: delivered once more, and no other sale.
  await send(`${worker.url}${PAGE}`, headers);
  await buy(worker, SOLANA_NETWORK);
  const all = await waitFor(async () => {
    const told = await points();
    return told.length >= 2 && told;
  }, { what: 'two points' });
  const { json } = await send(`${worker.url}/.edge402/sales`, SELLER);
  const expected = json.sales.toReversed().map((it) => ({
    indexes: [PAGE],
    blobs: [PAGE, PAGE, 'GET', it.network, it.asset, it.payer, it.transaction, it.payment, 'gate'],
    doubles: [Number(it.amount), Number(it.fee), 2],
  }));
  assert.equal(all.length, 2);
  const sorted = (list) => list.toSorted((a, b) => (a.blobs[3] < b.blobs[3] ? -1 : 1));
  assert.deepEqual(sorted(all), sorted(expected));
});

test('one that fails, or has no such method, stops no sale', async () => {
  const failing = await start({ services: [standIn('analytics-fails', 'throw new Error("full");')] });
  await buy(failing, EVM_NETWORK);
  await waitFor(() => /ANALYTICS: .*full/.test(failing.log()), { what: 'the failure in the log' });
  await buy(failing, EVM_NETWORK);
  const { json } = await send(`${failing.url}/.edge402/sales`, SELLER);
  assert.equal(json.sales.length, 2);
  const other = await start({ vars: { ANALYTICS: 'a variable' } });
  await buy(other, EVM_NETWORK);
  await waitFor(() => other.log().includes('ANALYTICS: '), { what: 'the fault in the log' });
});

test('Cloudflare’s own binding takes them', async () => {
  const worker = await start({ bindings: { analytics_engine_datasets: [{ binding: 'ANALYTICS', dataset: 'sales' }] } });
  await buy(worker, EVM_NETWORK);
  await waitFor(async () => {
    const { json } = await send(`${worker.url}/.edge402/sales`, SELLER);
    return json.sales[0]?.delivered;
  }, { what: 'the delivery' });
  await buy(worker, EVM_NETWORK);
  assert.doesNotMatch(worker.log(), /ANALYTICS/);
});
