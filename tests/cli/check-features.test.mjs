/** `edge402 check` on what came after the first release: classes, prices, quotas, the desk, webhooks, use, other facilitators, and Cloudflare's own limits. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { openSync, closeSync, ftruncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { stringify } from 'smol-toml';
import { checkWebhooks } from '../../cli/check/webhooks.mjs';
import { check } from '../../cli/check.mjs';
import { cdpKey, webhookSecret } from '../../cli/new-keys.mjs';
import { freePort, listen } from '../../dev/util.mjs';
import { BASE, FILES, asZone, onlyEvm, startConfigured, write } from './configured.mjs';
import { EVM_PAY_TO, folderOf } from './support.mjs';

let world;
let secrets;
let good;
let findingsOf;
let facilitator;

before(async () => {
  ({ world, secrets, good, findingsOf } = await startConfigured());
  const server = createServer((_request, response) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ kinds: [{ x402Version: 2, scheme: 'exact', network: BASE }] })));
  facilitator = { url: `http://127.0.0.1:${await listen(server)}`, stop: () => server.close() };
});
after(async () => {
  facilitator?.stop();
  await world?.stop();
});

const hash = (text) => createHash('sha256').update(text).digest('hex');

/** Good configurations, in which nothing may be found; chains are asked where it matters. */
const GOOD = {
  'free for crawlers, staff, a country and agents that sign': [({ route, secrets: own }) => {
    route.free_for = ['search', 'bots:training', 'secret:staff', 'country:DE', 'asn:64500', 'network:192.0.2.0/24', 'signed:agent.example'];
    own.PASSES = `staff:${hash('a pass')},staff:${hash('its successor')}`;
  }],
  'prices by the query, the body and the class': [({ vars, route }) => {
    route.prices = [{ when: { query: { size: 'large*' } }, price: '$0.05' }, { when: { class: 'bots:training' }, price: '$0.20' }];
    vars.ROUTES.push({ pattern: '/v1/chat', methods: ['POST'], price: '$0.05', prices: [{ when: { body: 'model', is: 'mini*' }, price: '$0.01' }] });
  }],
  'some of it free': [({ route }) => (route.free = '20/day')],
  'a desk, sales for two years, and webhooks': [({ vars, secrets: own }) => {
    own.DESK_TOKENS = `${hash('one')},${hash('two')}`;
    vars.SALES = { keep: '730d' };
    vars.WEBHOOKS = [{ url: 'https://hooks.example/a', events: ['sale', 'stuck'] }, { url: 'https://hooks.example/b', events: ['fault'], secret: 'OTHER_SECRET' }];
    own.WEBHOOK_SECRET = `${webhookSecret()},${webhookSecret()}`;
    own.OTHER_SECRET = webhookSecret();
  }, { offline: true }],
  'what machines are told': [({ vars, route }) => {
    vars.TELL_MACHINES = true;
    Object.assign(route, { listed: true, input: { schema: { type: 'object' } }, output: { example: { a: 1 } } });
  }],
  'a facilitator of Coinbase’s, by its key': [(it) => {
    onlyEvm(it);
    Object.assign(it.evm, { facilitator: facilitator.url, facilitator_auth: 'cdp' });
    delete it.secrets.EVM_RELAYER_KEYS;
    it.secrets.CDP_API_KEY = cdpKey();
  }],
  'keys that were replaced, and a grant secret that is being': [({ vars, secrets: own }) => {
    vars.FORMER_SIGNERS = [EVM_PAY_TO];
    own.GRANT_SECRET = `${'b8'.repeat(32)},${own.GRANT_SECRET}`;
  }],
  'a facilitator for others': [({ vars, secrets: own }) => {
    vars.FACILITATOR = { path: '/facilitator', clients: [{ name: 'a', pay_to: [EVM_PAY_TO] }, { name: 'b', pay_to: [EVM_PAY_TO] }] };
    own.FACILITATOR_TOKENS = `a:${hash('1')},b:${hash('2')}`;
  }],
  'the Worker first, by a pattern': [({ config }) => (config.assets.run_worker_first = ['/*'])],
  'limits of one’s own that will do': [({ config }) => (config.limits = { cpu_ms: 300_000, subrequests: 1_000 })],
  'a page of one’s own, access and grants': [({ vars, route }) => {
    route.access = '1h';
    vars.PAGE = { name: 'Shop', terms: '/terms', support: 'mailto:help@shop.example' };
  }],
  'a refusal to smart wallets, and a factory': [({ evm }) => (evm.smart_wallets = { factories: ['0x0BA5ED0c6AA8c49038F819E587E2633c4A9F428a'], gas: 500_000 })],
};

