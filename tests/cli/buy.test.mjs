/** `edge402 buy`: with a key of one's own, on a network that isn't the local default, and what it says where it doesn't buy. */
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { placePermit2, TOKEN_ADDRESS } from '../../dev/evm/permit2.mjs';
import { ataOf } from '../../dev/solana/setup.mjs';
import { freePort, listen, waitFor } from '../../dev/util.mjs';
import { startWorld } from '../../dev/world.mjs';
import { edge402, folderOf } from './support.mjs';

/** Avalanche Fuji, and its USDC. */
const FUJI = { chainId: 43113, token: { address: '0x5425890298aed601595a70AB815c96711a31Bc65', name: 'USD Coin' } };
const ROUTES = [{ pattern: '/premium/*', price: '$0.01' }, { pattern: '/photos/aurora.jpg', price: '$1.25' }];

let world;
let keys;

before(async () => {
  world = await startWorld({ evm: FUJI, worker: { vars: { ROUTES } } });
  const { evm: { buyers: [evm] }, solana: { buyers: [solana] } } = world.accounts;
  keys = { evm: { BUYER_KEY: evm.privateKey.slice(2) }, solana: { SOLANA_BUYER_KEY: JSON.stringify([...solana.secretKey]) } };
});
after(() => world?.stop());

const buy = (t, args, env) => edge402(folderOf(t), ['buy', ...args], { env });
const page = () => `${world.url}/premium/`;

test('a key of an EVM account pays on its network, and the words are the chain’s', async (t) => {
  const { seller, buyers: [buyer] } = world.accounts.evm;
  const before = await world.evm.usdcBalance(seller.address);
  const { status, stdout, stderr } = await buy(t, [page(), '--rpc', world.evm.url], keys.evm);
  assert.equal(status, 0, stdout + stderr);
  assert.equal(await world.evm.usdcBalance(seller.address), before + 10_000n);
  assert.match(stdout, /Paying +\$0\.01 on eip155:43113/);
  assert.match(stdout, /Settled +yes/);
  assert.match(stdout, new RegExp(`Transaction +0x[0-9a-f]{64}\\n +on eip155:43113, paid by ${buyer.address}`));
  assert.match(stdout, /Buyer +\$1000 → \$999\.99 \(-\$0\.01\)/);
  assert.match(stdout, /Seller +\$0 → \$0\.01 \(\+\$0\.01\)/);
});

test('a keypair as solana-keygen writes it pays on Solana', async (t) => {
  const { status, stdout, stderr } = await buy(t, [page(), '--rpc', world.solana.url], keys.solana);
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /Paying +\$0\.01 on solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1/);
  assert.match(stdout, /Seller +\$0 → \$0\.01/);
});

test('what was bought can be kept', async (t) => {
  const folder = folderOf(t);
  const { status, stdout } = await edge402(folder, ['buy', page(), '--rpc', world.evm.url, '--out', 'page.html'], { env: keys.evm });
  assert.equal(status, 0, stdout);
  assert.deepEqual(readFileSync(join(folder, 'page.html')), readFileSync(new URL('../../www/premium/index.html', import.meta.url)));
});

test('without a node of the network it buys all the same, and says what it doesn’t know', async (t) => {
  const { status, stdout } = await buy(t, [page(), '--rpc', `http://127.0.0.1:${await freePort()}`], keys.evm);
  assert.equal(status, 0, stdout);
  assert.match(stdout, /Buyer +balance unknown: no node of the network says/);
});

test('more than $1 is paid only to whom it is allowed', async (t) => {
  const photo = `${world.url}/photos/aurora.jpg`;
  const { seller } = world.accounts.evm;
  const before = await world.evm.usdcBalance(seller.address);
  const refused = await buy(t, [photo, '--rpc', world.evm.url], keys.evm);
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /^That is \$1\.25, and no more than \$1 is paid: --max 1\.25 allows it\.$/m);
  assert.equal(await world.evm.usdcBalance(seller.address), before);
  const allowed = await buy(t, [photo, '--rpc', world.evm.url, '--max', '1.25'], keys.evm);
  assert.equal(allowed.status, 0, allowed.stderr);
  assert.equal(await world.evm.usdcBalance(seller.address), before + 1_250_000n);
});

test('a buyer without money is told what the code means', async (t) => {
  const { status, stdout } = await buy(t, [page(), '--rpc', world.evm.url], { BUYER_KEY: `0x${'46'.repeat(32)}` });
  assert.equal(status, 1);
  assert.match(stdout, /Answer +402/);
  assert.match(stdout, /Settled +no: insufficient_funds, the buyer has less than the price/);
});

