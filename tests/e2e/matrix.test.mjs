/**
 * Every server, facilitator and client that can work together, on both chains:
 * the goods, one transfer, and the balances on chain. The table is printed at
 * the end, with the pairs that can't work and why; those are tested, too.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { caip2, faremeterFetch, x402Fetch, x402FetchV1 } from '../../dev/clients.mjs';
import { startReferenceFacilitator } from '../../dev/servers/facilitators.mjs';
import { GOODS, startFaremeter, startX402Hono, startX402HonoV1 } from '../../dev/servers/shops.mjs';
import { ROOT } from '../../dev/util.mjs';
import { startWorld } from '../../dev/world.mjs';
import { CHAINS, DAILY_SPEND, NAMES, PATH, tokenHashes } from './facilitator-support.mjs';
import { ledger, PAGE, PAGE_PRICE, takeApart, transfersIn, unchanged, USDC_ADDRESS, USDC_MINT } from './support.mjs';

const CLIENTS = { '@x402/fetch': x402Fetch, 'x402-fetch': x402FetchV1, '@faremeter/fetch': faremeterFetch };
const HONO_TOKEN = 'token-of-the-hono-shops';
const GATE_TOKEN = 'token-of-another-gate';

/** Who sells through whom, and what pays there: the protocol version that a client and a server come to speak. */
const SHOPS = {
  '@x402/hono': { facilitator: 'edge402', pays: { '@x402/fetch': 2, '@faremeter/fetch': 2 } },
  'x402-hono': { facilitator: 'edge402', pays: { '@x402/fetch': 1, 'x402-fetch': 1, '@faremeter/fetch': 1 } },
  '@faremeter/middleware, both versions': { facilitator: 'edge402', pays: { '@x402/fetch': 2, '@faremeter/fetch': 2 } },
  '@faremeter/middleware, v1': { facilitator: 'edge402', pays: { '@faremeter/fetch': 1 } },
  'edge402, through @x402/core': { facilitator: '@x402/core', pays: { '@x402/fetch': 2, 'x402-fetch': 1, '@faremeter/fetch': 2 } },
  'edge402, through edge402': { facilitator: 'edge402', pays: { '@x402/fetch': 2, 'x402-fetch': 1, '@faremeter/fetch': 2 } },
  edge402: { facilitator: 'itself', pays: { '@x402/fetch': 2, 'x402-fetch': 1, '@faremeter/fetch': 2 } },
};

/** Why the other pairs can't work, whoever the facilitator is. */
const IMPOSSIBLE = [
  { shop: '@x402/hono', client: 'x402-fetch', why: 'the server offers version 2 only, in a header; the client reads version 1, from the body' },
  { shop: '@faremeter/middleware, both versions', client: 'x402-fetch', why: 'in version 1 the server names networks as version 2 does; the client refuses names that it does not know' },
  { shop: '@faremeter/middleware, v1', client: 'x402-fetch', why: 'the same' },
  { shop: '@faremeter/middleware, v1', client: '@x402/fetch', why: 'the same' },
];

let world;
/** By name: `{ urlOf(chain), goods }`. */
let shops;
const stops = [];
/** What is printed: one entry for each purchase. */
const table = [];

before(async () => {
  // Two fee payers: a server that asks again what is supported must get the same answer.
  world = await startWorld({ worker: false, feePayers: 2, relayers: 2 });
  const facilitator = await startFacilitator();
  shops = { ...(await startShops(facilitator.url + PATH)), ...(await startGates(facilitator)) };
});
after(async () => {
  printTable();
  for (const stop of stops.reverse()) await stop();
  await world?.stop();
});

const sellers = () => ({ evm: world.accounts.evm.seller.address, solana: world.accounts.solana.seller.address });

/** The Worker under test: a gate of its own, and the facilitator of all others. */
function startFacilitator() {
  const pay_to = Object.values(sellers());
  return world.startWorker({
    vars: { FACILITATOR: { path: PATH, open: true, pay_to, daily_spend: DAILY_SPEND, clients: [{ name: 'hono', pay_to }, { name: 'gate', pay_to }] } },
    secrets: { FACILITATOR_TOKENS: tokenHashes(['hono', HONO_TOKEN], ['gate', GATE_TOKEN]) },
  });
}

async function startShops(facilitator) {
  const { evm, solana } = sellers();
  const offers = [
    { network: CHAINS.evm, v1Name: NAMES[1].evm, payTo: evm, asset: USDC_ADDRESS, amount: PAGE_PRICE },
    { network: CHAINS.solana, v1Name: NAMES[1].solana, payTo: solana, asset: USDC_MINT, amount: PAGE_PRICE },
  ];
  const started = {
    '@x402/hono': await startX402Hono({ facilitator, token: HONO_TOKEN, offers }),
    'x402-hono': await startX402HonoV1({ facilitator, token: HONO_TOKEN, offers }),
    '@faremeter/middleware, both versions': await startFaremeter({ facilitator, offers }),
    '@faremeter/middleware, v1': await startFaremeter({ facilitator, offers, versions: [1] }),
  };
  return Object.fromEntries(Object.entries(started).map(([name, { url, stop }]) => {
    stops.push(stop);
    return [name, { goods: GOODS, urlOf: (chain) => `${url}/goods/${NAMES[1][chain]}` }];
  }));
}

