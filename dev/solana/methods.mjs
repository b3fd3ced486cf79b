/** The RPC methods: parameters in, the `result` of Agave's answer out. */
import { address as checkAddress, getBase58Decoder } from '@solana/kit';
import { RpcError, invalidParams, preflightFailure, signatureVerificationFailure } from './errors.mjs';
import { feeOf } from './fee.mjs';
import { decimalsOf, parseAccount, readTokenAccount, uiAmount } from './parsed.mjs';
import { transactionJson } from './transaction-json.mjs';
import { decodeMessage, decodeTransaction, signaturesHold, withBlockhash } from './transaction.mjs';

/** Devnet's: the first 32 characters of it are the CAIP-2 reference `EtWTRABZaYq6iMfeYKouRu166VU2xqa1`. */
const GENESIS_HASH = 'EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG';
const API_VERSION = '3.0.0';
const SLOTS_PER_EPOCH = 432_000;
const RENT_EPOCH = 18_446_744_073_709_551_615n;
const COMMITMENTS = ['processed', 'confirmed', 'finalized'];

const toBase58 = getBase58Decoder();

/** @type {Record<string, (chain: import('./chain.mjs').LocalChain, ...params: any[]) => any>} */
export const METHODS = {
  getHealth: () => 'ok',
  getVersion: () => ({ 'solana-core': API_VERSION, 'feature-set': 0 }),
  getGenesisHash: () => GENESIS_HASH,
  getSlot: (chain, config) => chain.slot(commitmentOf(config)),
  getBlockHeight: (chain, config) => chain.slot(commitmentOf(config)),
  getEpochInfo: (chain, config) => epochInfo(chain.slot(commitmentOf(config)), chain.landed.size),
  getLatestBlockhash: (chain, config) => {
    const commitment = commitmentOf(config);
    return inContext(chain, commitment, chain.latestBlockhash(commitment));
  },
  isBlockhashValid: (chain, blockhash, config) => {
    const commitment = commitmentOf(config);
    return inContext(chain, commitment, chain.isBlockhashValid(hashParam(blockhash), commitment));
  },
  getAccountInfo: (chain, address, config) =>
    inContext(chain, commitmentOf(config), accountJson(chain, chain.account(addressParam(address)), config)),
  getMultipleAccounts: (chain, addresses, config) =>
    inContext(
      chain,
      commitmentOf(config),
      listParam(addresses).map((address) => accountJson(chain, chain.account(addressParam(address)), config)),
    ),
  getBalance: (chain, address, config) =>
    inContext(chain, commitmentOf(config), chain.account(addressParam(address))?.lamports ?? 0n),
  getTokenAccountBalance,
  getMinimumBalanceForRentExemption: (chain, size) => chain.svm.minimumBalanceForRentExemption(BigInt(size)),
  getFeeForMessage: (chain, message, config) => {
    const commitment = commitmentOf(config);
    const decoded = decodeMessage(message);
    const valid = chain.isBlockhashValid(decoded.lifetimeToken, commitment);
    return inContext(chain, commitment, valid ? feeOf(decoded) : null);
  },
  getRecentPrioritizationFees: (chain) =>
    Array.from({ length: 150 }, (_, i) => ({ slot: chain.slot() - 149 + i, prioritizationFee: 0 })),
  simulateTransaction,
  sendTransaction,
  getSignatureStatuses: (chain, signatures) =>
    inContext(chain, 'processed', listParam(signatures).map((signature) => signatureStatus(chain, signature))),
  getTransaction,
  requestAirdrop: (chain, address, lamports) => chain.airdrop(addressParam(address), BigInt(lamports)),
};

function sendTransaction(chain, text, config = {}) {
  const { skipPreflight = false, encoding = 'base58' } = config ?? {};
  const commitment = commitmentOf({ commitment: config?.preflightCommitment });
  const transaction = decodeTransaction(text, encodingParam(encoding, ['base58', 'base64']));
  const signed = signaturesHold(transaction);
  if (!skipPreflight) {
    if (!signed) throw signatureVerificationFailure();
    const result = chain.simulate(transaction, commitment);
    if (result.err !== null) throw preflightFailure(result.err, simulationJson(chain, result));
  }
  // Without preflight nobody but the leader looks: it drops what isn't signed.
  if (signed) chain.send(transaction);
  return transaction.signature;
}

function simulateTransaction(chain, text, config = {}) {
  const { sigVerify = false, replaceRecentBlockhash = false, encoding = 'base58', accounts } = config ?? {};
  const commitment = commitmentOf(config);
  if (sigVerify && replaceRecentBlockhash) {
    throw invalidParams('sigVerify may not be used with replaceRecentBlockhash');
  }
  let transaction = decodeTransaction(text, encodingParam(encoding, ['base58', 'base64']));
  let replacementBlockhash = null;
  if (replaceRecentBlockhash) {
    replacementBlockhash = chain.latestBlockhash(commitment);
    transaction = withBlockhash(transaction, replacementBlockhash.blockhash);
  }
  if (sigVerify && !signaturesHold(transaction)) throw signatureVerificationFailure();
  const addresses = accounts ? listParam(accounts.addresses).map(addressParam) : undefined;
  const result = chain.simulate(transaction, commitment, addresses);
  const value = simulationJson(chain, result, addresses && { encoding: accounts.encoding ?? 'base64' });
  return inContext(chain, commitment, { ...value, replacementBlockhash });
}

