/** The origin behind every Worker: a server that costs next to nothing, in a thread of its own. */
import { createServer } from 'node:net';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';

const BODY = `<!doctype html><title>Almanac</title><p>${'Sun and moon over the fjord. '.repeat(32)}`;
const ANSWER = Buffer.from([
  'HTTP/1.1 200 OK', 'Content-Type: text/html; charset=utf-8', `Content-Length: ${BODY.length}`,
  'Cache-Control: no-store', '', BODY,
].join('\r\n'));
const HEAD_END = '\r\n\r\n';

/**
 * @param {{ delayMs?: number }} [options] how long it works on each answer, in milliseconds
 * @returns {Promise<{ url: string, stop: () => Promise<void> }>}
 */
export async function startOrigin({ delayMs = 0 } = {}) {
  const thread = new Worker(new URL(import.meta.url), { workerData: { delayMs } });
  const port = await new Promise((done, fail) => thread.once('message', done).once('error', fail));
  return { url: `http://127.0.0.1:${port}`, stop: async () => void (await thread.terminate()) };
}

/** Every request gets the same page. None that a Worker sends here has a body. */
function serve(socket) {
  socket.setNoDelay(true);
  let received = '';
  socket.on('error', () => socket.destroy());
  socket.on('data', (data) => {
    received += data.latin1Slice();
    const requests = received.split(HEAD_END);
    received = requests.pop();
    for (const _ of requests) {
      if (workerData.delayMs > 0) setTimeout(() => socket.write(ANSWER), workerData.delayMs);
      else socket.write(ANSWER);
    }
  });
}

if (!isMainThread) {
  const server = createServer(serve).listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
}
