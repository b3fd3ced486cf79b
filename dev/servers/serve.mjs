/** Node's HTTP server for handlers that take a `Request` and give a `Response`. */
import { createServer } from 'node:http';
import { listen } from '../util.mjs';

/**
 * Serves on a free port of 127.0.0.1.
 *
 * @param {(request: Request) => Response | Promise<Response>} handler
 * @returns {Promise<Server>}
 *
 * @typedef {object} Server
 * @property {string} url without a slash at its end
 * @property {() => Promise<void>} stop
 */
export async function serve(handler) {
  let url;
  const server = createServer((incoming, outgoing) => {
    answer(handler, url, incoming, outgoing).catch(() => outgoing.destroy());
  });
  url = `http://127.0.0.1:${await listen(server)}`;
  return {
    url,
    async stop() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

async function answer(handler, url, incoming, outgoing) {
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const body = chunks.length > 0 ? Buffer.concat(chunks) : undefined;
  const response = await handler(new Request(url + incoming.url, { method: incoming.method, headers: incoming.headers, body }));
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  outgoing.end(Buffer.from(await response.arrayBuffer()));
}
