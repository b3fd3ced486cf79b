/** A site behind the gate, for the tests of the door. */
import { createServer } from 'node:http';
import { listen } from '../../dev/util.mjs';

/** A site that says what it was asked, but for the paths that a test gives an answer of their own. */
export async function startSite() {
  const started = { handlers: new Map(), requests: [] };
  const server = createServer(async (request, response) => {
    started.requests.push(request.url);
    const handler = started.handlers.get(request.url.split('?')[0]);
    if (handler) return handler(request, response);
    let size = 0;
    for await (const chunk of request) size += chunk.length;
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ path: request.url, size, headers: request.headers }));
  });
  started.url = `http://127.0.0.1:${await listen(server)}`;
  started.on = (path, handler) => started.handlers.set(path, handler);
  started.stop = async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  };
  return started;
}

/** A handler that always says the same. */
export const answering = (status, body, headers = {}) => (_, response) => response.writeHead(status, headers).end(body);
