/** A Solana RPC node on 127.0.0.1: JSON-RPC 2.0 over HTTP around a `LocalChain`. */
import { createServer } from 'node:http';
import { listen } from '../util.mjs';
import { LocalChain } from './chain.mjs';
import { RpcError, methodNotFound } from './errors.mjs';
import { METHODS } from './methods.mjs';

const HEADERS = {
  'content-type': 'application/json; charset=utf-8',
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'POST, GET, OPTIONS',
  'access-control-allow-headers': '*',
};

/**
 * Starts a local cluster that calls itself devnet.
 *
 * @param {object} [options]
 * @param {number} [options.port] where it listens, unless somebody else does; default: any free one
 * @param {number} [options.slotMs] length of a slot; finality takes 32 of them
 * @param {number} [options.blockTime] seconds between blocks: what is sent waits for the next one
 * @returns {Promise<Solana>}
 *
 * @typedef {object} Solana
 * @property {string} url
 * @property {number} port
 * @property {LocalChain} chain
 * @property {import('litesvm').LiteSVM} svm
 * @property {string[]} calls every method that was called, in order
 * @property {() => number} slot the newest one
 * @property {(count: number) => void} skipSlots 151 let every blockhash expire
 * @property {() => Promise<void>} stop
 */
export async function startSolana({ port = 0, slotMs = 400, blockTime } = {}) {
  const chain = new LocalChain({ slotMs, blockTime });
  const calls = [];
  const server = createServer((request, response) => {
    // Whoever asked may be gone.
    handle(chain, calls, request, response).catch(() => response.destroy());
  });
  const listening = await listen(server, port).catch(() => listen(server));
  return {
    url: `http://127.0.0.1:${listening}`,
    port: listening,
    chain,
    svm: chain.svm,
    calls,
    slot: () => chain.slot(),
    skipSlots: (count) => chain.skipSlots(count),
    stop: () => stop(server, chain),
  };
}

async function handle(chain, calls, request, response) {
  if (request.method === 'OPTIONS') return reply(response, 204, '');
  if (request.method === 'GET' && request.url === '/health') return reply(response, 200, 'ok');
  if (request.method !== 'POST') return reply(response, 405, 'Used HTTP Method is not allowed. POST or OPTIONS is required\n');
  const body = await readBody(request);
  reply(response, 200, answer(chain, calls, body));
}

function answer(chain, calls, body) {
  let parsed;
  try {
    parsed = JSON.parse(body);
  } catch {
    return toJson({ jsonrpc: '2.0', error: { code: -32700, message: 'Parse error' }, id: null });
  }
  const one = (call) => answerOne(chain, calls, call);
  return toJson(Array.isArray(parsed) ? parsed.map(one) : one(parsed));
}

function answerOne(chain, calls, call) {
  const { id = null, method, params = [] } = call ?? {};
  try {
    if (call?.jsonrpc !== '2.0' || typeof method !== 'string') throw new RpcError(-32600, 'Invalid request');
    calls.push(method);
    if (!Object.hasOwn(METHODS, method)) throw methodNotFound();
    return { jsonrpc: '2.0', result: METHODS[method](chain, ...params), id };
  } catch (error) {
    return { jsonrpc: '2.0', error: errorJson(error), id };
  }
}

function errorJson(error) {
  if (!(error instanceof RpcError)) {
    console.error(error);
    return { code: -32603, message: `Internal error: ${error.message}` };
  }
  const { code, message, data } = error;
  return data === undefined ? { code, message } : { code, message, data };
}

/** JSON in which a bigint is a plain number, however great: u64 is one on the wire. */
function toJson(value) {
  const text = JSON.stringify(value, (_, member) => (typeof member === 'bigint' ? `\u0001${member}\u0001` : member));
  return text.replace(/"\\u0001(\d+)\\u0001"/g, '$1');
}

function reply(response, status, text) {
  response.writeHead(status, HEADERS);
  response.end(text);
}

async function readBody(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

async function stop(server, chain) {
  chain.stop();
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
}
