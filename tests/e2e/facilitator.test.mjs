/** The facilitator's endpoints: what each answers, and that one payment is settled once, whoever asks. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { keccak256, toBytes } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { startWorld } from '../../dev/world.mjs';
import { ask, assertInvalid, assertSettled, assertUnsettled, assertValid, CHAINS, demand, exchange, NAMES, order, PATH, payloadFor, requirements, tokenHashes, WAYS, withHeader } from './facilitator-support.mjs';
import { assertPaid, assertRefused, ledger, nowSeconds, offerOf, PAGE, PAGE_PRICE, paymentHeader, send, transfersIn, unchanged } from './support.mjs';

const AT_ONCE = 20;
const TOKENS = { acme: 'token-of-acme', beta: 'token-of-beta' };

let world;
let url;
before(async () => {
  world = await startWorld({ worker: false, feePayers: 2, relayers: 2 });
  const pay_to = [world.accounts.evm.seller.address, world.accounts.solana.seller.address];
  ({ url } = await world.startWorker({
    vars: {
      ROUTES: [{ pattern: '/premium/*', price: '$0.01', description: 'Premium pages', listed: true }, { pattern: '/data/*', price: '$0.005' }],
      FACILITATOR: { path: PATH, clients: Object.keys(TOKENS).map((name) => ({ name, pay_to })) },
    },
    secrets: { FACILITATOR_TOKENS: tokenHashes(...Object.entries(TOKENS)) },
  }));
});
after(() => world?.stop());

const acme = { token: TOKENS.acme };
const verify = (body, options = acme) => ask(url, '/verify', body, options);
const settle = (body, options = acme) => ask(url, '/settle', body, options);
const keyed = (key, token = TOKENS.acme) => ({ token, headers: { 'idempotency-key': key } });
const atOnce = (work) => Promise.all(Array.from({ length: AT_ONCE }, work));
const buyerOf = (chain, index = 0) => world.accounts[chain].buyers[index].address;

/** Asserts that a piece of work moves exactly one price from the first buyer to the seller; answers what it does. */
async function chargedOnce(chain, work) {
  const start = await ledger(world);
  const value = await work();
  const end = await ledger(world);
  assert.equal(end[`${chain}Seller`] - start[`${chain}Seller`], PAGE_PRICE, 'the seller has the price');
  assert.equal(start[`${chain}Buyers`][0] - end[`${chain}Buyers`][0], PAGE_PRICE, 'the buyer has paid it');
  return value;
}

describe('GET /supported', () => {
  test('names every network once for each version, the same at every time', async () => {
    const { status, json } = await unchanged(world, () => ask(url, '/supported', undefined, acme));
    assert.equal(status, 200);
    const kinds = json.kinds.map(({ x402Version, scheme, network }) => `${x402Version} ${scheme} ${network}`);
    assert.deepEqual(kinds.sort(), [1, 2].flatMap((version) => Object.values(NAMES[version]).map((name) => `${version} exact ${name}`)).concat(`2 upto ${NAMES[2].evm}`).sort());
    const feePayers = world.accounts.solana.feePayers.map(({ address }) => address);
    const named = json.kinds.filter(({ network }) => network.startsWith('solana')).map(({ extra }) => extra.feePayer);
    assert.equal(new Set(named).size, 1);
    assert.ok(feePayers.includes(named[0]));
    assert.deepEqual(json.extensions, []);
    assert.deepEqual(json.signers['eip155:*'].map((it) => it.toLowerCase()).sort(), world.accounts.evm.relayers.map(({ address }) => address.toLowerCase()).sort());
    assert.deepEqual(json.signers['solana:*'].toSorted(), feePayers.toSorted());
    // A version 1 server asks for every request: its buyer signs for the fee payer of the request before.
    for (let i = 0; i < 5; i += 1) assert.deepEqual((await ask(url, '/supported', undefined, acme)).json, json);
  });
});

