/** Bad input: each mistake gives exactly one answer, sends nothing, and leaves the Worker alive. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { privateKeyToAccount } from 'viem/accounts';
import { evmBuyer, evmRelayers } from '../../dev/accounts.mjs';
import { startWorld } from '../../dev/world.mjs';
import { EVM_CASES, payloadCases, SOLANA_CASES, WRAPPER_CASES } from './bad-input-cases.mjs';
import { assertPaid, assertRefused, encode, EVM_NETWORK, evmPayload, offerOf, PAGE, paymentHeader, paymentText, raw, send, SOLANA_NETWORK, solanaPayload, unchanged } from './support.mjs';

let world;
let page;
let offers;
before(async () => {
  world = await startWorld({ feePayers: 2 });
  page = `${world.url}${PAGE}`;
  offers = { [EVM_NETWORK]: await offerOf(page), [SOLANA_NETWORK]: await offerOf(page, SOLANA_NETWORK) };
});
after(() => world?.stop());

/** Asserts that one request gets this status and code, moves nothing, and hurts nobody. */
async function refused(headers, [status, code], what) {
  const answer = await unchanged(world, () => send(page, headers));
  if (code === undefined) {
    assert.equal(answer.status, status, `${what}: ${answer.text.slice(0, 200)}`);
    assert.equal(typeof answer.json.error, 'string', what);
    assert.equal(answer.receipt, undefined, what);
  } else {
    assertRefused(answer, code, what);
  }
  await alive(what);
}

async function alive(what) {
  assert.equal((await send(`${world.url}/`)).status, 200, `${what}: a free page answers`);
  assert.equal((await send(page)).status, 402, `${what}: a challenge answers`);
}

for (const version of [1, 2]) {
  describe(`the header of version ${version}`, () => {
    const valid = async () => {
      const offer = offers[EVM_NETWORK];
      const headers = paymentHeader(version, offer, await evmPayload(world.accounts.evm.buyers[0], offer));
      return JSON.parse(Buffer.from(Object.values(headers)[0], 'base64').toString());
    };
    for (const [what, { text, versions = [1, 2], expect }] of Object.entries(WRAPPER_CASES)) {
      if (!versions.includes(version)) continue;
      test(what, async () => refused(paymentText(version, text(await valid())), expect, what));
    }

    test('a megabyte', async () => {
      const [[name]] = Object.entries(paymentText(version, ''));
      const answer = await unchanged(world, () => raw(world.url, PAGE, { headers: [[name, 'QUFB'.repeat(1 << 18)]] }).catch(() => ({ status: 'closed' })));
      // The server in front may refuse such a head itself, or hang up.
      assert.ok([400, 413, 431, 'closed'].includes(answer.status), String(answer.status));
      await alive('a megabyte');
    });

    test('64 kilobytes', async () => {
      const [[name]] = Object.entries(paymentText(version, ''));
      const { status } = await unchanged(world, () => raw(world.url, PAGE, { headers: [[name, 'QUFB'.repeat(1 << 14)]] }));
      assert.ok([400, 431].includes(status), String(status));
      await alive('64 kilobytes');
    });
  });

  for (const network of [EVM_NETWORK, SOLANA_NETWORK]) {
    describe(`the payload on ${network}, version ${version}`, () => {
      for (const [what, { payload, expect }] of Object.entries(payloadCases(network))) {
        test(what, async () => refused(paymentHeader(version, offers[network], payload), expect, what));
      }
    });
  }

  describe(`EVM payments, version ${version}`, () => {
    for (const [number, [what, { code, buyer, changes = {}, ...rest }]] of Object.entries(EVM_CASES).entries()) {
      test(what, async () => {
        // Of one address few signatures are looked at that a contract might take.
        const address = { 'cf-connecting-ip': `198.51.100.${number + 1}` };
        const offer = offers[EVM_NETWORK];
        const account = buyer ? privateKeyToAccount(buyer) : world.accounts.evm.buyers[0];
        const built = await evmPayload(account, offer, { ...rest, ...(typeof changes === 'function' ? changes(offer, strangers()) : changes) });
        await refused({ ...paymentHeader(version, offer, built), ...address }, [402, code], what);
      });
    }
  });

  describe(`Solana payments, version ${version}`, () => {
    for (const [what, { code, changes }] of Object.entries(SOLANA_CASES)) {
      test(what, async () => {
        const offer = await offerOf(page, SOLANA_NETWORK);
        const [buyer, other] = world.accounts.solana.buyers;
        const [feePayer, secondFeePayer] = world.accounts.solana.feePayers;
        const people = { buyer, other, feePayer, secondFeePayer, seller: world.accounts.solana.seller, offer };
        await refused(paymentHeader(version, offer, await solanaPayload(buyer, offer, await changes(people))), [402, code], what);
      });
    }
  });
}

