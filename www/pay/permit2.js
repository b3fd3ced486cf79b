/** A payment by Permit2, for tokens that can't be moved by a signature alone: signed as typed data, after one approval. */
import { hex, randomBytes } from './bytes.js';
import { inTokens, SPONSORING } from './challenge.js';
import { chainOf } from './chains.js';
import { pause, Stop, text } from './page.js';
import { word } from './switch.js';

/** At one address on every chain: Uniswap's contract, and x402's that pays whom the buyer has signed for. */
const PERMIT2 = '0x000000000022D473030F116dDEE9F6B43aC78BA3';
const PROXY = '0x402085c248EeA27D92E8b30b2C58ed07f9E20001';

const field = (name, type) => ({ name, type });
const TYPES = {
  EIP712Domain: [field('name', 'string'), field('chainId', 'uint256'), field('verifyingContract', 'address')],
  PermitWitnessTransferFrom: [
    field('permitted', 'TokenPermissions'), field('spender', 'address'), field('nonce', 'uint256'), field('deadline', 'uint256'), field('witness', 'Witness'),
  ],
  TokenPermissions: [field('token', 'address'), field('amount', 'uint256')],
  Witness: [field('to', 'address'), field('validAfter', 'uint256')],
};

/** How often a wallet is asked for the approval's receipt, and for how long. */
const RECEIPT_MS = 1_500;
const RECEIPT_TRIES = 120;

/** What is signed, and the payload that a signature makes of it. */
export function permit2Payment({ asset, amount, payTo }, from, chainId, [validAfter, deadline]) {
  const nonce = String(BigInt(hex(randomBytes(32))));
  const message = { permitted: { token: asset, amount }, spender: PROXY, nonce, deadline, witness: { to: payTo, validAfter } };
  const domain = { name: 'Permit2', chainId, verifyingContract: PERMIT2 };
  return {
    typed: { types: TYPES, primaryType: 'PermitWitnessTransferFrom', domain, message },
    payload: (signature) => ({ signature, permit2Authorization: { from, ...message } }),
  };
}

/** Whether Permit2 may not move the token yet. Where the wallet can't tell, the shop will. */
export async function lacksAllowance(ask, { asset, amount }, from) {
  try {
    return BigInt(await ask('eth_call', [{ to: asset, data: `0xdd62ed3e${word(from)}${word(PERMIT2)}` }, 'latest'])) < BigInt(amount);
  } catch (error) {
    if (error instanceof Stop) throw error;
    return false;
  }
}

/** Has the buyer allow it by a transaction: once for this token, since what Permit2 moves needs a signature each time. */
export async function approve({ ask, say, agree }, { asset, network }, from) {
  const approval = { from, to: asset, data: `0x095ea7b3${word(PERMIT2)}${'f'.repeat(64)}` };
  await agree(await feeOf(ask, approval, network));
  say('approving');
  const transaction = await ask('eth_sendTransaction', [approval]);
  say('approval_sent');
  for (let tries = 0; tries < RECEIPT_TRIES; tries += 1) {
    const receipt = await ask('eth_getTransactionReceipt', [transaction]);
    if (receipt && Number(receipt.status) === 1) return;
    if (receipt) break;
    await pause(RECEIPT_MS);
  }
  throw new Stop('not_approved');
}

/** Has the buyer allow this payment's amount by a signature (EIP-2612), which the shop takes along: no fee. */
export async function signPermit(ask, { asset, amount, extra: { name, version } }, from, chainId, deadline) {
  const nonce = String(BigInt(await ask('eth_call', [{ to: asset, data: `0x7ecebe00${word(from)}` }, 'latest'])));
  const typed = {
    types: {
      EIP712Domain: [field('name', 'string'), field('version', 'string'), field('chainId', 'uint256'), field('verifyingContract', 'address')],
      Permit: [field('owner', 'address'), field('spender', 'address'), field('value', 'uint256'), field('nonce', 'uint256'), field('deadline', 'uint256')],
    },
    primaryType: 'Permit',
    domain: { name, version, chainId, verifyingContract: asset },
    message: { owner: from, spender: PERMIT2, value: amount, nonce, deadline },
  };
  const signature = await ask('eth_signTypedData_v4', [from, JSON.stringify(typed)]);
  return { [SPONSORING]: { info: { from, asset, spender: PERMIT2, amount, nonce, deadline, signature, version: '1' } } };
}

/** What a transaction costs about, for people; the buyer must have so much. */
async function feeOf(ask, transaction, network) {
  const { coin } = chainOf(network);
  const words = (wei) => `${inTokens(wei, 18).replace(/^(0\.0*\d\d|\d+\.\d).*/, '$1')} ${coin?.symbol ?? ''}`.trim();
  try {
    const fee = BigInt(await ask('eth_estimateGas', [transaction])) * BigInt(await ask('eth_gasPrice'));
    const balance = BigInt(await ask('eth_getBalance', [transaction.from, 'latest']));
    if (balance < fee) throw new Stop('no_gas', { fee: words(fee), balance: words(balance) });
    return text('fee_about', { fee: words(fee) });
  } catch (error) {
    if (error instanceof Stop) throw error;
    return text('fee_unknown');
  }
}
