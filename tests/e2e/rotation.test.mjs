/** A key that is replaced, or a configuration that breaks, while a payment is on its way. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { solanaFeePayers } from '../../dev/accounts.mjs';
import { fundSol } from '../../dev/solana/setup.mjs';
import { devPath, freePort, listen, waitFor } from '../../dev/util.mjs';
import { EVM_NETWORK, SOLANA_NETWORK, startWorld } from '../../dev/world.mjs';
import { ask, assertSettled, assertUnsettled, assertValid, order, PATH, tokenHashes } from './facilitator-support.mjs';
import { assertPaid, ledger, PAGE, PAGE_PRICE, payment, send, transfersIn } from './support.mjs';

/** More than an alarm's 30 seconds. */
const ALARM = { timeout: 90_000, every: 250 };

let world;
let options;
let worker;
before(async () => {
  world = await startWorld({ engine: 'wrangler', worker: false, evm: { blockTime: 'manual' } });
  options = { name: `rotation-${process.pid}`, port: await freePort(), persist: true };
  worker = await world.startWorker(options);
});
after(async () => {
  await world?.stop();
  if (options) rmSync(devPath(options.name), { recursive: true, force: true });
});

/** Transactions that wait in anvil's pool. */
const pooled = () => world.evm.client.getTxpoolContent().then(({ pending }) => Object.keys(pending).length);

const restart = async (changes) => {
  await worker.kill();
  worker = await world.startWorker({ ...options, ...changes });
};

const logged = (text) => waitFor(() => worker.log().includes(text), { ...ALARM, what: `"${text}" in the log` });

test('what a key has sent comes to its end after faults and without the key', async () => {
  const url = `${worker.url}${PAGE}`;
  const headers = await payment(world, url);
  const lost = send(url, headers).catch(() => 'lost');
  await waitFor(pooled, { what: 'the transaction in the pool' });

  // A faulty configuration: one line, and no stack.
  const broken = { vars: { NETWORKS: { [EVM_NETWORK]: { pay_to: 'nobody' } } } };
  await restart(broken);
  await lost;
  await logged('1 transaction(s) and 0 debt(s) are looked after again later: the configuration has faults');
  assert.doesNotMatch(worker.log(), /\n\s+at |Uncaught|panicked/);

  // Another key: the old one's Settler follows what was sent, and the node has lost it.
  await world.evm.client.request({ method: 'anvil_dropAllTransactions' });
  const privateKey = generatePrivateKey();
  await world.evm.fund(privateKeyToAccount(privateKey).address);
  await restart({ secrets: { EVM_RELAYER_KEYS: privateKey } });
  const [{ address: old }] = world.accounts.evm.relayers;
  await logged(`EVM_RELAYER_KEYS holds no key for ${EVM_NETWORK}/${old} any more: 1 of its transactions`);
  await waitFor(pooled, { ...ALARM, what: 'the same bytes in the pool again' });
  const before = await world.evm.usdcBalance(world.accounts.evm.seller.address);
  await world.evm.client.mine({ blocks: 1 });
  assert.equal(await world.evm.usdcBalance(world.accounts.evm.seller.address), before + 10_000n);
  assert.doesNotMatch(worker.log(), /\n\s+at |Uncaught|panicked/);
});

/** A site that counts what it is asked for its goods, and doesn't answer while it `holds` them. */
async function startOrigin() {
  const it = { asked: 0, holds: false };
  const server = createServer((request, response) => {
    if (request.url !== '/goods') return response.end();
    it.asked += 1;
    return it.holds ? undefined : response.end('the goods');
  });
  it.url = `http://127.0.0.1:${await listen(server)}`;
  it.stop = async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  };
  return it;
}

/** New keys, with coin. */
async function newKeys() {
  const privateKey = generatePrivateKey();
  const { address } = privateKeyToAccount(privateKey);
  await world.evm.fund(address);
  const feePayer = (await solanaFeePayers(2))[1];
  fundSol(world.solana, feePayer.address);
  return { address, secrets: { EVM_RELAYER_KEYS: privateKey, SOLANA_FEE_PAYER_KEYS: feePayer.secretBase58 } };
}

