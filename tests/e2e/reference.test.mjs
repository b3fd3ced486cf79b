/** Whatever the reference implementation's server takes for one of its offers, the gate takes, too. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { x402ResourceServer } from '@x402/core/server';
import { ExactEvmScheme } from '@x402/evm/exact/server';
import { evmBuyers } from '../../dev/accounts.mjs';
import { startWorld } from '../../dev/world.mjs';
import { EVM_NETWORK, evmPayload, offerOf, PAGE, send, unchanged } from './support.mjs';

const ROUNDS = 120;
const WORDS = [null, undefined, 0, 1.5, '', 'x', true, [], {}, { a: [null] }, 'eip3009', 'authorization', 'USDC'];
const NEW_NAMES = ['more', 'assetTransferMethod', 'paymentFlow', 'recentBlockhash', 'decimals', 'outputSchema'];
const PLACES = [[], ['accepted'], ['accepted', 'extra'], ['resource'], ['extensions'], ['payload'], ['payload', 'authorization']];
/** What is signed stays as it is: the reference leaves that to a facilitator. */
const SIGNED = ['signature', 'authorization', 'from', 'to', 'value', 'validAfter', 'validBefore', 'nonce'];

let world;
before(async () => {
  world = await startWorld({ engine: 'wrangler' });
});
after(() => world?.stop());

test('random small changes that the reference takes are taken', () =>
  unchanged(world, async () => {
    const reference = new x402ResourceServer().register('eip155:*', new ExactEvmScheme());
    const offer = await offerOf(world.url + PAGE);
    // Somebody without money: what passes all checks of the payment itself is refused for that, and sold to nobody.
    const [poor] = evmBuyers(9).slice(-1);
    const random = randomNumbers(402);
    const pick = (list) => list[Math.floor(random() * list.length)];
    const results = { taken: 0, refused: 0 };
    for (let round = 0; round < ROUNDS; round += 1) {
      const payment = { x402Version: 2, resource: { url: world.url + PAGE }, accepted: structuredClone(offer), payload: await evmPayload(poor, offer), extensions: {} };
      for (let n = 0; n <= Math.floor(random() * 2); n += 1) change(payment, pick);
      const text = spelled(JSON.stringify(payment), random);
      const known = JSON.parse(text);
      const isTaken = known.x402Version === 2 && known.payload && reference.findMatchingRequirements([offer], known) !== undefined;
      const header = Buffer.from(text).toString('base64');
      const answer = await send(world.url + PAGE, { 'payment-signature': random() < 0.3 ? header.replace(/=+$/, '') : header });
      // Another way to pay than the one that was offered: the reference looks at that later, in a facilitator.
      const expected = isOurWay(known.accepted?.extra ?? {}) ? 'insufficient_funds' : 'invalid_payment_requirements';
      if (isTaken) assert.equal(answer.reason, expected, `${answer.status} ${text}`);
      results[isTaken ? 'taken' : 'refused'] += 1;
    }
    assert.ok(results.taken > ROUNDS / 4 && results.refused > ROUNDS / 10, JSON.stringify(results));
  }));

/** Whether what a client accepted names no other way to pay. */
function isOurWay({ assetTransferMethod, paymentFlow }) {
  return [null, undefined, 'eip3009'].includes(assetTransferMethod) && [null, undefined, 'authorization'].includes(paymentFlow);
}

/** Changes, adds or removes one member. */
function change(payment, pick) {
  const path = pick(PLACES);
  const place = path.reduce((value, key) => value?.[key], payment);
  if (place === null || typeof place !== 'object') return;
  const name = pick([...Object.keys(place), ...NEW_NAMES, ...NEW_NAMES]);
  if (!SIGNED.includes(name) && name !== 'payload') place[name] = pick(WORDS);
}

/** The same JSON as another language might write it. */
function spelled(text, random) {
  const spaced = random() < 0.3 ? JSON.stringify(JSON.parse(text), null, 1) : text;
  return random() < 0.3 ? spaced.replace(/("maxTimeoutSeconds": ?\d+)/, '$1.0') : spaced;
}

/** mulberry32. */
function randomNumbers(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
