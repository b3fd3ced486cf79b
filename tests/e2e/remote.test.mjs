/** The gate through somebody else's facilitator, which may be slow, down, wrong or lying. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { serve } from '../../dev/servers/serve.mjs';
import { signedPart, startScriptedFacilitator } from '../../dev/servers/scripted-facilitator.mjs';
import { waitFor } from '../../dev/util.mjs';
import { startWorld } from '../../dev/world.mjs';
import { CHAINS, NAMES, WAYS } from './facilitator-support.mjs';
import { assertPaid, assertRefused, deferred, evmPayload, offerOf, paymentHeader, send, solanaPayload } from './support.mjs';

const COPIES = 8;
/** How often a route delivers again, if it says nothing. */
const REDELIVER_MAX = 3;
// Much of this is waiting until the Worker gives up for now: all tests wait together.
const AT_ONCE = { concurrency: 64 };
const SECRET = 'token-of-this-gate';
const GOODS = 'These are the goods.';
/** No chain ever sees these. */
const HASH = `0x${'ab'.repeat(32)}`;
const BLOCKHASH = '4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU';

let world;
let facilitator;
let origin;
/** Paths that the origin was asked for. */
const fetched = [];
let site;
const BUYERS = 20;

before(async () => {
  world = await startWorld({ worker: false, buyers: BUYERS });
  facilitator = await startScriptedFacilitator({ feePayer: world.accounts.solana.feePayers[0].address, payer: world.accounts.solana.buyers[0].address });
  facilitator.script = { '/verify': followed, '/settle': followed };
  origin = await serve((request) => {
    const { pathname, search } = new URL(request.url);
    fetched.push(pathname + search);
    return new Response(GOODS);
  });
  site = (await startGate()).url;
  // Who comes while the facilitator is asked for the first time may be offered less.
  await waitFor(async () => (await offered(site)).length === 2, { what: 'both networks to be offered' });
});
after(async () => {
  await world?.stop();
  await facilitator?.stop();
  await origin?.stop();
});

/** A good answer, three megabytes long, that takes a few thousand bytes on its way. */
function packed(answer) {
  const text = gzipSync(JSON.stringify(answer) + ' '.repeat(3_000_000));
  return { text, headers: { 'content-encoding': 'gzip', 'content-length': text.length } };
}

/** By what is signed: the script that the facilitator follows for a payment. */
const scripts = new Map();
const followed = (asked, usual) => scripts.get(signedPart(asked.body.paymentPayload.payload))?.()[asked.path]?.(asked, usual);

/** A gate without keys and nodes: everything is the facilitator's. */
function startGate(remote = facilitator.url) {
  const { evm, solana } = world.accounts;
  const NETWORKS = {
    [CHAINS.evm]: { facilitator: remote, pay_to: evm.seller.address },
    [CHAINS.solana]: { facilitator: remote, pay_to: solana.seller.address },
  };
  const authorization = { Authorization: `Bearer ${SECRET}` };
  return world.startWorker({
    vars: { ORIGIN: origin.url, ROUTES: [{ pattern: '/premium/*', price: '$0.01' }], NETWORKS },
    secrets: {
      EVM_RELAYER_KEYS: undefined, SOLANA_FEE_PAYER_KEYS: undefined, RPC_URLS: undefined,
      FACILITATOR_HEADERS: JSON.stringify({ [CHAINS.evm]: authorization, [CHAINS.solana]: authorization }),
    },
  });
}

/** The networks that a gate sells on. */
const offered = async (url) => (await send(`${url}/premium/page`)).challenge?.accepts.map(({ network }) => network) ?? [];

let made = 0;

/** A payment for a page of its own, and what became of it at the facilitator and the origin. */
async function order({ version = 2, chain = 'evm' } = {}) {
  const number = (made += 1);
  const path = `/premium/page?order=${number}`;
  const url = site + path;
  const offer = await offerOf(url, CHAINS[chain]);
  // The tests run at the same time, and a payer may have only so many unclear payments.
  const buyer = world.accounts[chain].buyers[chain === 'evm' ? number % BUYERS : 0];
  const payload = chain === 'evm' ? await evmPayload(buyer, offer) : await solanaPayload(buyer, offer, { blockhash: BLOCKHASH });
  const carries = ({ body }) => body?.paymentPayload && signedPart(body.paymentPayload.payload) === signedPart(payload);
  const it = {
    url, version, payload, buyer, script: {},
    headers: paymentHeader(version, offer, payload),
    asked: (endpoint) => facilitator.requests.filter((it) => it.path === endpoint && carries(it)),
    delivered: () => fetched.filter((fetchedPath) => fetchedPath === path).length,
  };
  scripts.set(signedPart(payload), () => it.script);
  return it;
}

