/** Nodes as they are in the world: slow, forgetful, contradictory. Nobody pays for nothing, nobody pays twice. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { keccak256, parseTransaction } from 'viem';
import { staleReads, startRpcProxy, vanishedReceipts, wrongChain } from '../../dev/rpc-proxy.mjs';
import { tokenBalanceOf } from '../../dev/solana/setup.mjs';
import { waitFor } from '../../dev/util.mjs';
import { startWorld } from '../../dev/world.mjs';
import { assertPaid, assertRefused, deferred, EVM_NETWORK, evmPayload, offerOf, PAGE, PAGE_PRICE, paymentHeader, send, SOLANA_NETWORK, solanaPayload, transfersIn } from './support.mjs';

const RELAYERS = 10;
const BUYERS = 56;
const SENDS = ['eth_sendRawTransactionSync', 'eth_sendRawTransaction', 'sendTransaction'];
const DEAR = '/photos/aurora.jpg';
const DEAR_PRICE = 1_000_000n;
// Much of this is waiting for time-outs: all tests wait together.
const AT_ONCE = { concurrency: 64 };
const NETWORKS = { evm: EVM_NETWORK, solana: SOLANA_NETWORK };

let world;
/** Three Workers: one for single faults, one with three nodes, one that may spend next to nothing. */
let workers;
let proxies;
/** What the proxies of the first Worker do: looked at in turn for every call. */
const rules = new Set();
/** Buyers of the first Worker, each with a relayer of its own, so that no two share a transaction. */
let alone;
/** Ends with the tests: what never comes, comes then. */
const end = deferred();

before(async () => {
  world = await startWorld({ worker: false, evm: { blockTime: 1 }, relayers: RELAYERS, buyers: BUYERS });
  const names = ['evm', 'solana', 'wrong', 'first', 'second', 'poor'];
  const started = await Promise.all(names.map((name) => startRpcProxy(world[name === 'solana' ? 'solana' : 'evm'].url)));
  proxies = Object.fromEntries(names.map((name, i) => [name, started[i]]));
  for (const name of ['evm', 'solana']) proxies[name].rule = (call) => [...rules].map((rule) => rule(call)).find(Boolean);
  proxies.wrong.rule = wrongChain(1);
  workers = await startWorkers();
  alone = await buyersAlone();
  assert.equal(alone.length, RELAYERS - 2, 'a buyer for every relayer');
});
after(async () => {
  end.resolve();
  await world?.stop();
  for (const proxy of Object.values(proxies ?? {})) await proxy.stop();
});

async function startWorkers() {
  const keys = world.accounts.evm.relayers.map(({ privateKey }) => privateKey);
  const start = (relayers, evm, solana, limits = {}) => world.startWorker({
    vars: {
      NETWORKS: {
        [EVM_NETWORK]: { pay_to: world.accounts.evm.seller.address, ...limits.evm },
        [SOLANA_NETWORK]: { pay_to: world.accounts.solana.seller.address, ...limits.solana },
      },
      ROUTES: [{ pattern: '/premium/*', price: '$0.01' }, { pattern: DEAR, price: '$1' }],
    },
    secrets: { EVM_RELAYER_KEYS: relayers.join(','), RPC_URLS: JSON.stringify({ [EVM_NETWORK]: evm.map(({ url }) => url), [SOLANA_NETWORK]: [solana.url] }) },
  });
  const [single, several, poor] = await Promise.all([
    start(keys.slice(0, -2), [proxies.evm], proxies.solana),
    start(keys.slice(-2, -1), [proxies.wrong, proxies.first, proxies.second], proxies.solana, { evm: { quorum_above: '$0.5' } }),
    start(keys.slice(-1), [proxies.poor], proxies.solana, { evm: { daily_spend: '0.000000001' }, solana: { daily_spend: '0.000001' } }),
  ]);
  return { single: single.url, several: several.url, poor: poor.url };
}

