/** Many buyers at once, one relayer, slow blocks: nobody is turned away, and every payment moves once. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '../../dev/util.mjs';
import { startWorld } from '../../dev/world.mjs';
import { assertPaid, assertRefused, EVM_NETWORK, evmPayload, ledger, offerOf, PAGE, PAGE_PRICE, payment, paymentHeader, send, SOLANA_NETWORK, solanaPayload, transfersIn } from './support.mjs';

const BUYERS = 64;
const PAYMENTS_EACH = 5;
const ALL = BUYERS * PAYMENTS_EACH;
const BLOCK_SECONDS = 2;
const BLOCKS_AT_MOST = 8;
/** How often a route delivers again, if it says nothing. */
const REDELIVER_MAX = 3;
const CHAINS = { evm: [EVM_NETWORK, evmPayload], solana: [SOLANA_NETWORK, solanaPayload] };

let world;
let page;
before(async () => {
  world = await startWorld({ evm: { blockTime: BLOCK_SECONDS }, solana: { blockTime: BLOCK_SECONDS }, buyers: BUYERS });
  page = `${world.url}${PAGE}`;
});
after(() => world?.stop());

/** One payment for one URL, sent again for as long as the seller asks for that. */
async function buy(url, headers, counts) {
  return waitFor(async () => {
    const answer = await send(url, headers);
    if (answer.status !== 503 && answer.reason !== 'settlement_pending') return answer;
    assert.ok(Number(answer.headers.get('retry-after')) > 0, 'says when to ask again');
    counts.retries += 1;
    return undefined;
  }, { timeout: 60_000, every: 250, what: `an answer for ${url}` });
}

/** What each buyer wants, one thing after the other: URLs, and how to pay for them. */
async function wishes(chain) {
  const [network, make] = CHAINS[chain];
  const offer = await offerOf(page, network);
  const wish = async (buyer, b, n) => {
    const url = `${page}?${chain}=${b}.${n}`;
    // Blockhashes grow old: on Solana a payment is made when it is needed.
    if (chain === 'solana') return { url, pay: async () => paymentHeader(2, offer, await make(buyer, await offerOf(url, network))) };
    const headers = paymentHeader(2, offer, await make(buyer, offer));
    return { url, pay: () => headers };
  };
  const numbers = Array.from({ length: PAYMENTS_EACH }, (_, n) => n);
  return Promise.all(world.accounts[chain].buyers.map((buyer, b) => Promise.all(numbers.map((n) => wish(buyer, b, n)))));
}

/** All buyers at once: on EVM all their payments too, on Solana one thing after the other. Answers every answer. */
async function everybodyBuys(chain, counts) {
  const answers = await Promise.all((await wishes(chain)).map(async (list) => {
    if (chain === 'evm') return Promise.all(list.map(async ({ url, pay }) => buy(url, await pay(), counts)));
    const got = [];
    for (const { url, pay } of list) got.push(await buy(url, await pay(), counts));
    return got;
  }));
  return answers.flat();
}

/** Asserts that every answer is a page with a receipt, and that every buyer paid for exactly that. */
async function assertAllDelivered(chain, start, answers) {
  assert.equal(answers.length, ALL);
  const refused = answers.filter(({ status }) => status !== 200);
  assert.deepEqual(refused.map(({ status, reason }) => `${status} ${reason}`), [], 'delivered to all');
  const receipts = answers.map((answer) => assertPaid(answer));
  const end = await ledger(world);
  assert.equal(end[`${chain}Seller`] - start[`${chain}Seller`], BigInt(ALL) * PAGE_PRICE);
  const spent = end[`${chain}Buyers`].map((balance, i) => start[`${chain}Buyers`][i] - balance);
  assert.deepEqual(spent, spent.map(() => BigInt(PAYMENTS_EACH) * PAGE_PRICE), 'from every buyer the same');
  return receipts;
}