const strangers = () => ({ other: evmBuyer(1), relayer: evmRelayers(1)[0] });

describe('what a version 2 client says it accepted', () => {
  const cases = {
    'a lower amount': { amount: '1' },
    'a higher amount': { amount: '10001' },
    'an amount as 1e4': { amount: '1e4' },
    'an amount with a plus': { amount: '+10000' },
    'an amount with a leading zero': { amount: '010000' },
    'an amount as a number': { amount: 10_000 },
    'another recipient': { payTo: evmBuyer(1).address },
    'another asset': { asset: '0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913' },
    'a longer time': { maxTimeoutSeconds: 86_400 },
    'a time that is no integer': { maxTimeoutSeconds: 300.5 },
    'another EIP-712 domain': { extra: { name: 'USD Coin', version: '2' } },
    'no EIP-712 domain': { extra: {} },
    'one more term': { extra: { name: 'USDC', version: '2', assetTransferMethod: 'permit2' } },
  };
  for (const [what, accepted] of Object.entries(cases)) {
    test(what, async () => {
      const offer = offers[EVM_NETWORK];
      const headers = paymentHeader(2, offer, await evmPayload(world.accounts.evm.buyers[0], offer), { accepted });
      await refused(headers, [402, 'invalid_payment_requirements'], what);
    });
  }

  test('hints may be left out or old', async () => {
    const offer = await offerOf(page, SOLANA_NETWORK);
    const { feePayer } = offer.extra;
    for (const extra of [{ feePayer }, { ...offer.extra, recentBlockhash: '1'.repeat(32), lastValidBlockHeight: '1' }]) {
      const payload = await solanaPayload(world.accounts.solana.buyers[0], offer);
      assertPaid(await send(page, paymentHeader(2, offer, payload, { accepted: { extra } })));
    }
  });

  test('another fee payer', async () => {
    const offer = await offerOf(page, SOLANA_NETWORK);
    const accepted = { extra: { ...offer.extra, feePayer: world.accounts.solana.buyers[1].address } };
    const payload = await solanaPayload(world.accounts.solana.buyers[0], offer);
    await refused(paymentHeader(2, offer, payload, { accepted }), [402, 'invalid_payment_requirements'], 'another fee payer');
  });
});

describe('what these tests change is all that was wrong', () => {
  for (const version of [1, 2]) {
    test(`a payment by hand is good in version ${version}`, async () => {
      const evm = offers[EVM_NETWORK];
      const solana = await offerOf(page, SOLANA_NETWORK);
      assertPaid(await send(page, paymentHeader(version, evm, await evmPayload(world.accounts.evm.buyers[0], evm))), version);
      // v as 0 or 1 is one more spelling of the same signature.
      const signature = (it) => `${it.slice(0, 130)}${it.endsWith('1b') ? '00' : '01'}`;
      assertPaid(await send(page, paymentHeader(version, evm, await evmPayload(world.accounts.evm.buyers[0], evm, { signature }))), version);
      for (const kind of [0, 'legacy']) {
        const payload = await solanaPayload(world.accounts.solana.buyers[0], solana, { version: kind });
        assertPaid(await send(page, paymentHeader(version, solana, payload)), version);
      }
    });
  }

  test('an unknown member beside the payment is passed over', async () => {
    const offer = offers[EVM_NETWORK];
    const payload = await evmPayload(world.accounts.evm.buyers[0], offer);
    assertPaid(await send(page, { 'payment-signature': encode({ x402Version: 2, resource: { url: page }, accepted: offer, payload, extensions: { a: [1] } }) }));
  });
});
