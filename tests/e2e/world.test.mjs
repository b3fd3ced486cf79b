/** The local chains themselves: what the other tests take for granted about them. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import {
  appendTransactionMessageInstructions, createSolanaRpc, createTransactionMessage, getBase64EncodedWireTransaction,
  partiallySignTransactionMessageWithSigners, pipe, setTransactionMessageFeePayerSigner,
  setTransactionMessageLifetimeUsingBlockhash, signTransactionMessageWithSigners,
} from '@solana/kit';
import { startAnvil, USDC_ADDRESS } from '../../dev/evm/anvil.mjs';
import { ataOf, fundSol, tokenBalanceOf, TOKEN_2022_MINT, TOKEN_2022_PROGRAM, TOKEN_PROGRAM, USDC_MINT } from '../../dev/solana/setup.mjs';
import { startRpcProxy } from '../../dev/rpc-proxy.mjs';
import { startSolana } from '../../dev/solana/server.mjs';
import { freePort, listen, waitFor } from '../../dev/util.mjs';
import { startWorld } from '../../dev/world.mjs';

let world;
before(async () => {
  world = await startWorld({ engine: 'wrangler', worker: false });
});
after(() => world?.stop());

describe('test USDC', () => {
  test('a used authorization reverts with the reason of the real token', async () => {
    const authorization = await signed();
    await settle(authorization);
    await assert.rejects(settle(authorization), /FiatTokenV2: authorization is used or canceled/);
    const { seller, buyers } = world.accounts.evm;
    const logs = await world.evm.transferLogs({ from: buyers[0].address, to: seller.address });
    assert.equal(logs.filter((log) => log.args.value === authorization.value).length, 1);
    assert.equal(await world.evm.authorizationState(authorization.from, authorization.nonce), true);
  });

  test('valid_after must have passed, not merely be reached', async () => {
    const authorization = await signed({ validAfter: 2_000_000_000n, validBefore: 2_000_000_100n });
    await assert.rejects(settleAt(authorization, 2_000_000_000n), /FiatTokenV2: authorization is not yet valid/);
    await settleAt(authorization, 2_000_000_001n);
  });

  test('at valid_before an authorization is expired', async () => {
    const authorization = await signed({ validBefore: 2_000_000_100n });
    await settleAt(authorization, 2_000_000_099n);
    await assert.rejects(settleAt(authorization, 2_000_000_100n), /FiatTokenV2: authorization is expired/);
  });

  test('a signature of somebody else is invalid', async () => {
    const authorization = await signed();
    await assert.rejects(settle({ ...authorization, value: 1n }), /FiatTokenV2: invalid signature/);
  });

  test('the twin of a signature with a high s is refused', async () => {
    const authorization = await signed();
    await assert.rejects(settle({ ...authorization, signature: twin(authorization.signature) }), /invalid signature 's' value/);
  });

  test('nobody can spend more than they have', async () => {
    const authorization = await signed({ value: 10n ** 15n });
    await assert.rejects(settle(authorization), /ERC20: transfer amount exceeds balance/);
  });

  async function signed(changes = {}) {
    const { seller, buyers: [buyer] } = world.accounts.evm;
    const { timestamp } = await world.evm.client.getBlock();
    const message = {
      from: buyer.address,
      to: seller.address,
      value: 10_000n + BigInt(Math.floor(Math.random() * 1_000_000)),
      validAfter: 0n,
      validBefore: timestamp + 3_600n,
      nonce: `0x${Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('hex')}`,
      ...changes,
    };
    const field = (name, type) => ({ name, type });
    const signature = await buyer.signTypedData({
      domain: { name: 'USDC', version: '2', chainId: 84532, verifyingContract: USDC_ADDRESS },
      types: {
        TransferWithAuthorization: [
          field('from', 'address'), field('to', 'address'), field('value', 'uint256'),
          field('validAfter', 'uint256'), field('validBefore', 'uint256'), field('nonce', 'bytes32'),
        ],
      },
      primaryType: 'TransferWithAuthorization',
      message,
    });
    return { ...message, signature };
  }

  function call({ from, to, value, validAfter, validBefore, nonce, signature }) {
    return {
      account: world.accounts.evm.relayers[0],
      address: USDC_ADDRESS,
      abi: world.evm.abi,
      functionName: 'transferWithAuthorization',
      args: [from, to, value, validAfter, validBefore, nonce, signature],
    };
  }

  async function settle(authorization) {
    const hash = await world.evm.client.writeContract(call(authorization));
    const receipt = await world.evm.client.waitForTransactionReceipt({ hash });
    assert.equal(receipt.status, 'success');
  }

  /** Only asks what would happen in a block of that time. */
  function settleAt(authorization, time) {
    return world.evm.client.simulateContract({ ...call(authorization), blockOverrides: { time } });
  }
});