/** One buyer for each relayer of the first Worker. */
async function buyersAlone() {
  const buyers = world.accounts.evm.buyers.slice(2, -1);
  const senders = await Promise.all(buyers.map(async (buyer) => {
    const { transaction } = assertPaid(await sent(await order('evm', { buyer })));
    return (await world.evm.client.getTransaction({ hash: transaction })).from;
  }));
  return [...new Map(senders.map((relayer, i) => [relayer, { ...buyers[i], relayer }])).values()];
}

let made = 0;

/** A payment for a URL of its own, and who pays it. */
async function order(chain, { worker = workers.single, path = PAGE, buyer = world.accounts[chain].buyers[0] } = {}) {
  const url = `${worker}${path}?order=${(made += 1)}`;
  const offer = await offerOf(url, NETWORKS[chain]);
  const payload = await (chain === 'evm' ? evmPayload : solanaPayload)(buyer, offer);
  return { chain, url, buyer, payload, headers: paymentHeader(2, offer, payload) };
}

const sent = ({ url, headers }) => send(url, headers);

/** Whether a call sends what carries this payment. */
function carries({ chain, payload }, { method, params }) {
  if (!SENDS.includes(method)) return false;
  if (chain === 'evm') return params[0].includes(payload.authorization.nonce.slice(2));
  // Two signatures and their number come first; the message is the same before and after co-signing.
  const message = (text) => Buffer.from(text, 'base64').subarray(129);
  return message(params[0]).equals(message(payload.transaction));
}

const balance = ({ chain, buyer }) => (chain === 'evm' ? world.evm.usdcBalance(buyer.address) : tokenBalanceOf(world.solana, buyer.address));

/** Asserts that work moves exactly one price from the buyer of an order, by the transaction in its receipt. */
async function paidOnce(it, work, price = PAGE_PRICE) {
  const start = await balance(it);
  const answer = await work();
  const receipt = assertPaid(answer);
  assert.equal(start - (await balance(it)), price, 'charged once');
  assert.equal((await transfersIn(world, receipt)).length, 1);
  return receipt;
}

async function withRule(rule, work) {
  rules.add(rule);
  try {
    return await work();
  } finally {
    rules.delete(rule);
  }
}

/** Sends the same payment until the answer is final, as the seller asks. */
const untilFinal = (it) => waitFor(async () => {
  const answer = await sent(it);
  return answer.status === 503 || answer.reason === 'settlement_pending' ? undefined : answer;
}, { timeout: 60_000, every: 500, what: 'a final answer' });

const FAULTS = {
  'is answered with 503': { status: 503 },
  'is answered with 429': { status: 429 },
  'loses its connection before the node gets it': { before: true },
  'loses its connection after the node got it': { after: true },
  'is never answered': { when: end.promise },
  'is taken by a node that forgets it': { error: { code: 4, message: 'the transaction was added to the mempool but was not processed in time' } },
};

/** A landed transaction as it was sent. */
const wireOf = ({ messageBytes, signatures }) => Buffer.concat([Buffer.from([signatures.length]), ...signatures, messageBytes]).toString('base64');

/** Asserts the answer to a payment that was sent, and of which nothing more is known. */
function assertPending(answer, network, transaction) {
  assertRefused(answer, 'settlement_pending');
  assert.equal(answer.receipt.transaction, transaction);
  assert.equal(answer.receipt.network, network);
  assert.ok(Number(answer.headers.get('retry-after')) > 0);
}

