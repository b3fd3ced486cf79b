/** Simple clients sign `validAfter` as of this very second, which the chain's latest block hasn't reached. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { waitFor } from '../../dev/util.mjs';
import { startWorld } from '../../dev/world.mjs';
import { assertPaid, EVM_NETWORK, evmPayload, ledger, nowSeconds, offerOf, PAGE, PAGE_PRICE, paymentHeader, send } from './support.mjs';

const PHASES = Array.from({ length: 10 }, (_, n) => 100 * n);

/** Waits for this part of a second, in milliseconds. */
const phase = (ms) => waitFor(() => Math.floor((Date.now() % 1_000) / 100) * 100 === ms, { every: 5, what: `${ms} ms past a second` });

/** Buys as a widely read guide does. */
async function buy(world, buyer, ms) {
  const url = `${world.url}${PAGE}?phase=${ms}`;
  const offer = await offerOf(url, EVM_NETWORK);
  await phase(ms);
  const authorization = { validAfter: String(nowSeconds()), validBefore: String(nowSeconds() + 300) };
  const payload = await evmPayload(buyer, offer, { authorization });
  return send(url, paymentHeader(1, offer, payload));
}

for (const [blocks, blockTime] of [['at once', undefined], ['every 2 s', 2], ['every 12 s', 12]]) {
  describe(`blocks ${blocks}`, () => {
    test('a payment that is valid from now on is taken at every phase of a second', async () => {
      const world = await startWorld({ evm: blockTime ? { blockTime } : {}, buyers: PHASES.length });
      try {
        const start = await ledger(world);
        const { buyers } = world.accounts.evm;
        const answers = await Promise.all(PHASES.map((ms, n) => buy(world, buyers[n], ms)));
        const receipts = answers.map((answer) => assertPaid(answer, 1));
        assert.equal(receipts.length, PHASES.length);
        const end = await ledger(world);
        assert.equal(end.evmSeller - start.evmSeller, BigInt(PHASES.length) * PAGE_PRICE);
      } finally {
        await world.stop();
      }
    });
  });
}