describe('nothing is said of what is good', () => {
  for (const [what, [change, options]] of Object.entries(GOOD)) {
    test(what, async () => assert.deepEqual(await findingsOf(change, options), []));
    test(`${what}, where the secrets are not`, async () => {
      const found = await findingsOf((it) => {
        change(it);
        for (const name of Object.keys(it.secrets)) delete it.secrets[name];
      }, { ...options, 'without-secrets': true });
      assert.deepEqual(found, []);
    });
  }

  test('one pass for three routes, where the secrets are not', async () => {
    const found = await findingsOf(({ vars, route }) => {
      route.free_for = ['secret:staff'];
      vars.ROUTES.push({ pattern: '/report', price: '$0.01', free_for: ['secret:staff'] }, { pattern: '/report/*', price: '$0.01', free_for: ['secret:staff'] });
    }, { offline: true, 'without-secrets': true });
    assert.deepEqual(found, []);
  });
});

const hook = { url: 'https://hooks.example/a', events: ['sale'] };
const withHook = (changes) => ({ vars, secrets: own }) => {
  vars.WEBHOOKS = [{ ...hook, ...changes }];
  own.WEBHOOK_SECRET = webhookSecret();
};

/** What must be found without asking anybody: the kind, the key, and what to do. */
const BROKEN = {
  'a webhook without its secret': [({ vars }) => (vars.WEBHOOKS = [hook]), 'fault', 'WEBHOOK_SECRET', /whsec_\$\(openssl rand -base64 32\)/],
  'a secret of a webhook in another spelling': [(it) => { withHook({})(it); it.secrets.WEBHOOK_SECRET = 'abc'; }, 'fault', 'WEBHOOK_SECRET', /must be whsec_/],
  'an event that there isn’t': [withHook({ events: ['sold'] }), 'fault', 'WEBHOOKS[0].events', /there are sale, refused/],
  'a webhook that anybody can read': [withHook({ url: 'http://hooks.example' }), 'fault', 'WEBHOOKS[0].url', /must be https/],
  'one webhook twice': [(it) => { withHook({})(it); it.vars.WEBHOOKS.push(hook); }, 'fault', 'WEBHOOKS[1].url', /name all its events there/],
  'one webhook that is no list': [(it) => { withHook({})(it); it.vars.WEBHOOKS = hook; }, 'fault', 'WEBHOOKS', /\[\[vars\.WEBHOOKS\]\]/],
  'a token in place of its hash': [({ secrets: own }) => (own.DESK_TOKENS = 'my token'), 'fault', 'DESK_TOKENS', /64 hex digits: the SHA-256 of a token/],
  'the hash of nothing for the desk': [({ secrets: own }) => (own.DESK_TOKENS = hash('')), 'fault', 'DESK_TOKENS', /is the hash of nothing|empty/],
  'a pass that nobody has': [({ route }) => (route.free_for = ['secret:staff']), 'fault', 'PASSES', /has none of the name in "secret:staff"/],
  'a pass in place of its hash': [({ route, secrets: own }) => { route.free_for = ['secret:staff']; own.PASSES = 'staff:hello'; }, 'fault', 'PASSES', /must be name:hash, with the SHA-256/],
  'a class that there isn’t': [({ route }) => (route.free_for = ['humans']), 'fault', 'ROUTES[0].free_for', /people/],
  'free for whoever says so': [({ route }) => (route.free_for = ['people']), 'warning', 'ROUTES[0].free_for', /a program that writes a browser's headers reads for free/],
  'a quota of another kind': [({ route }) => (route.free = '20/week'), 'fault', 'ROUTES[0].free', /"20\/day"/],
  'a price without a condition': [({ route }) => (route.prices = [{ price: '$0.02' }]), 'fault', 'ROUTES[0].prices[0].when', /is needed/],
  'a condition that there isn’t': [({ route }) => (route.prices = [{ when: { cookie: 'a' }, price: '$0.02' }]), 'fault', 'ROUTES[0].prices[0].when', /cookie/],
  'a price among several above what clients pay': [({ route }) => (route.prices = [{ when: { method: 'POST' }, price: '$3' }]), 'warning', 'ROUTES[0].prices', /buyers must raise their limit/],
  'a sale by use that can be kept': [({ route }) => Object.assign(route, { scheme: 'upto', networks: [BASE], access: '1h' }), 'fault', 'ROUTES[0].access', /upto/],
  'sales that are kept for no time': [({ vars }) => (vars.SALES = { keep: 'long' }), 'fault', 'SALES.keep', /s, m, h or d|"400d"/],
  'machines that are told nothing': [({ vars }) => (vars.TELL_MACHINES = true), 'warning', 'TELL_MACHINES', /no route has listed = true/],
  'a facilitator’s key that is needed': [(it) => { onlyEvm(it); Object.assign(it.evm, { facilitator: facilitator.url, facilitator_auth: 'cdp' }); }, 'fault', 'CDP_API_KEY', /wrangler secret put CDP_API_KEY/],
  'a former signer that is none': [({ vars }) => (vars.FORMER_SIGNERS = ['me']), 'fault', 'FORMER_SIGNERS[0]', /must be the address of a former key, never the key/],
  // What Cloudflare would refuse, or cut off.
  'routes that are too long for Cloudflare': [({ vars }) => { for (let n = 0; n < 60; n += 1) vars.ROUTES.push({ pattern: `/premium/${n}/`, price: '$0.01', description: 'x'.repeat(60) }); }, 'fault', 'ROUTES', /has \d+ bytes, and Cloudflare takes 5120 .*Sell prefixes/],
  'a secret that is too long for Cloudflare': [({ secrets: own }) => (own.PASSES = Array.from({ length: 80 }, (_, n) => `p${n}:${hash(String(n))}`).join(',')), 'fault', 'PASSES', /has \d+ bytes, and Cloudflare takes 5120/],
  'a file that is too large for Cloudflare': [({ folder }) => bigFile(join(folder, 'site/film.mp4'), (25 << 20) + 1), 'fault', 'assets.directory', /\/film\.mp4: Cloudflare takes files of 25 MiB at most/],
  'less time than a settlement takes': [({ config }) => (config.limits = { cpu_ms: 10 }), 'warning', 'limits.cpu_ms', /50 or more/],
  'fewer questions than a sale asks': [({ config }) => (config.limits = { subrequests: 10 }), 'warning', 'limits.subrequests', /50 or more/],
  'fewer questions than the desk asks': [({ config, secrets: own }) => { config.limits = { subrequests: 50 }; own.DESK_TOKENS = hash('one'); own.EVM_RELAYER_KEYS = Array.from({ length: 20 }, (_, n) => `0x${hash(String(n))}`).join(','); }, 'warning', 'limits.subrequests', /the desk alone asks 53 .* 55 or more/],
  'a date that is yet to come': [({ config }) => (config.compatibility_date = '2099-01-01'), 'fault', 'compatibility_date', /is in the future, which Cloudflare refuses/],
  'a date that is none': [({ config }) => (config.compatibility_date = 'today'), 'fault', 'compatibility_date', /must be a day such as "2026-04-01"/],
  'some files before the Worker': [({ config }) => (config.assets.run_worker_first = ['/*', '!/premium/*']), 'fault', 'assets.run_worker_first', /must be true/],
  'a zone whose Worker asks itself': [(it) => { asZone(it); it.config.compatibility_flags = ['global_fetch_strictly_public']; }, 'fault', 'compatibility_flags', /take it out/],
};

function bigFile(path, bytes) {
  const file = openSync(path, 'w');
  ftruncateSync(file, bytes);
  closeSync(file);
}

describe('each fault is found', () => {
  for (const [what, [change, kind, key, words]] of Object.entries(BROKEN)) {
    test(what, async () => {
      const findings = await findingsOf(change, { offline: true });
      const found = findings.filter((it) => it.kind === kind && it.key === key && words.test(it.problem));
      assert.equal(found.length, 1, JSON.stringify(findings, null, 2));
    });
  }
});

describe('fees above the price', () => {
  /** Findings of a price on a network that is known to have a coin of this price. */
  const said = (price, coinPrice, more = {}) => findingsOf(({ evm, route }) => {
    evm.coin_price = coinPrice;
    Object.assign(route, { price, networks: [BASE], ...more });
  });

  test('a price far below them is a fault, one just below a warning, and with coin_price = "off" nothing is said', async () => {
    const fee = 86_000n * await world.evm.client.getGasPrice();
    // What the coin is worth if one payment costs $0.01.
    const perCoin = 1e16 / Number(fee);
    const at = (dollars) => `$${(perCoin * dollars / 0.01).toFixed(2)}`;
    assert.deepEqual(await said('$0.01', at(0.001)), []);
    assert.deepEqual(await said('$0.01', 'off'), []);
    const [far] = await said('$0.01', at(0.05));
    assert.deepEqual([far.kind, far.key], ['fault', 'ROUTES[0].price']);
    assert.match(far.problem, /\$0\.01 is less than the fee of a payment on Base Sepolia, about 0\.0\d+ ETH now, or \$0\.0\d+ at the coin_price .* is not sent\. Take more/);
    const [near] = await said('$0.01', at(0.014));
    assert.deepEqual([near.kind, near.key], ['warning', 'ROUTES[0].price']);
    const [one] = await said('$0.9', at(0.05), { prices: [{ when: { query: { small: '*' } }, price: '$0.01' }] });
    assert.deepEqual([one.kind, one.key], ['fault', 'ROUTES[0].prices']);
  });
});

test('what the desk asks is told, where the free plan would not allow it', async (t) => {
  const folder = folderOf(t);
  const config = good();
  const own = { ...secrets, DESK_TOKENS: hash('one') };
  config.vars.NETWORKS['eip155:8453'] = { rpc: [world.evm.url], pay_to: EVM_PAY_TO };
  for (const name of FILES) write(folder, name, name);
  writeFileSync(join(folder, 'wrangler.toml'), stringify(config));
  writeFileSync(join(folder, '.dev.vars'), Object.entries(own).map(([name, value]) => `${name}='${value}'\n`).join(''));
  const { lines, findings } = await check({ config: join(folder, 'wrangler.toml'), offline: true });
  assert.deepEqual(findings, []);
  assert.ok(lines.includes("The desk asks 51 Durable Objects at a time: Cloudflare's free plan allows 50, the paid one 10,000"), lines.join('\n'));
});

describe('receivers of webhooks', () => {
  const said = async (status, headers = {}) => {
    const seen = [];
    const server = createServer((request, response) => {
      seen.push([request.method, request.headers['webhook-signature']]);
      response.writeHead(status, headers).end();
    });
    const port = await listen(server);
    try {
      // A name that leads here and is not of this machine's own.
      const found = await checkWebhooks({ vars: { WEBHOOKS: [{ url: `http://localtest:${port}/hook`, events: ['sale'] }] } }, (url, init) => fetch(url.replace('localtest', '127.0.0.1'), init));
      return { found, seen };
    } finally {
      server.close();
    }
  };

  test('who refuses what nobody has signed is there', async () => {
    for (const status of [400, 401, 403, 204]) {
      const { found, seen } = await said(status);
      assert.deepEqual([found, seen], [[], [['POST', undefined]]], String(status));
    }
  });

  for (const [status, words] of [[404, /answers a POST with 404: is the path right\?/], [301, /follows no redirects: put the URL that it leads to/], [503, /tried again for a day/]]) {
    test(`one that answers ${status} is named`, async () => {
      const { found: [first, ...others] } = await said(status, { location: '/elsewhere' });
      assert.deepEqual([first.kind, first.key, others], ['warning', 'WEBHOOKS[0].url', []]);
      assert.match(first.problem, words);
    });
  }

  test('one that isn’t there, and one on this machine, are named', async () => {
    const away = await checkWebhooks({ vars: { WEBHOOKS: [{ url: 'https://hooks.invalid/x' }] } });
    assert.match(away[0].problem, /hooks\.invalid can't be reached/);
    const here = await checkWebhooks({ vars: { WEBHOOKS: [{ url: `http://localhost:${await freePort()}` }] } });
    assert.match(here[0].problem, /can't be reached from Cloudflare: put a public URL, or a tunnel/);
  });
});
