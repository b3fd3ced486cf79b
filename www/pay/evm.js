/** A payment by a wallet of an EVM chain, signed as typed data: by EIP-3009, or by Permit2. */
import { hex, randomBytes } from './bytes.js';
import { freshTerms, inTokens, minutesOf } from './challenge.js';
import { amountOf, Stop } from './page.js';
import { approve, lacksAllowance, permit2Payment, signPermit } from './permit2.js';
import { accountOf, balanceOf, chainIdOf, useChain } from './switch.js';

const field = (name, type) => ({ name, type });
const TYPES = {
  // A wallet that finds no type of the domain signs an empty one.
  EIP712Domain: [field('name', 'string'), field('version', 'string'), field('chainId', 'uint256'), field('verifyingContract', 'address')],
  TransferWithAuthorization: [
    field('from', 'address'), field('to', 'address'), field('value', 'uint256'),
    field('validAfter', 'uint256'), field('validBefore', 'uint256'), field('nonce', 'bytes32'),
  ],
};
/** How far in the past a payment becomes good: blocks are older than clocks. */
const PAST_SECONDS = 600;
/** The letters of a signature of 65 bytes: a key's own. */
const KEY_SIGNATURE = 132;

/**
 * Has a wallet sign a payment.
 *
 * @param {object} provider EIP-1193
 * @param {import('./page.js').Offer} shown
 * @param {{ say: (name: string, values?: object) => void, step: <T>(work: Promise<T>) => Promise<T>, agree: (fee: string) => Promise<void> }} at
 * @returns {Promise<{ header: string, seconds: number, isSmart: boolean }>} the payment, for how long it is good, and whether a contract judges its signature
 */
export async function payByEvm(provider, shown, { say, step, agree }) {
  const ask = (method, params) => step(Promise.resolve(provider.request(params ? { method, params } : { method })));
  say('connecting');
  let [from] = (await ask('eth_requestAccounts')) ?? [];
  say('asking');
  let { offer, now, isSponsored, wrap } = await step(freshTerms(shown));
  await useChain(ask, shown, say);
  from = await accountOf(ask, from);
  await checkBalance(ask, shown, from);
  const isContract = await hasCode(ask, from);
  const isPermit2 = offer.extra.assetTransferMethod === 'permit2';
  const isFirst = isPermit2 && await lacksAllowance(ask, shown, from);
  // A permit is a key's to sign.
  const isPermitted = isFirst && isSponsored && !isContract;
  if (isFirst && !isPermitted) {
    await approve({ ask, say, agree }, shown, from);
    // Its block has taken its time.
    ({ offer, now, wrap } = await step(freshTerms(shown)));
  }
  const times = [now - PAST_SECONDS, now + offer.maxTimeoutSeconds].map(String);
  if (isPermitted) say('permitting', { amount: amountOf(shown) });
  const permit = isPermitted ? await signPermit(ask, offer, from, chainIdOf(shown), times[1]) : {};
  const { typed, payload } = (isPermit2 ? permit2Payment : eip3009Payment)(offer, from, chainIdOf(shown), times);
  say('signing', { amount: amountOf(shown), minutes: minutesOf(offer.maxTimeoutSeconds) });
  const signature = await ask('eth_signTypedData_v4', [from, JSON.stringify(typed)]);
  if (!/^0x([0-9a-f]{2}){64,}$/i.test(signature)) throw new Stop('nonsense');
  // One that is longer is for a contract, which may not be there yet.
  return { header: wrap(payload(signature), permit), seconds: offer.maxTimeoutSeconds, isSmart: isContract || signature.length > KEY_SIGNATURE };
}

/** What is signed, and the payload that a signature makes of it. */
function eip3009Payment({ asset, amount, payTo, extra: { name, version } }, from, chainId, [validAfter, validBefore]) {
  const authorization = { from, to: payTo, value: amount, validAfter, validBefore, nonce: hex(randomBytes(32)) };
  const domain = { name, version, chainId, verifyingContract: asset };
  return {
    typed: { types: TYPES, primaryType: 'TransferWithAuthorization', domain, message: authorization },
    payload: (signature) => ({ signature, authorization }),
  };
}

/** Whether an account is a smart wallet, as far as its wallet tells. */
async function hasCode(ask, from) {
  try {
    return (await ask('eth_getCode', [from, 'latest'])).length > 2;
  } catch (error) {
    if (error instanceof Stop) throw error;
    return false;
  }
}

/** Says before anything is signed that there is too little money. Where the wallet can't tell, the shop will. */
async function checkBalance(ask, shown, from) {
  const balance = await balanceOf(ask, shown.asset, from);
  if (balance !== undefined && balance < BigInt(shown.amount)) throw new Stop('no_balance', { balance: inTokens(balance, shown.decimals) });
}
