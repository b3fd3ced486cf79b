/**
 * The reference's facilitator, set up as its documentation does it:
 * `@x402/core` with `@x402/evm` and `@x402/svm` behind an HTTP server, in a
 * process of its own. Both versions; one relayer, one fee payer.
 */
import { createServer } from 'node:http';
import { createKeyPairSignerFromBytes } from '@solana/kit';
import { x402Facilitator } from '@x402/core/facilitator';
import { toFacilitatorEvmSigner } from '@x402/evm';
import { ExactEvmScheme } from '@x402/evm/exact/facilitator';
import { ExactEvmSchemeV1 } from '@x402/evm/exact/v1/facilitator';
import { SettlementCache, toFacilitatorSvmSigner } from '@x402/svm';
import { ExactSvmScheme } from '@x402/svm/exact/facilitator';
import { ExactSvmSchemeV1 } from '@x402/svm/exact/v1/facilitator';
import { createWalletClient, http, publicActions } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { baseSepolia } from 'viem/chains';
import { listen } from '../util.mjs';

const { evm, solana } = JSON.parse(process.env.FACILITATOR);
const signers = { evm: evmSigner(), solana: await solanaSigner() };
const settled = new SettlementCache();
const facilitator = new x402Facilitator()
  .register(evm.network, new ExactEvmScheme(signers.evm))
  .registerV1(evm.v1Name, new ExactEvmSchemeV1(signers.evm))
  .register(solana.network, new ExactSvmScheme(signers.solana, settled))
  .registerV1(solana.v1Name, new ExactSvmSchemeV1(signers.solana, settled));

const server = createServer((request, response) => {
  answer(request).then(
    (body) => reply(response, 200, body),
    (error) => reply(response, 500, { error: error.message }),
  );
});
console.log(`listening on ${await listen(server)}`);

function evmSigner() {
  const account = privateKeyToAccount(evm.key);
  const client = createWalletClient({ account, chain: baseSepolia, transport: http(evm.url) }).extend(publicActions);
  return toFacilitatorEvmSigner({
    address: account.address,
    getCode: (args) => client.getCode(args),
    readContract: (args) => client.readContract({ ...args, args: args.args ?? [] }),
    verifyTypedData: (args) => client.verifyTypedData(args),
    writeContract: (args) => client.writeContract({ ...args, args: args.args ?? [] }),
    sendTransaction: (args) => client.sendTransaction(args),
    waitForTransactionReceipt: (args) => client.waitForTransactionReceipt(args),
  });
}

async function solanaSigner() {
  const keys = await createKeyPairSignerFromBytes(Buffer.from(solana.key, 'base64'));
  return toFacilitatorSvmSigner(keys, { defaultRpcUrl: solana.url });
}

async function answer(request) {
  if (request.url === '/supported') return facilitator.getSupported();
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const { paymentPayload, paymentRequirements } = JSON.parse(Buffer.concat(chunks).toString());
  if (request.url === '/verify') return facilitator.verify(paymentPayload, paymentRequirements);
  if (request.url === '/settle') return facilitator.settle(paymentPayload, paymentRequirements);
  throw new Error(`no such path: ${request.url}`);
}

function reply(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
