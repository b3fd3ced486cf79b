/** A network that is moved from keys to a facilitator and back, with buyers who come again. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { startScriptedFacilitator } from '../../dev/servers/scripted-facilitator.mjs';
import { devPath, freePort, waitFor } from '../../dev/util.mjs';
import { startWorld } from '../../dev/world.mjs';
import { assertPaid, assertRefused, EVM_NETWORK, PAGE, payment, send } from './support.mjs';

let world;
let facilitator;
let options;
let worker;
before(async () => {
  world = await startWorld({ engine: 'wrangler', worker: false });
  const { solana } = world.accounts;
  facilitator = await startScriptedFacilitator({ feePayer: solana.feePayers[0].address, payer: solana.buyers[0].address });
  options = { name: `moves-${process.pid}`, port: await freePort(), persist: true };
});
after(async () => {
  await world?.stop();
  await facilitator?.stop();
  if (options) rmSync(devPath(options.name), { recursive: true, force: true });
});

/** A Worker whose network is settled so. */
const start = async (network, vars = {}) => {
  await worker?.kill();
  const NETWORKS = { [EVM_NETWORK]: { rpc: [world.evm.url], pay_to: world.accounts.evm.seller.address, ...network } };
  worker = await world.startWorker({ ...options, vars: { NETWORKS, ...vars } });
  return worker.url + PAGE;
};

/** Another page of the same price. */
const other = (page) => `${page}?other`;

const settlements = () => facilitator.requests.filter(({ path }) => path === '/settle').length;

/** What a buyer has bought, who comes again: the lease of a lost answer may still run. */
const collect = async (page, headers) => assertPaid(await waitFor(async () => {
  const answer = await send(page, headers);
  return answer.status !== 503 && answer;
}, { timeout: 90_000, every: 500, what: 'the page' })).transaction;

test('what was bought before a move is had after it', async () => {
  const page = await start({});
  const byKeys = await payment(world, page);
  const { transaction } = assertPaid(await send(page, byKeys));

  const FORMER_SIGNERS = [world.accounts.evm.relayers[0].address];
  await start({ facilitator: facilitator.url }, { FORMER_SIGNERS });
  assert.equal(await collect(page, byKeys), transaction);
  assertRefused(await send(other(page), byKeys), 'duplicate_settlement');
  assert.equal(settlements(), 0, 'the facilitator hears nothing of it');
  const byFacilitator = await payment(world, page);
  const settled = assertPaid(await send(page, byFacilitator)).transaction;
  assert.equal(settlements(), 1);
  // The facilitator settles another one, and nobody hears it say so.
  facilitator.script['/settle'] = async (asked, usual) => {
    await usual();
    return { drop: true };
  };
  const unclear = await payment(world, page);
  assert.equal((await send(page, unclear)).status, 503);

  const before = await world.evm.usdcBalance(world.accounts.evm.seller.address);
  await start({ former_facilitator: facilitator.url });
  assert.equal(await collect(page, byFacilitator), settled);
  assertRefused(await send(other(page), byFacilitator), 'duplicate_settlement');
  facilitator.script = {};
  await collect(page, unclear);
  assert.equal(await world.evm.usdcBalance(world.accounts.evm.seller.address), before, 'nothing is charged a second time');
  const now = settlements();
  assertPaid(await send(page, await payment(world, page)));
  assert.equal(settlements(), now, 'what is new is the keys’');
  assert.doesNotMatch(worker.log(), /Uncaught|panicked/);
});
