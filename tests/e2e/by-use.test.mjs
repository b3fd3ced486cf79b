/** What is sold by use: unmodified `@x402/fetch` pays by what the origin says, and by what is counted on its way. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { x402Client } from '@x402/core/client';
import { UptoEvmScheme } from '@x402/evm/upto/client';
import { wrapFetchWithPayment } from '@x402/fetch';
import { placePermit2, TOKEN_ADDRESS, UPTO_PROXY_ADDRESS } from '../../dev/evm/permit2.mjs';
import { startWorld } from '../../dev/world.mjs';
import { startSite } from './site.mjs';
import { decode, deferred, EVM_NETWORK, send, takeApart } from './support.mjs';

const FUNDS = 10_000_000n;
/** Who has let Permit2 move the token, and those who have not. */
const ALLOWED = 6;
const BUYERS = 8;
const MOST = 250_000n;
const DEADLINE_MS = 60_000;
/** A meter ends an answer 45 seconds before the buyer's signature ends. */
const MAX_TIMEOUT_SECONDS = 76;

let world;
let token;
let seller;
let site;

before(async () => {
  site = await startSite();
  world = await startWorld({ worker: false, buyers: BUYERS });
  token = await placePermit2(world.evm);
  seller = world.accounts.evm.seller.address;
  for (const buyer of world.accounts.evm.buyers) await token.mint(buyer.address, FUNDS);
  for (const buyer of world.accounts.evm.buyers.slice(0, ALLOWED)) await token.approve(buyer);
  const sold = { price: '$0.25', scheme: 'upto' };
  const worker = await world.startWorker({
    vars: {
      ORIGIN: site.url,
      NETWORKS: {
        [EVM_NETWORK]: {
          rpc: [world.evm.url], pay_to: seller, max_timeout_seconds: MAX_TIMEOUT_SECONDS,
          asset: TOKEN_ADDRESS, name: 'Test Dollar', version: '1', decimals: 6, asset_transfer_method: 'permit2', eip2612: true,
        },
      },
      ROUTES: [
        { ...sold, pattern: '/told' },
        { ...sold, pattern: '/model', meter: { json: 'usage.total_tokens', per: 1000, price: '$0.002' } },
        { ...sold, pattern: '/model/most', meter: { json: 'usage.total_tokens', price: '$0.002' }, without_amount: 'most' },
        { ...sold, pattern: '/bytes', meter: { bytes: 1000, price: '$0.001' } },
      ],
    },
  });
  world.url = worker.url;
});
after(async () => {
  await world?.stop();
  await site?.stop();
});

/** `@x402/fetch` as its documentation sets it up; `shown` collects the payments that it sends. With a node it signs permits, too. */
function clientOf(account, shown = [], options = undefined) {
  const client = new x402Client().register('eip155:*', new UptoEvmScheme(account, options)).setSpendControls(false);
  const seen = (input, init) => {
    const payment = new Request(input, init).headers.get('payment-signature');
    if (payment) shown.push(payment);
    return fetch(input, init);
  };
  return wrapFetchWithPayment(seen, client);
}

const balances = (account) => Promise.all([account.address, seller].map(token.balance));

