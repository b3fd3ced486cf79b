/** Several tokens on one network: each is bought by clients that nobody here wrote, in both versions, and moves alone. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { x402Fetch, x402FetchV1 } from '../../dev/clients.mjs';
import { tokenBalanceOf, TOKEN_2022_MINT, USDC_MINT } from '../../dev/solana/setup.mjs';
import { startWorld } from '../../dev/world.mjs';
import { ask, order, PATH, tokenHashes } from './facilitator-support.mjs';
import { assertPaid, assertRefused, decode, EVM_NETWORK, evmPayload, PAGE, paymentHeader, send, SOLANA_NETWORK, takeApart, USDC_ADDRESS } from './support.mjs';

/** A second token with EIP-3009, of which the shop is told that it has 18 decimals. */
const OTHER = '0x808456652fdb597867f38412077A9182bf77359F';
const OTHER_PRICE = 10n ** 16n;
const PRICE = 10_000n;
const TOKEN = 'a server';

let world;
let other;
before(async () => {
  world = await startWorld({ worker: false });
  const { evm, solana, accounts } = world;
  other = await evm.addToken(OTHER, 'Other Dollar');
  for (const { address } of accounts.evm.buyers) await other.mintUsdc(address, 10n ** 20n);
  const seller = accounts.evm.seller.address;
  const NETWORKS = {
    [EVM_NETWORK]: {
      rpc: [evm.url], pay_to: seller,
      tokens: [{ asset: OTHER, name: 'Other Dollar', version: '2', decimals: 18, symbol: 'OTHER' }],
    },
    [SOLANA_NETWORK]: {
      rpc: [solana.url], pay_to: accounts.solana.seller.address,
      tokens: [{ asset: TOKEN_2022_MINT, decimals: 6, symbol: 'NEW', token_program: 'token-2022' }],
    },
  };
  const FACILITATOR = { path: PATH, clients: [{ name: 'server', pay_to: [seller] }] };
  world.worker = await world.startWorker({ vars: { NETWORKS, FACILITATOR }, secrets: { FACILITATOR_TOKENS: tokenHashes(['server', TOKEN]) } });
  world.url = world.worker.url;
});
after(() => world?.stop());

/** The tokens, and what the page costs in each. */
const TOKENS = [
  { symbol: 'USDC on EVM', network: EVM_NETWORK, asset: USDC_ADDRESS, price: PRICE },
  { symbol: 'OTHER on EVM', network: EVM_NETWORK, asset: OTHER, price: OTHER_PRICE },
  { symbol: 'USDC on Solana', network: SOLANA_NETWORK, asset: USDC_MINT, price: PRICE },
  { symbol: 'NEW on Solana', network: SOLANA_NETWORK, asset: TOKEN_2022_MINT, price: PRICE },
];

/** What buyer and seller have of a token. */
async function balances({ network, asset }) {
  const { evm, solana, accounts } = world;
  const of = {
    [USDC_ADDRESS]: evm.usdcBalance,
    [OTHER]: other.usdcBalance,
  }[asset] ?? ((owner) => tokenBalanceOf(solana, owner, asset));
  const { buyers: [buyer], seller } = network === EVM_NETWORK ? accounts.evm : accounts.solana;
  return Promise.all([buyer, seller].map(({ address }) => of(address)));
}

/** Runs a purchase and asserts that it moved the price of this token from buyer to seller, and no other token. */
async function moves(token, work, amount = token?.price) {
  const before = await Promise.all(TOKENS.map(balances));
  const value = await work();
  const now = await Promise.all(TOKENS.map(balances));
  TOKENS.forEach((it, n) => {
    const price = it === token ? amount : 0n;
    assert.deepEqual(now[n], [before[n][0] - price, before[n][1] + price], it.symbol);
  });
  return value;
}

test('each token is an offer of its own, networks first', async () => {
  const { challenge, json } = await send(world.url + PAGE);
  const [usdc, newer, ...rest] = [[USDC_ADDRESS, PRICE], [USDC_MINT, PRICE], [OTHER, OTHER_PRICE], [TOKEN_2022_MINT, PRICE]].map(([asset, amount]) => [asset, String(amount)]);
  assert.deepEqual(challenge.accepts.map(({ asset, amount }) => [asset, amount]), [usdc, newer, ...rest]);
  assert.deepEqual(json.accepts.map(({ asset, maxAmountRequired }) => [asset, maxAmountRequired]), [usdc, newer, ...rest]);
});

for (const [client, version] of [[x402Fetch, 2], [x402FetchV1, 1]]) {
  describe(`${client.name}, version ${version}`, () => {
    for (const token of TOKENS) {
      test(`buys in ${token.symbol}`, async () => {
        const { network, asset } = token;
        const pay = client({ ...world.buyer(), network, asset });
        const answer = await moves(token, async () => takeApart(await pay(world.url + PAGE)));
        const receipt = assertPaid(answer, version);
        assert.equal(receipt.amount, String(token.price));
        const again = await takeApart(await client({ ...world.buyer(), network, asset })(`${world.url}${PAGE}?again`));
        assert.notEqual(assertPaid(again, version).transaction, receipt.transaction);
      });
    }
  });
}

