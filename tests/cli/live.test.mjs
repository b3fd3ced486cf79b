/** `edge402 check --live`: a deployed shop as a buyer and a crawler meet it. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { checkLive } from '../../cli/check/live.mjs';
import { checkSite } from '../../cli/check/site.mjs';
import { report } from '../../cli/reader.mjs';
import { ROOT, freePort, listen } from '../../dev/util.mjs';
import { EVM_NETWORK, SOLANA_NETWORK, startWorld } from '../../dev/world.mjs';
import { EVM_PAY_TO, edge402, folderOf } from './support.mjs';

const ROUTES = [{ pattern: '/premium/*', price: '$0.01', listed: true }, { pattern: '/data/almanac.json', price: '$0.005' }];

let world;

before(async () => {
  world = await startWorld({ worker: { vars: { ROUTES } } });
});
after(() => world?.stop());

/** What is found of a shop, if wrangler.toml says this. */
async function findingsOf(url, change = () => {}, own = {}) {
  const { evm: { seller, relayers }, solana: { seller: solanaSeller, feePayers } } = world.accounts;
  const vars = {
    ORIGIN: 'assets',
    ROUTES: structuredClone(ROUTES),
    NETWORKS: { [EVM_NETWORK]: { rpc: [world.evm.url], pay_to: seller.address }, [SOLANA_NETWORK]: { rpc: [world.solana.url], pay_to: solanaSeller.address } },
  };
  change(vars);
  const config = { vars, assets: { directory: './www' } };
  const secrets = { EVM_RELAYER_KEYS: relayers[0].privateKey, SOLANA_FEE_PAYER_KEYS: feePayers[0].secretBase58, GRANT_SECRET: '8f'.repeat(32), ...own };
  const read = await report({ variables: vars, secrets, bindings: ['SETTLER', 'REPLAY', 'ASSETS'] });
  assert.deepEqual(read.faults, []);
  const { files } = await checkSite(config, ROOT);
  assert.ok(files.some(({ route }) => route === 0));
  const { findings } = await checkLive(url, { config, report: read, files, secrets });
  return findings;
}

test('nothing is said of a shop that sells what wrangler.toml says', async () => {
  assert.deepEqual(await findingsOf(world.url), []);
});

