/** `edge402 dev`: a shop with all that came after the first release runs here as it would on Cloudflare, and says what is wrong with it. */
import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { webhookSecret } from '../../cli/new-keys.mjs';
import { ROOT, freePort, listen, startProcess, waitFor } from '../../dev/util.mjs';
import { findWorld } from '../../dev/world-file.mjs';
import { edge402, folderOf } from './support.mjs';

const hash = (text) => createHash('sha256').update(text).digest('hex');
const [PASS, TOKEN] = ['a pass', 'a token'];
const skip = findWorld() ? 'a shop is open on this machine' : false;

/** Opens the shop of a configuration, and closes it with the test. */
async function open(t, vars, secrets) {
  const folder = folderOf(t);
  mkdirSync(join(folder, 'site/premium'), { recursive: true });
  for (const name of ['index.html', 'premium/index.html', 'api.json', 'used.txt']) writeFileSync(join(folder, 'site', name), name);
  const config = { name: 'shop', main: 'elsewhere.js', compatibility_date: '2026-04-01', assets: { directory: './site', binding: 'ASSETS', run_worker_first: ['/*'] }, kv_namespaces: [{ binding: 'REPLAY' }], durable_objects: { bindings: [{ name: 'SETTLER', class_name: 'Settler' }] }, migrations: [{ tag: 'v1', new_sqlite_classes: ['Settler'] }] };
  const { vars: _top, ...others } = config;
  writeFileSync(join(folder, 'wrangler.jsonc'), `// A shop.\n${JSON.stringify({ ...others, env: { live: { vars, kv_namespaces: config.kv_namespaces, durable_objects: config.durable_objects } } })}`);
  writeFileSync(join(folder, '.dev.vars'), Object.entries(secrets).map(([name, value]) => `${name}='${value}'\n`).join(''));
  const port = await freePort();
  const shop = startProcess(process.execPath, [join(ROOT, 'cli/edge402.mjs'), 'dev', '--env', 'live', '--port', String(port)], { cwd: folder });
  t.after(() => shop.stop());
  await waitFor(() => shop.log().includes('The shop is open') || !shop.alive(), { timeout: 120_000, what: 'the shop to open' });
  assert.ok(shop.alive(), shop.log());
  return { url: `http://127.0.0.1:${port}`, shop, folder };
}

test('classes, prices, quotas, use, the desk and webhooks', { skip }, async (t) => {
  const told = [];
  const receiver = createServer(async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    told.push({ headers: request.headers, body });
    response.writeHead(204).end();
  });
  const secret = webhookSecret();
  const hook = { url: `http://127.0.0.1:${await listen(receiver)}/hook`, events: ['sale'] };
  t.after(() => receiver.close());
  const { url, shop, folder } = await open(t, {
    ORIGIN: 'assets',
    ROUTES: [
      { pattern: '/premium/*', price: '$0.01', free_for: ['secret:staff'], networks: ['eip155:8453'] },
      { pattern: '/api.json', price: '$0.01', free: '1/day', prices: [{ when: { query: { size: 'large' } }, price: '$0.05' }] },
      { pattern: '/used.txt', price: '$0.50', scheme: 'upto', meter: { bytes: 1, price: '$0.001' }, networks: ['eip155:8453'] },
    ],
    NETWORKS: { 'eip155:8453': { rpc: ['https://mainnet.base.org'], pay_to: '0x209693Bc6afc0C5328bA36FaF03C514EF312287C' } },
    WEBHOOKS: [{ url: 'https://hooks.example/a', events: ['sale'], secret: 'FAR' }, hook],
    FORMER_SIGNERS: ['0x209693Bc6afc0C5328bA36FaF03C514EF312287C'],
  }, { PASSES: `staff:${hash(PASS)}`, DESK_TOKENS: hash(TOKEN), WEBHOOK_SECRET: secret });
  assert.match(shop.log(), /hooks\.example is not told of what is bought here/);
  assert.doesNotMatch(shop.log(), /It sells nothing/);

  const status = async (path, headers = {}) => (await fetch(`${url}${path}`, { headers })).status;
  assert.equal(await status('/premium/'), 402);
  assert.equal(await status('/premium/', { 'payment-grant': PASS }), 200);
  assert.equal(await status('/api.json?size=large'), 200);
  const dear = await fetch(`${url}/api.json?size=large`);
  assert.equal(dear.status, 402);
  const { accepts: [offer] } = JSON.parse(Buffer.from(dear.headers.get('payment-required'), 'base64'));
  assert.equal(offer.amount, '50000');
  assert.equal(await status('/used.txt'), 402);
  assert.equal(await status('/.edge402/desk'), 200);
  assert.equal(await status('/.edge402/sales', { authorization: `Bearer ${TOKEN}` }), 200);

  const bought = await edge402(folder, ['buy', `${url}/premium/`]);
  assert.equal(bought.status, 0, bought.stdout + bought.stderr);
  const [message] = await waitFor(() => told.length > 0 && told, { timeout: 60_000, what: 'the webhook' });
  const { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': signature } = message.headers;
  assert.equal(signature, `v1,${createHmac('sha256', Buffer.from(secret.slice('whsec_'.length), 'base64')).update(`${id}.${time}.${message.body}`).digest('base64')}`);
  const { type, data } = JSON.parse(message.body);
  assert.deepEqual([type, data.path], ['sale', '/premium/']);
});

test('a shop that sells nothing says why', { skip }, async (t) => {
  const { shop } = await open(t, { ORIGIN: 'assets', ROUTES: [{ pattern: '/premium/*', price: '$0.01', free_for: ['humans'] }] }, {});
  const words = await waitFor(() => /It sells nothing:\n +(.*)/.exec(shop.log())?.[1], { timeout: 10_000, what: 'the reason' });
  assert.match(words, /ROUTES\[0\]\.free_for: /);
});
