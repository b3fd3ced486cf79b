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
 * @typedef {{ error: { code: number, message: string, data?: any } } | { result: any } | { status: number } | { before: true } | { after: true }} Fault
 *   a JSON-RPC error, a made-up result, an HTTP status, a broken connection before the node got the
 *   call, or after it did it ("sent, but the answer was lost")
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
  const text = await answer.text();
  if (fault?.after) return response.destroy();
  response.writeHead(answer.status, { 'content-type': 'application/json' }).end(text);
}

function madeUp(parsed, fault) {
  const one = ({ id }) => ({ jsonrpc: '2.0', id, ...fault });
  return JSON.stringify(Array.isArray(parsed) ? parsed.map(one) : one(parsed));
}
