/** Payers with code that burn gas, and payers that sign more than they have: nobody else pays for them. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { evmAccount } from '../../dev/accounts.mjs';
import { waitFor } from '../../dev/util.mjs';
import { startWorld } from '../../dev/world.mjs';
import { assertPaid, assertRefused, evmPayload, offerOf, PAGE, PAGE_PRICE, paymentHeader, send } from './support.mjs';

const BUYERS = 40;
const SIGNED = 250;
const GAS_EACH_AT_MOST = 49_000;
/** The most gas that one payment which goes alone is given. */
const GAS_ALONE = 180_000;
const TRANSFER_WITH_AUTHORIZATION = /e3ee160e/g;

/**
 * Accepts every signature (ERC-1271) where the gas price is 0, as in
 * simulations, and burns all gas on chain:
 * GASPRICE PUSH1 0x14 JUMPI PUSH4 1626ba7e PUSH1 e0 SHL PUSH1 0 MSTORE PUSH1 32 PUSH1 0 RETURN JUMPDEST INVALID
 */
const BURNER = '0x3a601457631626ba7e60e01b60005260206000f35bfe';
const BURNER_ADDRESS = `0x${'7e'.repeat(20)}`;
/** What an account that has delegated to it has as its code (EIP-7702). */
const DELEGATION = `0xef0100${BURNER_ADDRESS.slice(2)}`;

let world;
let page;
let offer;
before(async () => {
  world = await startWorld({ evm: { blockTime: 1 }, buyers: BUYERS });
  page = `${world.url}${PAGE}`;
  offer = await offerOf(page);
  await world.evm.client.setCode({ address: BURNER_ADDRESS, bytecode: BURNER });
});
after(() => world?.stop());

const headersOf = async (buyer) => paymentHeader(2, offer, await evmPayload(buyer, offer));
const setCode = (buyer, bytecode) => world.evm.client.setCode({ address: buyer.address, bytecode });

/** The relayer's transactions since a block: how many payments each carries, how many it made, its gas. */
async function transactionsSince(fromBlock) {
  const { client } = world.evm;
  const [{ address }] = world.accounts.evm.relayers;
  const found = [];
  for (let blockNumber = fromBlock + 1n; blockNumber <= (await client.getBlockNumber()); blockNumber += 1n) {
    const { transactions } = await client.getBlock({ blockNumber, includeTransactions: true });
    for (const { hash, from, input } of transactions) {
      if (from.toLowerCase() !== address.toLowerCase()) continue;
      const { logs, gasUsed } = await client.getTransactionReceipt({ hash });
      // Each payment leaves two logs: AuthorizationUsed and Transfer.
      found.push({ hash, carries: input.match(TRANSFER_WITH_AUTHORIZATION)?.length ?? 0, made: logs.length / 2, gas: Number(gasUsed) });
    }
  }
  return found;
}

const sum = (list, of) => list.reduce((total, it) => total + of(it), 0);

describe(`${BUYERS} buyers at once`, () => {
  for (const attackers of [1, 5, 20]) {
    test(`of whom ${attackers} burn gas on chain by their code: the others are served, and none is throttled`, async (t) => {
      const { buyers } = world.accounts.evm;
      // Nobody who attacked before: they are refused for an hour.
      const bad = buyers.slice(BUYERS - attackers).map((_, i) => evmAccount(1_000 * attackers + i));
      const all = [...buyers.slice(0, BUYERS - attackers), ...bad];
      for (const buyer of bad) {
        await world.evm.mintUsdc(buyer.address, 10n * PAGE_PRICE);
        await setCode(buyer, DELEGATION);
      }
      const headers = await Promise.all(all.map(headersOf));
      const block = await world.evm.client.getBlockNumber();
      const answers = await Promise.all(headers.map((it, i) => send(`${page}?${attackers}.${i}`, it)));
      answers.slice(0, BUYERS - attackers).forEach((answer) => assertPaid(answer));
      for (const answer of answers.slice(BUYERS - attackers)) assert.ok([402, 503].includes(answer.status), `${answer.status}`);

      const transactions = await transactionsSince(block);
      const failed = transactions.filter(({ carries, made }) => made < carries);
      assert.ok(failed.every(({ carries }) => carries === 1), 'what fails was alone');
      const burnt = sum(failed, ({ gas }) => gas);
      t.diagnostic(`${failed.length} failed payments used ${burnt} gas, in ${transactions.length} transactions`);
      assert.ok(burnt <= attackers * GAS_ALONE, `${burnt} gas`);

      const again = await Promise.all(buyers.slice(0, BUYERS - attackers).map(headersOf));
      const next = await Promise.all(again.map((it, i) => send(`${page}?again=${attackers}.${i}`, it)));
      next.forEach((answer) => assertPaid(answer));
    });
  }

  test(`share transactions for at most ${GAS_EACH_AT_MOST} gas each`, async (t) => {
    const headers = await Promise.all(world.accounts.evm.buyers.slice(0, 33).map(headersOf));
    const block = await world.evm.client.getBlockNumber();
    // The first goes at once; the others wait for its preview.
    const answers = await Promise.all(headers.map((it, i) => send(`${page}?gas=${i}`, it)));
    answers.forEach((answer) => assertPaid(answer));
    const largest = (await transactionsSince(block)).sort((a, b) => b.carries - a.carries)[0];
    t.diagnostic(`${largest.carries} payments for ${Math.round(largest.gas / largest.carries)} gas each`);
    if (largest.carries >= 16) assert.ok(largest.gas / largest.carries <= GAS_EACH_AT_MOST, `${largest.gas / largest.carries} gas each`);
  });

  test('a payer whose delegate is honest is sold to', async () => {
    const buyer = evmAccount(7_001);
    const honest = `0x${'7f'.repeat(20)}`;
    // The same without the look at the gas price.
    await world.evm.client.setCode({ address: honest, bytecode: '0x631626ba7e60e01b60005260206000f3' });
    await world.evm.mintUsdc(buyer.address, 10n * PAGE_PRICE);
    await setCode(buyer, `0xef0100${honest.slice(2)}`);
    for (const n of [1, 2]) assertPaid(await send(`${page}?honest=${n}`, await headersOf(buyer)));
  });
});

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
      const failed = sum(await transactionsSince(block), ({ carries, made }) => carries - made);
      t.diagnostic(`${failed} failed on chain`);
      assert.ok(failed <= atMost, `${failed} failed on chain`);
    });
  }
});
