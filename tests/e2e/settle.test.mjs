/** Settling: once for one resource, whatever buyers and chains do. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { keccak256, toBytes } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { evmAccount, solanaAccount } from '../../dev/accounts.mjs';
import { startRpcProxy } from '../../dev/rpc-proxy.mjs';
import { mintToken } from '../../dev/solana/setup.mjs';
import { freePort } from '../../dev/util.mjs';
import { startWorld } from '../../dev/world.mjs';
import { assertPaid, assertRefused, decode, deferred, EVM_NETWORK, evmPayload, ledger, memo, offerOf, PAGE, PAGE_PRICE, payment, paymentHeader, send, SOLANA_NETWORK, solanaPayload, transfersIn, unchanged, USDC_ADDRESS } from './support.mjs';

const AT_ONCE = 8;
/** How often a route delivers again, if it says nothing. */
const REDELIVER_MAX = 3;
const CHAINS = { evm: EVM_NETWORK, solana: SOLANA_NETWORK };

let world;
let page;
/** Stand between the Worker and the chains; every test leaves them without a rule. */
let proxies;
before(async () => {
  world = await startWorld({ worker: false });
  proxies = { evm: await startRpcProxy(world.evm.url), solana: await startRpcProxy(world.solana.url) };
  const worker = await world.startWorker({
    secrets: { RPC_URLS: JSON.stringify({ [EVM_NETWORK]: [proxies.evm.url], [SOLANA_NETWORK]: [proxies.solana.url] }) },
  });
  page = `${worker.url}${PAGE}`;
});
after(async () => {
  await world?.stop();
  for (const proxy of Object.values(proxies ?? {})) await proxy.stop();
});

const calls = (chain, method) => proxies[chain].calls.filter((call) => call.method === method).length;
const SEND = { evm: 'eth_sendRawTransactionSync', solana: 'sendTransaction' };

/** Runs a piece of work while a proxy follows a rule. */
async function withRule(chain, rule, work) {
  proxies[chain].rule = rule;
  try {
    return await work();
  } finally {
    proxies[chain].rule = null;
  }
}

/** Asserts that a piece of work moves exactly one price to the seller, and answers what it does. */
async function chargedOnce(chain, work, price = PAGE_PRICE) {
  const start = await ledger(world);
  const value = await work();
  const end = await ledger(world);
  assert.equal(end[`${chain}Seller`] - start[`${chain}Seller`], price, `charged once: ${[value].flat().map((it) => `${it?.status} ${it?.reason ?? ''}`)}`);
  return value;
}

