/**
 * A load generator: keep-alive connections over bare sockets, one request at a
 * time on each. An HTTP library would cost more CPU than the Workers it loads.
 */
import { connect } from 'node:net';

const HEAD_END = Buffer.from('\r\n\r\n');
const LAST_CHUNK = Buffer.from('0\r\n\r\n');
const CONNECTIONS = 32;
const ANSWER_TIMEOUT_MS = 15_000;

/**
 * Loads a URL for a while.
 *
 * @param {string} url
 * @param {{ seconds: number, headers?: Record<string, string> | Record<string, string>[], connections?: number, status?: number }} options
 *   `headers`: those of several requests are sent in turn; `status`: what every answer must be
 * @returns {Promise<{ requests: number, seconds: number, perSecond: number }>}
 */
export async function loadUrl(url, { seconds, headers = {}, connections = CONNECTIONS, status = 200 }) {
  const { hostname, port, pathname, search, host } = new URL(url);
  const all = [headers].flat().map((own) => {
    const lines = Object.entries({ host, accept: '*/*', ...own }).map(([name, value]) => `${name}: ${value}\r\n`);
    return Buffer.from(`GET ${pathname}${search} HTTP/1.1\r\n${lines.join('')}\r\n`);
  });
  let turn = 0;
  const next = () => all[turn++ % all.length];
  const start = performance.now();
  const end = start + seconds * 1_000;
  const counts = await Promise.all(
    Array.from({ length: connections }, () => oneConnection({ hostname, port: Number(port), next, end, status })),
  );
  const requests = counts.reduce((sum, count) => sum + count, 0);
  const taken = (performance.now() - start) / 1_000;
  return { requests, seconds: taken, perSecond: requests / taken };
}

/** Asks again and again until `end`, and answers how many answers came. */
function oneConnection({ hostname, port, next, end, status }) {
  return new Promise((done, fail) => {
    const socket = connect({ host: hostname, port, noDelay: true });
    let received = null;
    let count = 0;
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => socket.destroy(new Error(`no answer for ${ANSWER_TIMEOUT_MS} ms`)));
    socket.on('connect', () => socket.write(next()));
    socket.on('error', fail);
    socket.on('close', () => (performance.now() >= end ? done(count) : fail(new Error('the Worker closed a connection under load'))));
    socket.on('data', (data) => {
      received = received ? Buffer.concat([received, data]) : data;
      const answer = completeAnswer(received);
      if (!answer) return;
      if (answer !== status) return socket.destroy(new Error(`${answer} instead of ${status}:\n${received.toString().slice(0, 600)}`));
      received = null;
      count += 1;
      if (performance.now() < end) socket.write(next());
      else socket.end();
    });
  });
}

/** The status of the answer in these bytes, or 0 while it isn't all there. */
function completeAnswer(bytes) {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd < 0) return 0;
  const head = bytes.latin1Slice(0, headEnd);
  const length = /\r\ncontent-length: *(\d+)/i.exec(head);
  const isComplete = length
    ? bytes.length >= headEnd + HEAD_END.length + Number(length[1])
    : bytes.subarray(-LAST_CHUNK.length).equals(LAST_CHUNK);
  return isComplete ? Number(head.slice(9, 12)) : 0;
}