test('payments in two tokens share a transaction, and each is made', async () => {
  const { challenge } = await send(world.url + PAGE);
  const offers = [USDC_ADDRESS, OTHER].map((asset) => challenge.accepts.find((offer) => offer.asset === asset));
  const buyers = world.accounts.evm.buyers;
  const [hadUsdc, hadOther] = [await world.evm.usdcBalance(buyers[1].address), await other.usdcBalance(buyers[0].address)];
  // While blocks wait, what comes is gathered.
  await world.evm.client.setAutomine(false);
  await world.evm.client.setIntervalMining({ interval: 1 });
  const bought = [];
  for (let n = 0; n < 6; n += 1) {
    const offer = offers[n % 2];
    const headers = paymentHeader(2, offer, await evmPayload(buyers[(n + 1) % 2], offer));
    bought.push(send(`${world.url}${PAGE}?${n}`, headers));
  }
  const receipts = (await Promise.all(bought)).map((answer) => assertPaid(answer));
  await world.evm.client.setAutomine(true);
  assert.equal(await world.evm.usdcBalance(buyers[1].address), hadUsdc - 3n * PRICE);
  assert.equal(await other.usdcBalance(buyers[0].address), hadOther - 3n * OTHER_PRICE);
  const transactions = new Set(receipts.map(({ transaction }) => transaction));
  const mixed = receipts.some((one, n) => receipts.some((two, m) => n % 2 !== m % 2 && one.transaction === two.transaction));
  assert.ok(transactions.size < 6 && mixed, [...transactions].join(' '));
});

test('what was signed for one token buys nothing as another', async () => {
  const { challenge } = await send(world.url + PAGE);
  const [usdc, , dear] = challenge.accepts;
  const [buyer] = world.accounts.evm.buyers;
  await moves(undefined, async () => {
    const payload = await evmPayload(buyer, usdc, { authorization: { value: dear.amount } });
    assertRefused(await send(world.url + PAGE, paymentHeader(2, dear, payload)), 'invalid_exact_evm_payload_signature');
    // As many units of the dear token as the page costs in the other one.
    const cheap = await evmPayload(buyer, dear, { authorization: { value: usdc.amount } });
    const refused = await send(world.url + PAGE, paymentHeader(2, dear, cheap, { accepted: { amount: usdc.amount } }));
    assertRefused(refused, 'invalid_payment_requirements');
    assertRefused(await send(world.url + PAGE, paymentHeader(1, dear, cheap)), 'invalid_exact_evm_payload_authorization_value_mismatch');
  });
});

test('what the header has no room for is in the body and in the log, and can be bought', async () => {
  const { evm, accounts } = world;
  const many = Array.from({ length: 9 }, (_, n) => ({ asset: `0x${String(n + 1).repeat(40)}`, name: `Dollar ${n}`, version: '1', decimals: 6 }));
  const last = { asset: OTHER, name: 'Other Dollar', version: '2', decimals: 18 };
  const NETWORKS = { [EVM_NETWORK]: { rpc: [evm.url], pay_to: accounts.evm.seller.address, tokens: [...many, last] } };
  const worker = await world.startWorker({ vars: { NETWORKS } });
  const { headers, challenge, json } = await send(worker.url + PAGE);
  assert.ok(headers.get('payment-required').length <= 3_000, `${headers.get('payment-required').length} bytes`);
  const order = [USDC_ADDRESS, ...many.map(({ asset }) => asset), OTHER].map((asset) => asset.toLowerCase());
  const assets = ({ accepts }) => accepts.map(({ asset }) => asset.toLowerCase());
  assert.deepEqual(assets(challenge), order.slice(0, challenge.accepts.length));
  assert.ok(challenge.accepts.length < order.length - 1, 'there is no room for the last ones');
  assert.deepEqual(assets(json), order);
  const { maxAmountRequired: amount, ...offer } = json.accepts.at(-1);
  const payload = await evmPayload(accounts.evm.buyers[0], { ...offer, network: EVM_NETWORK, amount });
  const token = TOKENS.find(({ asset }) => asset === OTHER);
  await moves(token, async () => assertPaid(await send(worker.url + PAGE, paymentHeader(1, { ...offer, network: EVM_NETWORK }, payload)), 1));
  const lines = worker.log().split('\n').filter((line) => /ROUTES\[0\]\.networks: .* leaves out .*eip155:84532\/Other Dollar/.test(line));
  assert.equal(lines.length, 1, worker.log());
});

test('a delivery cookie fetches what was bought in the second token', async () => {
  const { challenge } = await send(world.url + PAGE);
  const dear = challenge.accepts.find(({ asset }) => asset === OTHER);
  const headers = paymentHeader(2, dear, await evmPayload(world.accounts.evm.buyers[0], dear), {
    extensions: { 'payment-identifier': { info: { required: false, id: 'a-name-of-a-payment-1' } } },
  });
  const promised = await send(world.url + PAGE, { ...headers, prefer: 'return=minimal' });
  assert.equal(promised.status, 204, promised.text);
  assert.equal(decode(promised.headers.get('payment-response')).success, true);
  const [cookie] = promised.headers.getSetCookie()[0].split(';');
  await moves(undefined, async () => {
    const answer = await send(world.url + PAGE, { cookie });
    assert.equal(answer.status, 200, answer.text);
  });
});

test('the facilitator settles each of them, and no other', async () => {
  const asked = (endpoint, body) => ask(world.url, endpoint, body, { token: TOKEN });
  const amount = '777';
  for (const token of TOKENS.filter(({ network }) => network === EVM_NETWORK)) {
    const entry = { scheme: 'exact', network: EVM_NETWORK, amount, asset: token.asset, payTo: world.accounts.evm.seller.address };
    const { accepts: [{ extra }] } = (await asked('/accepts', { x402Version: 2, accepts: [entry] })).json;
    const body = await order(world, { asked: { amount, asset: token.asset, extra } });
    assert.equal((await asked('/verify', body)).json.isValid, true, token.symbol);
    const { json } = await moves(token, () => asked('/settle', body), BigInt(amount));
    assert.equal(json.success, true, token.symbol);
  }
  const foreign = await order(world, { asked: { asset: world.accounts.evm.seller.address } });
  const { json, status } = await asked('/verify', foreign);
  assert.equal(status, 400);
  assert.equal(json.field, 'paymentRequirements.asset');
});