for (const [chain, network] of Object.entries(CHAINS)) {
  describe(`one payment on ${chain}`, () => {
    test('for one resource by eight requests of one client at once is charged once and delivered as often as the route says', async () => {
      const headers = await payment(world, page, { network });
      const answers = await chargedOnce(chain, () => Promise.all(Array.from({ length: AT_ONCE }, () => send(page, headers))));
      const delivered = answers.filter(({ status }) => status === 200);
      assert.equal(delivered.length, 1 + REDELIVER_MAX);
      for (const answer of answers.filter((it) => !delivered.includes(it))) assertRefused(answer, 'duplicate_settlement');
      const receipts = delivered.map((answer) => assertPaid(answer));
      assert.equal(new Set(receipts.map(({ transaction }) => transaction)).size, 1);
      assert.equal((await transfersIn(world, receipts[0])).length, 1);
      assert.equal(new Set(delivered.map(({ text }) => text)).size, 1);
    });

    test('for eight resources at once is charged once and delivered for one', async () => {
      const headers = await payment(world, page, { network });
      const urls = Array.from({ length: AT_ONCE }, (_, i) => `${page}?copy=${i}`);
      const answers = await chargedOnce(chain, () => Promise.all(urls.map((url) => send(url, headers))));
      const delivered = answers.filter(({ status }) => status === 200);
      assert.equal(delivered.length, 1);
      const { transaction } = assertPaid(delivered[0]);
      assert.equal((await transfersIn(world, { network, transaction })).length, 1);
      for (const answer of answers.filter((it) => it !== delivered[0])) assertRefused(answer, 'duplicate_settlement');
    });

    test('again for the same resource gets the same receipt, free of charge', async () => {
      const headers = await payment(world, page, { network });
      const first = await chargedOnce(chain, () => send(page, headers));
      const again = await unchanged(world, () => send(page, headers));
      assert.deepEqual(assertPaid(again), assertPaid(first));
      assert.equal(again.text, first.text);
    });

    test('again for another resource, method or spelling of the payment buys nothing', async () => {
      const offer = await offerOf(page, network);
      const make = chain === 'evm' ? evmPayload : solanaPayload;
      const payload = await make(world.accounts[chain].buyers[0], offer);
      const headers = paymentHeader(2, offer, payload);
      const { transaction } = assertPaid(await send(page, headers));
      await unchanged(world, async () => {
        assertRefused(await send(`${page}?more`, headers), 'duplicate_settlement');
        assertRefused(await send(`${page}eip-3009/`, headers), 'duplicate_settlement');
        assertRefused(await send(page, headers, { method: 'POST' }), 'duplicate_settlement');
        assertRefused(await send(`${page}?more`, paymentHeader(2, offer, payload, { extensions: { x: 1 } })), 'duplicate_settlement');
        assertRefused(await send(`${page}?more`, paymentHeader(1, offer, payload)), 'duplicate_settlement');
        // The other version of the protocol names the same payment.
        assert.equal(assertPaid(await send(page, paymentHeader(1, offer, payload)), 1).transaction, transaction);
      });
    });

    test('survives a node that is down', async () => {
      const headers = await payment(world, page, { network });
      await withRule(chain, () => ({ before: true }), () => unchanged(world, () => refusedForNow(headers)));
      await chargedOnce(chain, async () => assertPaid(await send(page, headers)));
    });

    test('is not sent to a node of another chain', async () => {
      const headers = await payment(world, page, { network });
      await withRule(chain, tellingLies, () => unchanged(world, () => refusedForNow(headers)));
        await chargedOnce(chain, async () => assertPaid(await send(page, headers)));
    });

    test('waits for a slow node, and so does who joins it', async () => {
      const headers = await payment(world, page, { network });
      const released = deferred();
      const asked = deferred();
      const rule = async ({ method }) => {
        if (method !== SEND[chain]) return undefined;
        asked.resolve();
        return released.promise;
      };
      const sends = calls(chain, SEND[chain]);
      const answers = await chargedOnce(chain, () => withRule(chain, rule, async () => {
        const first = send(page, headers);
        await asked.promise;
        const [second, other] = [send(page, headers), await send(`${page}?other`, headers)];
        assertRefused(other, 'duplicate_settlement');
        released.resolve();
        return Promise.all([first, second]);
      }));
      const [first, second] = answers.map((answer) => assertPaid(answer));
      assert.deepEqual(second, first);
      assert.equal(calls(chain, SEND[chain]) - sends, 1, 'sent once');
    });

    test('is not sent where a node is too slow to say anything', async () => {
      const headers = await payment(world, page, { network });
      const released = deferred();
      await unchanged(world, () => withRule(chain, () => released.promise, () => refusedForNow(headers)));
      released.resolve({ before: true });
      await chargedOnce(chain, async () => assertPaid(await send(page, headers)));
    });

    test('is found on chain when the answer to its sending is lost', async () => {
      const headers = await payment(world, page, { network });
      const rule = ({ method }) => (method === SEND[chain] ? { after: true } : undefined);
      await chargedOnce(chain, async () => assertPaid(await withRule(chain, rule, () => send(page, headers))));
    });
  });
}

/** Every answer names a chain that is not the one, whatever was asked. */
function tellingLies() {
  return { result: '0x1' };
}

async function refusedForNow(headers) {
  const answer = await send(page, headers);
  assert.equal(answer.status, 503, answer.text);
  assert.ok(Number(answer.headers.get('retry-after')) > 0);
  assert.equal(answer.receipt, undefined);
}

