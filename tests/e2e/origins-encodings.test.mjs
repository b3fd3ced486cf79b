/** What the site compresses, cuts or streams reaches the buyer as it is: byte for byte. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import { after, before, describe, test } from 'node:test';
import zlib from 'node:zlib';
import { startWorld } from '../../dev/world.mjs';
import { startSite } from './site.mjs';
import { deferred, payment } from './support.mjs';

const PLAIN = Buffer.from(`${randomBytes(20_000).toString('hex')} and so on`);
/** A sentence, eight times, by zstd 1.5.4: Node 20 has no zstd of its own. */
const ZSTD = Buffer.from('KLUv/QRodQEA4gIJDdDnSUmaURKvWTgRQlsDwnyhCqfdeKL1XmazahXPeo5xJwkBAQD+iaoqA4nxfpw=', 'base64');
const ENCODINGS = { gzip: zlib.gzipSync(PLAIN, { level: 1 }), br: zlib.brotliCompressSync(PLAIN), zstd: ZSTD };
const ROUTES = [
  { pattern: '/after/*', price: '$0.01' },
  { pattern: '/before/*', price: '$0.01', settle: 'before' },
];

let world;
let origin;
before(async () => {
  origin = await startSite();
  world = await startWorld({ worker: { vars: { ORIGIN: origin.url, ROUTES } } });
});
after(async () => {
  await world?.stop();
  await origin?.stop();
});

/** An answer as it is on the wire. */
async function ask(path, more = {}) {
  const url = world.url + path;
  const sent = request(url, { headers: { ...(await payment(world, url)), ...more } });
  sent.end();
  const [answer] = await once(sent, 'response');
  return answer;
}

async function bytesOf(answer) {
  const chunks = [];
  for await (const chunk of answer) chunks.push(chunk);
  return Buffer.concat(chunks);
}

for (const when of ['after', 'before']) {
  describe(`what is settled ${when} the origin`, () => {
    for (const [encoding, body] of Object.entries(ENCODINGS)) {
      test(`passes in ${encoding} as it is`, async () => {
        origin.on(`/${when}/${encoding}`, (_, response) => {
          response.writeHead(200, { 'content-type': 'text/plain', 'content-encoding': encoding, 'content-length': body.length });
          response.end(body);
        });
        const answer = await ask(`/${when}/${encoding}`, { 'accept-encoding': encoding });
        assert.equal(answer.statusCode, 200);
        assert.equal(answer.headers['content-encoding'], encoding);
        assert.equal(Number(answer.headers['content-length']), body.length);
        assert.deepEqual(await bytesOf(answer), body);
      });
    }

    test('passes in part as it was asked for', async () => {
      origin.on(`/${when}/part`, ({ headers }, response) => {
        assert.equal(headers.range, 'bytes=10-19');
        response.writeHead(206, { 'content-range': `bytes 10-19/${PLAIN.length}`, 'content-length': 10 });
        response.end(PLAIN.subarray(10, 20));
      });
      const answer = await ask(`/${when}/part`, { range: 'bytes=10-19', 'accept-encoding': 'identity' });
      assert.equal(answer.statusCode, 206);
      assert.equal(answer.headers['content-range'], `bytes 10-19/${PLAIN.length}`);
      assert.equal(answer.headers['content-length'], '10');
      assert.deepEqual(await bytesOf(answer), PLAIN.subarray(10, 20));
    });

    test('passes event by event', async () => {
      const seen = deferred();
      origin.on(`/${when}/events`, async (_, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write('data: 1\n\n');
        await seen.promise;
        response.end('data: 2\n\n');
      });
      const answer = await ask(`/${when}/events`, { 'accept-encoding': 'identity' });
      const [first] = await once(answer, 'data');
      assert.equal(String(first), 'data: 1\n\n');
      seen.resolve();
      assert.equal(String(await bytesOf(answer)), 'data: 2\n\n');
    });
  });
}
