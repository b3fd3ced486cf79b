/** A JSON-RPC proxy in front of a local chain, for tests of what goes wrong on the way. */
import { createServer } from 'node:http';
import { listen } from './util.mjs';

/**
 * Starts a proxy on 127.0.0.1.
 *
 * @param {string} target URL of the real node
 * @returns {Promise<RpcProxy>}
 *
 * @typedef {object} RpcProxy
 * @property {string} url
 * @property {{ method: string, params: any[] }[]} calls everything that was asked, in order
 * @property {Rule | null} rule looked at for every call; set it to change what happens
 * @property {() => Promise<void>} stop
 *
 * @callback Rule
 * @param {{ method: string, params: any[] }} call
 * @returns {undefined | Fault | Promise<undefined | Fault>} nothing: pass it on
 *
 * @typedef {{ error: { code: number, message: string, data?: any } } | { result: any } | { status: number } | { before: true } | { after: true } | { when: Promise<void> } | { change: (result: any) => any }} Fault
 *   a JSON-RPC error, a made-up result, an HTTP status, a broken connection before the node got the
 *   call, or after it did it ("sent, but the answer was lost"); an answer held back until something
 *   happens, or the node's own result changed, in a batch that of this one call
 */
export async function startRpcProxy(target) {
  const proxy = { url: '', calls: [], rule: null, stop: async () => {} };
  const server = createServer((request, response) => {
    forward(proxy, target, request, response).catch(() => response.destroy());
  });
  proxy.url = `http://127.0.0.1:${await listen(server)}`;
  proxy.stop = async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  };
  return proxy;
}

async function forward(proxy, target, request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString();
  const parsed = JSON.parse(body);
  const faults = [];
  for (const { method, params = [] } of [parsed].flat()) {
    proxy.calls.push({ method, params });
    faults.push(await proxy.rule?.({ method, params }));
  }
  // In a batch the first fault counts for all of it: no client here sends mixed ones.
  const fault = faults.find(Boolean);
  if (fault?.before) return response.destroy();
  if (fault?.status) return response.writeHead(fault.status).end();
  if (fault?.error || fault && 'result' in fault) {
    return response.writeHead(200, { 'content-type': 'application/json' }).end(madeUp(parsed, fault));
  }
  const answer = await fetch(target, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  const text = changed(await answer.text(), faults);
  if (fault?.after) return response.destroy();
  await fault?.when;
  response.writeHead(answer.status, { 'content-type': 'application/json' }).end(text);
}

/** A rule: the node says that it serves this EVM chain, and tells the truth otherwise. */
export function wrongChain(chainId) {
  return ({ method }) => (method === 'eth_chainId' ? { change: () => `0x${chainId.toString(16)}` } : undefined);
}

/** A rule: receipts are not there, neither those asked for nor those waited for, if `isGone` says so of the call. */
export function vanishedReceipts(isGone = () => true) {
  return ({ method, params }) => {
    if (!isGone({ method, params })) return undefined;
    if (method === 'eth_getTransactionReceipt') return { change: () => null };
    // The node gave up waiting for the block (EIP-7966).
    if (method === 'eth_sendRawTransactionSync') return { change: () => undefined };
    return undefined;
  };
}

/** A rule: what was asked once with these methods is answered as it was then. */
export function staleReads(methods) {
  const known = new Map();
  return ({ method, params }) => {
    if (!methods.includes(method)) return undefined;
    const key = JSON.stringify([method, params]);
    const change = (result) => {
      if (!known.has(key)) known.set(key, result);
      return known.get(key);
    };
    return { change };
  };
}

/** The node's answers after the faults that change results; `undefined` is a time-out of EIP-7966. */
function changed(text, faults) {
  if (!faults.some((fault) => fault?.change)) return text;
  const answers = JSON.parse(text);
  const one = (answer, fault) => {
    if (!fault?.change || !('result' in answer)) return answer;
    const { jsonrpc, id } = answer;
    const result = fault.change(answer.result);
    return result === undefined ? { jsonrpc, id, error: { code: 4, message: 'the transaction was added, but its block did not come in time' } } : { jsonrpc, id, result };
  };
  return JSON.stringify(Array.isArray(answers) ? answers.map((answer, i) => one(answer, faults[i])) : one(answers, faults[0]));
}

function madeUp(parsed, fault) {
  const one = ({ id }) => ({ jsonrpc: '2.0', id, ...fault });
  return JSON.stringify(Array.isArray(parsed) ? parsed.map(one) : one(parsed));
}