describe('faults', AT_ONCE, () => {
  describe('one node', AT_ONCE, () => {
    for (const [i, [what, fault]] of Object.entries(FAULTS).entries()) {
      test(`a broadcast on EVM that ${what}`, async () => {
        const it = await order('evm', { buyer: alone[i] });
        let left = 1;
        const rule = (call) => (carries(it, call) && left-- > 0 ? fault : undefined);
        await paidOnce(it, () => withRule(rule, () => untilFinal(it)));
      });
    }

    for (const [i, [what, fault]] of Object.entries(FAULTS).slice(0, -1).entries()) {
      test(`a broadcast on Solana that ${what}`, async () => {
        const it = await order('solana', { buyer: world.accounts.solana.buyers[i + 1] });
        let left = 1;
        const rule = (call) => (carries(it, call) && left-- > 0 ? fault : undefined);
        await paidOnce(it, () => withRule(rule, () => untilFinal(it)));
      });
    }

    test('a receipt on EVM that is not there for a while', async () => {
      const it = await order('evm', { buyer: alone[Object.keys(FAULTS).length] });
      let hash;
      let asked = 0;
      const rule = vanishedReceipts((call) => {
        if (carries(it, call)) hash = keccak256(call.params[0]);
        return carries(it, call) || (call.params[0] === hash && hash !== undefined && (asked += 1) <= 6);
      });
      await paidOnce(it, () => withRule(rule, () => untilFinal(it)));
      assert.ok(asked > 0);
    });

    test('a node on EVM that is behind with nonces: every payment goes out, with a nonce of its own', async () => {
      const buyer = alone[Object.keys(FAULTS).length + 1];
      const { relayer } = buyer;
      const isBehind = staleReads(['eth_getTransactionCount']);
      const rule = (call) => (call.params[0]?.toLowerCase?.() === relayer ? isBehind(call) : undefined);
      await withRule(rule, async () => {
        const nonces = [];
        for (let i = 0; i < 3; i += 1) {
          const it = await order('evm', { buyer });
          const { transaction } = await paidOnce(it, () => untilFinal(it));
          nonces.push((await world.evm.client.getTransaction({ hash: transaction })).nonce);
        }
        assert.deepEqual(nonces, nonces.map((_, i) => nonces[0] + i));
      });
    });

    test('a Solana status that is unknown: settlement_pending, and later the page, charged once', async () => {
      const it = await order('solana', { buyer: world.accounts.solana.buyers[10] });
      const unknown = { change: ({ context, value }) => ({ context, value: value.map(() => null) }) };
      const signature = () => [...world.solana.chain.landed].find(([, { transaction }]) => transaction && carries(it, { method: 'sendTransaction', params: [wireOf(transaction)] }))?.[0];
      const start = await balance(it);
      const rule = ({ method, params }) => (method === 'getSignatureStatuses' && params[0].includes(signature()) ? unknown : undefined);
      const pending = await withRule(rule, () => sent(it));
      assertPending(pending, SOLANA_NETWORK, signature());
      assert.equal((await untilFinal(it)).receipt.transaction, signature());
      assert.equal(start - (await balance(it)), PAGE_PRICE);
    });
  });

  describe('several nodes', AT_ONCE, () => {
    const sends = (proxy) => proxy.calls.filter(({ method }) => SENDS.includes(method)).length;

    test('one of another chain never gets a transaction, the others all do', async () => {
      const it = await order('evm', { worker: workers.several, buyer: world.accounts.evm.buyers[0] });
      await paidOnce(it, () => sent(it));
      await waitFor(() => [proxies.first, proxies.second].every(({ calls }) => calls.some((call) => carries(it, call))), { what: 'both nodes to be told' });
      assert.equal(sends(proxies.wrong), 0);
    });

    test('that disagree on a dear payment: it is pending until they agree', async () => {
      const it = await order('evm', { worker: workers.several, path: DEAR, buyer: world.accounts.evm.buyers[1] });
      const start = await balance(it);
      proxies.second.rule = ({ method }) => (method === 'eth_getTransactionReceipt' ? { change: () => null } : undefined);
      const pending = await sent(it);
      assertPending(pending, EVM_NETWORK, pending.receipt?.transaction);
      assert.equal(start - (await balance(it)), DEAR_PRICE, 'the first node has it');
      proxies.second.rule = null;
      const { transaction } = assertPaid(await untilFinal(it));
      assert.equal(transaction, pending.receipt.transaction);
      assert.equal(start - (await balance(it)), DEAR_PRICE, 'charged once');
    });
  });

  describe('money guards', AT_ONCE, () => {
    for (const chain of ['evm', 'solana']) {
      test(`nothing is sent on ${chain} beyond what may be spent in a day`, async () => {
        const it = await order(chain, { worker: workers.poor, buyer: world.accounts[chain].buyers.at(-1) });
        const start = await balance(it);
        for (let i = 0; i < 2; i += 1) {
          const answer = await sent(it);
          assert.equal(answer.status, 503, answer.text);
          assert.ok(Number(answer.headers.get('retry-after')) > 0);
          assert.equal(answer.receipt, undefined);
        }
        const proxy = chain === 'evm' ? proxies.poor : proxies.solana;
        assert.equal(proxy.calls.some((call) => carries(it, call)), false);
        assert.equal(await balance(it), start);
      });
    }
  });

  describe('a chain that makes no blocks', AT_ONCE, () => {
    let slow;
    let proxy;
    before(async () => {
      slow = await startWorld({ worker: false, evm: { blockTime: 'manual' } });
      proxy = await startRpcProxy(slow.evm.url);
      proxy.rule = ({ method }) => (method === 'eth_sendRawTransactionSync' ? { error: { code: -32601, message: 'Method not found' } } : undefined);
      await slow.startWorker({ secrets: { RPC_URLS: JSON.stringify({ [EVM_NETWORK]: [proxy.url], [SOLANA_NETWORK]: [slow.solana.url] }) } }).then(({ url }) => (slow.url = url));
    });
    after(async () => {
      await slow?.stop();
      await proxy?.stop();
    });

    const inPool = async () => Number((await slow.evm.client.getTxpoolStatus()).pending);
    /** The versions of the transaction that the node was sent, each once. */
    const versions = () => [...new Set(proxy.calls.filter(({ method }) => method === 'eth_sendRawTransaction').map(({ params }) => params[0]))];

    test('forgotten: sent again; too cheap: pending, then replaced at the same nonce; landed: the page, charged once', async () => {
      const { client, usdcBalance } = slow.evm;
      const [buyer] = slow.accounts.evm.buyers;
      const start = await usdcBalance(buyer.address);
      const it = await order('evm', { worker: slow.url, buyer });
      const answer = sent(it);

      await waitFor(async () => (await inPool()) === 1, { what: 'the first sending' });
      const [cheap] = versions();
      await client.dropTransaction({ hash: keccak256(cheap) });
      assert.equal(await inPool(), 0);
      await waitFor(async () => (await inPool()) === 1, { what: 'the second sending' });
      assert.deepEqual(versions(), [cheap], 'the same bytes again');

      const before = parseTransaction(cheap);
      await client.setNextBlockBaseFeePerGas({ baseFeePerGas: before.maxFeePerGas * 2n });
      await client.mine({ blocks: 1 });
      assertPending(await answer, EVM_NETWORK, keccak256(cheap));

      const dear = await waitFor(() => versions()[1], { timeout: 60_000, what: 'a replacement' });
      const later = parseTransaction(dear);
      assert.deepEqual([later.nonce, later.to, later.data], [before.nonce, before.to, before.data]);
      assert.ok(later.maxFeePerGas > before.maxFeePerGas && later.maxPriorityFeePerGas > before.maxPriorityFeePerGas);
      await waitFor(async () => (await client.getTransaction({ hash: keccak256(dear) })).blockNumber === null, { what: 'the pool to take it' });
      await client.mine({ blocks: 1 });

      const receipt = assertPaid(await untilFinal(it));
      assert.equal(receipt.transaction, keccak256(dear));
      assert.equal(start - (await usdcBalance(buyer.address)), PAGE_PRICE, 'charged once');
      const [{ address }] = slow.accounts.evm.relayers;
      assert.deepEqual([await client.getTransactionCount({ address }), await inPool()], [1, 0]);
    });
  });
});