/** Waits until what a buyer has is this much. */
async function has(account, amount) {
  const end = Date.now() + DEADLINE_MS;
  for (;;) {
    const balance = await token.balance(account.address);
    if (balance === amount) return;
    assert.ok(Date.now() < end, `${balance}, and not ${amount}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

const event = (value) => `data: ${JSON.stringify(value)}\n\n`;

describe('where the origin tells', () => {
  test('the offer says upto, Permit2, and who settles', async () => {
    const { challenge, json } = await send(`${world.url}/told`);
    const [offer] = challenge.accepts;
    assert.equal(offer.scheme, 'upto');
    assert.equal(offer.amount, String(MOST));
    assert.equal(offer.extra.assetTransferMethod, 'permit2');
    assert.equal(offer.extra.facilitatorAddress, world.accounts.evm.relayers[0].address);
    assert.deepEqual(json.accepts, [], 'v1 knows nothing of it');
  });

  test('it pays what was used, and the answer says so', async () => {
    const [buyer] = world.accounts.evm.buyers;
    const pay = clientOf(buyer);
    for (const [amount, charged] of [['12345', 12_345n], ['50%', 125_000n], ['$0.0123', 12_300n], ['300000', MOST]]) {
      site.on('/told', (_, response) => response.writeHead(200, { 'settlement-overrides': JSON.stringify({ amount }) }).end('the goods'));
      const [had, earned] = await balances(buyer);
      const answer = await takeApart(await pay(`${world.url}/told`));
      assert.equal(answer.status, 200, answer.text);
      assert.equal(answer.text, 'the goods');
      assert.equal(answer.receipt.success, true);
      assert.equal(answer.receipt.amount, String(charged));
      assert.match(answer.receipt.transaction, /^0x[0-9a-f]{64}$/);
      assert.equal(answer.headers.get('settlement-overrides'), null);
      assert.deepEqual(await balances(buyer), [had - charged, earned + charged], amount);
    }
  });

  test('nothing used, or nothing told, makes no transaction', async () => {
    const [buyer] = world.accounts.evm.buyers;
    const relayer = { address: world.accounts.evm.relayers[0].address };
    const sent = await world.evm.client.getTransactionCount(relayer);
    for (const headers of [{ 'settlement-overrides': '{"amount":"0"}' }, {}, { 'settlement-overrides': '{"amount":"-5"}' }]) {
      site.on('/told', (_, response) => response.writeHead(200, headers).end('the goods'));
      const [had, earned] = await balances(buyer);
      const { status, text, receipt } = await takeApart(await clientOf(buyer)(`${world.url}/told`));
      assert.deepEqual([status, text], [200, 'the goods']);
      assert.deepEqual([receipt.success, receipt.transaction, receipt.amount], [true, '', '0']);
      assert.deepEqual(await balances(buyer), [had, earned]);
    }
    assert.equal(await world.evm.client.getTransactionCount(relayer), sent);
  });
});

/** A buyer who signs the token's permit with each payment, and has sent nothing. */
function sponsored(index) {
  const buyer = world.accounts.evm.buyers[index];
  return { buyer, pay: clientOf(buyer, [], { rpcUrl: world.evm.url }) };
}

/** Asserts that the buyer's allowance came with the payment: in one transaction of the relayer's. */
async function assertSponsored(transaction, buyer, left) {
  const { from, to, input } = await world.evm.client.getTransaction({ hash: transaction });
  assert.equal(from, world.accounts.evm.relayers[0].address.toLowerCase());
  assert.deepEqual([to, input.slice(0, 10)], [UPTO_PROXY_ADDRESS.toLowerCase(), '0x016c1748'], 'settleWithPermit');
  assert.equal(await token.allowance(buyer.address), left, 'what was allowed and not used');
  assert.equal(await world.evm.client.getTransactionCount({ address: buyer.address }), 0);
}

describe('with a permit of the token', () => {
  test('without one, and without an allowance, it is 412', async () => {
    const { buyer } = sponsored(6);
    site.on('/told', (_, response) => response.writeHead(200, { 'settlement-overrides': '{"amount":"50%"}' }).end('the goods'));
    for (const path of ['/told', '/bytes']) {
      const answer = await takeApart(await clientOf(buyer)(world.url + path));
      assert.deepEqual([answer.status, answer.challenge.error], [412, 'permit2_allowance_required'], path);
    }
  });

  test('what the origin tells is paid, each time with a permit of its own', async () => {
    const { buyer, pay } = sponsored(6);
    for (const charged of [12_345n, MOST]) {
      site.on('/told', (_, response) => response.writeHead(200, { 'settlement-overrides': JSON.stringify({ amount: String(charged) }) }).end('the goods'));
      const [had, earned] = await balances(buyer);
      const answer = await takeApart(await pay(`${world.url}/told`));
      assert.deepEqual([answer.status, answer.text], [200, 'the goods']);
      assert.equal(answer.receipt.amount, String(charged));
      assert.deepEqual(await balances(buyer), [had - charged, earned + charged]);
      await assertSponsored(answer.receipt.transaction, buyer, MOST - charged);
    }
  });

  test('what a meter counts is paid when it has gone out', async () => {
    const { buyer } = sponsored(7);
    const shown = [];
    const pay = clientOf(buyer, shown, { rpcUrl: world.evm.url });
    site.on('/bytes', (_, response) => response.writeHead(200).end(Buffer.alloc(4_321)));
    const [had] = await balances(buyer);
    const answer = await pay(`${world.url}/bytes`);
    assert.equal((await answer.arrayBuffer()).byteLength, 4_321);
    await has(buyer, had - 4_321n);
    const { receipt } = await send(`${world.url}/bytes`, { 'payment-signature': shown[0] });
    assert.equal(receipt.amount, '4321');
    await assertSponsored(receipt.transaction, buyer, MOST - 4_321n);
  });
});

describe('where a meter counts', () => {
  test('an answer that is no JSON is charged nothing, or the most where the seller says so', async () => {
    const [buyer] = world.accounts.evm.buyers;
    for (const [path, charged] of [['/model', 0n], ['/model/most', MOST]]) {
      const shown = [];
      site.on(path, (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>{"usage":{"total_tokens":10}}'));
      const [had] = await balances(buyer);
      const answer = await clientOf(buyer, shown)(world.url + path);
      assert.match(await answer.text(), /^<p>/);
      let again;
      do again = await send(world.url + path, { 'payment-signature': shown[0] });
      while (again.status === 503);
      assert.deepEqual([again.status, again.receipt.errorReason], [402, 'duplicate_settlement']);
      assert.equal(again.receipt.transaction === '', charged === 0n);
      await has(buyer, had - charged);
    }
  });

  test('a model streams: the first event comes at once, and the tokens are charged', async () => {
    const buyer = world.accounts.evm.buyers[1];
    const first = deferred();
    let asked;
    site.on('/model', async (request, response) => {
      asked = request.headers;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(event({ choices: [{ delta: { content: 'Hel' } }], usage: null }));
      // Nothing more before the buyer has that.
      await first.promise;
      response.write(event({ choices: [{ delta: { content: 'lo' } }], usage: null }));
      response.write(event({ choices: [], usage: { prompt_tokens: 9, total_tokens: 4_321 } }));
      response.end('data: [DONE]\n\n');
    });
    const [had] = await balances(buyer);
    const shown = [];
    const answer = await clientOf(buyer, shown)(`${world.url}/model`);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('payment-response'), null, 'nobody knows yet what it comes to');
    assert.equal(answer.headers.get('cache-control'), 'private, no-store');
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    const { value } = await reader.read();
    assert.match(value, /Hel/);
    assert.equal(await token.balance(buyer.address), had, 'nothing is paid yet');
    first.resolve();
    let text = value;
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) text += piece.value;
    assert.match(text, /"lo"[^]*\[DONE\]/);
    assert.equal(asked['accept-encoding'], 'identity');
    // Two atomic units for each token.
    await has(buyer, had - 8_642n);

    // The same payment tells what was paid, and buys nothing more.
    const again = await send(`${world.url}/model`, { 'payment-signature': shown[0] });
    assert.equal(again.status, 402);
    assert.equal(again.receipt.errorReason, 'duplicate_settlement');
    assert.match(again.receipt.transaction, /^0x[0-9a-f]{64}$/);
    assert.equal(again.receipt.amount, '8642');
    assert.equal(await token.balance(buyer.address), had - 8_642n);
  });

  test('an answer in one piece of JSON is charged by its number', async () => {
    const buyer = world.accounts.evm.buyers[2];
    const [had] = await balances(buyer);
    site.on('/model', (_, response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"text":"x","usage":{"total_tokens":10}}'));
    const answer = await takeApart(await clientOf(buyer)(`${world.url}/model`));
    assert.equal(answer.json.usage.total_tokens, 10);
    await has(buyer, had - 20n);
  });

  // Locally nobody tells the Worker that a client is gone, so what ends it is the time that the payment has.
  test('what the buyer has taken is charged when it has left', async () => {
    const buyer = world.accounts.evm.buyers[3];
    const left = deferred();
    site.on('/bytes', (_, response) => {
      response.writeHead(200, { 'content-type': 'application/octet-stream' });
      response.write(Buffer.alloc(12_345));
      response.on('close', left.resolve);
    });
    const [had] = await balances(buyer);
    const answer = await clientOf(buyer)(`${world.url}/bytes`);
    const reader = answer.body.getReader();
    let size = 0;
    while (size < 12_345) size += (await reader.read()).value.length;
    assert.equal(await token.balance(buyer.address), had);
    await reader.cancel();
    await has(buyer, had - 12_345n);
    await left.promise;
  });

  test('what the origin breaks off is charged as far as it came', async () => {
    const buyer = world.accounts.evm.buyers[4];
    const got = deferred();
    site.on('/bytes', async (_, response) => {
      response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': 4_000 });
      response.write(Buffer.alloc(2_000));
      await got.promise;
      response.destroy();
    });
    const [had] = await balances(buyer);
    const answer = await clientOf(buyer)(`${world.url}/bytes`);
    const reader = answer.body.getReader();
    let size = 0;
    while (size < 2_000) size += (await reader.read()).value.length;
    got.resolve();
    await assert.rejects(async () => {
      while (!(await reader.read()).done);
    });
    await has(buyer, had - 2_000n);
  });

  test('who empties the account owes, and is refused until it is paid', async () => {
    const buyer = world.accounts.evm.buyers[5];
    const emptied = deferred();
    site.on('/bytes', async (_, response) => {
      response.writeHead(200, { 'content-type': 'application/octet-stream' });
      response.write(Buffer.alloc(1_000));
      await emptied.promise;
      response.end(Buffer.alloc(1_000));
    });
    const pay = clientOf(buyer);
    const answer = await pay(`${world.url}/bytes`);
    const away = world.accounts.evm.buyers[0].address;
    await token.send(buyer, away, FUNDS);
    emptied.resolve();
    assert.equal((await answer.arrayBuffer()).byteLength, 2_000);

    await token.mint(buyer.address, 1_000n);
    // The debt is tried first, and can't be paid.
    const end = Date.now() + DEADLINE_MS;
    let refused;
    do {
      refused = await takeApart(await pay(`${world.url}/bytes`));
      assert.ok(Date.now() < end, refused.text);
    } while (refused.status === 503);
    assert.equal(refused.status, 402);
    assert.equal(refused.receipt.errorReason, 'upto_debt_unpaid');
    assert.equal(await token.balance(buyer.address), 1_000n);

    await token.mint(buyer.address, FUNDS);
    site.on('/bytes', (_, response) => response.writeHead(200).end(Buffer.alloc(500)));
    const paid = await pay(`${world.url}/bytes`);
    assert.equal(paid.status, 200);
    await paid.arrayBuffer();
    await has(buyer, FUNDS + 1_000n - 2_000n - 500n);
  });
});