describe('POST /accepts', () => {
  const added = ({ extra }) => Object.keys(extra).sort();

  test('version 2: adds what a buyer needs, leaves everything else as it is, and drops what it can’t serve', async () => {
    const bare = await Promise.all(Object.keys(CHAINS).map(async (chain) => ({ ...(await demand(world, chain)), extra: undefined })));
    const resource = { url: 'https://shop.example/goods', description: 'The goods' };
    const accepts = [...bare, { ...bare[0], network: 'eip155:1' }, { ...bare[0], scheme: 'upto' }];
    const { status, json } = await unchanged(world, () => ask(url, '/accepts', { x402Version: 2, resource, accepts }, acme));
    assert.equal(status, 200);
    assert.equal(json.x402Version, 2);
    assert.deepEqual(json.resource, resource);
    assert.equal(json.accepts.length, 2);
    for (const [i, { extra, ...rest }] of json.accepts.entries()) assert.deepEqual(rest, JSON.parse(JSON.stringify(bare[i])));
    const [evm, solana] = json.accepts;
    assert.deepEqual(evm.extra, { name: 'USDC', version: '2' });
    assert.deepEqual(added(solana), ['decimals', 'feePayer', 'lastValidBlockHeight', 'recentBlockhash', 'tokenProgram']);
    assert.equal(solana.extra.decimals, 6);
    assert.ok(world.accounts.solana.feePayers.some(({ address }) => address === solana.extra.feePayer));
  });

  test('what it gives is enough to sign, to verify and to settle, with hints that have grown old', async () => {
    for (const chain of Object.keys(CHAINS)) {
      const { extra: _, ...bare } = await demand(world, chain);
      const given = async () => (await ask(url, '/accepts', { x402Version: 2, resource: { url: '' }, accepts: [bare] }, acme)).json.accepts[0];
      const asked = await given();
      const { paymentPayload } = exchange(2, asked, await payloadFor(world, chain, asked));
      world.solana.skipSlots(3);
      const body = { paymentPayload, paymentRequirements: await given() };
      assertValid(await verify(body), buyerOf(chain));
      await chargedOnce(chain, async () => assertSettled(await settle(body)));
    }
  });

  test('version 1: networks by their names, in the shape of version 1', async () => {
    const accepts = await Promise.all(Object.keys(CHAINS).map(async (chain) => ({ ...requirements(1, await demand(world, chain)), extra: undefined })));
    const { status, json } = await ask(url, '/accepts', { x402Version: 1, accepts }, acme);
    assert.equal(status, 200);
    assert.deepEqual({ ...json, accepts: json.accepts.map(({ network }) => network) }, { x402Version: 1, accepts: Object.values(NAMES[1]), error: '' });
    assert.deepEqual(json.accepts[0].extra, { name: 'USDC', version: '2' });
    assert.ok(json.accepts[1].extra.feePayer);
    for (const [i, { extra, ...rest }] of json.accepts.entries()) assert.deepEqual(rest, JSON.parse(JSON.stringify(accepts[i])));
  });

  test('an entry that leaves the time open gets one', async () => {
    const { extra: _, maxTimeoutSeconds: __, ...bare } = await demand(world, 'evm');
    // Faremeter's handlers with prices of their own write 0.
    for (const entry of [bare, { ...bare, maxTimeoutSeconds: 0 }]) {
      const { json } = await ask(url, '/accepts', { x402Version: 2, resource: { url: '' }, accepts: [entry] }, acme);
      const { maxTimeoutSeconds } = json.accepts[0];
      assert.ok(Number.isInteger(maxTimeoutSeconds) && maxTimeoutSeconds > 0, String(maxTimeoutSeconds));
    }
  });
});

describe('POST /verify', () => {
  for (const { version, chain } of WAYS) {
    test(`says yes on ${chain}, version ${version}, as often as it is asked, and changes nothing`, async () => {
      const body = await order(world, { version, chain });
      await unchanged(world, async () => {
        for (let i = 0; i < 3; i += 1) assertValid(await verify(body), buyerOf(chain));
      });
      await chargedOnce(chain, async () => assertSettled(await settle(body)));
      await unchanged(world, async () => assertInvalid(await verify(body), 'duplicate_settlement'));
    });
  }

  test('says no to a buyer without money', async () => {
    const buyer = privateKeyToAccount(keccak256(toBytes('a buyer without money')));
    for (const version of [1, 2]) {
      const body = await order(world, { version, buyer });
      await unchanged(world, async () => {
        assertInvalid(await verify(body), 'insufficient_funds');
        assertUnsettled(await settle(body), 'insufficient_funds');
      });
    }
  });

  const wrong = {
    'a signature of somebody else': [{ sent: { nonce: `0x${'22'.repeat(32)}` } }, 'invalid_exact_evm_payload_signature'],
    'a value too low': [{ authorization: { value: '9999' } }, 'invalid_exact_evm_payload_authorization_value_mismatch'],
    'another recipient': [{ authorization: { to: `0x${'11'.repeat(20)}` } }, 'invalid_exact_evm_payload_recipient_mismatch'],
    'a window that is over': [() => ({ authorization: { validBefore: String(nowSeconds() - 1) } }), 'invalid_exact_evm_payload_authorization_valid_before'],
  };
  for (const [what, [changes, code]] of Object.entries(wrong)) {
    test(`says no to ${what}, and so does /settle`, async () => {
      for (const version of [1, 2]) {
        const body = await order(world, { version, ...(typeof changes === 'function' ? changes() : changes) });
        await unchanged(world, async () => {
          assertInvalid(await verify(body), code);
          assert.equal(assertUnsettled(await settle(body), code).network, NAMES[version].evm);
        });
      }
    });
  }
});

