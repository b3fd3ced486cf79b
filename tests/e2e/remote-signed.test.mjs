/** A facilitator that wants each request signed, as CDP's does: every one of its questions comes with a token that `jose` takes. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, test } from 'node:test';
import { extractDiscoveryInfo } from '@x402/extensions/bazaar';
import { decodeJwt, exportJWK, generateKeyPair, jwtVerify } from 'jose';
import { startScriptedFacilitator } from '../../dev/servers/scripted-facilitator.mjs';
import { waitFor } from '../../dev/util.mjs';
import { EVM_NETWORK, SOLANA_NETWORK, startWorld } from '../../dev/world.mjs';
import { assertPaid, payment, send } from './support.mjs';

const NAME = '2bb3f0d5-2c64-4a2e-8c06-2e5c9a6f0e11';
const EXAMPLE = { city: 'Oslo' };
const SCHEMA = { type: 'object', required: ['city'], properties: { city: { type: 'string' } } };
const ROUTES = [{ pattern: '/data/almanac.json', price: '$0.01', description: 'The weather', listed: true, methods: ['GET'], input: { schema: SCHEMA, example: EXAMPLE }, service_name: 'North', tags: ['weather'] }];

let world;
let facilitator;
let url;
let publicKey;
let expected = { kid: NAME, alg: 'EdDSA' };
/** What was wrong with a token, if anything was. */
const problems = [];
const nonces = [];

before(async () => {
  const pair = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
  ({ publicKey } = pair);
  const { d, x } = await exportJWK(pair.privateKey);
  const privateKey = Buffer.concat([Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url')]).toString('base64');
  world = await startWorld({ worker: false });
  facilitator = await startScriptedFacilitator({ feePayer: world.accounts.solana.feePayers[0].address, payer: world.accounts.solana.buyers[0].address });
  const checked = async (asked) => {
    try {
      await check(asked);
      return undefined;
    } catch (error) {
      problems.push(`${asked.path}: ${error.message}`);
      return { status: 401, json: { error: error.message } };
    }
  };
  facilitator.script = { '/supported': checked, '/verify': checked, '/settle': checked };
  const { evm, solana } = world.accounts;
  const worker = await world.startWorker({
    vars: {
      ROUTES,
      NETWORKS: {
        [EVM_NETWORK]: { facilitator: facilitator.url, facilitator_auth: 'cdp', pay_to: evm.seller.address },
        [SOLANA_NETWORK]: { facilitator: facilitator.url, facilitator_auth: 'cdp', pay_to: solana.seller.address },
      },
    },
    secrets: { EVM_RELAYER_KEYS: undefined, SOLANA_FEE_PAYER_KEYS: undefined, RPC_URLS: undefined, CDP_API_KEY: JSON.stringify({ id: NAME, privateKey }) },
  });
  ({ url } = worker);
  await waitFor(async () => (await send(`${url}/data/almanac.json`)).challenge?.accepts.length === 2, { what: 'both networks to be offered' });
});
after(async () => {
  await world?.stop();
  await facilitator?.stop();
});

/** What CDP asks of a token ("API Key Authentication"): its key, its request, its time. */
async function check({ method, path, headers }) {
  const token = /^Bearer (\S+)$/.exec(headers.authorization)?.[1];
  assert.ok(token, 'a bearer token');
  const { payload, protectedHeader } = await jwtVerify(token, publicKey, { algorithms: [expected.alg], issuer: 'cdp', subject: expected.kid, maxTokenAge: 120, typ: 'JWT' });
  assert.deepEqual(payload.uris, [`${method} ${new URL(facilitator.url).host}${path}`]);
  assert.equal(payload.exp - payload.nbf, 120);
  assert.equal(protectedHeader.kid, expected.kid);
  assert.match(protectedHeader.nonce, /^[0-9a-f]{32}$/);
  nonces.push(protectedHeader.nonce);
}

test('a sale goes through, each question with a token of its own', async () => {
  for (const network of [EVM_NETWORK, SOLANA_NETWORK]) {
    assertPaid(await send(`${url}/data/almanac.json?city=Oslo`, await payment(world, `${url}/data/almanac.json?city=Oslo`, { network })));
  }
  assert.deepEqual(problems, []);
  const asked = new Set(facilitator.requests.map(({ path }) => path));
  assert.deepEqual([...asked].sort(), ['/settle', '/supported', '/verify']);
  assert.equal(new Set(nonces).size, facilitator.requests.length, 'no token twice');
});

test('what is sent lets the reference catalogue the route: our own words, not the client\'s', () => {
  const { body: { paymentPayload, paymentRequirements } } = facilitator.requests.find(({ path, body }) => path === '/settle' && body.paymentRequirements.network === EVM_NETWORK);
  const found = extractDiscoveryInfo(paymentPayload, paymentRequirements);
  assert.equal(found.resourceUrl, `${url}/data/almanac.json`);
  assert.deepEqual([found.method, found.description, found.serviceName, found.tags], ['GET', 'The weather', 'North', ['weather']]);
  assert.deepEqual(found.discoveryInfo.input, { type: 'http', method: 'GET', queryParams: EXAMPLE });
});

test('a token for one question is none for another', async () => {
  const { headers } = facilitator.requests.find(({ path }) => path === '/verify');
  const { uris } = decodeJwt(headers.authorization.slice(7));
  assert.deepEqual(uris.map((it) => it.split('/').at(-1)), ['verify']);
});

/** What CDP gave out before Ed25519, and still does. */
for (const [what, kind, escaped] of [['as its file has it', 'sec1', false], ['as PKCS #8 in one line', 'pkcs8', true]]) {
  test(`a key of P-256 signs by ES256, ${what}`, async () => {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = pair.privateKey.export({ type: kind, format: 'pem' });
    expected = { kid: 'organizations/2bb3f0d5/apiKeys/9c1e', alg: 'ES256' };
    ({ publicKey } = pair);
    const key = escaped ? `${expected.kid}:${pem.replaceAll('\n', '\\n')}` : JSON.stringify({ name: expected.kid, privateKey: pem });
    const before = facilitator.requests.length;
    const { evm } = world.accounts;
    const { url: shop } = await world.startWorker({
      vars: { ROUTES, NETWORKS: { [EVM_NETWORK]: { facilitator: facilitator.url, facilitator_auth: 'cdp', pay_to: evm.seller.address } } },
      secrets: { EVM_RELAYER_KEYS: undefined, SOLANA_FEE_PAYER_KEYS: undefined, RPC_URLS: undefined, CDP_API_KEY: key },
    });
    const page = `${shop}/data/almanac.json?city=Oslo`;
    await waitFor(async () => (await send(page)).challenge?.accepts.length === 1, { what: 'the network to be offered' });
    assertPaid(await send(page, await payment(world, page)));
    assert.deepEqual(problems, []);
    assert.ok(new Set(facilitator.requests.slice(before).map(({ path }) => path)).has('/settle'));
  });
}