describe(`${BUYERS} buyers, ${PAYMENTS_EACH} payments each, blocks of ${BLOCK_SECONDS} s`, () => {
  test('one EVM relayer delivers all of them, in few blocks and without a gap in its nonces', async (t) => {
    const counts = { retries: 0 };
    const start = await ledger(world);
    const logsBefore = (await world.evm.transferLogs()).length;
    const answers = await everybodyBuys('evm', counts);
    const receipts = await assertAllDelivered('evm', start, answers);

    const logs = (await world.evm.transferLogs({ to: world.accounts.evm.seller.address })).slice(logsBefore);
    assert.equal(logs.length, ALL, 'transfers on chain');
    const onChain = new Set(logs.map(({ transactionHash }) => transactionHash));
    assert.deepEqual(new Set(receipts.map(({ transaction }) => transaction)), onChain);

    const numbers = logs.map(({ blockNumber }) => Number(blockNumber));
    const blocks = Math.max(...numbers) - Math.min(...numbers) + 1;
    t.diagnostic(`${blocks} blocks, ${onChain.size} transactions, ${counts.retries} retries`);
    assert.ok(blocks <= BLOCKS_AT_MOST, `${blocks} blocks from the first to the last`);
    await assertNoGap(onChain);
  });

  test('one Solana fee payer delivers all of them', async (t) => {
    const counts = { retries: 0 };
    const start = await ledger(world);
    const answers = await everybodyBuys('solana', counts);
    const receipts = await assertAllDelivered('solana', start, answers);
    const end = await ledger(world);
    assert.equal(end.solanaTransactions - start.solanaTransactions, ALL, 'transactions on chain');
    assert.equal(new Set(receipts.map(({ transaction }) => transaction)).size, ALL);
    const slots = receipts.map(({ transaction }) => Number(world.solana.chain.landed.get(transaction).slot));
    t.diagnostic(`${new Set(slots).size} blocks, ${counts.retries} retries`);
  });
});

/** Asserts that the relayer's transactions are numbered 0, 1, 2 … and that nothing of it waits. */
async function assertNoGap(hashes) {
  const { client } = world.evm;
  const sent = await Promise.all([...hashes].map((hash) => client.getTransaction({ hash })));
  const nonces = sent.map(({ nonce }) => nonce).sort((a, b) => a - b);
  assert.deepEqual(nonces, nonces.map((_, i) => i));
  const [{ address }] = world.accounts.evm.relayers;
  const count = (blockTag) => client.getTransactionCount({ address, blockTag });
  assert.deepEqual([await count('latest'), await count('pending')], [nonces.length, nonces.length]);
}

for (const [chain, [network]] of Object.entries(CHAINS)) {
  test(`one payment on ${chain}, presented 50 times at once for five things, buys one of them, as often as the route says`, async () => {
    const start = await ledger(world);
    const headers = await payment(world, page, { network });
    const urls = Array.from({ length: 50 }, (_, i) => `${page}?thing=${i % 5}`);
    const answers = await Promise.all(urls.map((url) => send(url, headers)));

    const delivered = answers.flatMap(({ status }, i) => (status === 200 ? [i] : []));
    assert.equal(new Set(delivered.map((i) => urls[i])).size, 1, 'one thing');
    assert.equal(delivered.length, 1 + REDELIVER_MAX, 'of the ten times that it was asked for');
    const receipts = delivered.map((i) => assertPaid(answers[i]));
    assert.equal(new Set(receipts.map(({ transaction }) => transaction)).size, 1);
    assert.equal((await transfersIn(world, receipts[0])).length, 1);
    for (const [i, answer] of answers.entries()) {
      if (!delivered.includes(i)) assertRefused(answer, 'duplicate_settlement');
    }
    const end = await ledger(world);
    assert.equal(end[`${chain}Seller`] - start[`${chain}Seller`], PAGE_PRICE, 'charged once');
  });
}
