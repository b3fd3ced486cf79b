/** A key that is replaced, or a configuration that breaks, while a payment is on its way. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { devPath, freePort, waitFor } from '../../dev/util.mjs';
import { EVM_NETWORK, startWorld } from '../../dev/world.mjs';
import { PAGE, payment, send } from './support.mjs';

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
  await logged('1 transaction(s) are looked after again later: the configuration has faults');
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