for (const { version, chain } of WAYS) {
  describe(`POST /settle on ${chain}, version ${version}`, () => {
    test('settles once, and says what it did in the words of the version', async () => {
      const body = await order(world, { version, chain });
      const receipt = await chargedOnce(chain, async () => assertSettled(await settle(body)));
      assert.equal(receipt.network, NAMES[version][chain]);
      assert.equal(receipt.payer, buyerOf(chain));
      const { transaction } = receipt;
      const seller = world.accounts[chain].seller.address;
      assert.deepEqual(await transfersIn(world, { network: CHAINS[chain], transaction }), [{ from: buyerOf(chain), to: seller, value: PAGE_PRICE }]);
      const again = await unchanged(world, () => settle(body));
      assert.equal(assertUnsettled(again, 'duplicate_settlement', transaction).network, NAMES[version][chain]);
    });

    test('of twenty at once exactly one is a success', async () => {
      const body = await order(world, { version, chain });
      const answers = await chargedOnce(chain, () => atOnce(() => settle(body)));
      const successes = answers.filter(({ json }) => json.success);
      assert.equal(successes.length, 1);
      const { transaction } = assertSettled(successes[0]);
      for (const answer of answers) if (!answer.json.success) assertUnsettled(answer, 'duplicate_settlement', transaction);
    });

    test('the same key gets the same success again, another key or none does not', async () => {
      const body = await order(world, { version, chain });
      const first = await chargedOnce(chain, () => settle(body, keyed('order-1')));
      const { transaction } = assertSettled(first);
      await unchanged(world, async () => {
        assert.deepEqual((await settle(body, keyed('order-1'))).json, first.json);
        assertUnsettled(await settle(body, keyed('order-2')), 'duplicate_settlement', transaction);
        assertUnsettled(await settle(body), 'duplicate_settlement', transaction);
        assertInvalid(await verify(body), 'duplicate_settlement');
      });
    });

    test('twenty at once with the same key are one success, charged once', async () => {
      const body = await order(world, { version, chain });
      const answers = await chargedOnce(chain, () => atOnce(() => settle(body, keyed('order-20'))));
      assert.equal(new Set(answers.map((answer) => assertSettled(answer).transaction)).size, 1);
    });
  });
}

describe('an Idempotency-Key', () => {
  for (const chain of Object.keys(CHAINS)) {
    test(`that comes late is none, on ${chain}`, async () => {
      const body = await order(world, { chain });
      const { transaction } = assertSettled(await settle(body));
      await unchanged(world, async () => assertUnsettled(await settle(body, keyed('late')), 'duplicate_settlement', transaction));
    });

    test(`of one client means nothing from another, on ${chain}`, async () => {
      const body = await order(world, { chain });
      const { transaction } = assertSettled(await settle(body, keyed('shared')));
      await unchanged(world, async () => assertUnsettled(await settle(body, keyed('shared', TOKENS.beta)), 'duplicate_settlement', transaction));
    });

    test(`never stands for another payment, on ${chain}`, async () => {
      const bodies = [await order(world, { chain }), await order(world, { chain })];
      const receipts = [];
      for (const body of bodies) receipts.push(await chargedOnce(chain, async () => assertSettled(await settle(body, keyed('constant')))));
      assert.notEqual(receipts[0].transaction, receipts[1].transaction);
    });
  }
});

