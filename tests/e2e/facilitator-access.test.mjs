/** Who may use the facilitator, for what, and how much. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startWorld } from '../../dev/world.mjs';
import { ask, assertMistaken, assertSettled, assertTooMany, assertUnsettled, assertValid, CHAINS, DAILY_SPEND, demand, NAMES, order, PATH, requirements, tokenHashes, WAYS } from './facilitator-support.mjs';
import { PAGE, send, unchanged } from './support.mjs';

const TOKENS = { acme: 'token-of-acme', solana: 'token-for-solana-only', stranger: 'token-for-other-sellers', thrifty: 'token-with-next-to-no-money', hasty: 'token-with-few-requests' };
const SECOND = 'another-token-of-acme';
const ENDPOINTS = ['/verify', '/settle', '/accepts', '/supported'];
const PER_MINUTE = 3;

let world;
/** Of three Workers: tokens only; open, too; open for few requests. */
let closed;
let open;
let openHasty;
before(async () => {
  world = await startWorld({ worker: false });
  const { evm, solana } = world.accounts;
  const pay_to = [evm.seller.address, solana.seller.address];
  const clients = [
    { name: 'acme', pay_to },
    { name: 'solana', pay_to, networks: [CHAINS.solana] },
    { name: 'stranger', pay_to: [evm.buyers[1].address, solana.buyers[1].address] },
    { name: 'thrifty', pay_to, daily_spend: { [CHAINS.evm]: '0.000000001', [CHAINS.solana]: '0.000001' } },
    { name: 'hasty', pay_to, requests_per_minute: PER_MINUTE },
  ];
  const secrets = { FACILITATOR_TOKENS: tokenHashes(...Object.entries(TOKENS), ['acme', SECOND]) };
  const start = (FACILITATOR) => world.startWorker({ vars: { FACILITATOR: { path: PATH, ...FACILITATOR } }, secrets });
  const workers = await Promise.all([
    start({ clients }),
    start({ clients, open: true, pay_to: [evm.seller.address], daily_spend: DAILY_SPEND }),
    start({ clients, open: true, pay_to, daily_spend: DAILY_SPEND, requests_per_minute: PER_MINUTE }),
  ]);
  [closed, open, openHasty] = workers.map(({ url }) => url);
});
after(() => world?.stop());

/** A valid body for an endpoint. */
async function bodyFor(endpoint, options) {
  if (endpoint === '/supported') return undefined;
  if (endpoint !== '/accepts') return order(world, options);
  return { x402Version: 2, resource: { url: 'https://shop.example/' }, accepts: [await demand(world, options?.chain ?? 'evm')] };
}

function assertUnauthorized(answer, what) {
  assert.equal(answer.status, 401, `${what}: ${answer.text}`);
  assert.match(answer.headers.get('www-authenticate'), /^Bearer/);
  assert.equal(typeof answer.json.error, 'string');
}

describe('a token', () => {
  for (const endpoint of ENDPOINTS) {
    test(`is needed for ${endpoint}, and must be right`, async () => {
      const body = await bodyFor(endpoint);
      await unchanged(world, async () => {
        assertUnauthorized(await ask(closed, endpoint, body), 'none');
        const { length } = TOKENS.acme;
        const hash = tokenHashes(['acme', TOKENS.acme]).split(':')[1];
        for (const token of ['', 'x', 'x'.repeat(length), `${TOKENS.acme} `.repeat(2), TOKENS.acme.slice(1), TOKENS.acme.toUpperCase(), hash, `acme:${hash}`]) {
          assertUnauthorized(await ask(closed, endpoint, body, { token }), token);
        }
        for (const authorization of [TOKENS.acme, `Basic ${Buffer.from(`acme:${TOKENS.acme}`).toString('base64')}`, 'Bearer']) {
          assertUnauthorized(await ask(closed, endpoint, body, { headers: { authorization } }), authorization);
        }
      });
      for (const token of [TOKENS.acme, SECOND]) assert.equal((await ask(closed, endpoint, await bodyFor(endpoint), { token })).status, 200);
      assert.equal((await ask(closed, endpoint, await bodyFor(endpoint), { headers: { authorization: `bearer ${SECOND}` } })).status, 200, 'the name of a scheme has no case');
    });

    test(`that is wrong is refused at ${endpoint} of an open facilitator, too`, async () => {
      assertUnauthorized(await ask(open, endpoint, await bodyFor(endpoint), { token: 'x' }), 'x');
      assert.equal((await ask(open, endpoint, await bodyFor(endpoint))).status, 200);
    });
  }

  test('is not asked for by the gate and by what is free', async () => {
    assert.equal((await send(closed + PAGE)).status, 402);
    assert.equal((await send(closed)).status, 200);
    assert.equal((await ask(closed, '/discovery/resources')).status, 200);
  });

  test('comes before the body', async () => {
    assertUnauthorized(await ask(closed, '/settle', 'not JSON'), 'not JSON');
    assertUnauthorized(await ask(closed, '/settle', 'x'.repeat(100_000)), 'a large body');
  });
});

/** Asserts that both endpoints refuse a purchase as the resource server's mistake, and send nothing. */
async function notAllowed(url, token, field, options) {
  const body = await order(world, options);
  await unchanged(world, async () => {
    for (const endpoint of ['/verify', '/settle']) assertMistaken(await ask(url, endpoint, body, { token }), endpoint, field);
  });
}

