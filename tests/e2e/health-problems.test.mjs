/** `/.edge402/health` when something can't be sold: 503 and why, in words that a seller can act on. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { solanaAccount } from '../../dev/accounts.mjs';
import { startRpcProxy } from '../../dev/rpc-proxy.mjs';
import { startScriptedFacilitator } from '../../dev/servers/scripted-facilitator.mjs';
import { freePort, listen, waitFor } from '../../dev/util.mjs';
import { EVM_NETWORK, SOLANA_NETWORK, startWorld } from '../../dev/world.mjs';
import { PAGE, send } from './support.mjs';

let world;
let proxy;
before(async () => {
  world = await startWorld({ worker: false });
  proxy = await startRpcProxy(world.evm.url);
});
after(async () => {
  await world?.stop();
  await proxy?.stop();
});

const healthOf = ({ url }) => send(`${url}/.edge402/health`);
const logged = (worker, text) => waitFor(() => worker.log().includes(text), { what: `"${text}" in the log` });

/** A Worker whose nodes are these. */
const withNodes = (evm, changes) =>
  world.startWorker({ ...changes, secrets: { ...changes?.secrets, RPC_URLS: JSON.stringify({ [EVM_NETWORK]: evm, [SOLANA_NETWORK]: [world.solana.url] }) } });

/** Asserts 503 with one problem, which these words describe. */
function assertProblem(answer, words) {
  assert.equal(answer.status, 503, answer.text);
  assert.equal(answer.json.selling, false);
  assert.equal(answer.json.problems.length, 1, answer.text);
  assert.match(answer.json.problems[0], words);
}

/** A node that answers every call with the same result, or with a status. */
async function startNode({ result, status = 200 }) {
  const node = { requests: 0 };
  const server = createServer(async (request, response) => {
    node.requests += 1;
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const calls = [JSON.parse(Buffer.concat(chunks))].flat();
    const replies = calls.map(({ id }) => ({ jsonrpc: '2.0', id, result }));
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(replies));
  });
  node.url = `http://127.0.0.1:${await listen(server)}`;
  node.stop = () => {
    server.closeAllConnections();
    server.close();
  };
  return node;
}

test('a relayer without coin: its address, chain, what it has and what to send', async () => {
  const privateKey = generatePrivateKey();
  const { address } = privateKeyToAccount(privateKey);
  const worker = await world.startWorker({ secrets: { EVM_RELAYER_KEYS: privateKey.slice(2) } });
  const words = `NETWORKS."${EVM_NETWORK}": relayer ${address} has 0 ETH on Base Sepolia (${EVM_NETWORK}), and one payment needs `;
  assertProblem(await healthOf(worker), /needs [\d.]+ ETH; send at least [\d.]+ ETH$/);
  assert.ok((await healthOf(worker)).json.problems[0].startsWith(words));
  await logged(worker, words);
  await world.evm.fund(address);
  await waitFor(async () => (await healthOf(worker)).status === 200, { every: 500, what: 'the balance to be looked at again' });
});

test('a fee payer below what the cluster wants it to keep', async () => {
  const { secretKey, address } = await solanaAccount(`poor ${randomBytes(4).toString('hex')}`);
  // As solana-keygen writes it.
  const worker = await world.startWorker({ secrets: { SOLANA_FEE_PAYER_KEYS: JSON.stringify([...secretKey]) } });
  assertProblem(await healthOf(worker), new RegExp(`fee payer ${address} has 0 SOL on Solana Devnet .* needs 0\\.0009008 SOL; send at least 0\\.0109 SOL`));
});