test('whoever has paid before the keys were replaced is served by those who know it', async (context) => {
  const origin = await startOrigin();
  context.after(origin.stop);
  const token = 'token-of-acme';
  const tokens = { FACILITATOR_TOKENS: tokenHashes(['acme', token]) };
  const vars = {
    ORIGIN: origin.url,
    ROUTES: [{ pattern: '/goods', price: '$0.01', settle: 'before' }],
    FACILITATOR: { path: PATH, clients: [{ name: 'acme', pay_to: [world.accounts.evm.seller.address] }] },
  };
  await restart({ vars, secrets: tokens });
  const url = `${worker.url}/goods`;
  const start = await ledger(world);
  const mined = async (done) => {
    await world.evm.client.mine({ blocks: 1 });
    return done();
  };

  // Two have paid, and their answers die with the Worker. A server's order is on its way then.
  const buyers = { evm: await payment(world, url, { buyer: 1 }), solana: await payment(world, url, { network: SOLANA_NETWORK }) };
  const body = await order(world);
  origin.holds = true;
  const lost = Object.values(buyers).map((headers) => send(url, headers).catch(() => 'lost'));
  await waitFor(() => mined(() => origin.asked === 2), { what: 'the origin to be asked for both' });
  lost.push(ask(worker.url, '/settle', body, { token }).catch(() => 'lost'));
  await waitFor(pooled, { what: 'the transaction of the order in the pool' });

  const keys = await newKeys();
  const secrets = { ...tokens, ...keys.secrets };
  await restart({ vars, secrets });
  assert.deepEqual(await Promise.all(lost), ['lost', 'lost', 'lost']);
  origin.holds = false;
  for (const headers of Object.values(buyers)) assert.equal((await send(url, headers)).status, 402, 'nobody is asked who knows it');

  const FORMER_SIGNERS = [world.accounts.evm.relayers[0].address, world.accounts.solana.feePayers[0].address];
  await restart({ vars: { ...vars, FORMER_SIGNERS }, secrets });
  await waitFor(() => mined(() => pooled().then((count) => count === 0)), { ...ALARM, what: 'the order’s transaction in a block' });
  const paid = await ledger(world);
  assert.equal(paid.evmSeller - start.evmSeller, 2n * PAGE_PRICE);
  assert.equal(paid.solanaSeller - start.solanaSeller, PAGE_PRICE);
  for (const [chain, headers] of Object.entries(buyers)) {
    const asked = origin.asked;
    // The lease of the lost answer may still run.
    const served = await waitFor(async () => {
      const answer = await send(url, headers);
      return answer.status !== 503 && answer;
    }, { ...ALARM, what: `an answer on ${chain}` });
    const receipt = assertPaid(served);
    assert.equal(served.text, 'the goods');
    assert.equal(origin.asked, asked + 1, 'the origin was asked for it');
    const [transfer] = await transfersIn(world, receipt);
    assert.equal(transfer.value, PAGE_PRICE);
  }
  assertValid(await ask(worker.url, '/verify', body, { token }), world.accounts.evm.buyers[0].address);
  const { transaction } = assertSettled(await ask(worker.url, '/settle', body, { token }));
  assertUnsettled(await ask(worker.url, '/settle', body, { token }), 'duplicate_settlement', transaction);
  assert.deepEqual(await ledger(world), paid, 'nothing was charged twice, and nothing sent');

  // What is new is the new key's.
  const fresh = send(url, await payment(world, url, { buyer: 1 }));
  await waitFor(pooled, { what: 'the transaction in the pool' });
  await world.evm.client.mine({ blocks: 1 });
  const { transaction: hash } = assertPaid(await fresh);
  const { from } = await world.evm.client.getTransaction({ hash });
  assert.equal(from.toLowerCase(), keys.address.toLowerCase());
});