describe('payments that the chain refuses', () => {
  const abiCall = (functionName, args) => ({ account: evmAccount(0), address: USDC_ADDRESS, abi: world.evm.abi, functionName, args });

  test('somebody else has used the authorization', async () => {
    const offer = await offerOf(page);
    const payload = await evmPayload(world.accounts.evm.buyers[0], offer);
    const { from, to, value, validAfter, validBefore, nonce } = payload.authorization;
    const hash = await world.evm.client.writeContract(abiCall('transferWithAuthorization', [from, to, value, validAfter, validBefore, nonce, payload.signature]));
    await world.evm.client.waitForTransactionReceipt({ hash });
    const answer = await unchanged(world, () => send(page, paymentHeader(2, offer, payload)));
    assertRefused(answer, 'invalid_exact_evm_nonce_already_used');
  });

  test('somebody else uses the authorization after the claim: the seller is paid, the buyer gets the page', async () => {
    const offer = await offerOf(page);
    const payload = await evmPayload(world.accounts.evm.buyers[0], offer);
    const { from, to, value, validAfter, validBefore, nonce } = payload.authorization;
    let theirs;
    const rule = async ({ method }) => {
      if (!method.startsWith('eth_sendRawTransaction') || theirs) return;
      theirs = await world.evm.client.writeContract(abiCall('transferWithAuthorization', [from, to, value, validAfter, validBefore, nonce, payload.signature]));
      await world.evm.client.waitForTransactionReceipt({ hash: theirs });
    };
    const answer = await chargedOnce('evm', () => withRule('evm', rule, () => send(page, paymentHeader(2, offer, payload))));
    assert.equal(assertPaid(answer).transaction, theirs);
    assertRefused(await unchanged(world, () => send(`${page}?more`, paymentHeader(2, offer, payload))), 'duplicate_settlement');
  });

  test('the buyer cancels the authorization', async () => {
    const [buyer] = world.accounts.evm.buyers;
    const offer = await offerOf(page);
    const payload = await evmPayload(buyer, offer);
    const { from: authorizer, nonce } = payload.authorization;
    const signature = await buyer.signTypedData({
      domain: { ...offer.extra, chainId: 84532, verifyingContract: offer.asset },
      types: { CancelAuthorization: [{ name: 'authorizer', type: 'address' }, { name: 'nonce', type: 'bytes32' }] },
      primaryType: 'CancelAuthorization',
      message: { authorizer, nonce },
    });
    const hash = await world.evm.client.writeContract(abiCall('cancelAuthorization', [authorizer, nonce, signature]));
    await world.evm.client.waitForTransactionReceipt({ hash });
    const answer = await unchanged(world, () => send(page, paymentHeader(2, offer, payload)));
    assertRefused(answer, 'invalid_exact_evm_nonce_already_used');
  });

  test('the EVM buyer has too little', async () => {
    const buyer = privateKeyToAccount(keccak256(toBytes('a buyer with little')));
    await world.evm.mintUsdc(buyer.address, PAGE_PRICE - 1n);
    for (const version of [1, 2]) {
      const headers = await payment(world, page, { version, buyer });
      assertRefused(await unchanged(world, () => send(page, headers)), 'insufficient_funds');
    }
    // With the missing unit the next payment goes through.
    await world.evm.mintUsdc(buyer.address, 1n);
    assertPaid(await send(page, await payment(world, page, { buyer })));
  });

  test('the Solana buyer has too little', async () => {
    const buyer = await solanaAccount('a buyer with little');
    await mintToken(world.solana, buyer.address, PAGE_PRICE - 1n);
    for (const version of [1, 2]) {
      const headers = await payment(world, page, { version, network: SOLANA_NETWORK, buyer });
      assertRefused(await unchanged(world, () => send(page, headers)), 'insufficient_funds');
    }
    await mintToken(world.solana, buyer.address, 1n);
    assertPaid(await send(page, await payment(world, page, { network: SOLANA_NETWORK, buyer })));
  });

  test('of two payments with the money for one, one is settled', async () => {
    const buyer = privateKeyToAccount(keccak256(toBytes('a buyer with enough for one')));
    await world.evm.mintUsdc(buyer.address, PAGE_PRICE);
    const urls = [`${page}?a`, `${page}?b`];
    const headers = await Promise.all(urls.map((url) => payment(world, url, { buyer })));
    const answers = await chargedOnce('evm', () => Promise.all(urls.map((url, i) => send(url, headers[i]))));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 402]);
    const { reason } = answers.find(({ status }) => status === 402);
    assert.ok(['insufficient_funds', 'invalid_exact_evm_transaction_simulation_failed', 'invalid_transaction_state'].includes(reason), reason);
  });

  test('the blockhash has expired', async () => {
    const headers = await payment(world, page, { network: SOLANA_NETWORK });
    world.solana.skipSlots(200);
    const answer = await unchanged(world, () => send(page, headers));
    assertRefused(answer, 'invalid_exact_svm_transaction_simulation_failed');
  });

  test('a Lighthouse assertion that fails', async () => {
    const failing = { ...memo(), programAddress: 'L2TExMFKdjpN9kozasaurPirfHy9P8sbXoAN1qA3S95', data: Uint8Array.of(0xff) };
    const { value } = await (await fetch(world.solana.url, {
      method: 'POST', body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'getLatestBlockhash', params: [] }),
    })).json().then(({ result }) => result);
    const headers = await payment(world, page, { network: SOLANA_NETWORK, blockhash: value.blockhash, instructions: (all) => [...all, failing] });
    const answer = await unchanged(world, () => send(page, headers));
    assertRefused(answer, 'invalid_exact_svm_transaction_simulation_failed');
  });
});

