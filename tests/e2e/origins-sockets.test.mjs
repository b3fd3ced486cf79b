/** What is sold may be a WebSocket: it is opened by a payment, once. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { after, before, test } from 'node:test';
import { startWorld } from '../../dev/world.mjs';
import { listen } from '../../dev/util.mjs';
import { payment } from './support.mjs';

/** RFC 6455, section 1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const ROUTES = [
  { pattern: '/after', price: '$0.01' },
  { pattern: '/before', price: '$0.01', settle: 'before' },
];

let world;
let origin;
let opened = 0;
const sockets = [];
before(async () => {
  origin = createServer((_, response) => response.writeHead(404).end());
  // Says one word and closes: two frames of a server's, unmasked.
  origin.on('upgrade', ({ headers }, socket) => {
    opened += 1;
    sockets.push(socket);
    const accept = createHash('sha1').update(headers['sec-websocket-key'] + GUID).digest('base64');
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    socket.write(Buffer.from([0x81, 5, ...Buffer.from('hello'), 0x88, 2, 0x03, 0xe8]));
    socket.on('error', () => {});
  });
  const url = `http://127.0.0.1:${await listen(origin)}`;
  world = await startWorld({ worker: { vars: { ORIGIN: url, ROUTES } } });
});
after(async () => {
  await world?.stop();
  origin?.closeAllConnections();
  sockets.forEach((socket) => socket.destroy());
  origin?.close();
});

/** Asks for a WebSocket: the answer, and the connection if it was opened. */
async function open(path, headers = {}) {
  const upgrade = { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': KEY };
  const sent = request(world.url + path, { headers: { ...upgrade, ...headers } });
  sent.end();
  return Promise.race([
    once(sent, 'upgrade').then(([answer, socket, head]) => ({ answer, socket, head })),
    once(sent, 'response').then(([answer]) => ({ answer: answer.resume() })),
  ]);
}

for (const path of ['/after', '/before']) {
  test(`${path}: opened by a payment`, async () => {
    const already = opened;
    const unpaid = await open(path);
    assert.equal(unpaid.answer.statusCode, 402);
    assert.equal(opened, already);
    const { answer, socket, head } = await open(path, await payment(world, world.url + path));
    assert.equal(answer.statusCode, 101);
    assert.match(JSON.parse(Buffer.from(answer.headers['payment-response'], 'base64')).transaction, /^0x[0-9a-f]{64}$/);
    let bytes = head;
    while (bytes.length < 7) bytes = Buffer.concat([bytes, (await once(socket, 'data'))[0]]);
    assert.equal(String(bytes.subarray(2, 7)), 'hello');
    socket.destroy();
  });
}
