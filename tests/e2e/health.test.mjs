/** `/.edge402/health`: how the relayers are doing, for everyone to see and with nothing to hide. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { waitFor } from '../../dev/util.mjs';
import { EVM_NETWORK, GRANT_SECRET, SOLANA_NETWORK, startWorld } from '../../dev/world.mjs';
import { assertPaid, PAGE, payment, send, unchanged } from './support.mjs';

const HEALTH = '/.edge402/health';
const CHAINS = { evm: EVM_NETWORK, solana: SOLANA_NETWORK };

let world;
before(async () => {
  world = await startWorld();
});
after(() => world?.stop());

async function healthOf(url, init) {
  const answer = await send(`${url}${HEALTH}`, {}, init);
  assert.match(answer.headers.get('content-type'), /^application\/json/);
  assert.equal(answer.headers.get('cache-control'), 'no-store');
  return answer;
}

/** What is said of the key that settles on a network. */
const settlerOn = ({ json }, network) => json.settlers.find(({ settler }) => settler.startsWith(`${network}/`));

/** What a key that settles has on chain, in wei or lamports, and what it is called. */
async function keyOn(chain) {
  if (chain === 'evm') {
    const [{ address }] = world.accounts.evm.relayers;
    return { address, balance: await world.evm.client.getBalance({ address }) };
  }
  const [{ address }] = world.accounts.solana.feePayers;
  return { address, balance: world.solana.svm.getBalance(address) };
}

/** Waits for a text in a Worker's log, which comes a little later than its answers. */
const logged = (worker, text) => waitFor(() => worker.log().includes(text), { what: `"${text}" in the log` });

/** The networks of the world, with more in their configuration. */
function networks(changes) {
  const { evm: { seller }, solana: { seller: solanaSeller } } = world.accounts;
  return { [EVM_NETWORK]: { pay_to: seller.address, ...changes }, [SOLANA_NETWORK]: { pay_to: solanaSeller.address, ...changes } };
}

test('says 200 and names one Settler for each key and network, before anything was sold', async () => {
  const answer = await unchanged(world, () => healthOf(world.url));
  assert.equal(answer.status, 200);
  assert.deepEqual(Object.keys(answer.json).sort(), ['problems', 'selling', 'settlers']);
  assert.deepEqual(answer.json.problems, []);
  assert.equal(answer.json.selling, true);
  assert.equal(answer.json.settlers.length, 2);
  for (const [chain, network] of Object.entries(CHAINS)) {
    const { settler, health } = settlerOn(answer, network);
    assert.equal(settler, `${network}/${(await keyOn(chain)).address}`);
    assert.deepEqual(Object.keys(health).sort(), ['balance', 'in_air', 'low_balance', 'problems', 'spent_today', 'waiting']);
    assert.deepEqual(health, { balance: health.balance, in_air: 0, low_balance: false, problems: [], spent_today: '0', waiting: 0 });
  }
});

for (const [chain, network] of Object.entries(CHAINS)) {
  test(`knows the balance on ${chain} and what was spent of it`, async () => {
    const { balance: start } = await keyOn(chain);
    for (const path of [PAGE, `${PAGE}?two`]) assertPaid(await send(`${world.url}${path}`, await payment(world, `${world.url}${path}`, { network })));
    const { balance: end } = await keyOn(chain);
    const { health } = settlerOn(await healthOf(world.url), network);
    assert.equal(health.spent_today, String(start - end), 'spent as on chain');
    assert.ok(start > end);
    assert.deepEqual([health.waiting, health.in_air, health.low_balance], [0, 0, false]);
    // Looked at on the way to a transaction, so perhaps the one before the last.
    assert.ok(BigInt(health.balance) <= start && BigInt(health.balance) >= end, health.balance);
  });

  test(`knows the balance on ${chain} to the last unit once a payment has landed`, async () => {
    const url = `${world.url}${PAGE}?last`;
    assertPaid(await send(url, await payment(world, url, { network })));
    const { health } = settlerOn(await healthOf(world.url), network);
    assert.equal(health.balance, String((await keyOn(chain)).balance));
  });
}

test('knows the balances before anything was sold', async () => {
  const answer = await healthOf((await world.startWorker()).url);
  for (const [chain, network] of Object.entries(CHAINS)) {
    assert.equal(settlerOn(answer, network).health.balance, String((await keyOn(chain)).balance));
  }
});

test('holds no secrets', async () => {
  const { text, headers } = await healthOf(world.url);
  const everything = `${text} ${JSON.stringify([...headers])}`.toLowerCase();
  const { evm, solana } = world.accounts;
  const secrets = [
    GRANT_SECRET, world.evm.url, world.solana.url, '127.0.0.1',
    ...evm.relayers.map(({ privateKey }) => privateKey.slice(2)), ...solana.feePayers.map(({ secretBase58 }) => secretBase58),
  ];
  for (const secret of secrets) assert.ok(!everything.includes(secret.toLowerCase()), secret.slice(0, 12));
});

test('is answered to HEAD without a body, and never by the origin', async () => {
  const { status, bytes } = await healthOf(world.url, { method: 'HEAD' });
  assert.deepEqual([status, bytes.length], [200, 0]);
  const route = await world.startWorker({ vars: { ROUTES: [{ pattern: '/*', price: '$0.01' }] } });
  assert.equal((await healthOf(route.url)).status, 200, 'and is not sold');
});

test('reports a balance below low_balance, here and in the log', async () => {
  const worker = await world.startWorker({ vars: { NETWORKS: networks({ low_balance: '1000000' }) } });
  for (const network of Object.values(CHAINS)) {
    assertPaid(await send(`${worker.url}${PAGE}`, await payment(world, `${worker.url}${PAGE}`, { network })));
    const answer = await healthOf(worker.url);
    assert.equal(answer.status, 200, 'things can still be sold');
    assert.equal(settlerOn(answer, network).health.low_balance, true);
  }
  for (const network of Object.values(CHAINS)) await logged(worker, `NETWORKS."${network}".low_balance: `);
});

test('says 503 where a fault in the configuration forbids selling, and not which', async () => {
  const worker = await world.startWorker({ vars: { NETWORKS: networks({ surprise: 'hidden' }) } });
  const answer = await healthOf(worker.url);
  assert.equal(answer.status, 503);
  const problems = ['the configuration has 2 fault(s); the log names them'];
  assert.deepEqual(answer.json, { selling: false, problems, settlers: [] });
  await logged(worker, 'surprise');
});
