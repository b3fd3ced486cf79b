/** A payer that signs more than it has: what it can pay is sold, and nothing fails on chain. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { evmAccount } from '../../dev/accounts.mjs';
import { waitFor } from '../../dev/util.mjs';
import { startWorld } from '../../dev/world.mjs';
import { assertRefused, evmPayload, offerOf, PAGE, PAGE_PRICE, paymentHeader, send, transactionsSince } from './support.mjs';

const SIGNED = 250;

let world;
let page;
let offer;
before(async () => {
  world = await startWorld({ evm: { blockTime: 1 } });
  page = `${world.url}${PAGE}`;
  offer = await offerOf(page);
});
after(() => world?.stop());

const headersOf = async (buyer) => paymentHeader(2, offer, await evmPayload(buyer, offer));
const sum = (list, of) => list.reduce((total, it) => total + of(it), 0);

describe(`one payer signs ${SIGNED} payments`, () => {
  for (const [money, atMost] of [[40, 3], [0, 0]]) {
    test(`and has money for ${money}: those are sold, and at most ${atMost} fail on chain`, async (t) => {
      const buyer = evmAccount(8_000 + money);
      if (money) await world.evm.mintUsdc(buyer.address, BigInt(money) * PAGE_PRICE);
      const headers = await Promise.all(Array.from({ length: SIGNED }, () => headersOf(buyer)));
      const block = await world.evm.client.getBlockNumber();
      const answers = await Promise.all(headers.map((it, i) => waitFor(async () => {
        const answer = await send(`${page}?many=${money}.${i}`, it);
        if (answer.status !== 503) return answer;
        assert.ok(Number(answer.headers.get('retry-after')) > 0, 'says when to ask again');
        return undefined;
      }, { timeout: 90_000, every: 1_000, what: 'an answer' })));
      const paid = answers.filter(({ status }) => status === 200);
      assert.equal(paid.length, money);
      for (const answer of answers.filter(({ status }) => status !== 200)) assertRefused(answer, 'insufficient_funds');
      assert.equal(await world.evm.usdcBalance(buyer.address), 0n);
      const failed = sum(await transactionsSince(world, block), ({ carries, made }) => carries - made);
      t.diagnostic(`${failed} failed on chain`);
      assert.ok(failed <= atMost, `${failed} failed on chain`);
    });
  }
});
