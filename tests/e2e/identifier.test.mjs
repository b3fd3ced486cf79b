/** The extension payment-identifier: a client's own name for a payment. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  appendPaymentIdentifierToExtensions, declarePaymentIdentifierExtension, generatePaymentId, isPaymentIdentifierExtension, isPaymentIdentifierRequired,
  isValidPaymentId, validatePaymentIdentifier, validatePaymentIdentifierRequirement,
} from '@x402/extensions/payment-identifier';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { x402Fetch, x402FetchV1 } from '../../dev/clients.mjs';
import { EVM_NETWORK, SOLANA_NETWORK, startWorld } from '../../dev/world.mjs';
import { assertPaid, assertRefused, decode, evmPayload, offerOf, paymentHeader, send, solanaPayload, takeApart, unchanged } from './support.mjs';

const KEY = 'payment-identifier';
const PAGES = { off: '/data/almanac.json', optional: '/premium/', required: '/photos/aurora.jpg' };
const ROUTES = Object.entries(PAGES).map(([mode, pattern]) => ({ pattern, price: '$0.01', ...(mode === 'off' ? {} : { payment_identifier: mode }) }));
const CHAINS = { evm: [EVM_NETWORK, evmPayload], solana: [SOLANA_NETWORK, solanaPayload] };

let world;
let urls;
before(async () => {
  world = await startWorld({ worker: { vars: { ROUTES } } });
  urls = Object.fromEntries(Object.entries(PAGES).map(([mode, path]) => [mode, `${world.url}${path}`]));
});
after(() => world?.stop());

const challengeOf = async (url) => (await send(url)).challenge;

/** What a client that follows the extension sends back under `extensions`. */
const withId = (id, required = false) => ({ extensions: { [KEY]: { ...declarePaymentIdentifierExtension(required), info: { required, id } } } });

/** A payment for a URL: what it is made of, so that it can be sent under several names. */
async function order(url, chain = 'evm') {
  const [network, make] = CHAINS[chain];
  const offer = await offerOf(url, network);
  const payload = await make(world.accounts[chain].buyers[0], offer);
  return { url, under: (changes = {}, version = 2) => paymentHeader(version, offer, payload, changes) };
}

describe('what the challenge declares', () => {
  for (const mode of ['optional', 'required']) {
    test(`${mode}: the reference takes it`, async () => {
      const { extensions } = await challengeOf(urls[mode]);
      const declared = extensions[KEY];
      assert.equal(isPaymentIdentifierExtension(declared), true);
      assert.deepEqual(validatePaymentIdentifier(declared), { valid: true });
      assert.equal(isPaymentIdentifierRequired(declared), mode === 'required');
      assert.deepEqual(declared, declarePaymentIdentifierExtension(mode === 'required'));
    });

    test(`${mode}: what the reference makes of it is a name, and is taken`, async () => {
      const { extensions } = await challengeOf(urls[mode]);
      const id = generatePaymentId();
      assert.equal(isValidPaymentId(id), true);
      const answered = { x402Version: 2, extensions: appendPaymentIdentifierToExtensions(structuredClone(extensions), id) };
      assert.equal(validatePaymentIdentifierRequirement(answered, mode === 'required').valid, true);
      const { url, under } = await order(urls[mode]);
      assertPaid(await send(url, under({ extensions: answered.extensions })));
    });
  }

  test('off: nothing', async () => {
    assert.equal((await challengeOf(urls.off)).extensions?.[KEY], undefined);
  });
});

