/** Puts money on the local cluster, by writing accounts rather than by transactions. */
import { getAddressEncoder, getProgramDerivedAddress } from '@solana/kit';
import { encodeMint, encodeTokenAccount, readMint, readTokenAccount, TOKEN_2022_PROGRAM, TOKEN_PROGRAM } from './parsed.mjs';

export { TOKEN_2022_PROGRAM, TOKEN_PROGRAM };

/** USDC of devnet. */
export const USDC_MINT = '4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU';
/** A test token under Token-2022; it exists on no real cluster. */
export const TOKEN_2022_MINT = '2b1kV6DkPAnxd5ixfnxCpjxmKwqjjaYmCZfHsFu24GXo';
/** Wallets add instructions of this program to what they sign. */
export const LIGHTHOUSE_PROGRAM = 'L2TExMFKdjpN9kozasaurPirfHy9P8sbXoAN1qA3S95';

const ATA_PROGRAM = 'ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL';
const MEMO_PROGRAM = 'MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr';
const SYSTEM_PROGRAM = '11111111111111111111111111111111';
const DECIMALS = 6;

const addressBytes = getAddressEncoder();

/** Creates the mints of test USDC and of the Token-2022 test token. */
export function createMints({ svm }) {
  createMint(svm, USDC_MINT, TOKEN_PROGRAM);
  createMint(svm, TOKEN_2022_MINT, TOKEN_2022_PROGRAM);
}

/** Sets how many lamports a wallet has; 0 removes it. */
export function fundSol({ svm }, address, lamports = 10_000_000_000n) {
  svm.setAccount(account(address, SYSTEM_PROGRAM, new Uint8Array(), lamports));
}

/** The address of an owner's associated token account. */
export async function ataOf(owner, mint = USDC_MINT, program = programOf(mint)) {
  const [address] = await getProgramDerivedAddress({
    programAddress: ATA_PROGRAM,
    seeds: [owner, program, mint].map((part) => addressBytes.encode(part)),
  });
  return address;
}

/** Creates an owner's associated token account, empty, unless there is one. */
export async function createAta({ svm }, owner, mint = USDC_MINT) {
  const program = programOf(mint);
  const address = await ataOf(owner, mint, program);
  if (!svm.getAccount(address).exists) {
    putToken(svm, address, program, encodeTokenAccount({ mint, owner, amount: 0n, program }));
  }
  return address;
}

/** Gives an owner tokens, in atomic units; creates the associated token account. */
export async function mintToken(solana, owner, amount, mint = USDC_MINT) {
  const { svm } = solana;
  const address = await createAta(solana, owner, mint);
  const held = svm.getAccount(address);
  addToAmount(svm, held, 64, amount);
  addToAmount(svm, svm.getAccount(mint), 36, amount);
}

/** How many atomic units an owner's associated token account holds. */
export async function tokenBalanceOf({ svm }, owner, mint = USDC_MINT) {
  const held = svm.getAccount(await ataOf(owner, mint));
  return held.exists ? readTokenAccount(held).amount : 0n;
}

/** How many atomic units of a mint exist. */
export function supplyOf({ svm }, mint = USDC_MINT) {
  return readMint(svm.getAccount(mint)).supply;
}

/**
 * Puts a stand-in where Lighthouse is, which can't be had here: the Memo
 * program, so an instruction to it succeeds when its data is UTF-8.
 */
export function addLighthouse({ svm }) {
  svm.addProgram(LIGHTHOUSE_PROGRAM, svm.getAccount(MEMO_PROGRAM).data);
}

function createMint(svm, address, program) {
  putToken(svm, address, program, encodeMint({ authority: address, supply: 0n, decimals: DECIMALS }));
}

function programOf(mint) {
  return mint === TOKEN_2022_MINT ? TOKEN_2022_PROGRAM : TOKEN_PROGRAM;
}

function putToken(svm, address, program, data) {
  svm.setAccount(account(address, program, data, svm.minimumBalanceForRentExemption(BigInt(data.length))));
}

function account(address, programAddress, data, lamports) {
  return { address, programAddress, data: Uint8Array.from(data), lamports, executable: false, space: BigInt(data.length) };
}

/** Adds to the u64 at an offset of an account's data. */
function addToAmount(svm, held, offset, amount) {
  const data = Buffer.from(held.data);
  data.writeBigUInt64LE(data.readBigUInt64LE(offset) + amount, offset);
  svm.setAccount({ ...held, data: Uint8Array.from(data) });
}
