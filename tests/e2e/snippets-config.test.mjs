/** The configurations, and the servers, of docs/: each really sells. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { parse } from 'smol-toml';
import { x402Fetch } from '../../dev/clients.mjs';
import { serve } from '../../dev/servers/serve.mjs';
import { devPath, freePort, ROOT, waitFor } from '../../dev/util.mjs';
import { EVM_NETWORK, SOLANA_NETWORK, startWorld } from '../../dev/world.mjs';
import { snippet } from '../documents/snippets.mjs';
import { decode, ledger, PAGE, PAGE_PRICE, send } from './support.mjs';

const folder = devPath('snippets', 'x').slice(0, -2);
let world;
before(async () => {
  world = await startWorld();
});
after(async () => {
  await world?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Buys with the reference client on the first network that is offered, and asserts that the seller got a cent. */
async function buy(url) {
  const start = await ledger(world);
  const answer = await x402Fetch(world.buyer())(url);
  const text = await answer.text();
  assert.equal(answer.status, 200, text);
  assert.equal(decode(answer.headers.get('payment-response')).success, true);
  const end = await ledger(world);
  assert.equal(end.evmSeller - start.evmSeller, PAGE_PRICE);
  return text;
}

/** A TOML snippet, with the seller's addresses in their places. */
function toml(text) {
  const { evm, solana } = world.accounts;
  return parse(text.replaceAll(/"0x(…|0{40})"/g, `"${evm.seller.address}"`).replaceAll('0xYourAddress', evm.seller.address).replaceAll('YourAddress', solana.seller.address));
}