for (const chain of Object.keys(CHAINS)) {
  describe(`a name on ${chain}`, () => {
    test('with the same payment gets the same receipt, free of charge', async () => {
      const { url, under } = await order(urls.optional, chain);
      const headers = under(withId(generatePaymentId()));
      const first = assertPaid(await send(url, headers));
      assert.deepEqual(assertPaid(await unchanged(world, () => send(url, headers))), first);
    });

    test('with another payment is a conflict, and the other payment stays good', async () => {
      const id = generatePaymentId();
      const [one, two] = [await order(urls.optional, chain), await order(urls.optional, chain)];
      const first = assertPaid(await send(one.url, one.under(withId(id))));
      const answer = await unchanged(world, () => send(two.url, two.under(withId(id))));
      assert.equal(answer.status, 409, answer.text);
      assert.equal(answer.receipt, undefined);
      assert.deepEqual(assertPaid(await send(one.url, one.under(withId(id)))), first, 'the first is what it was');
      assertPaid(await send(two.url, two.under(withId(generatePaymentId()))));
    });

    test('with the same payment by four requests at once is charged once', async () => {
      const { url, under } = await order(urls.required, chain);
      const headers = under(withId(generatePaymentId(), true));
      const receipts = (await Promise.all(Array.from({ length: 4 }, () => send(url, headers)))).map((answer) => assertPaid(answer));
      assert.equal(new Set(receipts.map(({ transaction }) => transaction)).size, 1);
    });

    test('with two payments at once buys by one of them', async () => {
      const id = generatePaymentId();
      const both = [await order(urls.optional, chain), await order(urls.optional, chain)];
      const answers = await Promise.all(both.map(({ url, under }) => send(url, under(withId(id)))));
      assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409]);
    });
  });
}

test('a name whose payment was refused is free for the next one', async () => {
  const id = generatePaymentId();
  const poor = privateKeyToAccount(generatePrivateKey());
  const offer = await offerOf(urls.optional);
  const refused = await send(urls.optional, paymentHeader(2, offer, await evmPayload(poor, offer), withId(id)));
  assertRefused(refused, 'insufficient_funds');
  const { url, under } = await order(urls.optional);
  assertPaid(await send(url, under(withId(id))));
});

test('a payment keeps its receipt under a second name, and without one', async () => {
  const { url, under } = await order(urls.optional);
  const first = assertPaid(await send(url, under(withId(generatePaymentId()))));
  for (const changes of [withId(generatePaymentId()), {}]) {
    assert.deepEqual(assertPaid(await unchanged(world, () => send(url, under(changes)))), first);
  }
});

describe('a name that is missing or wrong', () => {
  const MALFORMED = ['', 'short', 'a'.repeat(15), 'a'.repeat(129), 'spaces are not good', 'sixteen.characters', 'sixteenchärakters', 17, true, {}, ['a'.repeat(16)]];

  for (const mode of ['optional', 'required']) {
    test(`malformed where it is ${mode}: 400, nothing charged`, async () => {
      const { url, under } = await order(urls[mode]);
      await unchanged(world, async () => {
        for (const id of MALFORMED) {
          const answer = await send(url, under(withId(id, mode === 'required')));
          assert.equal(answer.status, 400, `${JSON.stringify(id)}: ${answer.text}`);
          assert.match(answer.text, /payment-identifier/);
        }
      });
      assertPaid(await send(url, under(withId(`a-good_NAME-${mode}`, mode === 'required'))));
    });
  }

  test('missing where it is required: 400, nothing charged; the same payment with one is taken', async () => {
    const { url, under } = await order(urls.required);
    const { extensions } = await challengeOf(url);
    await unchanged(world, async () => {
      for (const changes of [{}, { extensions: {} }, { extensions }, { extensions: { [KEY]: {} } }, withId(null, true)]) {
        const answer = await send(url, under(changes));
        assert.equal(answer.status, 400, `${JSON.stringify(changes)}: ${answer.text}`);
        assert.match(answer.text, /payment-identifier/);
      }
    });
    assertPaid(await send(url, under(withId(generatePaymentId(), true))));
  });

  test('missing where it is optional, or copied without an id: taken', async () => {
    const { extensions } = await challengeOf(urls.optional);
    for (const changes of [{}, { extensions: {} }, { extensions }, withId(null)]) {
      const { url, under } = await order(urls.optional);
      assertPaid(await send(url, under(changes)));
    }
  });
});

test('version 1, which has no extensions, is taken everywhere', async () => {
  for (const url of Object.values(urls)) {
    const { under } = await order(url);
    assertPaid(await send(url, under({}, 1)), 1);
    const answer = await takeApart(await x402FetchV1({ ...world.buyer(1), network: EVM_NETWORK })(url));
    assert.ok(decode(answer.headers.get('x-payment-response')).success);
  }
});

test('the reference client, which knows no extensions, buys where a name is optional', async () => {
  for (const url of [urls.off, urls.optional]) {
    assertPaid(await takeApart(await x402Fetch({ ...world.buyer(1), network: EVM_NETWORK })(url)));
  }
});
