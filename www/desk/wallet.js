/** Sending tokens from the seller's own wallet: nothing here or in the Worker holds a key. */
import { ATA_PROGRAM, ataOf, COMPUTE_BUDGET, connect, instruction, signedBy, transferChecked, unitLimit, unitPrice } from '../pay/ata.js';
import { base58, base64, concat, randomBytes } from '../pay/bytes.js';
import { chainOf, isEvm } from '../pay/chains.js';
import { Stop } from '../pay/stop.js';
import { accountOf, balanceOf, useChain, word } from '../pay/switch.js';

const SYSTEM_PROGRAM = new Uint8Array(32);
/** Room for a token account that has to be made, and for the guards that wallets add. */
const UNITS = 150_000;

/**
 * Has a wallet send tokens back.
 *
 * @param {import('../pay/wallets.js').Wallet} wallet
 * @param {object} terms of the refund, as the Worker says them
 * @param {bigint} amount in atomic units
 * @param {(name: string) => void} say
 * @returns {Promise<{ transaction: string } | { signed: string }>} what the wallet has sent, or what the Worker is to send
 */
export const sendBack = (wallet, terms, amount, say) => (isEvm(terms.network) ? byEvm(wallet.evm, terms, amount, say) : bySolana(wallet.solana, terms, amount, say));

async function byEvm(provider, terms, amount, say) {
  const { asset, payer } = terms;
  const ask = (method, params) => provider.request(params ? { method, params } : { method });
  say('connecting');
  const [connected] = (await ask('eth_requestAccounts')) ?? [];
  await useChain(ask, terms, say);
  const from = await accountOf(ask, connected);
  const balance = await balanceOf(ask, asset, from);
  if (balance !== undefined && balance < amount) throw new Stop('no_balance', { balance });
  say('signing');
  const transaction = await ask('eth_sendTransaction', [{ from, to: asset, value: '0x0', chainId: `0x${BigInt(terms.network.split(':')[1]).toString(16)}`, data: `0xa9059cbb${word(payer)}${word(amount)}` }]);
  if (!/^0x[0-9a-f]{64}$/i.test(transaction)) throw new Stop('nonsense');
  return { transaction };
}

async function bySolana(wallet, terms, amount, say) {
  const { standard } = chainOf(terms.network);
  say('connecting');
  const account = await connect(wallet, standard);
  if (!account) throw new Stop('no_account');
  if (!terms.blockhash) throw new Stop('no_blockhash');
  const transaction = await transferOf(terms, base58(account.address), amount);
  say('signing');
  const bytes = await signedBy(wallet, account, standard, transaction);
  if (!bytes) throw new Stop('nonsense');
  return { signed: base64(bytes) };
}

/** A transaction without its signature: the payer's token account, in case it was closed, and the transfer. */
async function transferOf({ asset, payer, decimals, token_program: program, blockhash }, seller, amount) {
  const [mint, tokenProgram, owner] = [asset, program, payer].map(base58);
  const [source, destination] = await Promise.all([seller, owner].map((it) => ataOf(it, mint, tokenProgram)));
  // Two refunds of one amount on one blockhash must not be the same message.
  const [limit, price] = randomBytes(2);
  // Writable ones first, after the one that signs.
  const keys = [seller, source, destination, owner, mint, tokenProgram, SYSTEM_PROGRAM, ATA_PROGRAM, COMPUTE_BUDGET];
  const [SELLER, SOURCE, DESTINATION, OWNER, MINT, TOKEN, SYSTEM, ATA, BUDGET] = keys.keys();
  const message = concat(
    // One signs; of the others six only read.
    [1, 0, 6, keys.length],
    ...keys,
    base58(blockhash),
    [4],
    instruction(BUDGET, [], unitLimit(UNITS + limit)),
    instruction(BUDGET, [], unitPrice(1 + price)),
    // CreateIdempotent: does nothing where the account is there.
    instruction(ATA, [SELLER, DESTINATION, OWNER, MINT, SYSTEM, TOKEN], [1]),
    instruction(TOKEN, [SOURCE, MINT, DESTINATION, SELLER], transferChecked(amount, decimals)),
  );
  return concat([1], new Uint8Array(64), message);
}