describe('a client', () => {
  for (const { version, chain } of WAYS) {
    test(`is paid to its own addresses only, on ${chain}, version ${version}`, async () => {
      const other = world.accounts[chain].buyers[1].address;
      await notAllowed(closed, TOKENS.acme, 'paymentRequirements.payTo', { version, chain, asked: { payTo: other } });
      await notAllowed(closed, TOKENS.stranger, 'paymentRequirements.payTo', { version, chain });
      const body = await order(world, { version, chain, asked: { payTo: other } });
      assertSettled(await ask(closed, '/settle', body, { token: TOKENS.stranger }));
    });
  }

  test('has the networks that it was given', async () => {
    const token = TOKENS.solana;
    for (const version of [1, 2]) {
      await notAllowed(closed, token, 'paymentRequirements.network', { version });
      assertSettled(await ask(closed, '/settle', await order(world, { version, chain: 'solana' }), { token }));
    }
    const { kinds } = (await ask(closed, '/supported', undefined, { token })).json;
    assert.deepEqual(kinds.map(({ network }) => network).sort(), [NAMES[1].solana, NAMES[2].solana].sort());
    const accepts = [await demand(world, 'evm'), await demand(world, 'solana')];
    const { json } = await ask(closed, '/accepts', { x402Version: 2, resource: { url: '' }, accepts }, { token });
    assert.deepEqual(json.accepts.map(({ network }) => network), [CHAINS.solana]);
  });

  test('gets nothing from /accepts for addresses of others', async () => {
    for (const version of [1, 2]) {
      const accepts = [requirements(version, await demand(world, 'evm')), requirements(version, await demand(world, 'solana'))];
      const { status, json } = await ask(closed, '/accepts', { x402Version: version, resource: { url: '' }, accepts }, { token: TOKENS.stranger });
      assert.deepEqual([status, json.accepts], [200, []]);
    }
  });
});

describe('an open facilitator', () => {
  test('settles for the addresses that are listed', async () => {
    for (const version of [1, 2]) {
      const body = await order(world, { version });
      assertValid(await ask(open, '/verify', body), world.accounts.evm.buyers[0].address);
      assertSettled(await ask(open, '/settle', body));
    }
  });

  test('settles for no others, whatever the spelling', async () => {
    await notAllowed(open, undefined, 'paymentRequirements.payTo', { asked: { payTo: world.accounts.evm.buyers[1].address } });
    for (const version of [1, 2]) await notAllowed(open, undefined, 'paymentRequirements.payTo', { version, chain: 'solana' });
    const payTo = world.accounts.evm.seller.address.toLowerCase();
    assertSettled(await ask(open, '/settle', await order(world, { asked: { payTo } })));
  });

  test('gives a client with a token what that client may do', async () => {
    assertSettled(await ask(open, '/settle', await order(world, { chain: 'solana' }), { token: TOKENS.acme }));
    await notAllowed(open, TOKENS.stranger, 'paymentRequirements.payTo');
  });
});

describe('limits', () => {
  for (const chain of Object.keys(CHAINS)) {
    test(`nothing is sent on ${chain} beyond what a client may spend in a day`, async () => {
      const token = TOKENS.thrifty;
      const body = await order(world, { chain });
      await unchanged(world, async () => {
        for (let i = 0; i < 2; i += 1) assertTooMany(await ask(closed, '/settle', body, { token }));
        assertTooMany(await ask(closed, '/verify', body, { token }));
      });
      const { transaction } = assertSettled(await ask(closed, '/settle', body, { token: TOKENS.acme }));
      await unchanged(world, async () => assertUnsettled(await ask(closed, '/settle', body, { token }), 'duplicate_settlement', transaction));
    });
  }

  /** Asks more often than is allowed even if one minute ends meanwhile. */
  async function refusedSome(url, options) {
    const asked = 2 * PER_MINUTE + 4;
    const answers = [];
    for (let i = 0; i < asked; i += 1) answers.push(await ask(url, '/supported', undefined, options));
    const refused = answers.filter(({ status }) => status !== 200);
    assert.ok(asked - refused.length >= PER_MINUTE, `${refused.length} of ${asked} refused`);
    assert.ok(asked - refused.length <= 2 * PER_MINUTE, `${refused.length} of ${asked} refused`);
    for (const answer of refused) {
      assertTooMany(answer);
      assert.ok(Number(answer.headers.get('retry-after')) <= 60);
    }
  }

  test('a client asks a number of times in a minute, and the others as before', async () => {
    await refusedSome(closed, { token: TOKENS.hasty });
    assert.equal((await ask(closed, '/supported', undefined, { token: TOKENS.acme })).status, 200);
    const body = await order(world);
    await unchanged(world, async () => assertTooMany(await ask(closed, '/settle', body, { token: TOKENS.hasty })));
  });

  test('so does an address without a token, and clients with one as before', async () => {
    await refusedSome(openHasty, { headers: { 'cf-connecting-ip': '192.0.2.7' } });
    assert.equal((await ask(openHasty, '/supported', undefined, { token: TOKENS.acme })).status, 200);
  });
});

describe('without a FACILITATOR table', () => {
  test('there is none', async () => {
    const { url } = await world.startWorker();
    // What the files of the demo shop answer where there is none of them.
    const nothing = { GET: 404, POST: 405 };
    for (const endpoint of ENDPOINTS) {
      const body = await bodyFor(endpoint);
      assert.equal((await ask(url, endpoint, body, { token: TOKENS.acme })).status, nothing[body ? 'POST' : 'GET']);
    }
  });
});