for (const [what, change, key, words] of [
  ['a price', (vars) => (vars.ROUTES[0].price = '$0.02'), 'deployed ROUTES[0]', /asks for 10000 atomic units on eip155:84532, and wrangler\.toml says \$0\.02: deploy again/],
  ['who is paid', (vars) => (vars.NETWORKS[EVM_NETWORK].pay_to = EVM_PAY_TO), 'deployed ROUTES[0]', new RegExp(`wrangler\\.toml says ${EVM_PAY_TO}: deploy again`)],
  ['a network', (vars) => delete vars.NETWORKS[SOLANA_NETWORK], 'deployed ROUTES[0]', /is offered in 4zMMC9\w+, and wrangler\.toml does not say so/],
  ['a route', (vars) => vars.ROUTES.push({ pattern: '/', price: '$0.01' }), 'deployed ROUTES[2]', /GET \/ answers 200 without a payment/],
  ['what is listed', (vars) => (vars.ROUTES[1].listed = true), 'deployed', /\/data\/almanac\.json is listed in wrangler\.toml, and crawlers don't find it/],
]) {
  test(`a deployment that is older is found by ${what}`, async () => {
    const findings = await findingsOf(world.url, change);
    assert.ok(findings.some((it) => it.key === key && words.test(it.problem)), JSON.stringify(findings, null, 2));
  });
}

test('a shop that can’t sell says why', async () => {
  const poor = await world.startWorker({ vars: { ROUTES }, secrets: { EVM_RELAYER_KEYS: `0x${'46'.repeat(32)}` } });
  const findings = await findingsOf(poor.url);
  assert.ok(findings.some(({ kind, key, problem }) => kind === 'fault' && key === `deployed NETWORKS."${EVM_NETWORK}"` && /has 0 ETH on Base Sepolia/.test(problem)), JSON.stringify(findings, null, 2));
});

test('files before the Worker are found, because they come for nothing', async () => {
  const open = await world.startWorker({ vars: { ROUTES }, bindings: { assets: { run_worker_first: false } } });
  const findings = await findingsOf(open.url);
  const found = (key, words) => assert.ok(findings.some((it) => it.key === key && words.test(it.problem)), JSON.stringify(findings, null, 2));
  found('deployed ROUTES[0]', /GET \/premium\/ answers 200 without a payment/);
  found('deployed', /\/data\/almanac\.json answers 200 without a payment, and is sold/);
});

test('what is no shop, and what is not there, is said', async () => {
  const server = createServer((_request, response) => response.writeHead(200).end('hello'));
  const port = await listen(server);
  const elsewhere = await findingsOf(`http://127.0.0.1:${port}`);
  await new Promise((done) => server.close(done));
  assert.match(elsewhere[0].problem, /answers 200 at \/\.edge402\/health, as no shop of edge402 does/);
  const nowhere = await findingsOf(`http://127.0.0.1:${await freePort()}`);
  assert.match(nowhere[0].problem, /can't be reached/);
});

test('a URL that is none is refused', async (t) => {
  const { status, stderr } = await edge402(folderOf(t), ['check', '--live', 'shop']);
  assert.equal(status, 2);
  assert.match(stderr, /--live shop is no URL/);
});

/** A shop with all that makes an answer something else than a 402 at the route's price. */
const MANY = [
  { pattern: '/premium/*', price: '$0.01', free: '2/day', listed: true },
  { pattern: '/data/almanac.json', price: '$0.005', free_for: ['people', 'search', 'secret:staff'] },
  { pattern: '/photos/*', price: '$0.02', free_for: ['network:127.0.0.0/8', 'network:::1/128'], prices: [{ when: { method: 'GET' }, price: '$0.04' }, { when: { class: 'bots:training' }, price: '$0.20' }] },
  { pattern: '/nothing/*', price: '$0.01', free_for: ['people'] },
  { pattern: '/api/*', price: '$0.05', methods: ['POST'], prices: [{ when: { body: 'model', is: 'mini*' }, price: '$0.01' }] },
];
const PASSES = `staff:${'ab'.repeat(32)}`;
const TOKEN = 'cd'.repeat(32);

test('nothing is said of a shop that is free for some, dearer for others, and has a desk; and nobody’s share is used up', async () => {
  const shop = await world.startWorker({ vars: { ROUTES: MANY, TELL_MACHINES: true }, secrets: { PASSES, DESK_TOKENS: TOKEN } });
  const change = (vars) => Object.assign(vars, { ROUTES: structuredClone(MANY), TELL_MACHINES: true });
  assert.deepEqual(await findingsOf(shop.url, change, { PASSES, DESK_TOKENS: TOKEN }), []);
  const { status, headers } = await fetch(`${shop.url}/premium/`, { headers: { accept: 'text/html' } });
  assert.equal(status, 200);
  assert.match(headers.get('ratelimit'), /r=1;/);
});

test('a price that none of several is, a closed desk and documents that are missing are found', async () => {
  const change = (vars) => {
    Object.assign(vars, { TELL_MACHINES: true });
    vars.ROUTES[1].prices = [{ when: { method: 'POST' }, price: '$0.01' }];
    vars.ROUTES[1].price = '$0.02';
  };
  const findings = await findingsOf(world.url, change, { DESK_TOKENS: TOKEN });
  const found = (key, words) => assert.ok(findings.some((it) => it.key === key && words.test(it.problem)), JSON.stringify(findings, null, 2));
  found('deployed ROUTES[1]', /asks for 5000 atomic units .* \$0\.02 or \$0\.01: deploy again, unless you changed the price at the desk/);
  found('deployed DESK_TOKENS', /the desk is closed: edge402 keys --store/);
  found('deployed', /\/openapi\.json is not there for crawlers/);
});

test('people who pay where they should read for free are found', async () => {
  const findings = await findingsOf(world.url, (vars) => (vars.ROUTES[0].free_for = ['people']));
  assert.ok(findings.some(({ key, problem }) => key === 'deployed ROUTES[0]' && /is free for people, and a browser gets 402/.test(problem)), JSON.stringify(findings, null, 2));
});

/** A shop that sells `/report`, and gives away one name of it. */
async function leakyShop(t, leak) {
  const payment = { network: EVM_NETWORK, amount: '10000', payTo: EVM_PAY_TO, asset: '0x036CbD53842c5426634e7929541eC2318f3dCF7e' };
  const challenge = Buffer.from(JSON.stringify({ accepts: [payment] })).toString('base64');
  const server = createServer(({ url }, response) => {
    if (url === '/.edge402/health') return response.writeHead(200).end('{"selling": true, "problems": []}');
    if (url === leak) return response.writeHead(200).end('the report');
    return response.writeHead(402, { 'payment-required': challenge, 'content-type': 'text/html' }).end();
  });
  t.after(() => server.close());
  const url = `http://127.0.0.1:${await listen(server)}`;
  const network = { id: EVM_NETWORK, payTo: EVM_PAY_TO, tokens: [{ asset: payment.asset, decimals: 6 }] };
  const route = { path: '/report', isPrefix: false, price: '$0.01', prices: [], freeFor: [], networks: [EVM_NETWORK] };
  const config = { vars: { ROUTES: [{ pattern: '/report', price: '$0.01' }] } };
  return (await checkLive(url, { config, report: { routes: [route], networks: [network] }, files: [] })).findings;
}

test('a name under which a sold page is free is found, and so is that of its data', async (t) => {
  assert.deepEqual(await leakyShop(t, '/elsewhere'), []);
  for (const leak of ['/report.html', '/report.txt', '/report/index.txt', '/report.data', '/report/_.data', '/report/__data.json', '/report/_payload.json', '/report.md', '/report/index.xml']) {
    const findings = await leakyShop(t, leak);
    assert.deepEqual(findings.map(({ kind, key, problem }) => [kind, key, problem]), [['fault', 'deployed ROUTES[0]', `${leak} answers 200 without a payment`]], leak);
  }
});

/** A shop of which the origin says what is sold, and for how much. */
async function originShop(t, answer) {
  const server = createServer((request, response) => {
    if (request.url === '/.edge402/health') return response.writeHead(200).end('{"selling": true, "problems": []}');
    return answer(response);
  });
  t.after(() => server.close());
  const url = `http://127.0.0.1:${await listen(server)}`;
  const network = { id: EVM_NETWORK, payTo: EVM_PAY_TO, tokens: [{ asset: '0x036CbD53842c5426634e7929541eC2318f3dCF7e', decimals: 6 }] };
  const route = { path: '/api/', isPrefix: true, price: '$1', prices: [], freeFor: [], networks: [EVM_NETWORK] };
  const config = { vars: { ROUTES: [{ pattern: '/api/*', price: 'origin', price_max: '$1', challenge_on: 401 }] } };
  return (await checkLive(url, { config, report: { routes: [route], networks: [network] }, files: [] })).findings;
}

test('where the origin says what is sold, nothing is said of what it gives, nor of its prices up to the most', async (t) => {
  const priced = (amount) => (response) => {
    const accepts = [{ network: EVM_NETWORK, amount, payTo: EVM_PAY_TO, asset: '0x036CbD53842c5426634e7929541eC2318f3dCF7e' }];
    response.writeHead(402, { 'payment-required': Buffer.from(JSON.stringify({ accepts })).toString('base64') }).end();
  };
  assert.deepEqual(await originShop(t, (response) => response.writeHead(200).end('free')), []);
  assert.deepEqual(await originShop(t, priced('250000')), []);
  const [found] = await originShop(t, priced('1000001'));
  assert.match(found.problem, /asks for 1000001 atomic units/);
});
