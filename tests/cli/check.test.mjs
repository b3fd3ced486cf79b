/** `edge402 check`: each fault is found, with its key and what to write instead, and nothing is said of what is good. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { stringify } from 'smol-toml';
import { PUBLISHED } from '../../cli/check/keys.mjs';
import { KINDS } from '../../cli/new-keys.mjs';
import { report } from '../../cli/reader.mjs';
import { evmAccount, evmRelayers, solanaFeePayers, solanaSeller } from '../../dev/accounts.mjs';
import { startRpcProxy, wrongChain } from '../../dev/rpc-proxy.mjs';
import { TOKEN_2022_MINT, ataOf } from '../../dev/solana/setup.mjs';
import { startTemperedNode } from '../../dev/tempered-node.mjs';
import { freePort, listen } from '../../dev/util.mjs';
import { BASE, DEVNET, EXAMPLE_KEY, FILES, NO_ACCOUNT, asService, asUrl, asZone, onlyEvm, startConfigured, write } from './configured.mjs';
import { EVM_PAY_TO, SOLANA_PAY_TO, edge402 } from './support.mjs';

let world;
let secrets;
let addresses;
let good;
let findingsOf;

before(async () => {
  ({ world, secrets, addresses, good, findingsOf } = await startConfigured());
});
after(() => world?.stop());

/** What must be found: the kind, the key, and what to do. */
const BROKEN = {
  // What the Worker's own reader says.
  'a misspelt key': [({ route }) => (route.prise = '$1'), 'fault', 'ROUTES[0]', /has no key "prise"; it knows .*price/],
  'no price': [({ route }) => delete route.price, 'fault', 'ROUTES[0].price', /is needed/],
  'a price without a dollar': [({ route }) => (route.price = '0.01 USD'), 'fault', 'ROUTES[0].price', /must be dollars, such as "\$0\.01"/],
  'a pattern in the middle of a segment': [({ route }) => (route.pattern = '/premium*'), 'fault', 'ROUTES[0].pattern', /"\/premium\/\*"/],
  'a placeholder': [({ route }) => (route.pattern = '/users/:id'), 'fault', 'ROUTES[0].pattern', /"\/users\/\*"/],
  'one page that two routes own': [({ vars }) => vars.ROUTES.push({ pattern: '/premium/*', price: '$0.02' }), 'fault', 'ROUTES[1].pattern', /./],
  'a misspelt method': [({ route }) => (route.methods = ['GTE']), 'fault', 'ROUTES[0].methods', /GET/],
  'an origin that is none': [({ vars }) => (vars.ORIGIN = 'asset'), 'fault', 'ORIGIN', /must be "assets", "service", "zone", or the URL/],
  'the zero address': [({ evm }) => (evm.pay_to = `0x${'0'.repeat(40)}`), 'fault', `NETWORKS."${BASE}".pay_to`, /put yours/],
  'an address with a slip in it': [({ evm }) => (evm.pay_to = EVM_PAY_TO.replace(/C$/, 'D')), 'fault', `NETWORKS."${BASE}".pay_to`, /right checksum/],
  'the system program': [({ solana }) => (solana.pay_to = '1'.repeat(32)), 'fault', `NETWORKS."${DEVNET}".pay_to`, /put yours/],
  'no relayer key': [({ secrets: own }) => delete own.EVM_RELAYER_KEYS, 'fault', 'EVM_RELAYER_KEYS', /wrangler secret put EVM_RELAYER_KEYS/],
  'a seed phrase for a key': [({ secrets: own }) => (own.EVM_RELAYER_KEYS = `${'test '.repeat(11)}junk`), 'fault', 'EVM_RELAYER_KEYS', /is a seed phrase; put the private key/],
  'an address for a key': [({ secrets: own }) => (own.EVM_RELAYER_KEYS = EVM_PAY_TO), 'fault', 'EVM_RELAYER_KEYS', /is an address; put the account's private key/],
  '32 bytes for a keypair': [({ secrets: own }) => (own.SOLANA_FEE_PAYER_KEYS = SOLANA_PAY_TO), 'fault', 'SOLANA_FEE_PAYER_KEYS', /put all 64 bytes/],
  'access without a secret': [({ route, secrets: own }) => { route.access = '1h'; delete own.GRANT_SECRET; }, 'fault', 'GRANT_SECRET', /is needed for access/],
  'a network that routes don’t have': [({ route }) => (route.networks = ['eip155:1']), 'fault', 'ROUTES[0].networks', /eip155:1/],
  'a challenge too large for clients': [({ route }) => Object.assign(route, { description: 'ü'.repeat(250), tags: ['x'.repeat(32), 'y'.repeat(32), 'z'.repeat(32)], icon_url: `https://shop.example/${'i'.repeat(1_500)}` }), 'fault', 'ROUTES[0].icon_url', /clients can't take.*shorten it/],
  'no Durable Object': [({ config }) => delete config.durable_objects, 'fault', 'SETTLER', /binding that wrangler\.toml must have/],
  'no KV namespace': [({ config }) => delete config.kv_namespaces, 'fault', 'REPLAY', /binding that wrangler\.toml must have/],
  // What Cloudflare alone sees.
  'files before the Worker': [({ config }) => delete config.assets.run_worker_first, 'fault', 'assets.run_worker_first', /must be true/],
  'a folder that isn’t there': [({ config }) => (config.assets.directory = './public'), 'fault', 'assets.directory', /is no folder/],
  'a folder that holds the keys': [({ config }) => (config.assets.directory = '.'), 'fault', 'assets.directory', /would publish them/],
  'the id of the example': [({ config }) => (config.kv_namespaces[0].id = EXAMPLE_KEY), 'fault', 'kv_namespaces', /take the line out/],
  'another class': [({ config }) => (config.durable_objects.bindings[0].class_name = 'Shop'), 'fault', 'durable_objects', /must be "Settler"/],
  'no migration': [({ config }) => delete config.migrations, 'fault', 'migrations', /new_sqlite_classes = \["Settler"\]/],
  'a migration without SQLite': [({ config }) => (config.migrations = [{ tag: 'v1', new_classes: ['Settler'] }]), 'fault', 'migrations', /must be in new_sqlite_classes/],
  'no Worker at main': [({ config }) => (config.main = 'build/worker.js'), 'fault', 'main', /npm install/],
  'no compatibility date': [({ config }) => delete config.compatibility_date, 'fault', 'compatibility_date', /is needed/],
  'a Worker that nobody can reach': [({ config }) => (config.workers_dev = false), 'fault', 'workers_dev', /no routes/],
  'a zone without a route': [(it) => { asZone(it); delete it.config.routes; }, 'fault', 'routes', /zone_name/],
  'a zone of which the Worker gets a part': [(it) => { asZone(it); it.config.routes = [{ pattern: 'example.com/premium/*', zone_name: 'example.com' }]; }, 'warning', 'routes', /other spellings.*take "example\.com\/\*"/],
  'a zone of which the Worker doesn’t get what is sold': [(it) => { asZone(it); it.config.routes = [{ pattern: 'example.com/premium/x*', zone_name: 'example.com' }]; }, 'fault', 'routes', /"\/premium\/\*" is sold, and requests for that pass by the Worker: take "example\.com\/\*"/],
  'a route of which the Worker doesn’t get what is sold': [(it) => { asZone(it); delete it.config.routes; it.config.route = 'example.com'; }, 'fault', 'route', /"\/premium\/\*" is sold, and requests for that pass by the Worker: take "example\.com\/\*"/],
  'a zone behind a custom domain': [(it) => { asZone(it); it.config.routes = [{ pattern: 'example.com', custom_domain: true }]; }, 'fault', 'routes', /custom domain/],
  'a service that is the Worker itself': [(it) => { asService(it); it.config.services[0].service = 'my-shop'; }, 'fault', 'services', /this Worker itself/],
  'a header for the origin without its secret': [(it) => { asUrl(it); it.vars.ORIGIN_HEADERS = { 'X-Key': { secret: 'ORIGIN_KEY' } }; }, 'fault', 'ORIGIN_KEY', /wrangler secret put ORIGIN_KEY/],
  'an origin that is told without a secret': [(it) => { asUrl(it); it.vars.TELL_ORIGIN = true; }, 'fault', 'ORIGIN_SECRET', /wrangler secret put ORIGIN_SECRET/],
  'files that are told who has paid': [({ route }) => (route.tell_origin = true), 'fault', 'ROUTES[0].tell_origin', /files read no headers/],
  'an origin that is the Worker’s host': [(it) => { asUrl(it); it.vars.ORIGIN = 'https://example.com'; it.config.routes = [{ pattern: 'example.com/*', zone_name: 'example.com' }]; }, 'fault', 'ORIGIN', /would ask itself/],
  'an origin on the seller’s desk': [(it) => { asUrl(it); it.vars.ORIGIN = 'http://localhost:3000'; }, 'fault', 'ORIGIN', /can't be reached from Cloudflare/],
  'an origin that is the Worker’s host, with a scheme': [(it) => { asUrl(it); it.vars.ORIGIN = 'https://example.com'; it.config.routes = ['https://example.com/*']; }, 'fault', 'ORIGIN', /would ask itself/],
  'an unlocked origin on the way': [(it) => { asUrl(it); it.vars.ORIGIN = 'http://origin.example.com'; }, 'warning', 'ORIGIN', /take https/],
  'a key in wrangler.toml': [({ vars, secrets: own }) => { vars.EVM_RELAYER_KEYS = own.EVM_RELAYER_KEYS; delete own.EVM_RELAYER_KEYS; }, 'fault', 'EVM_RELAYER_KEYS', /take it out/],
  'a misspelt variable': [({ vars }) => (vars.FORMER_SIGNER = []), 'warning', 'vars.FORMER_SIGNER', /is it FORMER_SIGNERS\?/],
  'a misspelt secret': [({ secrets: own }) => (own.RPC_URL = '{}'), 'warning', '.dev.vars RPC_URL', /is it RPC_URLS\?/],
  'an API key in rpc': [({ evm }) => evm.rpc.push(`${world.evm.url}/v2/aB3dE6gH9jK2mN5pQ8sT1vW4yZ7`), 'warning', `NETWORKS."${BASE}".rpc`, /put the URL into the secret RPC_URLS/],
  'keys that git would take': [({ folder }) => execFileSync('git', ['init', '-q'], { cwd: folder }), 'fault', '.dev.vars', /add it to \.gitignore/],
  'a page for what isn’t there': [({ config }) => (config.assets.not_found_handling = 'single-page-application'), 'warning', 'assets.not_found_handling', /"404-page"/],
  // What is free, or dearer than it looks.
  'one page with a folder below it': [({ route }) => (route.pattern = '/report'), 'warning', 'ROUTES[0].pattern', /\/report\/part\.html.*"\/report\/\*"/],
  'a folder’s page alone': [({ route }) => (route.pattern = '/premium/'), 'warning', 'ROUTES[0].pattern', /what is below it stays free.*"\/premium\/\*"/],
  'a pattern that covers nothing': [({ route }) => (route.pattern = '/premum/*'), 'warning', 'ROUTES[0].pattern', /covers no file of \.\/site; is it "\/premium\/\*"\?/],
  'a price above what clients pay': [({ route }) => (route.price = '$1.50'), 'warning', 'ROUTES[0].price', /buyers must raise their limit/],
  // Who is paid, and by whom.
  'a key that everybody knows': [({ secrets: own }) => (own.EVM_RELAYER_KEYS = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80'), 'fault', 'EVM_RELAYER_KEYS', /edge402 keys --new/],
  'one key twice': [({ secrets: own }) => (own.EVM_RELAYER_KEYS = `${own.EVM_RELAYER_KEYS},${own.EVM_RELAYER_KEYS}`), 'fault', 'EVM_RELAYER_KEYS', /twice/],
  'income on the relayer': [({ evm }) => (evm.pay_to = addresses.evm), 'warning', `NETWORKS."${BASE}".pay_to`, /Let another account be paid/],
  'income for the token': [({ evm }) => (evm.pay_to = '0x036CbD53842c5426634e7929541eC2318f3dCF7e'), 'fault', `NETWORKS."${BASE}".pay_to`, /is the token itself/],
  // What the chains say.
  'a relayer without coin': [({ secrets: own }) => (own.EVM_RELAYER_KEYS = KINDS.eip155.make()), 'fault', 'EVM_RELAYER_KEYS', /has 0 ETH on Base Sepolia, and one payment costs about .* ETH\. Send it .* ETH for a thousand, free at https:/],
  'a fee payer without coin': [({ secrets: own }) => (own.SOLANA_FEE_PAYER_KEYS = KINDS.solana.make()), 'fault', 'SOLANA_FEE_PAYER_KEYS', /has 0 SOL on Solana Devnet; it must keep 0\.0008908 SOL/],
  'a node that is down': [async ({ evm }) => (evm.rpc = [`http://127.0.0.1:${await freePort()}`]), 'fault', `NETWORKS."${BASE}".rpc`, /refuses connections, and no other node can be asked/],
  'one node of two that is down': [async ({ evm }) => evm.rpc.push(`http://127.0.0.1:${await freePort()}`), 'warning', `NETWORKS."${BASE}".rpc`, /refuses connections; the others are asked/],
  'a node of another kind of chain': [({ solana }) => (solana.rpc = [world.evm.url]), 'fault', `NETWORKS."${DEVNET}".rpc`, /does not say which chain it serves/],
  'a wallet without a token account': [({ solana }) => (solana.pay_to = NO_ACCOUNT), 'fault', `NETWORKS."${DEVNET}".pay_to`, /has no token account for USDC.*send it any amount of USDC once/],
  'a token account for a wallet': [async ({ solana }) => (solana.pay_to = await ataOf(SOLANA_PAY_TO)), 'fault', `NETWORKS."${DEVNET}".pay_to`, new RegExp(`put the wallet that owns it: ${SOLANA_PAY_TO}`)],
  'no contract at the token': [({ evm }) => Object.assign(evm, { asset: EVM_PAY_TO, name: 'Coin', version: '1', decimals: 6 }), 'fault', `NETWORKS."${BASE}".asset`, /there is no contract/],
  'a contract that is no EIP-3009 token': [({ evm }) => Object.assign(evm, { asset: '0xcA11bde05977b3631167028862bE2a173976CA11', name: 'Coin', version: '1', decimals: 6 }), 'fault', `NETWORKS."${BASE}".asset`, /no EIP-3009 token/],
  'Permit2 where it is not': [({ evm }) => (evm.asset_transfer_method = 'permit2'), 'fault', `NETWORKS."${BASE}".asset_transfer_method`, /needs Permit2 and .*take a token that knows EIP-3009/],
  'a sale by use where its contract is not': [({ route }) => Object.assign(route, { scheme: 'upto', networks: [BASE] }), 'fault', 'ROUTES[0].scheme', /needs Permit2 and x402’s contract for what is sold by use/],
  'no contract at the second token': [({ evm }) => (evm.tokens = [{ asset: EVM_PAY_TO, name: 'Coin', version: '1', decimals: 6 }]), 'fault', `NETWORKS."${BASE}".tokens[0].asset`, /there is no contract/],
  'no account for the second token': [({ solana }) => (solana.tokens = [{ asset: TOKEN_2022_MINT, symbol: 'T22', decimals: 6, token_program: 'token-2022' }]), 'fault', `NETWORKS."${DEVNET}".pay_to`, /has no token account for T22/],
  'no mint at the token': [({ solana }) => Object.assign(solana, { asset: NO_ACCOUNT, decimals: 6 }), 'fault', `NETWORKS."${DEVNET}".asset`, /is no mint/],
  'the other token program': [({ solana }) => (solana.token_program = 'token-2022'), 'fault', `NETWORKS."${DEVNET}".token_program`, /must be "spl-token"/],
};

describe('each fault is found', () => {
  for (const [what, [change, kind, key, words]] of Object.entries(BROKEN)) {
    test(what, async () => {
      const findings = await findingsOf(change);
      const found = findings.filter((it) => it.kind === kind && it.key === key && words.test(it.problem));
      assert.equal(found.length, 1, JSON.stringify(findings, null, 2));
    });
  }

  test('a node of another chain, even beside a good one', async () => {
    const proxy = await startRpcProxy(world.evm.url);
    proxy.rule = wrongChain(1);
    try {
      const findings = await findingsOf(({ evm }) => evm.rpc.push(proxy.url));
      assert.deepEqual(findings.map(({ kind, key }) => [kind, key]), [['fault', `NETWORKS."${BASE}".rpc`]]);
      assert.match(findings[0].problem, /serves another chain, 0x1; Base Sepolia is 0x14a34: take it out/);
    } finally {
      await proxy.stop();
    }
  });

  for (const [what, temper, kind, words] of [
    ['that takes no batches', (_methods, message) => (Array.isArray(message) ? { body: { jsonrpc: '2.0', id: null, error: { code: -32600, message: 'no batches' } } } : undefined), 'warning', /takes no batches/],
    ['that is a web site', () => ({ body: '<!doctype html>' }), 'fault', /and no other node can be asked/],
    ['at its rate limit', () => ({ status: 429, body: { error: { code: 429, message: 'slow down' } } }), 'fault', /does not say which chain it serves: slow down/],
  ]) {
    test(`a node ${what}`, async () => {
      const node = await startTemperedNode(world.evm.url);
      node.temper = temper;
      try {
        const findings = await findingsOf(({ evm }) => (evm.rpc = [node.url]));
        assert.deepEqual(findings.map((it) => [it.kind, it.key]), [[kind, `NETWORKS."${BASE}".rpc`]], JSON.stringify(findings));
        assert.match(findings[0].problem, words);
      } finally {
        await node.stop();
      }
    });
  }

  const serving = async (answer, work) => {
    const server = createServer((request, response) => response.writeHead(200, { 'content-type': 'application/json' }).end(answer(request.url)));
    const url = `http://127.0.0.1:${await listen(server)}`;
    try {
      return await work(url);
    } finally {
      await new Promise((done) => server.close(done));
      server.closeAllConnections();
    }
  };

  test('a facilitator for other networks, and none for one that is right', async () => {
    const kinds = (network) => () => JSON.stringify({ kinds: [{ x402Version: 1, scheme: 'exact', network }] });
    const withFacilitator = (url) => findingsOf((it) => {
      onlyEvm(it);
      it.evm.facilitator = url;
      delete it.secrets.EVM_RELAYER_KEYS;
    });
    assert.deepEqual(await serving(kinds('base-sepolia'), withFacilitator), []);
    const [found, ...others] = await serving(kinds('polygon'), withFacilitator);
    assert.deepEqual([found.kind, found.key, others], ['fault', `NETWORKS."${BASE}".facilitator`, []]);
    assert.match(found.problem, /does not settle on eip155:84532; it names polygon/);
  });

  test('a former facilitator that can’t be asked any more', async () => {
    const withFormer = (url) => findingsOf(({ evm }) => (evm.former_facilitator = url));
    const kinds = (network) => () => JSON.stringify({ kinds: [{ x402Version: 2, scheme: 'exact', network }] });
    assert.deepEqual(await serving(kinds(BASE), withFormer), []);
    const [found, ...others] = await withFormer(`http://127.0.0.1:${await freePort()}`);
    assert.deepEqual([found.kind, found.key, others], ['warning', `NETWORKS."${BASE}".former_facilitator`, []]);
    assert.match(found.problem, /ECONNREFUSED.*: what is open there can't end/);
  });

  test('an origin that gives to anybody what is sold', async () => {
    const findings = await serving(() => 'goods', (url) => findingsOf((it) => {
      asUrl(it);
      it.vars.ORIGIN = `${url}/site`;
    }));
    const found = findings.filter(({ key, problem }) => key === 'ORIGIN' && /\/site\/premium\/ answers 200 to anybody/.test(problem));
    assert.equal(found.length, 1, JSON.stringify(findings));
  });

  test('nothing of a sale by use where its contracts are', async () => {
    const { contracts } = await report({});
    const places = [contracts.permit2, contracts.uptoProxy];
    for (const address of places) await world.evm.client.setCode({ address, bytecode: '0x00' });
    try {
      assert.deepEqual(await findingsOf(({ route }) => Object.assign(route, { scheme: 'upto', networks: [BASE] })), []);
    } finally {
      for (const address of places) await world.evm.client.setCode({ address, bytecode: '0x' });
    }
  });

  test('the accounts that everybody knows are those of the tools and of the local world', async () => {
    const known = [...Array.from({ length: 10 }, (_, index) => evmAccount(index)), ...evmRelayers(2), ...await solanaFeePayers(2), await solanaSeller()];
    assert.deepEqual([...PUBLISHED].sort(), known.map(({ address }) => address).sort());
  });

  test('they are more than forty', () => assert.ok(Object.keys(BROKEN).length > 40));

  test('all at once, each with its key', async () => {
    const findings = await findingsOf(({ config, route, evm, secrets: own }) => {
      delete config.assets.run_worker_first;
      route.price = 'free';
      evm.pay_to = 'me';
      own.EVM_RELAYER_KEYS = 'x';
      delete config.migrations;
    }, { offline: true });
    const keys = findings.map(({ key }) => key).sort();
    assert.deepEqual(keys, ['EVM_RELAYER_KEYS', `NETWORKS."${BASE}".pay_to`, 'ROUTES[0].price', 'assets.run_worker_first', 'migrations']);
  });
});

/** Good configurations, in which nothing may be found. */
const GOOD = {
  'both chains': () => {},
  'one chain': onlyEvm,
  'Solana alone': ({ vars, secrets: own }) => {
    delete vars.NETWORKS[BASE];
    delete own.EVM_RELAYER_KEYS;
  },
  'another Worker': asService,
  'a zone': asZone,
  'a site elsewhere': asUrl,
  'a site that asks for a key': (it) => {
    asUrl(it);
    it.vars.ORIGIN_HEADERS = { 'X-Key': { secret: 'ORIGIN_KEY' }, 'X-From': 'edge402' };
    it.secrets.ORIGIN_KEY = 'abc';
    it.vars.TELL_ORIGIN = true;
    it.route.tell_origin = true;
    it.secrets.ORIGIN_SECRET = '5e'.repeat(32);
  },
  'several routes, methods and access': ({ vars }) => vars.ROUTES.push(
    { pattern: '/report', price: '$0.05', access: '1h' }, { pattern: '/report/*', price: '$0.02', networks: [BASE] }, { pattern: '/api/*', price: '$1', methods: ['POST'], settle: 'before' }),
  'a namespace of the seller’s, and keys in the spellings of other tools': ({ config, secrets: own }) => {
    config.kv_namespaces[0].id = 'f39c1e2d4b5a69788796a5b4c3d2e1f0';
    own.EVM_RELAYER_KEYS = own.EVM_RELAYER_KEYS.slice(2);
  },
  'nodes with keys, as a secret': ({ evm, secrets: own }) => {
    delete evm.rpc;
    own.RPC_URLS = JSON.stringify({ [BASE]: [world.evm.url] });
  },
  'everything that can be said': ({ vars, route, evm, solana }) => {
    Object.assign(route, { description: 'Premium pages', mime_type: 'text/html', listed: true, service_name: 'Shop', tags: ['news'], payment_identifier: 'optional', redeliver: '1h', redeliver_max: 5 });
    Object.assign(evm, { batch_max: 20, daily_spend: '0.05', low_balance: '0.001', max_tip: '1.5', max_timeout_seconds: 120 });
    Object.assign(solana, { low_balance: '0.01', daily_spend: '0.1' });
    Object.assign(vars, { PAGE: { name: 'Shop', accent: '#0a7f3f' }, CORS_CREDENTIALS: ['https://app.example.com'], FORMER_SIGNERS: [EVM_PAY_TO] });
  },
};

describe('nothing is said of what is good', () => {
  for (const [what, change] of Object.entries(GOOD)) {
    test(what, async () => assert.deepEqual(await findingsOf(change), []));
  }
});

describe('the command', () => {
  const inFolder = async (change, args) => {
    const folder = mkdtempSync(join(tmpdir(), 'edge402-check-'));
    const config = good();
    change(config);
    for (const name of FILES) write(folder, name, name);
    write(folder, 'wrangler.toml', stringify(config));
    write(folder, '.dev.vars', Object.entries(secrets).map(([name, value]) => `${name}=${value}\n`).join(''));
    try {
      return await edge402(folder, ['check', ...args]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  };

  test('ends with 0 and says what is sold', async () => {
    const { status, stdout } = await inFolder(() => {}, []);
    assert.equal(status, 0, stdout);
    assert.match(stdout, /^\/premium\/\* for \$0\.01 on Base Sepolia, Solana Devnet \(a challenge of \d+ bytes\)$/m);
    assert.match(stdout, new RegExp(`relayer ${addresses.evm} has 100 ETH`));
    assert.match(stdout, /0 faults, 0 warnings/);
  });

  test('says all prices, and for whom it is free', async () => {
    const change = ({ vars: { ROUTES: [route] } }) => Object.assign(route, {
      prices: [{ when: { method: 'POST' }, price: '$0.05' }, { when: { class: 'bots:training' }, price: '$0.20' }],
      free_for: ['people', 'secret:staff'],
    });
    const { status, stdout } = await inFolder(change, ['--without-secrets']);
    assert.equal(status, 0, stdout);
    assert.match(stdout, /^\/premium\/\* for \$0\.01, or \$0\.05, \$0\.2 on .* bytes\); free for people, secret:staff$/m);
    assert.match(stdout, /ROUTES\[0\]\.free_for: "people" is what a request says of itself/);
    const missing = await inFolder(change, []);
    assert.equal(missing.status, 1);
    assert.match(missing.stdout, /✘ PASSES: has none of the name in "secret:staff"/);
  });

  test('says which methods of a path are sold, and that the others are free', async () => {
    const routes = [{ pattern: '/api/*', price: '$1', methods: ['POST'] }, { pattern: '/both', price: '$1', methods: ['GET'] }, { pattern: '/both', price: '$2' }];
    const { stdout } = await inFolder(({ vars }) => vars.ROUTES.push(...routes), ['--offline']);
    assert.match(stdout, /^POST \/api\/\* for \$1 on .* bytes\); its other methods are free$/m);
    assert.match(stdout, /^GET \/both for \$1 on .* bytes\)$/m);
    assert.match(stdout, /^\/both for \$2 on .* bytes\)$/m);
  });

  test('ends with 1 on a fault, and with 0 on a warning', async () => {
    const broken = await inFolder((config) => delete config.migrations, ['--offline']);
    assert.equal(broken.status, 1);
    assert.match(broken.stdout, /^✘ migrations: /m);
    const surprising = await inFolder((config) => (config.vars.ROUTES[0].price = '$2'), ['--offline']);
    assert.equal(surprising.status, 0);
    assert.match(surprising.stdout, /^! ROUTES\[0\]\.price: /m);
  });

  test('takes secrets for stored where it is told so, and looks at the rest', async () => {
    const args = ['--without-secrets', '--secrets', 'none'];
    const { status, stdout } = await inFolder(() => {}, args);
    assert.equal(status, 0, stdout);
    assert.doesNotMatch(stdout, /relayer 0x|fee payer /);
    const keyed = await inFolder((config) => delete config.vars.NETWORKS[BASE].rpc, args);
    assert.equal(keyed.status, 0, keyed.stdout);
    assert.match(keyed.stdout, /Base Sepolia \(eip155:84532\): its nodes are not known here/);
    const broken = await inFolder((config) => (config.vars.NETWORKS[DEVNET].pay_to = NO_ACCOUNT), args);
    assert.equal(broken.status, 1);
    assert.match(broken.stdout, /has no token account for USDC/);
    const needing = await inFolder(() => {}, ['--secrets', 'none', '--offline']);
    assert.match(needing.stdout, /^✘ EVM_RELAYER_KEYS: is needed/m);
  });

  test('tells a program the same', async () => {
    const { stdout } = await inFolder((config) => delete config.migrations, ['--offline', '--json']);
    assert.deepEqual(JSON.parse(stdout).map(({ kind, key }) => [kind, key]), [['fault', 'migrations']]);
  });

  test('reads an environment of wrangler.toml', async () => {
    const change = (config) => (config.env = { live: { vars: { ...config.vars, ORIGIN: 'nowhere' }, kv_namespaces: config.kv_namespaces, durable_objects: config.durable_objects } });
    const plain = await inFolder(change, ['--offline']);
    assert.equal(plain.status, 0, plain.stdout);
    const live = await inFolder(change, ['--offline', '--env', 'live']);
    assert.match(live.stdout, /^✘ ORIGIN: /m);
    const none = await inFolder(change, ['--offline', '--env', 'test']);
    assert.equal(none.status, 2);
    assert.match(none.stderr, /has no \[env\.test\]; it has live/);
  });

  test('says what to do where there is nothing', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'edge402-check-'));
    const { status, stderr } = await edge402(folder, ['check']);
    rmSync(folder, { recursive: true });
    assert.equal(status, 2);
    assert.match(stderr, /There is no file .*wrangler\.toml\. `edge402 init` writes one\./);
  });
});