describe('nodes', () => {
  test('one that does not know eth_sendRawTransactionSync', async () => {
    const rule = ({ method }) => (method === SEND.evm ? { error: { code: -32601, message: 'the method eth_sendRawTransactionSync does not exist' } } : undefined);
    const before = calls('evm', 'eth_sendRawTransaction');
    await withRule('evm', rule, async () => {
      for (let i = 0; i < 2; i += 1) {
        const headers = await payment(world, page);
        const receipt = await chargedOnce('evm', async () => assertPaid(await send(page, headers)));
        assert.equal((await transfersIn(world, receipt)).length, 1);
      }
    });
    assert.equal(calls('evm', 'eth_sendRawTransaction') - before, 2);
  });

  test('the second URL where the first is dead', async () => {
    const dead = `http://127.0.0.1:${await freePort()}`;
    const { url } = await world.startWorker({
      secrets: { RPC_URLS: JSON.stringify({ [EVM_NETWORK]: [dead, world.evm.url], [SOLANA_NETWORK]: [dead, world.solana.url] }) },
    });
    for (const [chain, network] of Object.entries(CHAINS)) {
      const headers = await payment(world, url + PAGE, { network });
      await chargedOnce(chain, async () => assertPaid(await send(url + PAGE, headers)));
    }
  });

  test('a token that takes the call and moves nothing sells nothing', async () => {
    const asset = '0x00000000000000000000000000000000000011a5';
    // Answers 0xffffff to balanceOf and 0 to everything else, without a log: it never reverts.
    await world.evm.client.setCode({ address: asset, bytecode: '0x60003560e01c6370a082311462ffffff0260005260206000f3' });
    const pay_to = world.accounts.evm.seller.address;
    const { url } = await world.startWorker({
      vars: { NETWORKS: { [EVM_NETWORK]: { rpc: [world.evm.url], pay_to, asset, name: 'Liar', version: '1', decimals: 6 } } },
      secrets: { RPC_URLS: JSON.stringify({ [EVM_NETWORK]: [world.evm.url] }) },
    });
    const headers = await payment(world, url + PAGE);
    const answer = await send(url + PAGE, headers);
    assert.ok(['invalid_transaction_state', 'invalid_exact_evm_transaction_simulation_failed'].includes(answer.reason), answer.reason);
    assertRefused(answer, answer.reason);
    assert.equal(decode(answer.headers.get('payment-response')).success, false);
    assertRefused(await send(url + PAGE, headers), answer.reason);
  });
});
