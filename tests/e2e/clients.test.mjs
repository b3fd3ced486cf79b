/** Clients that nobody here wrote buy from the demo shop, on both chains. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { caip2, faremeterFetch, x402Fetch, x402FetchV1 } from '../../dev/clients.mjs';
import { ROOT } from '../../dev/util.mjs';
import { startWorld } from '../../dev/world.mjs';
import { assertPaid, decode, EVM_NETWORK, ledger, SOLANA_NETWORK, takeApart, transfersIn } from './support.mjs';

const GOODS = [
  { path: '/premium/', file: 'www/premium/index.html', price: 10_000n, type: 'text/html' },
  { path: '/data/almanac.json', file: 'www/data/almanac.json', price: 5_000n, type: 'application/json' },
  { path: '/photos/aurora.jpg', file: 'www/photos/aurora.jpg', price: 20_000n, type: 'image/jpeg' },
];
const CHAINS = { evm: EVM_NETWORK, solana: SOLANA_NETWORK };
const NAMES = { 1: { evm: 'base-sepolia', solana: 'solana-devnet' }, 2: CHAINS };
/** What clients and the servers in front of them take without complaint. */
const MAX_HEADER = 3_000;

let world;
before(async () => {
  world = await startWorld({ engine: 'wrangler' });
});
after(() => world?.stop());

describe('@x402/fetch, version 2', () => everyPurchase(x402Fetch, 2));
describe('x402-fetch, version 1', () => everyPurchase(x402FetchV1, 1));
describe('@faremeter/fetch', () => everyPurchase(faremeterFetch));

function everyPurchase(client, version) {
  for (const chain of Object.keys(CHAINS)) {
    for (const goods of GOODS) {
      test(`buys ${goods.path} on ${chain}`, () => purchase(client, version, chain, goods));
    }
  }
}

async function purchase(client, version, chain, { path, file, price, type }) {
  const start = await ledger(world);
  const exchanges = [];
  const pay = await client({ ...world.buyer(), network: CHAINS[chain], fetch: recording(exchanges) });
  const answer = await takeApart(await pay(`${world.url}${path}`));

  assert.equal(exchanges.length, 2, 'one request without a payment, one with it');
  const spoken = exchanges[1].request.has('payment-signature') ? 2 : 1;
  if (version !== undefined) assert.equal(spoken, version);
  const receipt = assertPaid(answer, spoken);
  assert.ok(answer.headers.get('content-type').startsWith(type));
  assert.deepEqual(answer.bytes, readFileSync(join(ROOT, file)), 'the goods are the file');

  const { seller, buyers: [buyer] } = world.accounts[chain];
  assert.equal(receipt.network, NAMES[spoken][chain]);
  assert.equal(caip2(receipt.network), CHAINS[chain]);
  assert.equal(receipt.payer, buyer.address);
  assert.deepEqual(await transfersIn(world, receipt), [{ from: buyer.address, to: seller.address, value: price }]);

  const end = await ledger(world);
  assert.equal(end[`${chain}Seller`] - start[`${chain}Seller`], price, 'the seller has the price');
  assert.equal(start[`${chain}Buyers`][0] - end[`${chain}Buyers`][0], price, 'the buyer has paid it');
  const other = chain === 'evm' ? 'solana' : 'evm';
  assert.equal(end[`${other}Seller`], start[`${other}Seller`]);

  assert.equal(exchanges[0].response.status, 402);
  const offered = decode(exchanges[0].response.headers.get('payment-required')).accepts;
  assert.ok(offered.every(({ amount }) => BigInt(amount) === price));
  for (const headers of exchanges.flatMap(({ request, response }) => [request, response.headers])) {
    for (const [name, value] of headers) assert.ok(value.length < MAX_HEADER, `${name} has ${value.length} bytes`);
  }
}

/** The global `fetch`, writing down what went over it. */
function recording(exchanges) {
  return async (input, init) => {
    const request = new Request(input, init);
    const response = await fetch(request.clone());
    exchanges.push({ request: request.headers, response: { status: response.status, headers: new Headers(response.headers) } });
    return response;
  };
}
