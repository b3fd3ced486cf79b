/** Solana's tokens: programs, accounts, and instructions as bytes. */
import { base58, concat, littleEndian } from './bytes.js';
import { isOnCurve } from './curve.js';

export const ATA_PROGRAM = base58('ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL');
export const COMPUTE_BUDGET = base58('ComputeBudget111111111111111111111111111111');

/** The associated token account of an owner: the first address of its seeds that is no point of the curve. */
export async function ataOf(owner, mint, tokenProgram) {
  for (let bump = 255; ; bump -= 1) {
    const seeds = concat(owner, tokenProgram, mint, [bump], ATA_PROGRAM, new TextEncoder().encode('ProgramDerivedAddress'));
    const address = new Uint8Array(await crypto.subtle.digest('SHA-256', seeds));
    if (!isOnCurve(address)) return address;
  }
}

/** An instruction of a program and accounts, which are numbers of a message's keys. */
export const instruction = (program, accounts, bytes) => [program, accounts.length, ...accounts, bytes.length, ...bytes];

/** What Compute Budget and TransferChecked say. */
export const unitLimit = (units) => concat([2], littleEndian(units, 4));
export const unitPrice = (price) => concat([3], littleEndian(price, 8));
export const transferChecked = (amount, decimals) => concat([12], littleEndian(amount, 8), [decimals]);

/** The account of a wallet that is on a cluster, once it is connected. */
export async function connect(wallet, standard) {
  const connected = await wallet.features['standard:connect'].connect();
  const accounts = connected?.accounts ?? wallet.accounts ?? [];
  return accounts.find(({ chains }) => chains?.includes(standard)) ?? accounts[0];
}

/** The transaction as a wallet has signed it; undefined if that is none. */
export async function signedBy(wallet, account, chain, transaction) {
  const [signed] = (await wallet.features['solana:signTransaction'].signTransaction({ account, chain, transaction })) ?? [];
  const bytes = signed?.signedTransaction;
  return bytes?.length > 64 ? bytes : undefined;
}
