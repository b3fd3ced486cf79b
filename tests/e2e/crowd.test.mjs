/** Payers with code that burns gas: nobody else pays for them. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { evmAccount } from '../../dev/accounts.mjs';
import { startWorld } from '../../dev/world.mjs';
import { assertPaid, evmPayload, offerOf, PAGE, PAGE_PRICE, paymentHeader, send, transactionsSince } from './support.mjs';

const BUYERS = 40;
const GAS_EACH_AT_MOST = 49_000;
/** The most gas that one payment which goes alone is given. */
const GAS_ALONE = 180_000;

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

      const transactions = await transactionsSince(world, block);
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
    const largest = (await transactionsSince(world, block)).sort((a, b) => b.carries - a.carries)[0];
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
