/** What is free of each wallet, with the reference's own client of `sign-in-with-x`: so many and no more, and no more by making wallets. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { createSIWxPayload, encodeSIWxHeader, verifySIWxSignature, wrapFetchWithSIWx } from '@x402/extensions/sign-in-with-x';
import { generateKeyPairSigner } from '@solana/kit';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { EVM_NETWORK, SOLANA_NETWORK, startWorld } from '../../dev/world.mjs';
import { answering, startSite } from './site.mjs';
import { assertPaid, payment, send } from './support.mjs';

const ROUTES = [
  { pattern: '/three/*', price: '$0.01', free: '3/wallet' },
  { pattern: '/two', price: '$0.01', free: '2/wallet' },
  { pattern: '/sol', price: '$0.01', free: '2/wallet', networks: [SOLANA_NETWORK] },
];

let world;
let site;
let url;
let client;
before(async () => {
  site = await startSite();
  world = await startWorld({ worker: { vars: { ORIGIN: site.url, ROUTES } } });
  ({ url } = world);
});
after(async () => {
  await world?.stop();
  await site?.stop();
});
let number = 0;
beforeEach(() => {
  number += 1;
  client = { 'CF-Connecting-IP': `203.0.113.${number}` };
});

const newWallet = () => privateKeyToAccount(generatePrivateKey());
const left = (answer) => /^"free";r=(\d+)(;t=\d+)?$/.exec(answer.headers.get('ratelimit'))?.[1];

/** The header that a wallet makes of a challenge. */
async function signedIn(path, signer, { network = EVM_NETWORK, change = {} } = {}) {
  const { challenge } = await send(url + path, client);
  const { info, supportedChains } = challenge.extensions['sign-in-with-x'];
  const chain = supportedChains.find(({ chainId }) => chainId === network);
  const payload = await createSIWxPayload({ ...info, ...chain, ...change }, signer, url + path);
  assert.deepEqual(await verifySIWxSignature(payload), { isValid: true, payer: signer.address });
  return { ...client, 'SIGN-IN-WITH-X': encodeSIWxHeader(payload) };
}

test('the reference\'s client has three with its wallet, and pays for the fourth', async () => {
  const asking = wrapFetchWithSIWx(fetch, newWallet());
  for (const expected of ['2', '1', '0']) {
    const answer = await asking(`${url}/three/a`, { headers: client });
    assert.equal(answer.status, 200);
    assert.deepEqual([left(answer), answer.headers.get('ratelimit-policy'), answer.headers.get('cache-control')], [expected, '"free";q=3', 'private, no-store']);
    assert.deepEqual(Object.keys((await answer.json()).headers).filter((it) => it.includes('sign')), [], 'the origin sees no proof');
  }
  const answer = await asking(`${url}/three/a`, { headers: client });
  assert.equal(answer.status, 402);
  assert.equal(left(answer), '0');
  assertPaid(await send(`${url}/three/a`, { ...client, ...(await payment(world, `${url}/three/a`)) }));
});

test('another address gives a wallet no more, and another wallet an address', async () => {
  const wallet = newWallet();
  for (let n = 0; n < 2; n += 1) assert.equal((await send(`${url}/two`, await signedIn('/two', wallet))).status, 200);
  const here = client;
  client = { 'CF-Connecting-IP': '198.51.100.77' };
  const refused = await send(`${url}/two`, await signedIn('/two', wallet));
  assert.deepEqual([refused.status, left(refused)], [402, '0']);
  // What the wallet didn't get, the address still has.
  const other = newWallet();
  for (const expected of ['1', '0']) assert.equal(left(await send(`${url}/two`, await signedIn('/two', other))), expected);
  client = here;
  const third = await send(`${url}/two`, await signedIn('/two', newWallet()));
  assert.equal(third.status, 402, 'whoever makes wallets has as many a day as one');
  assert.match(third.headers.get('ratelimit'), /^"free";r=0;t=\d+$/);
});

test('of twenty at once with one proof as many are free as the wallet has', async () => {
  const headers = await signedIn('/three/b', newWallet());
  const all = await Promise.all(Array.from({ length: 20 }, () => send(`${url}/three/b`, headers)));
  assert.equal(all.filter(({ status }) => status === 200).length, 3);
});

test('a wallet of Solana, too', async () => {
  const signer = await generateKeyPairSigner();
  const headers = await signedIn('/sol', signer, { network: SOLANA_NETWORK });
  for (const expected of ['1', '0']) assert.equal(left(await send(`${url}/sol`, headers)), expected);
  assert.equal((await send(`${url}/sol`, headers)).status, 402);
});

test('no proof, one for another shop, and one of no wallet cost the price, and take nothing', async () => {
  const wallet = newWallet();
  assert.deepEqual([(await send(`${url}/two`, client)).status, (await send(`${url}/two`, client)).headers.get('ratelimit')], [402, null]);
  const good = await signedIn('/two', wallet);
  const payload = JSON.parse(Buffer.from(good['SIGN-IN-WITH-X'], 'base64'));
  const before = site.requests.length;
  for (const change of [{ domain: 'other.example' }, { address: newWallet().address }, { nonce: 'f'.repeat(41) }, { chainId: 'eip155:1' }, { issuedAt: new Date().toISOString() }, { statement: 'more' , signature: `0x${'0'.repeat(130)}` }]) {
    const answer = await send(`${url}/two`, { ...client, 'SIGN-IN-WITH-X': encodeSIWxHeader({ ...payload, ...change }) });
    assert.deepEqual([answer.status, answer.headers.get('ratelimit')], [402, null], JSON.stringify(change));
  }
  assert.equal((await send(`${url}/three/a`, good)).status, 402, 'a nonce of another route');
  assert.equal(site.requests.length, before);
  assert.equal(left(await send(`${url}/two`, good)), '1');
});

test('only goods count, for the wallet and for the address', async () => {
  const headers = await signedIn('/two', newWallet());
  site.on('/two', answering(500, 'none'));
  for (let n = 0; n < 3; n += 1) assert.equal((await send(`${url}/two`, headers)).status, 500);
  site.handlers.delete('/two');
  assert.equal(left(await send(`${url}/two`, headers, { method: 'HEAD' })), '2');
  for (const expected of ['1', '0']) assert.equal(left(await send(`${url}/two`, headers)), expected);
  assert.equal((await send(`${url}/two`, headers)).status, 402);
});
