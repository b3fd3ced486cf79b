/** A node in front of a local chain that answers like the worst ones in the world. */
import { createServer } from 'node:http';
import { listen } from './util.mjs';

const SYNC = 'eth_sendRawTransactionSync';
const SLOW_MS = 300;

/**
 * Starts a node on 127.0.0.1 that has no temper yet.
 *
 * @param {string} target URL of the real node
 * @returns {Promise<TemperedNode>}
 *
 * @typedef {object} TemperedNode
 * @property {string} url
 * @property {string[]} methods everything that was asked, in order
 * @property {Temper | undefined} temper
 * @property {() => Promise<void>} stop
 *
 * @callback Temper
 * @param {string[]} methods of one message
 * @param {any} message
 * @returns {undefined | { status?: number, body: any } | 'close' | 'silent' | { delay: number }} nothing: as the chain does
 */
export async function startTemperedNode(target) {
  const node = { url: '', methods: [], temper: undefined, stop: async () => {} };
  const server = createServer((request, response) => {
    answer(node, target, request, response).catch(() => response.destroy());
  });
  node.url = `http://127.0.0.1:${await listen(server)}`;
  node.stop = async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  };
  return node;
}

async function answer(node, target, request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  const message = JSON.parse(text);
  const methods = [message].flat().map(({ method }) => method);
  node.methods.push(...methods);
  const does = node.temper?.(methods, message);
  if (does === 'silent') return undefined;
  if (does === 'close') return response.destroy();
  const reply = (status, body) => response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  if (does?.body !== undefined) return reply(does.status ?? 200, typeof does.body === 'string' ? does.body : JSON.stringify(does.body));
  if (does?.delay) await new Promise((done) => setTimeout(done, does.delay));
  const real = await fetch(target, { method: 'POST', headers: { 'content-type': 'application/json' }, body: text });
  return reply(real.status, await real.text());
}

const failure = (id, code, message) => ({ jsonrpc: '2.0', id, error: { code, message } });

/** Refuses the synchronous method alone. */
const withoutSync = (status, code, message) => (methods, { id }) => (methods.includes(SYNC) ? { status, body: failure(id, code, message) } : undefined);

/** Answers all but the chain id with an error, and single questions, too. */
const limited = (status, code, message) => (methods, asked) => {
  if (!Array.isArray(asked)) return { status, body: failure(asked.id, code, message) };
  const one = ({ id, method }) => (method === 'eth_chainId' ? { jsonrpc: '2.0', id, result: '0x14a34' } : failure(id, code, message));
  return { status, body: asked.map(one) };
};

const onlySync = (does) => (methods) => (methods.includes(SYNC) ? does : undefined);

/** Tempers in which a node can take a plain transaction. */
export const USABLE = {
  'refuses sync: method not found': withoutSync(200, -32601, 'the method eth_sendRawTransactionSync does not exist/is not available'),
  'refuses sync: unsupported, with status 400': withoutSync(400, -32600, 'Unsupported method: eth_sendRawTransactionSync'),
  'refuses sync: not whitelisted': withoutSync(200, -32001, 'rpc method is not whitelisted'),
  'refuses sync: not whitelisted, as any error': withoutSync(200, -32000, 'rpc method is not whitelisted'),
  'refuses sync: not available': withoutSync(200, -32004, 'eth_sendRawTransactionSync is not available'),
  'refuses sync: not in the plan, with status 403': withoutSync(403, -32600, 'this method is for other plans'),
  'refuses sync: internal error': withoutSync(200, -32603, 'Internal error'),
  'refuses sync: in words of its own': withoutSync(200, -32099, 'what is this?'),
  'closes the connection on sync': onlySync('close'),
  'is silent on sync': onlySync('silent'),
  'takes batches of three': (methods) => (methods.length > 3 ? { status: 500, body: failure(null, -32000, 'at most 3 calls') } : undefined),
  'takes no batches': (methods, asked) => (Array.isArray(asked) ? { body: failure(null, -32600, 'batches are not for you') } : undefined),
  'closes the connection on batches': (methods, asked) => (Array.isArray(asked) ? 'close' : undefined),
  'is slow': () => ({ delay: SLOW_MS }),
};

/** Tempers in which it can't, and what it says. */
export const UNUSABLE = {
  'over rate limit': limited(200, -32016, 'over rate limit'),
  'daily limit': limited(200, -32005, 'daily request count exceeded, request rate limited'),
  'compute units, with status 429': limited(429, 429, 'Your app has exceeded its compute units per second capacity'),
  'requests per second': limited(200, -32007, '50/second request limit reached'),
  'no backend, with status 503': () => ({ status: 503, body: { message: 'no backend is currently healthy' } }),
};
export const SENTENCES = {
  'over rate limit': 'over rate limit',
  'daily limit': 'daily request count exceeded',
  'compute units, with status 429': 'exceeded its compute units',
  'requests per second': '50/second request limit reached',
  'no backend, with status 503': 'no backend is currently healthy',
};
