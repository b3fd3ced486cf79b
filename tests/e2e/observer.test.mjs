/** Somebody who only watches: the chain shows a payment whole, and it buys nothing a second time. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { decodeFunctionData, multicall3Abi, serializeSignature } from 'viem';
import { x402Fetch } from '../../dev/clients.mjs';
import { listen, waitFor } from '../../dev/util.mjs';
import { startWorld } from '../../dev/world.mjs';
import { assertPaid, assertRefused, deferred, EVM_NETWORK, offerOf, payment, paymentHeader, send, SOLANA_NETWORK, takeApart, unchanged } from './support.mjs';

const PURCHASES = 20;
const ROUTES = [
  { pattern: '/once/*', price: '$0.01' },
  { pattern: '/hour/*', price: '$0.01', access: '1h' },
  { pattern: '/before/*', price: '$0.01', settle: 'before' },
  { pattern: '/strict/*', price: '$0.01', redeliver_max: 0 },
];
const CHAINS = { evm: EVM_NETWORK, solana: SOLANA_NETWORK };

/** As Cloudflare's edge names who asks. */
const at = (address) => ({ 'cf-connecting-ip': address });
const BUYER = at('203.0.113.7');
const OBSERVER = at('198.51.100.9');

let world;
let origin;
let site;
before(async () => {
  world = await startWorld({ worker: false });
  origin = await startOrigin();
  ({ url: site } = await world.startWorker({ vars: { ORIGIN: origin.url, ROUTES } }));
});
after(async () => {
  await world?.stop();
  await origin?.stop();
});

/** A site that counts its answers; `rule` writes one of them otherwise. */
async function startOrigin() {
  const it = { answers: 0, rule: null };
  const server = createServer(async (request, response) => {
    it.answers += 1;
    const rule = it.rule;
    it.rule = null;
    if (rule) return rule(response);
    let body = '';
    for await (const chunk of request) body += chunk;
    return response.end(`answer ${it.answers} to ${request.url} ${body}`);
  });
  it.url = `http://127.0.0.1:${await listen(server)}`;
  it.stop = async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  };
  return it;
}

/** The payloads of a transaction's payments, from what the chain shows. */
async function seenOnChain(chain, hash) {
  if (chain === 'solana') {
    const { transaction } = world.solana.chain.landed.get(hash);
    // The fee payer's signature was empty when it was sent to the seller.
    const signatures = [Buffer.alloc(64), ...transaction.signatures.slice(1)];
    const wire = Buffer.concat([Buffer.from([signatures.length]), ...signatures, transaction.messageBytes]);
    return [{ transaction: wire.toString('base64') }];
  }
  const { input, to } = await world.evm.client.getTransaction({ hash });
  const isBatch = input.startsWith('0x82ad56cb');
  const calls = isBatch ? decodeFunctionData({ abi: multicall3Abi, data: input }).args[0].map(({ callData }) => callData) : [input];
  assert.ok(to);
  return calls.map((data) => {
    const { args } = decodeFunctionData({ abi: world.evm.abi, data });
    const [from, payee, value, validAfter, validBefore, nonce, ...signed] = args;
    const signature = signed.length === 1 ? signed[0] : serializeSignature({ v: BigInt(signed[0]), r: signed[1], s: signed[2] });
    return {
      signature,
      authorization: {
        from, to: payee, value: String(value), validAfter: String(validAfter), validBefore: String(validBefore), nonce,
      },
    };
  });
}

/** All that an observer can send for a URL that was bought by this transaction. */
async function rebuilt(chain, url, hash) {
  const offer = await offerOf(url, CHAINS[chain]);
  const payloads = await seenOnChain(chain, hash);
  return payloads.flatMap((payload) => [1, 2].map((version) => paymentHeader(version, offer, payload)));
}

/** What the shop tells everybody. */
async function toldToEverybody() {
  const documents = await Promise.all(['/.edge402/health', '/.well-known/x402'].map((path) => send(`${site}${path}`)));
  documents.forEach(({ status }) => assert.equal(status, 200));
  return documents.map(({ text }) => text).join('\n');
}

const grantOf = ({ headers }) => headers.get('payment-grant') ?? headers.get('set-cookie');

