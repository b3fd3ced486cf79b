/** docs/prices.md: an origin that says its own prices, and one that is protected, sold to clients of both versions. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { parse } from 'smol-toml';
import { x402Fetch, x402FetchV1 } from '../../dev/clients.mjs';
import { devPath, listen } from '../../dev/util.mjs';
import { startWorld } from '../../dev/world.mjs';
import { snippet } from '../documents/snippets.mjs';
import { assertPaid, assertRefused, decode, encode, EVM_NETWORK, evmPayload, ledger, offerOf, payment, paymentHeader, send, SOLANA_NETWORK, unchanged } from './support.mjs';

const SECRET = '5e'.repeat(32);
const folder = devPath('quotes', 'x').slice(0, -2);

let world;
let paymentOf;
let documented;
before(async () => {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'payment-of.mjs'), snippet('docs/origin.md', 'import { createHmac'));
  writeFileSync(join(folder, 'server.mjs'), snippet('docs/prices.md', 'import { createServer'));
  process.env.ORIGIN_SECRET = SECRET;
  const load = (name) => import(pathToFileURL(join(folder, name)).href);
  [{ paymentOf }, { server: documented }] = await Promise.all([load('payment-of.mjs'), load('server.mjs')]);
  world = await startWorld({ worker: false });
});
after(async () => {
  await world?.stop();
  documented?.closeAllConnections();
  documented?.close();
  delete process.env.ORIGIN_SECRET;
  rmSync(folder, { recursive: true, force: true });
});

/** An origin of which each test says what it does. */
async function startOrigin() {
  const origin = { asked: [] };
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const asked = { method: request.method, url: request.url, headers: request.headers, body: Buffer.concat(chunks).toString(), paid: paymentOf(request, SECRET) };
    origin.asked.push(asked);
    origin.answer(asked, response);
  });
  const url = `http://127.0.0.1:${await listen(server)}`;
  return Object.assign(origin, {
    url,
    stop: () => {
      server.closeAllConnections();
      return new Promise((done) => server.close(done));
    },
  });
}

const sellerGot = async (work) => {
  const start = await ledger(world);
  const value = await work();
  const end = await ledger(world);
  return [value, end.evmSeller - start.evmSeller + (end.solanaSeller - start.solanaSeller)];
};

describe('the origin of the document', () => {
  const { ROUTES } = parse(snippet('docs/prices.md', '[[vars.ROUTES]]\npattern = "/reports/*"')).vars;
  let url;
  before(async () => {
    const origin = `http://127.0.0.1:${await listen(documented)}`;
    ({ url } = await world.startWorker({ vars: { ORIGIN: origin, ROUTES }, secrets: { ORIGIN_SECRET: SECRET } }));
  });

  for (const [name, client] of [['v2', x402Fetch], ['v1', x402FetchV1]]) {
    for (const network of [EVM_NETWORK, SOLANA_NETWORK]) {
      test(`unmodified clients of ${name} buy at its prices on ${network.split(':')[0]}`, async () => {
        const pay = client({ ...world.buyer(), network });
        for (const [path, price] of [['/reports/short', 20_000n], ['/reports/full', 500_000n]]) {
          const [answer, got] = await sellerGot(() => pay(`${url}${path}?for=${name}`));
          const text = await answer.text();
          assert.equal(answer.status, 200, text);
          assert.equal(text, `the report of ${path}?for=${name}`);
          assert.equal(got, price);
        }
      });
    }
  }
});
