/** Bad input to the facilitator: the right status, the field named, nothing sent, and the Worker alive. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { privateKeyToAccount } from 'viem/accounts';
import { evmBuyer, evmRelayers } from '../../dev/accounts.mjs';
import { startWorld } from '../../dev/world.mjs';
import { EVM_CASES, payloadCases, SOLANA_CASES } from './bad-input-cases.mjs';
import { ACCEPTED_CASES, BODY_CASES, HEADER_CASES, KEY_CASES, memberCases, NO_PATHS, padded, WRONG_METHODS } from './facilitator-bad-input-cases.mjs';
import { ask, assertInvalid, assertMistaken, assertSettled, assertUnsettled, assertValid, CHAINS, demand, exchange, NAMES, order, PATH, payloadFor, requirements, tokenHashes, WAYS, withHeader } from './facilitator-support.mjs';
import { ledger, unchanged } from './support.mjs';

const TOKEN = 'token-of-acme';
const MAX_BODY = 65_536;
const CHUNK = 10_000;
const ENDPOINTS = ['/verify', '/settle', '/accepts'];
const REFUSALS = { '/verify': assertInvalid, '/settle': assertUnsettled };

let world;
let url;
/** Valid bodies by endpoint, version and chain: never used up. */
const valid = {};
before(async () => {
  world = await startWorld({ worker: false, feePayers: 2 });
  const { evm, solana } = world.accounts;
  ({ url } = await world.startWorker({
    vars: { FACILITATOR: { path: PATH, clients: [{ name: 'acme', pay_to: [evm.seller.address, solana.seller.address], requests_per_minute: 1_000_000 }] } },
    secrets: { FACILITATOR_TOKENS: tokenHashes(['acme', TOKEN]) },
  }));
  for (const way of WAYS) {
    const { version, chain } = way;
    valid[`/verify ${version} ${chain}`] = valid[`/settle ${version} ${chain}`] = await order(world, way);
    const asked = requirements(version, await demand(world, chain));
    valid[`/accepts ${version} ${chain}`] = { x402Version: version, resource: { url: 'https://shop.example/' }, accepts: [asked, asked] };
  }
});
after(() => world?.stop());

const authorized = (endpoint, body, headers) => ask(url, endpoint, body, { token: TOKEN, headers });

const mistaken = async (endpoint, body, field, headers) => assertMistaken(await authorized(endpoint, body, headers), endpoint, field);

/** Tests of bad input. After them nothing has moved, and nobody is hurt. */
function table(title, cases) {
  describe(title, () => {
    let start;
    before(async () => {
      start = await ledger(world);
    });
    cases();
    test('nothing was sent to a chain, and the Worker answers', async () => {
      assert.deepEqual(await ledger(world), start);
      const { status, json } = await authorized('/supported');
      assert.deepEqual([status, json.kinds.length], [200, 5]);
    });
  });
}

describe('what these tests change is all that is wrong', () => {
  for (const { version, chain } of WAYS) {
    test(`on ${chain}, version ${version}`, async () => {
      await unchanged(world, async () => {
        assertValid(await authorized('/verify', valid[`/verify ${version} ${chain}`]), world.accounts[chain].buyers[0].address);
        if (version === 1) assertValid(await authorized('/verify', withHeader(valid[`/verify 1 ${chain}`])), world.accounts[chain].buyers[0].address);
        const { status, json } = await authorized('/accepts', valid[`/accepts ${version} ${chain}`]);
        assert.deepEqual([status, json.accepts.length], [200, 2]);
      });
      assertSettled(await authorized('/settle', await order(world, { version, chain })));
    });
  }
});

for (const endpoint of ENDPOINTS) {
  table(`the body of ${endpoint}`, () => {
    for (const [what, text] of Object.entries(BODY_CASES)) {
      test(what, async () => {
        for (const version of [1, 2]) await mistaken(endpoint, text(valid[`${endpoint} ${version} evm`]), 'body');
      });
    }
  });

  for (const { version, chain } of WAYS) {
    table(`members of ${endpoint} on ${chain}, version ${version}`, () => {
      for (const { what, field, change } of memberCases(endpoint, version, chain)) {
        test(what, () => mistaken(endpoint, change(valid[`${endpoint} ${version} ${chain}`]), field));
      }
    });
  }
}

