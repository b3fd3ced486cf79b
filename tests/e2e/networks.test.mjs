/** The networks that guides name, at their chain ids and with a USDC of their name, bought as guides write it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { x402Fetch, x402FetchV1 } from '../../dev/clients.mjs';
import { startWorld } from '../../dev/world.mjs';
import { ask, DAILY_SPEND, PATH, tokenHashes } from './facilitator-support.mjs';
import { assertPaid, decode, encode, evmPayload, nowSeconds, PAGE, PAGE_PRICE, randomHex, send, SOLANA_NETWORK, takeApart, USDC_MINT } from './support.mjs';

const NETWORKS = [
  { chainId: 84532, name: 'base-sepolia', usdc: '0x036CbD53842c5426634e7929541eC2318f3dCF7e', token: 'USDC' },
  { chainId: 8453, name: 'base', usdc: '0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913', token: 'USD Coin' },
  { chainId: 80002, name: 'polygon-amoy', usdc: '0x41E94Eb019C0762f9Bfcf9Fb1E58725BfB0e7582', token: 'USDC' },
  { chainId: 43113, name: 'avalanche-fuji', usdc: '0x5425890298aed601595a70AB815c96711a31Bc65', token: 'USD Coin' },
  { chainId: 43114, name: 'avalanche', usdc: '0xB97EF9Ef8734C71904D8002F8b6Bc66Dd9c48a6E', token: 'USD Coin' },
];
const TOKEN = 'a server of a guide';

for (const network of NETWORKS) describe(network.name, () => everything(network));

function everything({ chainId, name, usdc, token }) {
  const id = `eip155:${chainId}`;
  let world;
  before(async () => {
    world = await startWorld({ evm: { chainId, token: { address: usdc, name: token } }, worker: false });
    const { evm, solana, accounts } = world;
    const seller = accounts.evm.seller.address;
    const solanaSeller = accounts.solana.seller.address;
    const worker = await world.startWorker({
      vars: {
        NETWORKS: {
          [id]: { rpc: [evm.url], pay_to: seller, max_timeout_seconds: 60 },
          // Names that no client of v1 knows: it would read them all before it chose one.
          'eip155:42220': { rpc: ['http://127.0.0.1:9'], pay_to: seller },
          'eip155:143': { rpc: ['http://127.0.0.1:9'], pay_to: seller },
          'eip155:1': { rpc: ['http://127.0.0.1:9'], pay_to: seller },
          [SOLANA_NETWORK]: { rpc: [solana.url], pay_to: solanaSeller },
        },
        FACILITATOR: { path: PATH, clients: [{ name: 'guide', pay_to: [seller, solanaSeller], daily_spend: { [id]: DAILY_SPEND['eip155:84532'] } }] },
      },
      secrets: { FACILITATOR_TOKENS: tokenHashes(['guide', TOKEN]) },
    });
    world.url = worker.url;
  });
  after(() => world?.stop());

  const buyer = () => world.accounts.evm.buyers[0];
  const asked = (endpoint, body) => ask(world.url, endpoint, body, { token: TOKEN });

  /** Runs a purchase and asserts that it moved the price from buyer to seller, once. */
  async function paysOnce(work) {
    const balances = () => Promise.all([buyer(), world.accounts.evm.seller].map(({ address }) => world.evm.usdcBalance(address)));
    const [had, earned] = await balances();
    const value = await work();
    assert.deepEqual(await balances(), [had - PAGE_PRICE, earned + PAGE_PRICE]);
    return value;
  }

  test('the buyer of a guide pays: the first offer, valid from this very second, for five minutes', async () => {
    const first = await send(world.url + PAGE);
    assert.equal(first.status, 402);
    const { accepts: [offer] } = first.json;
    assert.equal(offer.network, name);
    assert.equal(offer.maxTimeoutSeconds, 60);
    const authorization = {
      from: buyer().address, to: offer.payTo, value: offer.maxAmountRequired,
      validAfter: String(nowSeconds()), validBefore: String(nowSeconds() + 300), nonce: randomHex(32),
    };
    const payload = await evmPayload(buyer(), { ...offer, network: id, amount: offer.maxAmountRequired }, { authorization });
    const payment = encode({ x402Version: 1, scheme: offer.scheme, network: offer.network, payload });
    const answer = await paysOnce(() => send(world.url + PAGE, { 'x-payment': payment }));
    const receipt = assertPaid(answer, 1);
    assert.equal(receipt.network, name);
    assert.equal(receipt.errorReason, null, 'a reader that wants the member finds it');
  });

  test('@x402/fetch pays', async () => {
    const pay = x402Fetch({ ...world.buyer(), network: id });
    const answer = await paysOnce(async () => takeApart(await pay(world.url + PAGE)));
    assert.equal(assertPaid(answer, 2).network, id);
    assert.ok(!('errorReason' in answer.receipt));
  });

  test('x402-fetch pays, beside networks that it does not know', async () => {
    const pay = x402FetchV1({ ...world.buyer(), network: name });
    const answer = await paysOnce(async () => takeApart(await pay(world.url + PAGE)));
    assert.equal(assertPaid(answer, 1).network, name);
    const { json, headers } = await send(world.url + PAGE);
    assert.deepEqual(json.accepts.map((offer) => offer.network).sort(), [name, 'solana-devnet'].sort());
    assert.equal(decode(headers.get('payment-required')).accepts.length, 5);
  });

  test('an authorization that never ends pays, once', async () => {
    const { challenge } = await send(world.url + PAGE);
    const offer = challenge.accepts.find((entry) => entry.network === id);
    const payload = await evmPayload(buyer(), offer, { authorization: { validAfter: '0', validBefore: String(2n ** 256n - 1n) } });
    const headers = { 'payment-signature': encode({ x402Version: 2, accepted: offer, payload }) };
    const receipt = assertPaid(await paysOnce(() => send(world.url + PAGE, headers)));
    const other = await send(`${world.url}${PAGE}?other`, headers);
    assert.equal(other.reason, 'duplicate_settlement');
    assert.match(receipt.transaction, /^0x/);
  });

  test('a payment alone is verified and settled', async () => {
    const offer = { scheme: 'exact', network: id, asset: usdc, payTo: world.accounts.evm.seller.address, amount: String(PAGE_PRICE), extra: { name: token, version: '2' } };
    const payment = { x402Version: 1, scheme: 'exact', network: name, payload: await evmPayload(buyer(), offer) };
    const verified = await asked('/verify', payment);
    assert.deepEqual(verified.json, { isValid: true, invalidReason: null, payer: buyer().address });
    const { status, json } = await paysOnce(() => asked('/settle', payment));
    assert.equal(status, 200);
    assert.equal(json.success, true);
    assert.match(json.txHash, /^0x[0-9a-f]{64}$/);
    assert.equal(json.transaction, json.txHash);
    assert.deepEqual([json.network, json.networkId, json.error], [name, name, null]);
    const again = await asked('/verify', payment);
    assert.deepEqual([again.json.isValid, again.json.invalidReason], [false, 'duplicate_settlement']);
    const elsewhere = await evmPayload(buyer(), { ...offer, payTo: buyer().address });
    assert.equal((await asked('/settle', { ...payment, payload: elsewhere })).json.field, 'payload.authorization.to');
  });

  test('requirements with a symbol and a short name are completed', async () => {
    const { evm, solana } = world.accounts;
    const common = { scheme: 'exact', asset: 'USDC', maxAmountRequired: '10000', resource: '/weather', maxTimeoutSeconds: 60 };
    const accepts = [
      { ...common, network: 'solana-devnet', payTo: solana.seller.address },
      { ...common, network: 'devnet', payTo: solana.seller.address },
      { ...common, network: name, payTo: evm.seller.address },
    ];
    const { status, json } = await asked('/accepts', { x402Version: 1, accepts });
    assert.equal(status, 200);
    assert.deepEqual(json.accepts.map(({ network, asset, resource }) => [network, asset, resource]), [
      ['solana-devnet', USDC_MINT, '/weather'],
      ['solana-devnet', USDC_MINT, '/weather'],
      [name, usdc, '/weather'],
    ]);
    assert.equal(json.accepts[0].extra.feePayer, solana.feePayers[0].address);
    assert.deepEqual(json.accepts[2].extra, { name: token, version: '2' });
  });
}