async function startGates(own) {
  const reference = await startReferenceFacilitator({
    evm: { url: world.evm.url, relayer: world.accounts.evm.relayers[1] },
    solana: { url: world.solana.url, feePayer: world.accounts.solana.feePayers[1] },
  });
  stops.push(reference.stop);
  const authorization = { Authorization: `Bearer ${GATE_TOKEN}` };
  const started = {
    'edge402, through @x402/core': await startGate(reference.url),
    'edge402, through edge402': await startGate(own.url + PATH, { FACILITATOR_HEADERS: { [CHAINS.evm]: authorization, [CHAINS.solana]: authorization } }),
    edge402: own,
  };
  const goods = readFileSync(join(ROOT, 'www/premium/index.html'), 'utf8');
  return Object.fromEntries(Object.entries(started).map(([name, { url }]) => [name, { goods, urlOf: () => url + PAGE }]));
}

/** A gate without keys and nodes of its own. */
function startGate(facilitator, secrets = {}) {
  const { evm, solana } = sellers();
  return world.startWorker({
    vars: { NETWORKS: { [CHAINS.evm]: { facilitator, pay_to: evm }, [CHAINS.solana]: { facilitator, pay_to: solana } } },
    secrets: { EVM_RELAYER_KEYS: undefined, SOLANA_FEE_PAYER_KEYS: undefined, RPC_URLS: undefined, ...secrets },
  });
}

for (const [shop, { facilitator, pays }] of Object.entries(SHOPS)) {
  describe(`${shop}, settled by ${facilitator}`, () => {
    for (const [client, version] of Object.entries(pays)) {
      for (const chain of Object.keys(CHAINS)) {
        test(`sells to ${client} on ${chain}, version ${version}`, () => purchase({ shop, facilitator, client, version, chain }));
      }
    }
  });
}

async function purchase(row) {
  const { shop, client, version, chain } = row;
  const entry = { ...row, goods: 'no', transaction: '', seller: 0n };
  table.push(entry);
  const { goods, urlOf } = shops[shop];
  const start = await ledger(world);
  const spoken = [];
  const pay = await CLIENTS[client]({ ...world.buyer(), network: CHAINS[chain], fetch: listening(spoken) });
  const answer = await takeApart(await pay(urlOf(chain)));
  const end = await ledger(world);
  entry.seller = end[`${chain}Seller`] - start[`${chain}Seller`];
  entry.transaction = answer.receipt?.transaction ?? '';

  assert.equal(answer.status, 200, `${answer.status} ${answer.reason ?? ''} ${answer.text.slice(0, 300)}`);
  assert.equal(answer.text, goods);
  entry.goods = 'yes';
  assert.deepEqual(spoken, [undefined, version], 'one request without a payment, one with it');

  const { seller, buyers: [buyer] } = world.accounts[chain];
  const { receipt } = answer;
  assert.equal(receipt.success, true);
  assert.equal(caip2(receipt.network), CHAINS[chain]);
  assert.equal(receipt.payer, buyer.address);
  assert.equal(entry.seller, PAGE_PRICE, 'the seller has the price');
  assert.equal(start[`${chain}Buyers`][0] - end[`${chain}Buyers`][0], PAGE_PRICE, 'the buyer has paid it');
  assert.deepEqual(await transfersIn(world, { network: caip2(receipt.network), transaction: receipt.transaction }), [{ from: buyer.address, to: seller.address, value: PAGE_PRICE }]);
  const other = chain === 'evm' ? 'solana' : 'evm';
  assert.equal(end[`${other}Seller`], start[`${other}Seller`]);
}

/** The global `fetch`, writing down the protocol version of each payment. */
function listening(spoken) {
  return (input, init) => {
    const request = new Request(input, init);
    const [version] = Object.entries({ 2: 'payment-signature', 1: 'x-payment' }).find(([, name]) => request.headers.has(name)) ?? [];
    spoken.push(version && Number(version));
    return fetch(request);
  };
}

describe('what can’t work, and costs nothing', () => {
  for (const { shop, client, why } of IMPOSSIBLE) {
    test(`${client} at ${shop}: ${why}`, async () => {
      const spoken = [];
      const pay = await CLIENTS[client]({ ...world.buyer(), fetch: listening(spoken) });
      await unchanged(world, () => assert.rejects(async () => pay(shops[shop].urlOf('evm'))));
      assert.deepEqual(spoken, [undefined], 'the client pays nothing');
    });
  }

  test('every pair is in one of the two tables', () => {
    const pairs = Object.entries(SHOPS).flatMap(([shop, { pays }]) => Object.keys(pays).map((client) => `${shop} ${client}`));
    const all = [...pairs, ...IMPOSSIBLE.map(({ shop, client }) => `${shop} ${client}`)].sort();
    assert.deepEqual(all, Object.keys(SHOPS).flatMap((shop) => Object.keys(CLIENTS).map((client) => `${shop} ${client}`)).sort());
  });
});

function printTable() {
  const head = ['server', 'facilitator', 'client', 'version', 'chain', 'goods', 'seller', 'transaction'];
  const dollars = (amount) => `+$${Number(amount) / 1e6}`;
  const rows = table.map((it) => [it.shop.replace(/, through .*/, ''), it.facilitator, it.client, `v${it.version}`, it.chain, it.goods, dollars(it.seller), it.transaction]);
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((row) => row[i].length)));
  const line = (row) => row.map((cell, i) => cell.padEnd(widths[i])).join('  ').trimEnd();
  const legend = IMPOSSIBLE.map(({ shop, client, why }) => `not: ${client} at ${shop}: ${why}`);
  console.log(`\n${[line(head), ...rows.map(line), '', ...legend].join('\n')}\n`);
}
