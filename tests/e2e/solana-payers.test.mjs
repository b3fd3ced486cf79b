/** Who pays on Solana, and who is to be paid: wallets, crowds of one, sellers without an account. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { solanaAccount } from '../../dev/accounts.mjs';
import { ataOf, LIGHTHOUSE_PROGRAM, mintToken, TOKEN_2022_MINT, TOKEN_PROGRAM } from '../../dev/solana/setup.mjs';
import { startWorld } from '../../dev/world.mjs';
import { assertPaid, computeLimit, computePrice, ledger, offerOf, PAGE, PAGE_PRICE, payment, paymentHeader, ROLE, send, SOLANA_NETWORK, solanaPayload, transfersIn, USDC_MINT } from './support.mjs';

let world;
before(async () => {
  world = await startWorld();
});
after(() => world?.stop());

const page = () => `${world.url}${PAGE}`;
const someone = (what) => solanaAccount(`${what} ${randomBytes(4).toString('hex')}`);
/** An assertion about an account that signs: the stand-in for Lighthouse takes no other. */
const guard = (address, length) => ({
  programAddress: LIGHTHOUSE_PROGRAM,
  accounts: [{ address, role: ROLE.signer }],
  data: Uint8Array.of(6, ...new TextEncoder().encode('g'.repeat(length - 1))),
});

describe('what wallets make of a payment', () => {
  const layouts = {
    'Phantom: three guards before the transfer, one of the fee payer, and one behind it': ([limit, price, transfer, nonce], { buyer, feePayer }) =>
      [limit, price, guard(buyer, 17), guard(buyer, 52), guard(feePayer, 16), transfer, nonce, guard(buyer, 27)],
    'Solflare: two guards behind it and more units': ([, price, transfer, nonce], { buyer }) => [computeLimit(120_000), price, transfer, nonce, guard(buyer, 16), guard(buyer, 16)],
    'a price of 100,000 for the units': ([limit, , transfer]) => [limit, computePrice(100_000), transfer],
    'a compute budget at the end': ([limit, price, transfer]) => [transfer, price, limit],
  };
  for (const [what, layout] of Object.entries(layouts)) {
    for (const version of [1, 2]) {
      test(`${what}, version ${version}`, async () => {
        const offer = await offerOf(page(), SOLANA_NETWORK);
        const buyer = world.accounts.solana.buyers[0];
        const people = { buyer: buyer.address, feePayer: offer.extra.feePayer };
        const payload = await solanaPayload(buyer, offer, { instructions: (all) => layout(all, people) });
        const receipt = assertPaid(await send(page(), paymentHeader(version, offer, payload)), version);
        const seller = world.accounts.solana.seller.address;
        assert.deepEqual(await transfersIn(world, { ...receipt, network: SOLANA_NETWORK }), [{ from: buyer.address, to: seller, value: PAGE_PRICE }]);
      });
    }
  }
});

test('one payer with money for ten who signs forty makes no transaction fail', async () => {
  const buyer = await someone('crowd');
  await mintToken(world.solana, buyer.address, 10n * PAGE_PRICE);
  const start = await ledger(world);
  const signed = await Promise.all(Array.from({ length: 40 }, () => payment(world, page(), { network: SOLANA_NETWORK, buyer })));
  const answers = [];
  for (let round = 0; round < 8 && answers.filter((status) => status === 200).length < 10; round += 1) {
    const some = signed.splice(0, 14 - 2 * (round % 3));
    answers.push(...await Promise.all(some.map(async (headers) => (await send(page(), headers)).status)));
  }
  const paid = answers.filter((status) => status === 200).length;
  assert.ok(paid > 0 && paid <= 10, String(answers));
  assert.deepEqual([...new Set(answers)].filter((status) => ![200, 402, 503].includes(status)), []);
  const end = await ledger(world);
  assert.equal(end.solanaSeller - start.solanaSeller, BigInt(paid) * PAGE_PRICE);
  const failed = [...world.solana.chain.landed.values()].filter(({ err }) => err !== null);
  assert.deepEqual(failed, [], 'nothing failed on chain');
});

describe('a seller who can’t be paid', () => {
  const refused = async (network, expected, changes = {}) => {
    const worker = await world.startWorker({ vars: { NETWORKS: { [SOLANA_NETWORK]: { rpc: [world.solana.url], ...network } } } });
    const url = `${worker.url}${PAGE}`;
    const before = world.solana.chain.landed.size;
    for (let i = 0; i < 2; i += 1) {
      const answer = await send(url, await payment(world, url, { network: SOLANA_NETWORK, ...changes }));
      assert.equal(answer.status, 503, answer.text);
    }
    assert.equal(world.solana.chain.landed.size, before);
    const health = await send(`${worker.url}/.edge402/health`);
    assert.equal(health.status, 503);
    assert.ok(health.json.problems.some((problem) => problem.includes(expected)), JSON.stringify(health.json.problems));
    assert.ok(worker.log().includes(expected), worker.log());
  };

  test('has no token account', async () => {
    const { address } = await someone('seller');
    await refused({ pay_to: address }, `NETWORKS."${SOLANA_NETWORK}".pay_to: ${address} has no token account for ${USDC_MINT}`);
  });

  test('has given the token account for the wallet', async () => {
    const { address } = world.accounts.solana.seller;
    const account = await ataOf(address, USDC_MINT);
    await refused({ pay_to: account }, `NETWORKS."${SOLANA_NETWORK}".pay_to: ${account} is itself a token account; put the wallet that owns it, ${address}`);
  });

  test('has a token of Token-2022 and does not say so', async () => {
    const { address } = world.accounts.solana.seller;
    const network = { pay_to: address, asset: TOKEN_2022_MINT, name: 'Other', decimals: 6 };
    // As a client builds it that believes the offer.
    const [source, destination] = await Promise.all([world.accounts.solana.buyers[0].address, address].map((owner) => ataOf(owner, TOKEN_2022_MINT, TOKEN_PROGRAM)));
    const expected = `NETWORKS."${SOLANA_NETWORK}".token_program: the token ${TOKEN_2022_MINT} belongs to Token-2022`;
    await refused(network, expected, { transfer: { source, destination } });
  });
});
