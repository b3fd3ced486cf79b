/** SPL Token accounts and mints: reading, writing, and the `jsonParsed` encoding. */
import { getAddressDecoder, getAddressEncoder } from '@solana/kit';

export const TOKEN_PROGRAM = 'TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA';
export const TOKEN_2022_PROGRAM = 'TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb';

const PROGRAM_NAMES = { [TOKEN_PROGRAM]: 'spl-token', [TOKEN_2022_PROGRAM]: 'spl-token-2022' };
const MINT_SIZE = 82;
const ACCOUNT_SIZE = 165;
const STATES = ['uninitialized', 'initialized', 'frozen'];

const toAddress = getAddressDecoder();
const fromAddress = getAddressEncoder();

/** A mint's 82 bytes. */
export function encodeMint({ authority, supply, decimals }) {
  const data = Buffer.alloc(MINT_SIZE);
  writeOption(data, 0, authority);
  data.writeBigUInt64LE(supply, 36);
  data[44] = decimals;
  data[45] = 1;
  return data;
}

/**
 * A token account's bytes. The ATA program gives a Token-2022 account the
 * ImmutableOwner extension, so that one is 170 bytes long instead of 165.
 */
export function encodeTokenAccount({ mint, owner, amount, program }) {
  const extension = program === TOKEN_2022_PROGRAM ? Buffer.from([2, 7, 0, 0, 0]) : Buffer.alloc(0);
  const data = Buffer.concat([Buffer.alloc(ACCOUNT_SIZE), extension]);
  data.set(fromAddress.encode(mint), 0);
  data.set(fromAddress.encode(owner), 32);
  data.writeBigUInt64LE(amount, 64);
  data[108] = 1;
  return data;
}

/** The mint in an account, or null when it holds none. */
export function readMint(account) {
  if (!isToken(account) || !hasKind(account.data, MINT_SIZE, 1)) return null;
  const data = Buffer.from(account.data);
  return {
    authority: readOption(data, 0),
    supply: data.readBigUInt64LE(36),
    decimals: data[44],
    isInitialized: data[45] === 1,
    freezeAuthority: readOption(data, 46),
  };
}

/** The token account in an account, or null when it holds none. */
export function readTokenAccount(account) {
  if (!isToken(account) || !hasKind(account.data, ACCOUNT_SIZE, 2)) return null;
  const data = Buffer.from(account.data);
  return {
    mint: toAddress.decode(data.subarray(0, 32)),
    owner: toAddress.decode(data.subarray(32, 64)),
    amount: data.readBigUInt64LE(64),
    delegate: readOption(data, 72),
    state: STATES[data[108]] ?? STATES[0],
    isNative: data.readUInt32LE(109) === 1,
    delegatedAmount: data.readBigUInt64LE(121),
    closeAuthority: readOption(data, 129),
    program: account.programAddress,
  };
}

/** A token account with its mint's decimals, for `preTokenBalances`; null for other accounts. */
export function tokenBalance(chain, account) {
  const token = readTokenAccount(account);
  if (token === null) return null;
  return { ...token, decimals: decimalsOf(chain, token.mint) };
}

/** The `data` of an account in the encoding `jsonParsed`, or null when there is no parser for it. */
export function parseAccount(chain, account) {
  const mint = readMint(account);
  const token = mint === null ? readTokenAccount(account) : null;
  if (mint === null && token === null) return null;
  return {
    program: PROGRAM_NAMES[account.programAddress],
    parsed: mint === null ? parsedToken(chain, token) : parsedMint(mint),
    space: account.data.length,
  };
}

/** An amount as RPC nodes print it. */
export function uiAmount(amount, decimals) {
  const digits = amount.toString().padStart(decimals + 1, '0');
  const whole = digits.slice(0, digits.length - decimals);
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, '');
  const uiAmountString = fraction === '' ? whole : `${whole}.${fraction}`;
  return { amount: amount.toString(), decimals, uiAmount: Number(uiAmountString), uiAmountString };
}

export function decimalsOf(chain, mint) {
  const account = chain.account(mint);
  return (account && readMint(account)?.decimals) ?? 0;
}

function parsedMint({ authority, supply, decimals, isInitialized, freezeAuthority }) {
  return {
    type: 'mint',
    info: { mintAuthority: authority, supply: supply.toString(), decimals, isInitialized, freezeAuthority },
  };
}

function parsedToken(chain, { mint, owner, amount, delegate, delegatedAmount, state, isNative, closeAuthority }) {
  const decimals = decimalsOf(chain, mint);
  return {
    type: 'account',
    info: {
      ...(closeAuthority === null ? {} : { closeAuthority }),
      ...(delegate === null ? {} : { delegate, delegatedAmount: uiAmount(delegatedAmount, decimals) }),
      isNative,
      mint,
      owner,
      state,
      tokenAmount: uiAmount(amount, decimals),
    },
  };
}

function isToken(account) {
  return account.programAddress in PROGRAM_NAMES;
}

/** Plain accounts tell their kind by their size, those with extensions by the byte after 165. */
function hasKind(data, size, kind) {
  return data.length === size || (data.length > ACCOUNT_SIZE && data[ACCOUNT_SIZE] === kind);
}

function writeOption(data, at, address) {
  if (!address) return;
  data.writeUInt32LE(1, at);
  data.set(fromAddress.encode(address), at + 4);
}

function readOption(data, at) {
  return data.readUInt32LE(at) === 1 ? toAddress.decode(data.subarray(at + 4, at + 36)) : null;
}