describe('the Solana node', () => {
  test('a duplicate has the same signature and moves no money', async () => {
    const wire = await payment(11n);
    const start = await sellerBalance();
    const signature = await send(wire);
    // The finalized bank, which preflight asks by default, hasn't seen the first one yet.
    assert.equal(await send(wire, { preflightCommitment: 'finalized' }), signature);
    assert.equal(await send(wire, { skipPreflight: true }), signature);
    assert.equal((await sellerBalance()) - start, 11n);
  });

  test('preflight against the newest bank knows a duplicate', async () => {
    const wire = await payment(12n);
    await send(wire);
    await assert.rejects(send(wire, { preflightCommitment: 'processed' }), (error) => error.context.__code === -32002);
  });

  test('an unsigned transaction can be simulated, not sent', async () => {
    const start = await sellerBalance();
    const wire = await payment(13n, { sign: forBuyerOnly });
    const simulated = await rpc().simulateTransaction(wire, { encoding: 'base64', commitment: 'confirmed' }).send();
    assert.equal(simulated.value.err, null);
    await assert.rejects(send(wire), { context: { __code: -32003 } });
    await send(wire, { skipPreflight: true });
    assert.equal(await sellerBalance(), start);
  });

  test('a signature that is not the signer’s is refused', async () => {
    const bytes = Buffer.from(await payment(14n), 'base64');
    bytes[70] ^= 1;
    await assert.rejects(send(bytes.toString('base64')), { context: { __code: -32003 } });
  });

  test('an expired blockhash is not found', async () => {
    const wire = await payment(15n);
    world.solana.skipSlots(200);
    await assert.rejects(send(wire), (error) => error.context.__code === -32002 && /[Bb]lockhash/.test(String(error.cause)));
  });

  test('a status rises from processed to finalized', async () => {
    const signature = await send(await payment(16n));
    const status = async () => (await rpc().getSignatureStatuses([signature]).send()).value[0];
    assert.equal((await status()).err, null);
    world.solana.skipSlots(2);
    assert.equal((await status()).confirmationStatus, 'confirmed');
    world.solana.skipSlots(40);
    assert.equal((await status()).confirmationStatus, 'finalized');
    const transaction = await rpc().getTransaction(signature, { encoding: 'base64', maxSupportedTransactionVersion: 0 }).send();
    assert.equal(transaction.meta.err, null);
    assert.equal(transaction.meta.fee, 10_000n);
  });

  test('a payment beyond the balance fails in preflight with logs', async () => {
    const wire = await payment(10n ** 15n);
    await assert.rejects(send(wire), (error) => error.context.__code === -32002 && error.context.logs.length > 0);
  });

  test('Token-2022 transfers too', async () => {
    const start = await sellerBalance(TOKEN_2022_MINT);
    await send(await payment(17n, { mint: TOKEN_2022_MINT, program: TOKEN_2022_PROGRAM }));
    assert.equal((await sellerBalance(TOKEN_2022_MINT)) - start, 17n);
  });

  test('an unknown method is not found', async () => {
    const body = JSON.stringify([{ jsonrpc: '2.0', id: 7, method: 'getNothing' }]);
    const response = await fetch(world.solana.url, { method: 'POST', body });
    assert.deepEqual(await response.json(), [{ jsonrpc: '2.0', error: { code: -32601, message: 'Method not found' }, id: 7 }]);
  });

  test('a proxy can lose the answer to what was done', async (t) => {
    const proxy = await startRpcProxy(world.solana.url);
    t.after(proxy.stop);
    const wire = await payment(18n);
    const start = await sellerBalance();
    proxy.rule = ({ method }) => (method === 'sendTransaction' ? { after: true } : undefined);
    await assert.rejects(createSolanaRpc(proxy.url).sendTransaction(wire, { encoding: 'base64' }).send());
    assert.equal((await sellerBalance()) - start, 18n);
    assert.deepEqual(proxy.calls.map(({ method }) => method), ['sendTransaction']);
  });

  test('with a block time a transaction waits for its block', async (t) => {
    const slow = await startSolana({ blockTime: 0.2 });
    t.after(slow.stop);
    const { value: lifetime } = await createSolanaRpc(slow.url).getLatestBlockhash().send();
    const { feePayers: [feePayer] } = world.accounts.solana;
    fundSol(slow, feePayer.address);
    const message = pipe(
      createTransactionMessage({ version: 0 }),
      (m) => setTransactionMessageFeePayerSigner(feePayer.signer, m),
      (m) => setTransactionMessageLifetimeUsingBlockhash(lifetime, m),
      (m) => appendTransactionMessageInstructions([], m),
    );
    const wire = getBase64EncodedWireTransaction(await signTransactionMessageWithSigners(message));
    const signature = await createSolanaRpc(slow.url).sendTransaction(wire, { encoding: 'base64' }).send();
    const status = async () => (await createSolanaRpc(slow.url).getSignatureStatuses([signature]).send()).value[0];
    assert.equal(await status(), null);
    assert.equal((await waitFor(status)).err, null);
  });

  const rpc = () => createSolanaRpc(world.solana.url);
  const send = (wire, config) => rpc().sendTransaction(wire, { encoding: 'base64', ...config }).send();
  const sellerBalance = (mint) => tokenBalanceOf(world.solana, world.accounts.solana.seller.address, mint);

  async function payment(amount, { mint = USDC_MINT, program = TOKEN_PROGRAM, sign = signTransactionMessageWithSigners } = {}) {
    const { feePayers: [feePayer], buyers: [buyer], seller } = world.accounts.solana;
    const { value: lifetime } = await rpc().getLatestBlockhash({ commitment: 'finalized' }).send();
    // TransferChecked: discriminator, amount, decimals.
    const data = Buffer.alloc(10);
    data[0] = 12;
    data.writeBigUInt64LE(amount, 1);
    data[9] = 6;
    const transfer = {
      programAddress: program,
      accounts: [
        { address: await ataOf(buyer.address, mint), role: 1 },
        { address: mint, role: 0 },
        { address: await ataOf(seller.address, mint), role: 1 },
        { address: buyer.address, role: 2, signer: buyer.signer },
      ],
      data: Uint8Array.from(data),
    };
    const message = pipe(
      createTransactionMessage({ version: 0 }),
      (m) => setTransactionMessageFeePayerSigner(feePayer.signer, m),
      (m) => setTransactionMessageLifetimeUsingBlockhash(lifetime, m),
      (m) => appendTransactionMessageInstructions([transfer], m),
    );
    return getBase64EncodedWireTransaction(await sign(message));
  }

  async function forBuyerOnly(message) {
    const transaction = await partiallySignTransactionMessageWithSigners(message);
    const { address } = world.accounts.solana.feePayers[0];
    return { ...transaction, signatures: { ...transaction.signatures, [address]: null } };
  }
});