/** Runs a module of the documents, and answers its `app`. */
async function app(name, text) {
  const path = join(folder, `${name}.mjs`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(path, `${text}export { app };\n`);
  const module = await import(pathToFileURL(path).href);
  return module.app;
}

describe('README.md, step 2', () => {
  const begins = () => snippet('README.md', '[[vars.ROUTES]]');

  test('sells once an address is in it', async () => {
    const { vars } = toml(begins());
    const { url } = await world.startWorker({ vars });
    const { accepts } = decode((await fetch(url + PAGE)).headers.get('payment-required'));
    assert.deepEqual(accepts.map(({ network, amount, payTo }) => [network, amount, payTo]), [[EVM_NETWORK, '10000', world.accounts.evm.seller.address]]);
    await buy(url + PAGE);
  });

  test('as it stands nothing is sold, and the log says why', async () => {
    const worker = await world.startWorker({ configFile: join(ROOT, 'wrangler.toml'), vars: parse(readFileSync(join(ROOT, 'wrangler.toml'), 'utf8')).vars });
    assert.equal((await fetch(worker.url + PAGE)).status, 503);
    const lines = snippet('docs/configuration.md', 'the configuration has').trimEnd().split('\n');
    await waitFor(() => worker.log().includes(lines.at(-1)), { what: 'the faults in the log' });
    for (const line of lines) assert.ok(worker.log().includes(line), `${line}\n${worker.log()}`);
  });
});

test('docs/configuration.md, several tokens', async () => {
  const text = snippet('docs/configuration.md', '[[vars.NETWORKS."eip155:8453".tokens]]').replaceAll('eip155:8453', EVM_NETWORK);
  const { NETWORKS, ROUTES } = parse(text).vars;
  Object.assign(NETWORKS[EVM_NETWORK], { rpc: [world.evm.url], pay_to: world.accounts.evm.seller.address });
  const { url } = await world.startWorker({ vars: { NETWORKS, ROUTES } });
  const { accepts } = decode((await fetch(url + PAGE)).headers.get('payment-required'));
  assert.deepEqual(accepts.map(({ network, amount, extra }) => [network, amount, extra.name]), [[EVM_NETWORK, '10000', 'USDC'], [EVM_NETWORK, '10000', 'EURC']]);
  await buy(url + PAGE);
});

test('docs/configuration.md, Permit2', async () => {
  const text = snippet('docs/configuration.md', '[vars.NETWORKS."eip155:8453"]').replaceAll('eip155:8453', EVM_NETWORK);
  const { NETWORKS } = toml(text.replace('https://mainnet.base.org', world.evm.url)).vars;
  const { url } = await world.startWorker({ vars: { NETWORKS } });
  const { accepts: [offer] } = decode((await fetch(url + PAGE)).headers.get('payment-required'));
  assert.deepEqual([offer.amount, offer.asset, offer.extra.assetTransferMethod], ['10000000000000000', NETWORKS[EVM_NETWORK].asset, 'permit2']);
});

test('docs/configuration.md, a page of your own', async () => {
  const page = snippet('docs/configuration.md', '<!doctype html>');
  const site = await serve(({ url }) => (new URL(url).pathname === '/till.html' ? new Response(page, { headers: { 'content-type': 'text/html' } }) : new Response('the goods')));
  try {
    const { url, log } = await world.startWorker({ vars: { ORIGIN: site.url, ROUTES: [{ pattern: '/premium/*', price: '$0.01', description: 'Tea' }], PAGE: { name: 'Tuppence', template: '/till.html' } } });
    const shown = await (await fetch(url + PAGE, { headers: { accept: 'text/html', 'sec-fetch-dest': 'document' } })).text();
    assert.ok(shown.includes('<h1>Tea</h1>') && shown.includes('<strong>$0.01</strong> from Tuppence'), `${shown.slice(0, 500)}\n${log()}`);
    assert.doesNotMatch(shown, /\{\{/);
    assert.equal(await buy(url + PAGE), 'the goods');
  } finally {
    await site.stop();
  }
});

test('docs/configuration.md, sell by use', async () => {
  const { ROUTES } = parse(snippet('docs/configuration.md', '[[vars.ROUTES]]\npattern = "/v1/chat/completions"')).vars;
  const NETWORKS = { [EVM_NETWORK]: { rpc: [world.evm.url], pay_to: world.accounts.evm.seller.address } };
  const { url } = await world.startWorker({ vars: { NETWORKS, ROUTES } });
  const asked = async (path, method) => decode((await fetch(url + path, { method })).headers.get('payment-required')).accepts.map(({ scheme, amount, extra }) => [scheme, amount, extra.assetTransferMethod]);
  assert.deepEqual(await asked('/v1/chat/completions', 'POST'), [['upto', '250000', 'permit2']]);
  assert.deepEqual(await asked('/files/a.bin', 'GET'), [['upto', '2000000', 'permit2']]);
});

describe('docs/configuration.md, origins', () => {
  const started = async (text, more = {}) => {
    const { vars, ...bindings } = toml(text);
    return { bindings, worker: await world.startWorker({ ...more, vars }) };
  };

  test('another Worker', async () => {
    const text = snippet('docs/configuration.md', '# Another Worker of yours');
    const [{ binding, service }] = parse(text).services;
    const script = 'export default { fetch: () => new Response("of the other Worker") };';
    const { worker } = await started(text, { services: [{ binding, name: service, script }] });
    assert.equal(await buy(worker.url + PAGE), 'of the other Worker');
  });

  test('a site at another host', async () => {
    const site = await serve(({ url }) => new Response(`at ${new URL(url).pathname}`));
    try {
      const text = snippet('docs/configuration.md', '# A site at another host').replace('https://origin.example.com', site.url);
      const { worker } = await started(text);
      assert.equal(await buy(worker.url + PAGE), `at /site${PAGE}`);
    } finally {
      await site.stop();
    }
  });

  test('the server behind a zone', async () => {
    const { worker, bindings } = await started(snippet('docs/configuration.md', '# The server behind your Cloudflare zone'));
    // The zone is on Cloudflare only. Here: that it is for sale, and that the file says where.
    assert.equal((await fetch(worker.url + PAGE)).status, 402);
    assert.equal(bindings.workers_dev, false);
    assert.deepEqual(bindings.routes.map(({ pattern, zone_name }) => [pattern, zone_name]), [['example.com/*', 'example.com']]);
  });
});

describe('docs/facilitator.md', () => {
  let token;
  let hash;
  before(() => {
    const lines = snippet('docs/facilitator.md', 'TOKEN=') + snippet('docs/facilitator.md', 'printf %s');
    const { stdout, stderr } = spawnSync('bash', ['--norc', '-euo', 'pipefail', '-c', lines], { encoding: 'utf8' });
    [, token, hash] = /^token for acme: ([0-9a-f]{64})\n([0-9a-f]{64})\n$/.exec(stdout) ?? assert.fail(stdout + stderr);
    assert.equal(hash, createHash('sha256').update(token).digest('hex'));
  });

  /** The text of a server, with our addresses in place of the document's. */
  const server = (text, { url }) => text.replaceAll('https://pay.example.com', url).replaceAll('0x…', world.accounts.evm.seller.address);

  test('a server with @x402/hono, and a client’s token', async () => {
    const { vars } = toml(snippet('docs/facilitator.md', '[vars.FACILITATOR]\npath = "/facilitator"\n\n[['));
    const pay = await world.startWorker({ vars, secrets: { FACILITATOR_TOKENS: `acme:${hash}` } });
    process.env.FACILITATOR_TOKEN = token;
    const text = server(snippet('docs/facilitator.md', 'import { HTTPFacilitatorClient }'), pay);
    const { fetch: handler } = await app('hono', text);
    const shop = await serve((request) => handler(request));
    try {
      assert.equal(await buy(`${shop.url}/paid`), 'paid for');
    } finally {
      await shop.stop();
    }
  });

  test('a server with @faremeter/middleware, open to everybody', async () => {
    const { vars } = toml(snippet('docs/facilitator.md', '[vars.FACILITATOR]\npath = "/facilitator"\nopen'));
    const pay = await world.startWorker({ vars });
    const text = server(snippet('docs/facilitator.md', 'import { createMiddleware }'), pay);
    const { fetch: handler } = await app('faremeter', text);
    const shop = await serve((request) => handler(request));
    try {
      assert.equal(await buy(`${shop.url}/paid`), 'paid for');
    } finally {
      await shop.stop();
    }
  });
});

test('docs/remote-facilitator.md: a whole wrangler.toml', async () => {
  const { evm, solana } = world.accounts;
  const pay = await world.startWorker({
    vars: {
      FACILITATOR: { path: '/facilitator', open: true, pay_to: [evm.seller.address, solana.seller.address], daily_spend: { [EVM_NETWORK]: '1', [SOLANA_NETWORK]: '1' } },
    },
  });
  const text = snippet('docs/remote-facilitator.md', 'name = "my-shop"').replaceAll('https://pay.example.com', pay.url).replace('https://sepolia.base.org', world.evm.url);
  mkdirSync(join(folder, 'www/premium'), { recursive: true });
  writeFileSync(join(folder, 'www/premium/index.html'), 'the goods');
  const configFile = join(folder, 'wrangler.toml');
  const { vars } = toml(text);
  writeFileSync(configFile, text.replace('<id>', 'replay'));
  const keys = { EVM_RELAYER_KEYS: undefined, SOLANA_FEE_PAYER_KEYS: undefined, GRANT_SECRET: undefined, RPC_URLS: undefined };
  const gate = await world.startWorker({ configFile, vars, secrets: keys });
  const offered = async () => decode((await fetch(gate.url + PAGE)).headers.get('payment-required')).accepts.map(({ network }) => network);
  await waitFor(async () => (await offered()).length === 2, { what: 'both networks to be offered' });
  assert.equal(await buy(gate.url + PAGE), 'the goods');
});

test('docs/operations.md: what the health says', async () => {
  const { selling, problems, settlers } = JSON.parse(snippet('docs/operations.md', '{\n  "selling"'));
  const example = problems.map((problem) => problem.replaceAll('eip155:8453', EVM_NETWORK).replace('Base (', 'Base Sepolia ('));
  const dead = `http://127.0.0.1:${await freePort()}`;
  const NETWORKS = {
    [EVM_NETWORK]: { rpc: [world.evm.url], pay_to: world.accounts.evm.seller.address },
    'eip155:137': { rpc: [dead, world.evm.url], pay_to: world.accounts.evm.seller.address },
  };
  const poor = `0x${'11'.repeat(32)}`;
  const { url } = await world.startWorker({ vars: { NETWORKS }, secrets: { EVM_RELAYER_KEYS: poor, RPC_URLS: undefined } });
  const { status, json } = await send(`${url}/.edge402/health`);
  assert.equal(status, 503);
  assert.equal(json.selling, selling);
  assert.ok(Array.isArray(settlers) && Array.isArray(json.settlers));
  const kinds = (list) => list.map((problem) => problem.replace(/0x[0-9a-fA-F]{40}|0x…/g, '0x…').replace(/\(\d+\)/, '(n)').replace(/\d+\.\d+/g, 'n')).sort();
  assert.deepEqual(kinds(json.problems), kinds(example));
});

test('docs/operations.md: what was sold', async () => {
  const bash = (...commands) => spawnSync('bash', ['--norc', '-euo', 'pipefail', '-c', commands.join('')], { encoding: 'utf8' }).stdout;
  const made = snippet('docs/operations.md', 'TOKEN=');
  const [token, hash] = bash(made, 'echo $TOKEN\n', snippet('docs/operations.md', 'printf %s "${TOKEN:?}"')).trim().split('\n');
  const { url } = await world.startWorker({ secrets: { DESK_TOKENS: hash } });
  await buy(url + PAGE);
  const asked = snippet('docs/operations.md', 'curl -H "Authorization: Bearer $TOKEN"').replace('https://shop.example', url).replace('curl', 'curl -s');
  const { sales, next } = JSON.parse(bash(`TOKEN=${token}\n`, asked));
  const example = JSON.parse(snippet('docs/operations.md', '{\n  "sales"'));
  assert.deepEqual(Object.keys(sales[0]).sort(), Object.keys(example.sales[0]).sort());
  assert.deepEqual([sales.length, next], [1, example.next]);
});
