/** A payment by a wallet of Solana: a transaction that the shop signs and pays for, too. */
import { ataOf, COMPUTE_BUDGET, connect, instruction, signedBy, transferChecked, unitLimit, unitPrice } from './ata.js';
import { base58, base64, concat, randomBytes } from './bytes.js';
import { freshTerms, minutesOf } from './challenge.js';
import { chainOf } from './chains.js';
import { amountOf, Stop } from './page.js';

/** Room for the guards that wallets add. */
const UNITS = 80_000;
/** A blockhash is good for about a minute; what the page got may be some seconds old. */
const SIGN_SECONDS = 50;

/**
 * Has a wallet sign a payment. What it gives back is sent as it is: wallets
 * add guards and change fees, and the shop allows for it.
 *
 * @param {object} wallet of the Wallet Standard
 * @param {import('./page.js').Offer} shown
 * @param {{ say: (name: string, values?: object) => void, step: <T>(work: Promise<T>) => Promise<T> }} at
 * @returns {Promise<{ header: string, seconds: number }>}
 */
export async function payBySolana(wallet, shown, { say, step }) {
  const { standard } = chainOf(shown.network);
  say('connecting');
  const account = await step(connect(wallet, standard));
  if (!account) throw new Stop('no_account');
  say('asking');
  const { offer, wrap } = await step(freshTerms(shown));
  if (!offer.extra.recentBlockhash) throw new Stop('no_blockhash');
  const transaction = await step(transactionOf(offer, base58(account.address)));
  say('signing', { amount: amountOf(shown), minutes: minutesOf(SIGN_SECONDS) });
  const bytes = await step(signedBy(wallet, account, standard, transaction));
  if (!bytes) throw new Stop('nonsense');
  return { header: wrap({ transaction: base64(bytes) }), seconds: SIGN_SECONDS };
}

/** A transaction without signatures: limit, price and transfer, and the shop pays the fee. */
async function transactionOf({ amount, asset, payTo, extra }, buyer) {
  const mint = base58(asset);
  const tokenProgram = base58(extra.tokenProgram);
  const [source, destination] = await Promise.all([buyer, base58(payTo)].map((owner) => ataOf(owner, mint, tokenProgram)));
  // Two purchases of the same price on one blockhash must not be the same message.
  const [low, high, price] = randomBytes(3);
  // Writable ones first, after those that sign.
  const keys = [base58(extra.feePayer), buyer, source, destination, mint, tokenProgram, COMPUTE_BUDGET];
  const [, BUYER, SOURCE, DESTINATION, MINT, TOKEN, BUDGET] = keys.keys();
  const message = concat(
    // Two sign, of whom one only reads; of the others three only read.
    [2, 1, 3, keys.length],
    ...keys,
    base58(extra.recentBlockhash),
    [3],
    instruction(BUDGET, [], unitLimit(UNITS + low + 256 * (high % 4))),
    instruction(BUDGET, [], unitPrice(1 + price)),
    instruction(TOKEN, [SOURCE, MINT, DESTINATION, BUYER], transferChecked(amount, extra.decimals)),
  );
  return concat([2], new Uint8Array(128), message);
}