for (const endpoint of ['/verify', '/settle']) {
  table(`${endpoint} with the payment in a header`, () => {
    for (const [what, { change, field }] of Object.entries(HEADER_CASES)) {
      test(what, () => mistaken(endpoint, change(valid[`${endpoint} 1 evm`]), field));
    }
  });

  const refused = async (body, code) => REFUSALS[endpoint](await authorized(endpoint, body), code);

  for (const { version, chain } of WAYS) {
    table(`payloads that are none, at ${endpoint} on ${chain}, version ${version}`, () => {
      for (const [what, { payload, expect: [, code] }] of Object.entries(payloadCases(CHAINS[chain]))) {
        // What is no object at all is a mistake of the resource server.
        if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) continue;
        test(what, async () => refused(exchange(version, await demand(world, chain), payload), code));
      }
    });
  }

  table(`EVM payments at ${endpoint}`, () => {
    for (const [what, { code, buyer, changes = {}, ...rest }] of Object.entries(EVM_CASES)) {
      test(what, async () => {
        for (const version of [1, 2]) {
          const asked = await demand(world, 'evm');
          const account = buyer ? privateKeyToAccount(buyer) : 0;
          const changed = typeof changes === 'function' ? changes(asked, { other: evmBuyer(1), relayer: evmRelayers(1)[0] }) : changes;
          await refused(exchange(version, asked, await payloadFor(world, 'evm', asked, { buyer: account, ...rest, ...changed })), code);
        }
      });
    }
  });

  table(`Solana payments at ${endpoint}`, () => {
    for (const [what, { code, changes }] of Object.entries(SOLANA_CASES)) {
      test(what, async () => {
        const { seller, buyers: [buyer, other], feePayers: [feePayer, secondFeePayer] } = world.accounts.solana;
        for (const version of [1, 2]) {
          const offer = await demand(world, 'solana');
          const changed = await changes({ buyer, other, feePayer, secondFeePayer, seller, offer });
          await refused(exchange(version, offer, await payloadFor(world, 'solana', offer, changed)), code);
        }
      });
    }
  });

  table(`what a buyer says it accepted, at ${endpoint}`, () => {
    for (const [what, accepted] of Object.entries(ACCEPTED_CASES)) {
      test(what, async () => {
        const { paymentPayload, ...rest } = valid[`${endpoint} 2 evm`];
        const body = { ...rest, paymentPayload: { ...paymentPayload, accepted: { ...paymentPayload.accepted, ...accepted } } };
        const { status, json, text } = await authorized(endpoint, body);
        assert.ok(status === 200 || status === 400, text);
        assert.equal(endpoint === '/verify' ? json.isValid : json.success, false, text);
      });
    }
  });
}

table('the header Idempotency-Key', () => {
  for (const [what, key] of Object.entries(KEY_CASES)) {
    test(what, () => mistaken('/settle', valid['/settle 2 evm'], 'Idempotency-Key', { 'idempotency-key': key }));
  }
});

table('paths and methods', () => {
  test('unknown paths, with a token and without', async () => {
    for (const path of NO_PATHS) {
      for (const token of [TOKEN, undefined, 'x']) {
        for (const body of [undefined, '{}']) assert.equal((await ask(url, path, body, { token })).status, 404, path);
      }
    }
  });

  test('other methods, with a token and without', async () => {
    for (const [method, endpoint, right] of WRONG_METHODS) {
      for (const token of [TOKEN, undefined]) {
        const body = method === 'GET' ? undefined : JSON.stringify(valid['/settle 2 evm']);
        const answer = await ask(url, endpoint, body, { token, method });
        assert.equal(answer.status, 405, `${method} ${endpoint}`);
        const allowed = answer.headers.get('allow').split(/, */);
        assert.ok(allowed.includes(right) && !allowed.includes(method), `${method} ${endpoint}: ${allowed}`);
      }
    }
  });
});

table('large bodies', () => {
  /** In pieces, without a length; the status, or what became of the connection. */
  const chunked = (endpoint, text) => new Promise((done) => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}` };
    const sending = request(url + PATH + endpoint, { method: 'POST', agent: false, headers }, (response) => {
      response.resume();
      done(response.statusCode);
    });
    sending.on('error', ({ code }) => done(code));
    for (let at = 0; at < text.length; at += CHUNK) sending.write(text.slice(at, at + CHUNK));
    sending.end();
  });

  for (const endpoint of ENDPOINTS) {
    test(`${endpoint} takes 64 KiB and not a byte more, whether it is told the length or not`, async () => {
      const body = endpoint === '/settle' ? exchange(2, await demand(world, 'evm'), {}) : valid[`${endpoint} 2 evm`];
      assert.equal((await authorized(endpoint, padded(body, MAX_BODY))).status, 200);
      assert.equal(await chunked(endpoint, padded(body, MAX_BODY)), 200);
      for (const bytes of [MAX_BODY + 1, 2 * MAX_BODY, 10 * MAX_BODY]) {
        const answer = await authorized(endpoint, padded(body, bytes));
        assert.equal(answer.status, 413, `${bytes} bytes`);
        assert.equal(typeof answer.json.error, 'string');
      }
      assert.equal(await chunked(endpoint, padded(body, MAX_BODY + 1)), 413);
      // Whoever goes on sending may find the connection closed before the answer.
      assert.ok([413, 'ECONNRESET', 'EPIPE'].includes(await chunked(endpoint, padded(body, 100 * MAX_BODY))));
    });
  }
});

test('after all of it the same Worker settles', async () => {
  const start = await ledger(world);
  for (const { version, chain } of WAYS) {
    const { network } = assertSettled(await authorized('/settle', await order(world, { version, chain })));
    assert.equal(network, NAMES[version][chain]);
  }
  const end = await ledger(world);
  assert.deepEqual([end.evmSeller - start.evmSeller, end.solanaSeller - start.solanaSeller], [20_000n, 20_000n]);
});