for (const [chain, network] of Object.entries(CHAINS)) {
  describe(`an observer of ${chain}`, () => {
    for (const route of ['once', 'hour']) {
      test(`of ${PURCHASES} purchases under /${route}/ gets nothing`, async () => {
        for (let n = 0; n < PURCHASES; n += 1) {
          const url = `${site}/${route}/${chain}-${n}`;
          const headers = await payment(world, url, { network });
          const bought = await send(url, { ...headers, ...BUYER });
          const { transaction } = assertPaid(bought);
          assert.equal(grantOf(bought) !== null, route === 'hour');
          const before = origin.answers;
          await unchanged(world, async () => {
            for (const stolen of await rebuilt(chain, url, transaction)) {
              const answer = await send(url, { ...stolen, ...OBSERVER });
              assertRefused(answer, 'duplicate_settlement');
              assert.equal(answer.receipt.transaction, transaction);
              assert.equal(grantOf(answer), null);
            }
          });
          assert.equal(origin.answers, before, 'the origin does not work for an observer');
        }
      });
    }

    test(`of ${PURCHASES} purchases at once gets nothing, whatever the health page and the list of what is sold tell`, async () => {
      const urls = Array.from({ length: PURCHASES }, (_, n) => `${site}/hour/${chain}-at-once-${n}`);
      const wanted = await Promise.all(urls.map((url) => payment(world, url, { network })));
      const bought = [];
      // On Solana eight payments of one account are under way at most.
      const step = chain === 'evm' ? PURCHASES : 5;
      for (let n = 0; n < PURCHASES; n += step) {
        bought.push(...await Promise.all(urls.slice(n, n + step).map((url, i) => send(url, { ...wanted[n + i], ...BUYER }))));
      }
      const hashes = bought.map((answer) => assertPaid(answer).transaction);
      if (chain === 'evm') assert.ok(new Set(hashes).size < PURCHASES, 'some share a transaction');
      const told = await toldToEverybody();
      for (const secret of [...hashes, ...wanted.flatMap((headers) => Object.values(headers)), ...bought.map(grantOf)]) assert.ok(!told.includes(secret), secret);
      const before = origin.answers;
      await unchanged(world, async () => {
        await Promise.all(urls.map(async (url, n) => {
          for (const stolen of await rebuilt(chain, url, hashes[n])) {
            const answer = await send(url, { ...stolen, ...OBSERVER });
            assert.equal(answer.status, 402, answer.text);
            assert.equal(grantOf(answer), null);
          }
        }));
      });
      assert.equal(origin.answers, before, 'the origin does not work for an observer');
    });

    test('asks while the answer streams: waits, and gets nothing', async () => {
      const url = `${site}/hour/${chain}-streams`;
      const rest = deferred();
      origin.rule = async (response) => {
        response.write('the beginning');
        await rest.promise;
        response.end(' and the end');
      };
      const headers = await payment(world, url, { network });
      const bought = await fetch(url, { headers: { ...headers, ...BUYER } });
      assert.equal(bought.status, 200);
      const { transaction } = JSON.parse(Buffer.from(bought.headers.get('payment-response'), 'base64'));
      const [stolen] = await rebuilt(chain, url, transaction);
      const asked = send(url, { ...stolen, ...OBSERVER });
      rest.resolve();
      assert.equal(await bought.text(), 'the beginning and the end');
      assertRefused(await asked, 'duplicate_settlement');
    });

    test('has an answer that the origin could not give once, without a grant, and the buyer has it all the same', async () => {
      const url = `${site}/before/${chain}`;
      origin.rule = (response) => response.writeHead(500).end('broken');
      const headers = await payment(world, url, { network });
      const failed = await send(url, { ...headers, ...BUYER });
      assert.equal(failed.status, 500);
      const { transaction } = failed.receipt;
      const [stolen] = await rebuilt(chain, url, transaction);
      await unchanged(world, async () => {
        const answers = [];
        for (let n = 0; n < 5; n += 1) {
          const answer = await send(url, { ...stolen, ...OBSERVER });
          assert.equal(grantOf(answer), null);
          answers.push(answer.status);
        }
        assert.deepEqual(answers, [200, 402, 402, 402, 402]);
        assertPaid(await send(url, { ...headers, ...BUYER }));
      });
    });
  });

  describe(`a buyer on ${chain}`, () => {
    test('gets it again three times, from the same address only', async () => {
      const url = `${site}/hour/${chain}-again`;
      const headers = await payment(world, url, { network });
      const first = await send(url, { ...headers, ...BUYER });
      const receipt = assertPaid(first);
      await unchanged(world, async () => {
        for (let n = 0; n < 3; n += 1) {
          const again = await send(url, { ...headers, ...BUYER });
          assert.deepEqual(assertPaid(again), receipt);
          assert.equal(again.headers.get('payment-grant'), first.headers.get('payment-grant'));
        }
        assertRefused(await send(url, { ...headers, ...BUYER }), 'duplicate_settlement');
      });
    });

    test('whose answer broke off gets it again, even where nothing is delivered again', async () => {
      const url = `${site}/strict/${chain}`;
      const headers = await payment(world, url, { network });
      origin.rule = (response) => {
        response.writeHead(200, { 'content-length': 100_000 });
        response.write('x'.repeat(1_000), () => setTimeout(() => response.destroy(), 50));
      };
      const broken = await fetch(url, { headers: { ...headers, ...BUYER, 'accept-encoding': 'identity' } });
      await assert.rejects(() => broken.text());
      const again = await waitFor(async () => {
        const answer = await send(url, { ...headers, ...BUYER });
        return answer.status === 503 ? undefined : answer;
      }, { timeout: 60_000, every: 200, what: 'the lease to end' });
      assertPaid(again);
      assertRefused(await send(url, { ...headers, ...BUYER }), 'duplicate_settlement');
    });

    test('who hangs up in the middle gets it again', async () => {
      const url = `${site}/strict/${chain}-hangs-up`;
      const headers = await payment(world, url, { network });
      origin.rule = (response) => {
        response.write('x'.repeat(100_000));
        // It never ends by itself.
        setTimeout(() => response.destroy(), 30_000).unref();
      };
      const controller = new AbortController();
      const answer = await fetch(url, { headers: { ...headers, ...BUYER }, signal: controller.signal });
      assert.equal(answer.status, 200);
      controller.abort();
      const again = await waitFor(async () => {
        const it = await send(url, { ...headers, ...BUYER });
        return it.status === 503 ? undefined : it;
      }, { timeout: 90_000, every: 200, what: 'the lease to end' });
      assertPaid(again);
    });

    test('sends a form again: the same purchase; with another value it is another one', async () => {
      const url = `${site}/once/${chain}-form`;
      const headers = await payment(world, url, { network });
      const form = (value) => {
        const body = new FormData();
        body.set('q', value);
        return { method: 'POST', body };
      };
      const receipt = assertPaid(await send(url, { ...headers, ...BUYER }, form('cats')));
      await unchanged(world, async () => {
        assert.deepEqual(assertPaid(await send(url, { ...headers, ...BUYER }, form('cats'))), receipt);
        assertRefused(await send(url, { ...headers, ...BUYER }, form('dogs')), 'duplicate_settlement');
      });
    });

    test('with the reference client buys', async () => {
      const fetchPaid = x402Fetch({ ...world.buyer(1), network });
      assertPaid(await takeApart(await fetchPaid(`${site}/hour/${chain}-reference`)));
    });
  });
}

test('a large body that the origin failed on after the settlement is taken again', async () => {
  const url = `${site}/before/large`;
  const headers = await payment(world, url);
  const post = () => send(url, { ...headers, ...BUYER }, { method: 'POST', body: 'x'.repeat(100_000) });
  origin.rule = (response) => response.writeHead(503).end();
  assert.equal((await post()).status, 503);
  assertPaid(await post());
  // What can't be told from another order is not delivered again.
  assertRefused(await unchanged(world, post), 'duplicate_settlement');
});

test('an answer of known length keeps its Content-Length', async () => {
  const url = `${site}/once/length`;
  // The edge compresses for a client that takes it.
  const answer = await send(url, { ...(await payment(world, url)), ...BUYER, 'accept-encoding': 'identity' });
  assertPaid(answer);
  assert.equal(Number(answer.headers.get('content-length')), answer.bytes.length);
});