/** The other valid signature of the same message: s replaced by the order minus s, v by its opposite. */
function twin(signature) {
  const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
  const s = order - BigInt(`0x${signature.slice(66, 130)}`);
  const v = signature.slice(130) === '1b' ? '1c' : '1b';
  return `${signature.slice(0, 66)}${s.toString(16).padStart(64, '0')}${v}`;
}

for (const [what, start] of [['anvil', startAnvil], ['the Solana node', startSolana]]) {
  test(`${what} leaves a port to whoever listens there, and takes another`, async () => {
    const other = createServer();
    const port = await listen(other);
    try {
      const chain = await start({ port });
      assert.notEqual(chain.port, port);
      await chain.stop();
      other.close();
      await waitFor(() => !other.listening);
      const there = await start({ port });
      assert.equal(there.port, port);
      await there.stop();
    } finally {
      other.close();
    }
  });
}

test('a free port is none that a connection gets by chance', { skip: process.platform !== 'linux' }, async () => {
  const [first] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split('\t').map(Number);
  const ports = await Promise.all(Array.from({ length: 20 }, freePort));
  assert.deepEqual(ports.filter((port) => port >= first), []);
});

test('the Solana node outlives who goes away while asking', async (t) => {
  const solana = await startSolana();
  t.after(solana.stop);
  const client = connect(solana.port, '127.0.0.1');
  client.end('POST / HTTP/1.1\r\nHost: node\r\nContent-Length: 100\r\n\r\n{');
  await new Promise((done) => client.resume().once('close', done));
  assert.equal(await (await fetch(`${solana.url}/health`)).text(), 'ok');
});