describe('nodes', () => {
  test('that can’t be reached', async () => {
    const dead = `http://127.0.0.1:${await freePort()}/secret-key`;
    const worker = await withNodes([dead, `${dead}2`]);
    const answer = await healthOf(worker);
    assertProblem(answer, new RegExp(`^NETWORKS\\."${EVM_NETWORK}"\\.rpc: of 2 nodes none can be used: 2 can't be reached`));
    assert.ok(!answer.text.includes('127.0.0.1') && !answer.text.includes('secret-key'), 'no host, no key');
    await logged(worker, `NETWORKS."${EVM_NETWORK}".rpc: `);
    assert.ok(!worker.log().includes('secret-key'));
  });

  test('of another chain', async () => {
    const node = await startNode({ result: '0x1' });
    try {
      assertProblem(await healthOf(await withNodes([node.url])), /\.rpc: of 1 nodes none can be used: 1 of another chain \(1\)$/);
    } finally {
      node.stop();
    }
  });

  test('are asked once for all who ask at about the same time, also when they fail', async () => {
    const node = await startNode({ status: 500 });
    try {
      const worker = await withNodes([node.url]);
      const answers = await Promise.all(Array.from({ length: 40 }, () => healthOf(worker)));
      for (const answer of answers) assertProblem(answer, /1 can't be reached/);
      // More only if these forty took longer than a failed look counts.
      assert.ok(node.requests <= 4, `${node.requests} requests`);
    } finally {
      node.stop();
    }
  });

  test('are asked once for all when they answer, too', async () => {
    const worker = await withNodes([proxy.url]);
    proxy.calls.length = 0;
    const answers = await Promise.all(Array.from({ length: 40 }, () => healthOf(worker)));
    for (const { status } of answers) assert.equal(status, 200);
    assert.equal(proxy.calls.filter(({ method }) => method === 'eth_getBalance').length, 1);
  });
});

test('the daily limit, once it is reached', async () => {
  const { evm: { seller }, solana: { seller: solanaSeller } } = world.accounts;
  const NETWORKS = { [EVM_NETWORK]: { pay_to: seller.address, daily_spend: '0.000000000000000001' }, [SOLANA_NETWORK]: { pay_to: solanaSeller.address } };
  const worker = await world.startWorker({ vars: { NETWORKS } });
  assertProblem(await healthOf(worker), /\.daily_spend: 0 ETH of 0\.000000000000000001 ETH are spent; nothing more is sent until midnight UTC$/);
});

describe('somebody else’s facilitator', () => {
  let facilitator;
  let worker;
  before(async () => {
    const [{ address: feePayer }] = world.accounts.solana.feePayers;
    facilitator = await startScriptedFacilitator({ feePayer, payer: world.accounts.solana.buyers[0].address });
    const { evm: { seller } } = world.accounts;
    const NETWORKS = { [EVM_NETWORK]: { pay_to: seller.address, facilitator: facilitator.url } };
    const start = () => world.startWorker({ vars: { NETWORKS }, secrets: { EVM_RELAYER_KEYS: undefined, SOLANA_FEE_PAYER_KEYS: undefined, RPC_URLS: undefined } });
    worker = { start };
  });
  after(() => facilitator?.stop());

  test('that answers', async () => {
    facilitator.requests.length = 0;
    const own = await worker.start();
    for (const answer of await Promise.all(Array.from({ length: 10 }, () => healthOf(own)))) assert.equal(answer.status, 200, answer.text);
    assert.equal(facilitator.requests.length, 1);
  });

  for (const [what, reply, words] of [
    ['turns us away', { status: 401, text: '' }, /\.facilitator: turns us away \(401\): see FACILITATOR_HEADERS and facilitator_auth$/],
    ['fails', { status: 502, text: '' }, /\.facilitator: answers 502$/],
    ['breaks off', { drop: true }, /\.facilitator: can't be reached$/],
  ]) {
    test(`that ${what}`, async () => {
      facilitator.script['/supported'] = () => reply;
      assertProblem(await healthOf(await worker.start()), words);
      delete facilitator.script['/supported'];
    });
  }
});

test('faults are in the log again when a request was closed for them', async () => {
  const worker = await world.startWorker({ vars: { NETWORKS: {} } });
  assert.equal((await send(`${worker.url}${PAGE}`)).status, 503);
  const { status, json } = await healthOf(worker);
  assert.deepEqual([status, json.selling, json.settlers], [503, false, []]);
  assert.match(json.problems[0], /^the configuration has \d+ fault\(s\); the log names them$/);
  await logged(worker, 'NETWORKS: names no network');
});
