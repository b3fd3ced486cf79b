/** What `edge402 buy` holds an offer to cost, whatever the seller says of the token; nothing is paid, and no world is needed. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { caip2 } from '../../dev/buyer.mjs';
import { amountOf } from '../../dev/purchase.mjs';
import { listen } from '../../dev/util.mjs';
import { decimalsBy, limit } from '../../cli/price.mjs';
import { EVM_PAY_TO, edge402, folderOf } from './support.mjs';

const USDC = '0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913';
const OTHER = '0x70e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2';
const KNOWN = [{ id: 'eip155:8453', usdc: USDC }];
const KEY = `0x${'46'.repeat(32)}`;
/** $1,000 in USDC. */
const DEAR = { scheme: 'exact', network: 'eip155:8453', asset: USDC, amount: '1000000000', payTo: EVM_PAY_TO, maxTimeoutSeconds: 60, extra: { name: 'USD Coin', version: '2' } };

const decimalsOf = decimalsBy(KNOWN, (name) => caip2(name, { base: 'eip155:8453' }));

/** A shop with one offer, that counts the payments it is sent. */
async function shopWith(t, offer) {
  const sent = { payments: 0 };
  const server = createServer((request, response) => {
    if (request.headers['payment-signature'] ?? request.headers['x-payment']) sent.payments += 1;
    const challenge = { x402Version: 2, resource: { url: 'http://shop.example/', description: '', mimeType: 'text/html' }, accepts: [offer] };
    response.writeHead(402, { 'payment-required': Buffer.from(JSON.stringify(challenge)).toString('base64') }).end('{}');
  });
  const port = await listen(server);
  t.after(() => server.close());
  return { url: `http://127.0.0.1:${port}/`, sent };
}

for (const decimals of [18, 'x', -1, null]) {
  test(`a seller that says decimals ${JSON.stringify(decimals)} is not believed`, async (t) => {
    const { url, sent } = await shopWith(t, { ...DEAR, extra: { ...DEAR.extra, decimals } });
    const { status, stderr } = await edge402(folderOf(t), ['buy', url, '--rpc', url], { env: { BUYER_KEY: KEY } });
    assert.equal(status, 2, stderr);
    assert.match(stderr, /^That is \$1000, and no more than \$1 is paid: --max 1000 allows it\.$/m);
    assert.equal(sent.payments, 0);
  });
}

test('a token that isn’t known is paid in only by name, up to so many units', async (t) => {
  const { url, sent } = await shopWith(t, { ...DEAR, asset: OTHER, amount: '10' });
  const buy = (...args) => edge402(folderOf(t), ['buy', url, '--rpc', url, ...args], { env: { BUYER_KEY: KEY } });
  const unnamed = await buy();
  assert.equal(unnamed.status, 2, unnamed.stderr);
  assert.match(unnamed.stderr, /0x70e2\S+ on eip155:8453 is not USDC, .*--asset 0x70e2\S+ --max-units 10 allows it/);
  const dear = await buy('--asset', OTHER, '--max-units', '9');
  assert.match(dear.stderr, /That is 10 atomic units, and no more than 9 are paid/);
  assert.equal(sent.payments, 0);
  await buy('--asset', OTHER.toUpperCase().replace('0X', '0x'), '--max-units', '10');
  assert.equal(sent.payments, 1);
});

test('units of no token are refused', async (t) => {
  const { status, stderr } = await edge402(folderOf(t), ['buy', 'http://127.0.0.1:1/', '--max-units', '5'], { env: { BUYER_KEY: KEY } });
  assert.equal(status, 2);
  assert.match(stderr, /--max-units 5 needs --asset/);
});

test('only USDC’s decimals are known, in any spelling of its address and network', () => {
  assert.equal(decimalsOf({ network: 'base', asset: USDC.toLowerCase(), extra: { decimals: 18 } }), 6);
  assert.equal(decimalsOf({ network: 'eip155:8453', asset: OTHER, extra: { decimals: 6 } }), undefined);
  assert.equal(decimalsOf({ network: 'eip155:1', asset: USDC }), undefined);
  assert.equal(decimalsBy(KNOWN, String, true)({ network: 'eip155:84532', asset: OTHER }), 6);
});

test('what is no number is no price within the limit', () => {
  const approve = limit({ most: 1 });
  assert.throws(() => approve(DEAR, { text: '$?', units: 1n, dollars: NaN }), /no more than \$1 is paid/);
  assert.throws(() => approve(DEAR, { text: '$-1', units: -1n, dollars: -1 }), /is no price/);
  approve(DEAR, { text: '$1', units: 1_000_000n, dollars: 1 });
});

test('of two amounts the greater is the price', () => {
  assert.equal(amountOf({ amount: '1', maxAmountRequired: '1000000000' }), 1_000_000_000n);
  assert.equal(amountOf({ maxAmountRequired: '5' }), 5n);
});