function simulationJson(chain, { err, logs, unitsConsumed, returnData, accounts }, config) {
  return {
    err,
    logs,
    accounts: config ? accounts.map((account) => accountJson(chain, account, config)) : null,
    unitsConsumed,
    loadedAccountsDataSize: 0,
    returnData,
    innerInstructions: null,
    replacementBlockhash: null,
  };
}

function getTransaction(chain, signature, config = {}) {
  const { encoding = 'json', maxSupportedTransactionVersion } = typeof config === 'string' ? { encoding: config } : (config ?? {});
  const commitment = commitmentOf(config);
  if (commitment === 'processed') throw invalidParams('Method does not support commitment below `confirmed`');
  const record = chain.landed.get(signatureParam(signature));
  if (!record?.transaction || record.slot > chain.slot(commitment)) return null;
  const { version } = record.transaction.message;
  if (version !== 'legacy' && maxSupportedTransactionVersion === undefined) {
    throw new RpcError(
      -32015,
      `Transaction version (${version}) is not supported by the requesting client. Please try the request again with the following configuration parameter: "maxSupportedTransactionVersion": ${version}`,
    );
  }
  const shown = transactionJson(record, encodingParam(encoding, ['json', 'jsonParsed', 'base58', 'base64']));
  return maxSupportedTransactionVersion === undefined ? shown : { ...shown, version };
}

function signatureStatus(chain, signature) {
  const record = chain.landed.get(signatureParam(signature));
  if (!record) return null;
  const confirmations = chain.slot() - record.slot;
  const confirmationStatus = COMMITMENTS.findLast((commitment) => record.slot <= chain.slot(commitment));
  return {
    slot: record.slot,
    confirmations: confirmationStatus === 'finalized' ? null : confirmations,
    err: record.err,
    status: record.err === null ? { Ok: null } : { Err: record.err },
    confirmationStatus,
  };
}

function getTokenAccountBalance(chain, address, config) {
  const account = chain.account(addressParam(address));
  if (account === null) throw invalidParams('Invalid param: could not find account');
  const token = readTokenAccount(account);
  if (token === null) throw invalidParams('Invalid param: not a Token account');
  return inContext(chain, commitmentOf(config), uiAmount(token.amount, decimalsOf(chain, token.mint)));
}

function accountJson(chain, account, config) {
  if (account === null) return null;
  const { data, executable, lamports, programAddress } = account;
  return {
    data: accountData(chain, account, config ?? {}),
    executable,
    lamports,
    owner: programAddress,
    rentEpoch: RENT_EPOCH,
    space: data.length,
  };
}

function accountData(chain, account, { encoding, dataSlice }) {
  const parsed = encoding === 'jsonParsed' ? parseAccount(chain, account) : null;
  if (parsed !== null) return parsed;
  const { offset = 0, length = account.data.length } = dataSlice ?? {};
  const bytes = account.data.slice(offset, offset + length);
  if (encoding === 'base58' || encoding === undefined) {
    if (bytes.length > 128) {
      throw new RpcError(-32600, 'Encoded binary (base 58) data should be less than 128 bytes, please use Base64 encoding.');
    }
    // Without any encoding old clients get the bare string.
    return encoding === undefined ? toBase58.decode(bytes) : [toBase58.decode(bytes), 'base58'];
  }
  return [Buffer.from(bytes).toString('base64'), 'base64'];
}

function epochInfo(slot, transactionCount) {
  return {
    absoluteSlot: slot,
    blockHeight: slot,
    epoch: Math.floor(slot / SLOTS_PER_EPOCH),
    slotIndex: slot % SLOTS_PER_EPOCH,
    slotsInEpoch: SLOTS_PER_EPOCH,
    transactionCount,
  };
}

function inContext(chain, commitment, value) {
  return { context: { apiVersion: API_VERSION, slot: chain.slot(commitment) }, value };
}

function commitmentOf(config) {
  const commitment = config?.commitment ?? 'finalized';
  if (!COMMITMENTS.includes(commitment)) {
    throw invalidParams(`Invalid params: unknown variant \`${commitment}\`, expected one of \`processed\`, \`confirmed\`, \`finalized\`.`);
  }
  return commitment;
}

function encodingParam(encoding, known) {
  if (known.includes(encoding)) return encoding;
  throw invalidParams(`unsupported encoding: ${encoding}. Supported encodings: ${known.join(', ')}`);
}

function addressParam(text) {
  try {
    return checkAddress(text);
  } catch {
    throw invalidParams('Invalid param: Invalid');
  }
}

function hashParam(text) {
  try {
    return checkAddress(text);
  } catch {
    throw invalidParams('Invalid param: WrongSize');
  }
}

function signatureParam(text) {
  if (typeof text === 'string' && /^[1-9A-HJ-NP-Za-km-z]{43,88}$/.test(text)) return text;
  throw invalidParams('Invalid param: Invalid');
}

function listParam(list) {
  if (Array.isArray(list)) return list;
  throw invalidParams('Invalid params: invalid type: expected a sequence.');
}