const buy = (it, url = it.url) => send(url, it.headers);

/** Asserts that an order got the goods, by the transaction that the facilitator made. */
function assertBought(it, answer) {
  const receipt = assertPaid(answer, it.version);
  assert.equal(answer.text, GOODS);
  assert.equal(receipt.transaction, facilitator.transactionOf(it.payload));
  return receipt;
}

/** Asserts a refusal that is nobody's fault but ours or the facilitator's: later, perhaps. */
function assertUnavailable(answer) {
  assert.equal(answer.status, 503, `${answer.status} ${answer.text}`);
  assert.ok(Number(answer.headers.get('retry-after')) > 0);
  assert.equal(answer.receipt, undefined);
}

/** Asserts that there were no goods, and that the buyer may ask again. */
function assertNotYet(answer) {
  assert.notEqual(answer.text, GOODS);
  if (answer.status === 503) assertUnavailable(answer);
  else assertRefused(answer, 'settlement_pending');
}

/** Asks again until the goods come: on the way only what is not final may be said. */
async function buyInTheEnd(it) {
  const answer = await waitFor(async () => {
    const now = await buy(it);
    return now.status === 200 ? now : assertNotYet(now);
  }, { every: 100, what: 'the goods' });
  return assertBought(it, answer);
}

describe('through a remote facilitator', AT_ONCE, () => {
  for (const { version, chain } of WAYS) {
    describe(`on ${chain}, version ${version}`, AT_ONCE, () => {
      test('verified and settled there, once each, and delivered', async () => {
        const it = await order({ version, chain });
        const receipt = assertBought(it, await buy(it));
        assert.equal(receipt.network, NAMES[version][chain]);
        assert.equal(receipt.payer, it.buyer.address);
        assert.equal(it.delivered(), 1);
        for (const endpoint of ['/verify', '/settle']) {
          const [{ method, headers, body }, ...more] = it.asked(endpoint);
          assert.deepEqual([more.length, method], [0, 'POST']);
          assert.equal(headers.authorization, `Bearer ${SECRET}`);
          assert.equal(body.x402Version, body.paymentPayload.x402Version);
          assert.equal(body.paymentRequirements.payTo, world.accounts[chain].seller.address);
          assert.equal(body.paymentRequirements.network, NAMES[body.x402Version][chain]);
          assert.equal(body.paymentRequirements[body.x402Version === 1 ? 'maxAmountRequired' : 'amount'], '10000');
        }
        assert.ok(it.asked('/settle')[0].headers['idempotency-key'].length > 0);
      });

      test('again for the same page free of charge, for another nothing', async () => {
        const it = await order({ version, chain });
        const receipt = assertBought(it, await buy(it));
        assert.deepEqual(assertBought(it, await buy(it)), receipt);
        assertRefused(await buy(it, `${it.url}&more`), 'duplicate_settlement');
        assert.equal(it.asked('/settle').length, 1);
      });

      test('at once by eight, for one page and for eight, settled once, delivered as often as the route says', async () => {
        const one = await order({ version, chain });
        const copies = await Promise.all(Array.from({ length: COPIES }, () => buy(one)));
        const deliveries = copies.filter(({ status }) => status === 200);
        assert.equal(deliveries.length, 1 + REDELIVER_MAX);
        for (const answer of deliveries) assertBought(one, answer);
        for (const answer of copies) if (!deliveries.includes(answer)) assertRefused(answer, 'duplicate_settlement');
        assert.equal(one.asked('/settle').length, 1);

        const many = await order({ version, chain });
        const answers = await Promise.all(Array.from({ length: COPIES }, (_, i) => buy(many, `${many.url}&copy=${i}`)));
        const [bought, ...more] = answers.filter(({ status }) => status === 200);
        assert.equal(more.length, 0);
        assertBought(many, bought);
        for (const answer of answers) if (answer !== bought) assertRefused(answer, 'duplicate_settlement');
        assert.equal(many.asked('/settle').length, 1);
      });

      test('refused by /verify: its reason, no origin, and the payment is good once it says yes', async () => {
        const refusals = [{ json: { isValid: false, invalidReason: 'insufficient_funds' } }, { status: 400, json: { isValid: false, invalidReason: 'insufficient_funds', payer: null } }];
        for (const refusal of refusals) {
          const it = await order({ version, chain });
          it.script = { '/verify': () => refusal };
          assertRefused(await buy(it), 'insufficient_funds');
          assert.deepEqual([it.delivered(), it.asked('/settle').length], [0, 0]);
          it.script = {};
          assertBought(it, await buy(it));
        }
      });

      test('refused by /settle: its reason, no goods, and the same payment may be tried again', async () => {
        const refusal = { success: false, transaction: '', network: NAMES[version][chain] };
        const refusals = [
          { json: { ...refusal, errorReason: 'insufficient_funds' } },
          { status: 400, json: { ...refusal, errorReason: 'insufficient_funds', payer: null } },
          { json: { success: false, error: 'insufficient_funds', txHash: null, networkId: null } },
        ];
        for (const settled of refusals) {
          const it = await order({ version, chain });
          it.script = { '/settle': () => settled };
          const answer = await buy(it);
          assertRefused(answer, 'insufficient_funds');
          assert.equal(answer.receipt.success, false);
          it.script = {};
          assertBought(it, await buy(it));
        }
      });

      test('settled by one that still writes txHash, networkId and error', async () => {
        const it = await order({ version, chain });
        it.script = {
          '/settle': (_, usual) => {
            const { success, transaction, network, payer } = usual().json;
            return { json: { success, txHash: transaction, networkId: network, error: null, payer } };
          },
        };
        const receipt = assertBought(it, await buy(it));
        assert.equal(receipt.network, NAMES[version][chain]);
        assert.deepEqual([receipt.txHash, receipt.networkId], [undefined, undefined]);
      });

      test('settled, and the first answer lost: the goods all the same, by one key', async () => {
        const it = await order({ version, chain });
        let left = 1;
        it.script = { '/settle': (_, usual) => (left-- > 0 ? (usual(), { drop: true }) : undefined) };
        await buyInTheEnd(it);
        assert.equal(new Set(it.asked('/settle').map(({ headers }) => headers['idempotency-key'])).size, 1);
      });

      test('settled, and every answer lost: the goods when asked again, and nothing for another page', async () => {
        const it = await order({ version, chain });
        it.script = { '/settle': (_, usual) => (usual(), { drop: true }) };
        assertNotYet(await buy(it));
        assert.ok(facilitator.transactionOf(it.payload), 'it was settled');
        const sent = it.asked('/settle').length;
        assertRefused(await buy(it, `${it.url}&more`), 'duplicate_settlement');
        assert.equal(it.asked('/settle').length, sent);
        it.script = {};
        await buyInTheEnd(it);
        const keys = it.asked('/settle').map(({ headers }) => headers['idempotency-key']);
        assert.ok(keys.length > 1);
        assert.equal(new Set(keys).size, 1);
        assertRefused(await buy(it, `${it.url}&more`), 'duplicate_settlement');
      });
    });
  }

  test('no two purchases share an Idempotency-Key', async () => {
    const orders = [await order(), await order(), await order({ chain: 'solana' })];
    for (const it of orders) assertBought(it, await buy(it));
    assert.equal(new Set(orders.map((it) => it.asked('/settle')[0].headers['idempotency-key'])).size, orders.length);
  });

  for (const chain of Object.keys(CHAINS)) {
    test(`pending on ${chain}: asked again until it is final`, async () => {
      const it = await order({ chain });
      it.script = {
        '/settle': (_, usual) => {
          const { transaction, network } = usual().json;
          return { json: { success: false, errorReason: 'settlement_pending', transaction, network } };
        },
      };
      const pending = await buy(it);
      assertRefused(pending, 'settlement_pending');
      assert.deepEqual([pending.receipt.transaction, pending.receipt.network], [facilitator.transactionOf(it.payload), CHAINS[chain]]);
      assertRefused(await buy(it, `${it.url}&more`), 'duplicate_settlement');
      it.script = {};
      await buyInTheEnd(it);
    });
  }

  describe('a facilitator in trouble', AT_ONCE, () => {
    const DOWN = { 'hangs up': { drop: true }, 'answers 500': { status: 500, json: { error: 'sorry' } }, 'answers 503': { status: 503, text: '' }, 'answers 429': { status: 429, json: { error: 'slow down' } }, 'wants another token': { status: 401, json: { error: 'unauthorized' } } };
    for (const [what, reply] of Object.entries(DOWN)) {
      test(`/verify ${what}: nothing is bought, and later it is`, async () => {
        const it = await order();
        it.script = { '/verify': () => reply };
        assertUnavailable(await buy(it));
        assert.deepEqual([it.delivered(), it.asked('/settle').length], [0, 0]);
        it.script = {};
        await buyInTheEnd(it);
      });

      test(`/settle ${what}: no goods, and later they come`, async () => {
        const it = await order();
        it.script = { '/settle': () => reply };
        const answer = await buy(it);
        if (reply.status === 401) assertUnavailable(answer);
        else assertNotYet(answer);
        it.script = {};
        await buyInTheEnd(it);
        assert.equal(new Set(it.asked('/settle').map(({ headers }) => headers['idempotency-key'])).size, 1);
      });
    }

    for (const endpoint of ['/verify', '/settle']) {
      test(`${endpoint} never answers`, async () => {
        const released = deferred();
        const it = await order();
        it.script = { [endpoint]: () => released.promise };
        const answer = await buy(it);
        if (endpoint === '/verify') assertUnavailable(answer);
        else assertNotYet(answer);
        it.script = {};
        await buyInTheEnd(it);
        released.resolve();
      });
    }

    const NONSENSE = { 'no JSON': { text: 'OK' }, nothing: { text: '' }, 'null': { json: null }, 'a list': { json: [] }, 'an empty object': { json: {} }, 'HTML': { text: '<html>', headers: { 'content-type': 'text/html' } }, 'megabytes': { text: ' '.repeat(3_000_000) } };
    const LIES = {
      '/verify': { ...NONSENSE, 'a yes as text': { json: { isValid: 'true' } }, 'a yes as a number': { json: { isValid: 1 } }, 'a yes with 500': { status: 500, json: { isValid: true } } },
      '/settle': {
        ...NONSENSE,
        'success as text': { json: { success: 'true', transaction: HASH, network: CHAINS.evm } },
        'success without a transaction': { json: { success: true, network: CHAINS.evm } },
        'success with an empty transaction': { json: { success: true, transaction: '', network: CHAINS.evm } },
        'success with a transaction of a wrong type': { json: { success: true, transaction: 1, network: CHAINS.evm } },
        'success on another network': { json: { success: true, transaction: HASH, network: 'eip155:1' } },
        // The few bytes that are said to come are not what there is to read.
        'success in packed megabytes': packed({ success: true, transaction: HASH, network: CHAINS.evm }),
        'success with 500': { status: 500, json: { success: true, transaction: HASH, network: CHAINS.evm } },
      },
    };
    for (const [endpoint, replies] of Object.entries(LIES)) {
      for (const [what, reply] of Object.entries(replies)) {
        test(`${endpoint} answers ${what}: no goods`, async () => {
          const it = await order();
          it.script = { [endpoint]: () => reply };
          const answer = await buy(it);
          if (endpoint === '/verify') assertUnavailable(answer);
          else assertNotYet(answer);
          if (endpoint === '/verify') assert.equal(it.delivered(), 0);
          it.script = {};
          await buyInTheEnd(it);
        });
      }
    }
  });

  describe('the headers of the secret', AT_ONCE, () => {
    test('are in no answer, whatever happens', async () => {
      const answers = [await send(`${site}/premium/page`), await send(site), await send(`${site}/premium/page`, { accept: 'text/html', 'user-agent': 'Mozilla/5.0' })];
      for (const script of [{}, { '/verify': () => ({ drop: true }) }, { '/verify': ({ headers }) => ({ status: 400, json: { error: headers.authorization } }) }, { '/settle': () => ({ drop: true }) }]) {
        const it = await order();
        it.script = script;
        answers.push(await buy(it));
      }
      for (const { text, headers } of answers) {
        assert.ok(!text.includes(SECRET));
        for (const [name, value] of headers) assert.ok(!value.includes(SECRET) && !Buffer.from(value, 'base64').toString().includes(SECRET), name);
      }
    });

    test('go nowhere else, even if the facilitator points there', async () => {
      const elsewhere = await startScriptedFacilitator({ feePayer: '', payer: '' });
      for (const endpoint of ['/verify', '/settle']) {
        const it = await order();
        it.script = { [endpoint]: () => ({ status: 307, headers: { location: elsewhere.url + endpoint }, text: '' }) };
        assertNotYet(await buy(it));
      }
      assert.deepEqual(elsewhere.requests, []);
      await elsewhere.stop();
    });
  });
});

test('a network is offered as soon as the facilitator says what it takes', async () => {
  const other = await startScriptedFacilitator({ feePayer: world.accounts.solana.feePayers[0].address, payer: '' });
  other.script = { '/supported': () => ({ drop: true }) };
  const { url } = await startGate(other.url);
  assert.ok(!(await offered(url)).includes(CHAINS.solana), 'without a fee payer nobody can pay');
  assert.equal((await send(url)).text, GOODS, 'what is free stays free');
  other.script = {};
  await waitFor(async () => (await offered(url)).includes(CHAINS.solana), { timeout: 60_000, every: 250, what: 'Solana to be offered' });
  const { extra } = await offerOf(`${url}/premium/page`, CHAINS.solana);
  assert.equal(extra.feePayer, world.accounts.solana.feePayers[0].address);
  for (const { path, headers } of other.requests) if (path === '/supported') assert.equal(headers.authorization, `Bearer ${SECRET}`);
  await other.stop();
});
