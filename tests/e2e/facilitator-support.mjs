/** What the tests of the facilitator share: tokens, requests as resource servers make them, and answers taken apart. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { encode, EVM_NETWORK, evmPayload, PAGE_PRICE, SOLANA_NETWORK, solanaPayload, USDC_ADDRESS, USDC_MINT } from './support.mjs';

/** Where the Workers of these tests have their facilitator. */
export const PATH = '/facilitator';
export const CHAINS = { evm: EVM_NETWORK, solana: SOLANA_NETWORK };
export const NAMES = { 1: { evm: 'base-sepolia', solana: 'solana-devnet' }, 2: CHAINS };
/** Every way of asking: protocol version and chain. */
export const WAYS = [1, 2].flatMap((version) => Object.keys(CHAINS).map((chain) => ({ version, chain })));

/** The secret FACILITATOR_TOKENS: `[name, token]` pairs, hashed. */
export const tokenHashes = (...pairs) => pairs.map(([name, token]) => `${name}:${createHash('sha256').update(token).digest('hex')}`).join(',');

/** What a resource server asks a buyer for, as v2 writes it. */
export async function demand({ solana, accounts }, chain, changes = {}) {
  const common = { scheme: 'exact', network: CHAINS[chain], amount: String(PAGE_PRICE), payTo: accounts[chain].seller.address, maxTimeoutSeconds: 300 };
  if (chain === 'evm') return { ...common, asset: USDC_ADDRESS, extra: { name: 'USDC', version: '2' }, ...changes };
  const recentBlockhash = await latestBlockhash(solana.url);
  return { ...common, asset: USDC_MINT, extra: { feePayer: accounts.solana.feePayers[0].address, recentBlockhash }, ...changes };
}

async function latestBlockhash(url) {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'getLatestBlockhash', params: [] });
  const { result } = await (await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })).json();
  return result.value.blockhash;
}

/** The payload of a payment for a demand; `changes` as in support.mjs. */
export function payloadFor({ accounts }, chain, asked, { buyer = 0, ...changes } = {}) {
  const account = typeof buyer === 'number' ? accounts[chain].buyers[buyer] : buyer;
  return (chain === 'evm' ? evmPayload : solanaPayload)(account, asked, changes);
}

/** A demand in the words of either version. */
export function requirements(version, asked) {
  if (version === 2) return asked;
  const { network, amount, ...rest } = asked;
  return { ...rest, network: v1Name(network), maxAmountRequired: amount, resource: 'https://shop.example/', description: '', mimeType: '' };
}

/** The body of /verify and /settle. */
export function exchange(version, asked, payload) {
  const { scheme, network } = asked;
  const paymentPayload = version === 1 ? { x402Version: 1, scheme, network: v1Name(network), payload } : { x402Version: 2, accepted: asked, payload };
  return { x402Version: version, paymentPayload, paymentRequirements: requirements(version, asked) };
}

/** A whole valid request of a resource server. */
export async function order(world, { version = 2, chain = 'evm', asked = {}, ...changes } = {}) {
  const it = await demand(world, chain, asked);
  return exchange(version, it, await payloadFor(world, chain, it, changes));
}

/** The same with the payment in a header, as v1 has it. */
export function withHeader({ paymentPayload, ...rest }) {
  return { ...rest, paymentHeader: encode(paymentPayload) };
}

function v1Name(network) {
  return Object.values(NAMES[1])[Object.values(CHAINS).indexOf(network)] ?? network;
}

/**
 * Asks a facilitator.
 *
 * @param {string} url of the Worker
 * @param {string} endpoint `/verify`
 * @param {any} [body] JSON, or the text that is sent; without one the request is a GET
 * @param {{ token?: string, headers?: Record<string, string>, method?: string }} [options]
 * @returns {Promise<{ status: number, headers: Headers, text: string, json: any }>}
 */
export async function ask(url, endpoint, body, { token, headers = {}, method = body === undefined ? 'GET' : 'POST' } = {}) {
  const response = await fetch(url + PATH + endpoint, {
    method,
    redirect: 'manual',
    // workerd hangs up after a request whose body it did not need; the next one on that connection would be lost.
    headers: { connection: 'close', 'content-type': 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers },
    body: body === undefined || typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
  });
  const text = await response.text();
  const json = /json/.test(response.headers.get('content-type') ?? '') ? JSON.parse(text) : undefined;
  return { status: response.status, headers: response.headers, text, json };
}

const shown = ({ status, text }) => `${status} ${text.slice(0, 300)}`;

/** Asserts that a payment was settled; answers the SettlementResponse. */
export function assertSettled(answer) {
  assert.equal(answer.status, 200, shown(answer));
  assert.equal(answer.json.success, true, shown(answer));
  assert.equal(answer.json.errorReason, undefined);
  assert.ok(answer.json.transaction.length > 0);
  return answer.json;
}

/** Asserts that /settle said no, for this reason; answers the SettlementResponse. */
export function assertUnsettled(answer, reason, transaction = '') {
  assert.equal(answer.status, 200, shown(answer));
  assert.equal(answer.json.success, false, shown(answer));
  assert.equal(answer.json.errorReason, reason, shown(answer));
  assert.equal(answer.json.transaction, transaction);
  return answer.json;
}

/** Asserts that /verify said yes, to this buyer. */
export function assertValid(answer, payer) {
  assert.equal(answer.status, 200, shown(answer));
  assert.deepEqual({ ...answer.json }, { isValid: true, payer });
}

/** Asserts that /verify said no, for this reason. */
export function assertInvalid(answer, reason) {
  assert.equal(answer.status, 200, shown(answer));
  assert.equal(answer.json.isValid, false, shown(answer));
  assert.equal(answer.json.invalidReason, reason, shown(answer));
}

/** Asserts a refusal for now. */
export function assertTooMany(answer) {
  assert.equal(answer.status, 429, shown(answer));
  assert.ok(Number(answer.headers.get('retry-after')) > 0, 'Retry-After');
  assert.equal(typeof answer.json.error, 'string');
}

/** Asserts a mistake of the resource server, by the field that it is in, in the shape that its client library reads. */
export function assertMistaken(answer, endpoint, field) {
  assert.equal(answer.status, 400, shown(answer));
  const { error, field: named, ...rest } = answer.json;
  assert.equal(named, field, shown(answer));
  assert.ok(typeof error === 'string' && error.length > 0);
  assert.doesNotMatch(error, /panicked|\.rs:|at [\w.]+ \(/, 'no stack trace');
  if (endpoint === '/verify') assert.deepEqual([rest.isValid, typeof rest.invalidReason, typeof rest.invalidMessage], [false, 'string', 'string'], shown(answer));
  if (endpoint === '/settle') assert.deepEqual([rest.success, typeof rest.errorReason, typeof rest.errorMessage, rest.transaction, typeof rest.network], [false, 'string', 'string', '', 'string'], shown(answer));
  if (endpoint === '/accepts') assert.deepEqual([typeof rest.x402Version, rest.accepts], ['number', []], shown(answer));
}
