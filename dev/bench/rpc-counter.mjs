/** A proxy before a node that counts HTTP round trips and the methods in them, and can be far away. */
import { Agent, createServer, request as httpRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { listen } from '../util.mjs';

/**
 * @param {string} target URL of the node
 * @param {{ delayMs?: number }} [options] how long each round trip takes besides, in milliseconds
 * @returns {Promise<Counter>}
 *
 * @typedef {object} Counter
 * @property {string} url
 * @property {() => string[][]} take what came since the last time: the methods of each round trip
 * @property {() => Promise<void>} stop
 */
export async function startRpcCounter(target, { delayMs = 0 } = {}) {
  const agent = new Agent({ keepAlive: true });
  let trips = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    trips.push([JSON.parse(body.toString())].flat().map(({ method }) => method));
    if (delayMs > 0) await sleep(delayMs);
    const forward = httpRequest(target, { method: 'POST', agent, headers: { 'content-type': 'application/json', 'content-length': body.length } });
    forward.on('error', () => response.destroy());
    forward.on('response', (answer) => {
      response.writeHead(answer.statusCode, { 'content-type': 'application/json' });
      answer.pipe(response);
    });
    forward.end(body);
  });
  const url = `http://127.0.0.1:${await listen(server)}`;
  return {
    url,
    take() {
      const taken = trips;
      trips = [];
      return taken;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
      agent.destroy();
    },
  };
}
