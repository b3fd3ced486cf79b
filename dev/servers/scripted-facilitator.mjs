/** A facilitator without a chain, for tests of what a remote one may answer. */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { getBase58Decoder } from '@solana/kit';
import { listen } from '../util.mjs';
import { EVM_NETWORK, SOLANA_NETWORK } from '../world.mjs';

/**
 * Starts one on 127.0.0.1. Unless its script says otherwise it finds every
 * payment valid, settles each once, and repeats a success for who sends the
 * same Idempotency-Key. Like the reference's it has no /accepts.
 *
 * @param {{ feePayer: string, payer: string }} options addresses on Solana: its own, and whom it takes for the buyer
 * @returns {Promise<ScriptedFacilitator>}
 *
 * @typedef {object} ScriptedFacilitator
 * @property {string} url
 * @property {Asked[]} requests everything that was asked, in order
 * @property {Record<string, Line>} script by path: what happens instead
 * @property {(payload: any) => string | undefined} transactionOf a payment that it settled
 * @property {() => Promise<void>} stop
 *
 * @typedef {{ method: string, path: string, headers: Record<string, string>, body: any }} Asked
 *
 * @callback Line
 * @param {Asked} asked
 * @param {() => Reply} usual does what it does without a script
 * @returns {Reply | undefined | Promise<Reply | undefined>} nothing: the usual
 *
 * @typedef {{ json?: any, text?: string | Buffer, status?: number, headers?: Record<string, string> } | { drop: true }} Reply
 *   `drop`: the connection breaks before the answer
 */
export async function startScriptedFacilitator({ feePayer, payer }) {
  const settled = new Map();
  const nameOf = (payload) => createHash('sha256').update(signedPart(payload)).digest('hex');
  const it = { url: '', requests: [], script: {}, transactionOf: (payload) => settled.get(nameOf(payload))?.transaction };
  const payerOf = ({ paymentPayload: { payload } }) => payload.authorization?.from ?? payer;
  const usual = {
    '/supported': () => ({ json: { kinds: kinds(feePayer), extensions: [], signers: { 'solana:*': [feePayer] } } }),
    '/verify': ({ body }) => ({ json: { isValid: true, payer: payerOf(body) } }),
    '/settle': ({ body, headers }) => ({ json: settle(settled, nameOf(body.paymentPayload.payload), payerOf(body), body, headers['idempotency-key']) }),
  };
  const server = createServer((request, response) => {
    reply(it, usual, request, response).catch(() => response.destroy());
  });
  it.url = `http://127.0.0.1:${await listen(server)}`;
  it.stop = async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  };
  return it;
}

/** What tells a payment from all others: members may come in any order. */
export const signedPart = (payload) => payload.signature ?? payload.transaction;

function kinds(feePayer) {
  const both = (evm, solana, x402Version) => [
    { x402Version, scheme: 'exact', network: evm },
    { x402Version, scheme: 'exact', network: solana, extra: { feePayer } },
  ];
  return [...both('base-sepolia', 'solana-devnet', 1), ...both(EVM_NETWORK, SOLANA_NETWORK, 2)];
}

function settle(settled, name, payer, { paymentRequirements: { network } }, key) {
  const before = settled.get(name);
  if (before && (before.key === undefined || before.key !== key)) {
    return { success: false, errorReason: 'duplicate_settlement', transaction: before.transaction, network, payer };
  }
  const transaction = before?.transaction ?? (network.startsWith('solana') ? getBase58Decoder().decode(Buffer.from(name.repeat(2), 'hex')) : `0x${name}`);
  settled.set(name, { transaction, key });
  return { success: true, transaction, network, payer };
}

async function reply(it, usual, request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  const asked = { method: request.method, path: request.url, headers: request.headers, body: text ? JSON.parse(text) : undefined };
  it.requests.push(asked);
  const inOrder = () => usual[asked.path]?.(asked) ?? { status: 404, text: 'Not Found' };
  const { drop, json, text: body = JSON.stringify(json), status = 200, headers } = (await it.script[asked.path]?.(asked, inOrder)) ?? inOrder();
  if (drop) return response.destroy();
  response.writeHead(status, { 'content-type': json === undefined ? 'text/plain' : 'application/json', ...headers }).end(body);
}