describe('what middleware leaves out or writes in its own way', () => {
  for (const { version, chain } of WAYS) {
    test(`no version at the top, on ${chain}, version ${version}`, async () => {
      const { x402Version: _, ...body } = await order(world, { version, chain });
      assertValid(await verify(body), buyerOf(chain));
      const receipt = await chargedOnce(chain, async () => assertSettled(await settle(body)));
      assert.equal(receipt.network, NAMES[version][chain]);
    });
  }

  for (const chain of Object.keys(CHAINS)) {
    test(`the payment in a header, alone or beside the payload, on ${chain}`, async () => {
      const body = await order(world, { version: 1, chain });
      assertValid(await verify(withHeader(body)), buyerOf(chain));
      assertValid(await verify({ ...body, ...withHeader(body) }), buyerOf(chain));
      const { transaction } = await chargedOnce(chain, async () => assertSettled(await settle(withHeader(body))));
      await unchanged(world, async () => assertUnsettled(await settle(body), 'duplicate_settlement', transaction));
    });
  }

  test('members that nobody here knows', async () => {
    const body = await order(world);
    body.paymentPayload.resource = { url: 'https://shop.example/', description: '', mimeType: '' };
    body.paymentPayload.extensions = { a: [1] };
    body.paymentRequirements.outputSchema = { input: { type: 'http', method: 'GET', discoverable: true } };
    assertValid(await verify({ ...body, more: 1 }), buyerOf('evm'));
  });

  test('each of our fee payers, whichever the server was told of', async () => {
    for (const { address: feePayer } of world.accounts.solana.feePayers) {
      const { extra } = await demand(world, 'solana');
      const body = await order(world, { chain: 'solana', asked: { extra: { ...extra, feePayer } } });
      assertValid(await verify(body), buyerOf('solana'));
      await chargedOnce('solana', async () => assertSettled(await settle(body)));
    }
  });

  test('one payment in both versions is one payment', async () => {
    for (const chain of Object.keys(CHAINS)) {
      const asked = await demand(world, chain);
      const payload = await payloadFor(world, chain, asked);
      const { transaction } = await chargedOnce(chain, async () => assertSettled(await settle(exchange(1, asked, payload))));
      await unchanged(world, async () => assertUnsettled(await settle(exchange(2, asked, payload)), 'duplicate_settlement', transaction));
    }
  });
});

for (const [chain, network] of Object.entries(CHAINS)) {
  describe(`the gate and the facilitator on ${chain}`, () => {
    const both = async () => {
      const asked = await offerOf(url + PAGE, network);
      const payload = await payloadFor(world, chain, asked);
      return { headers: paymentHeader(2, asked, payload), body: exchange(2, asked, payload) };
    };

    test('what the gate settled, the facilitator does not', async () => {
      const { headers, body } = await both();
      const { transaction } = await chargedOnce(chain, async () => assertPaid(await send(url + PAGE, headers)));
      await unchanged(world, async () => {
        assertInvalid(await verify(body), 'duplicate_settlement');
        assertUnsettled(await settle(body), 'duplicate_settlement', transaction);
        assertUnsettled(await settle(body, keyed('gate')), 'duplicate_settlement', transaction);
        assert.equal(assertPaid(await send(url + PAGE, headers)).transaction, transaction, 'the gate delivers again');
      });
    });

    test('what the facilitator settled buys nothing at the gate', async () => {
      const { headers, body } = await both();
      await chargedOnce(chain, async () => assertSettled(await settle(body, keyed('gate'))));
      await unchanged(world, async () => assertRefused(await send(url + PAGE, headers), 'duplicate_settlement'));
    });

    test('at both at once it is settled for one of them', async () => {
      const { headers, body } = await both();
      const [atGate, atFacilitator] = await chargedOnce(chain, () => Promise.all([send(url + PAGE, headers), settle(body)]));
      assert.equal(Number(atGate.status === 200) + Number(atFacilitator.json.success), 1, `${atGate.status} ${atFacilitator.text}`);
      if (atGate.status !== 200) return assertRefused(atGate, 'duplicate_settlement');
      // Who loses may be told before there is a transaction.
      assertPaid(atGate);
      assertUnsettled(atFacilitator, 'duplicate_settlement', atFacilitator.json.transaction && atGate.receipt.transaction);
    });
  });
}

describe('GET /discovery/resources', () => {
  test('lists what the seller wants listed, to everybody', async () => {
    const { status, json } = await ask(url, '/discovery/resources');
    assert.equal(status, 200);
    assert.equal(json.items.length, 1);
    const [{ resource, type, accepts }] = json.items;
    assert.ok(resource.startsWith(`${url}/premium/`), resource);
    assert.equal(type, 'http');
    assert.deepEqual(accepts.map(({ network }) => network).sort(), Object.values(CHAINS).sort());
    assert.equal(json.pagination.total, 1);
  });
});