test('what keeps it from buying is one sentence', async (t) => {
  for (const [args, env, words] of [
    [[page()], {}, /^Who pays\? Set BUYER_KEY or SOLANA_BUYER_KEY\./],
    [[page()], { BUYER_KEY: '0x12' }, /^BUYER_KEY must be a private key: 0x and 64 hex digits$/m],
    [[page()], { SOLANA_BUYER_KEY: 'abc' }, /^SOLANA_BUYER_KEY must be a keypair: base58 of 64 bytes/],
    [[`http://127.0.0.1:${await freePort()}/`], keys.evm, /can't be reached: .*ECONNREFUSED/],
    [['shop'], keys.evm, /^shop is not a URL/],
    [[page(), '--max', 'much'], keys.evm, /^--max much is no price/],
  ]) {
    const { status, stderr } = await buy(t, args, env);
    assert.equal(status, 2, stderr);
    assert.match(stderr, words);
    assert.doesNotMatch(stderr, /\n\s+at /);
  }
  const elsewhere = await buy(t, [page(), '--network', 'base'], keys.evm);
  assert.equal(elsewhere.status, 1);
  assert.match(elsewhere.stderr, /the seller does not take .* on eip155:8453; offered: eip155:43113/);
});

test('what is free is free', async (t) => {
  const { status, stdout } = await buy(t, [`${world.url}/`], keys.evm);
  assert.equal(status, 0);
  assert.match(stdout, /nothing had to be paid/);
});

test('on Solana a node that is silent is named, with what to do, and nothing is paid', async (t) => {
  const { seller } = world.accounts.solana;
  const before = await balanceOf(seller.address);
  const port = await freePort();
  const { status, stderr } = await buy(t, [page(), '--network', 'solana-devnet', '--rpc', `http://127.0.0.1:${port}`], keys.solana);
  assert.equal(status, 2, stderr);
  assert.match(stderr, new RegExp(`127\\.0\\.0\\.1:${port} does not answer: .*ECONNREFUSED.*Nothing was paid\\. Name another node of solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1: --rpc https://`));
  assert.equal(await balanceOf(seller.address), before);
  const busy = createServer((_request, response) => response.writeHead(429).end('slow down'));
  t.after(() => busy.close());
  const limited = await buy(t, [page(), '--network', 'solana-devnet', '--rpc', `http://127.0.0.1:${await listen(busy)}`], keys.solana);
  assert.match(limited.stderr, /does not answer: HTTP 429 and no JSON\. Nothing was paid\./);
});

const balanceOf = async (owner) => (await (await fetch(world.solana.url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'getTokenAccountBalance', params: [await ataOf(owner)] }) })).json()).result.value.amount;

test('a shop that is silent once it has the payment: the buyer is told to look before they buy again', async (t) => {
  const challenge = (await fetch(page())).headers.get('payment-required');
  const server = createServer((request, response) => {
    if (request.headers['payment-signature']) return request.socket.destroy();
    return response.writeHead(402, { 'payment-required': challenge }).end('{}');
  });
  t.after(() => server.close());
  const { status, stderr } = await buy(t, [`http://127.0.0.1:${await listen(server)}/premium/`, '--rpc', world.evm.url], keys.evm);
  assert.equal(status, 2, stderr);
  assert.match(stderr, /was sent the payment and has not answered: .*It may have been made: look at the buyer's balance/);
});

test('what is sold by use is paid by its use, once Permit2 may move the token', async (t) => {
  const token = await placePermit2(world.evm);
  const { seller, buyers: [buyer] } = world.accounts.evm;
  await token.mint(buyer.address, 1_000_000n);
  const network = { rpc: [world.evm.url], pay_to: seller.address, asset: TOKEN_ADDRESS, name: 'Test Dollar', version: '1', decimals: 6, asset_transfer_method: 'permit2' };
  const sold = { pattern: '/premium/*', price: '$0.25', scheme: 'upto', meter: { bytes: 1, price: '$0.000001' } };
  const { url } = await world.startWorker({ vars: { ROUTES: [sold], NETWORKS: { 'eip155:43113': network } } });
  const args = [`${url}/premium/`, '--rpc', world.evm.url, '--asset', TOKEN_ADDRESS, '--max-units'];
  const dear = await buy(t, [...args, '249999'], keys.evm);
  assert.equal(dear.status, 2, dear.stdout);
  assert.match(dear.stderr, /--max-units 250000 allows it/);
  const before = await buy(t, [...args, '250000'], keys.evm);
  assert.equal(before.status, 1, before.stdout + before.stderr);
  assert.match(before.stdout, /Paying +at most 250000 atomic units of 0x/);
  assert.match(before.stdout, /permit2_allowance_required, the buyer must let Permit2 move the token before, .*approve\(0x000000000022D473030F116dDEE9F6B43aC78BA3/);
  await token.approve(buyer);
  const { status, stdout, stderr } = await buy(t, [...args, '250000'], keys.evm);
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /Settled +soon, by what was used/);
  const paid = await waitFor(() => token.balance(seller.address), { what: 'what was used to be paid' });
  assert.equal(paid, BigInt(statSync(new URL('../../www/premium/index.html', import.meta.url)).size), 'a millionth for each byte');
});

test('what is sold by a scheme of others is not paid, and it says so', async (t) => {
  const accepts = [{ scheme: 'batch', network: 'eip155:43113', asset: FUJI.token.address, amount: '10000', payTo: world.accounts.evm.seller.address, maxTimeoutSeconds: 60, extra: {} }];
  const header = Buffer.from(JSON.stringify({ x402Version: 2, resource: { url: 'http://shop.example/' }, accepts })).toString('base64');
  const server = createServer((_request, response) => response.writeHead(402, { 'payment-required': header }).end('{}'));
  t.after(() => server.close());
  const { status, stderr } = await buy(t, [`http://127.0.0.1:${await listen(server)}/`], keys.evm);
  assert.equal(status, 2, stderr);
  assert.match(stderr, /sold by the scheme batch, and this command pays exact and upto/);
});
