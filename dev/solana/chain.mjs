/**
 * A Solana cluster of one: litesvm runs the programs; slots, blockhashes,
 * duplicates and commitments are kept here, because litesvm has no blocks.
 */
import { createHash, randomBytes } from 'node:crypto';
import { getBase58Decoder } from '@solana/kit';
import { FailedTransactionMetadata, LiteSVM } from 'litesvm';
import { transactionError } from './errors.mjs';
import { feeOf } from './fee.mjs';
import { tokenBalance } from './parsed.mjs';

/** A blockhash is good for this many slots after its own. */
export const MAX_PROCESSING_AGE = 150;
/** How many slots a commitment lies behind the newest slot. */
const LAG = { processed: 0, confirmed: 1, finalized: 32 };
const FIRST_SLOT = 1_000;
const EMPTY_WALLET = { programAddress: '11111111111111111111111111111111', data: new Uint8Array(), lamports: 0n, executable: false, space: 0n };

const base58 = getBase58Decoder();

/** @typedef {import('./transaction.mjs').WireTransaction} WireTransaction */

export class LocalChain {
  /**
   * @param {object} options
   * @param {number} options.slotMs length of a slot in milliseconds
   * @param {number} [options.blockTime] seconds between the blocks that hold transactions;
   *   without it a transaction runs in the slot in which it arrives
   */
  constructor({ slotMs, blockTime }) {
    // Signatures and blockhashes are checked here: litesvm's wrapper can't simulate a transaction
    // that isn't signed yet, and its only blockhash is its own.
    this.svm = new LiteSVM().withSigverify(false).withBlockhashCheck(false).withTransactionHistory(0n);
    this.slotMs = slotMs;
    this.start = Date.now();
    this.skipped = 0;
    this.slotOfHash = new Map();
    this.hashOfSlot = new Map();
    this.newest = FIRST_SLOT - MAX_PROCESSING_AGE - 1;
    /** Landed transactions by signature, and by message: what makes a duplicate. */
    this.landed = new Map();
    this.messages = new Map();
    /** Sent, not landed: only with `blockTime`. */
    this.queue = new Map();
    if (blockTime !== undefined) this.timer = setInterval(() => this.produceBlock(), blockTime * 1_000);
    this.instant = blockTime === undefined;
    this.slot();
  }

  stop() {
    clearInterval(this.timer);
  }

  /** The newest slot at a commitment. Slots follow the clock; nobody has to tick. */
  slot(commitment = 'processed') {
    const now = FIRST_SLOT + this.skipped + Math.floor((Date.now() - this.start) / this.slotMs);
    if (now > this.newest) this.#advanceTo(now);
    return this.newest - LAG[commitment];
  }

  /** Lets `count` slots pass at once, e.g. 151 to let every blockhash expire. */
  skipSlots(count) {
    this.skipped += count;
    this.slot();
  }

  /** @returns {{ blockhash: string, lastValidBlockHeight: number }} */
  latestBlockhash(commitment) {
    const slot = this.slot(commitment);
    return { blockhash: this.hashOfSlot.get(slot), lastValidBlockHeight: slot + MAX_PROCESSING_AGE };
  }

  /** True while a bank at this commitment accepts transactions with the blockhash. */
  isBlockhashValid(blockhash, commitment) {
    const bank = this.slot(commitment);
    const slot = this.slotOfHash.get(blockhash);
    return slot !== undefined && slot <= bank && bank - slot <= MAX_PROCESSING_AGE;
  }

  /** True when a bank at this commitment has the transaction already. */
  isProcessed(transaction, commitment) {
    const record = this.messages.get(messageKey(transaction));
    return record !== undefined && record.slot <= this.slot(commitment);
  }

  /** Runs a transaction without keeping what it does. */
  simulate(transaction, commitment, accounts = []) {
    const refusal = this.#refusal(transaction, commitment);
    if (refusal) return { err: refusal, logs: [], unitsConsumed: 0, returnData: null, accounts: accounts.map(() => null) };
    const result = this.svm.simulateTransaction(forLitesvm(transaction));
    const failed = result instanceof FailedTransactionMetadata;
    const meta = result.meta();
    const post = failed ? [] : result.postAccounts();
    return {
      err: failed ? transactionError(result.err()) : null,
      logs: meta.logs(),
      unitsConsumed: Number(meta.computeUnitsConsumed()),
      returnData: returnData(meta),
      accounts: accounts.map((address) => post.find((account) => account.address === address) ?? this.account(address)),
    };
  }

  /** Takes a transaction in. Whether it lands shows in `landed`, as on a real cluster. */
  send(transaction) {
    const key = messageKey(transaction);
    if (this.messages.has(key) || this.queue.has(key)) return;
    this.queue.set(key, transaction);
    if (this.instant) this.produceBlock();
  }

  /** Runs everything that waits. What can't land any more is dropped without a trace. */
  produceBlock() {
    const slot = this.slot();
    const waiting = [...this.queue.values()];
    this.queue.clear();
    for (const transaction of waiting) {
      if (this.#refusal(transaction, 'processed') === null) this.#execute(transaction, slot);
    }
  }

  /** The account, or null. */
  account(address) {
    const account = this.svm.getAccount(address);
    return account.exists && (account.lamports > 0n) ? account : null;
  }

  /** Adds lamports out of nothing; the signature answered is confirmed at once. */
  airdrop(address, lamports) {
    const account = this.account(address) ?? EMPTY_WALLET;
    this.svm.setAccount({ ...account, address, lamports: account.lamports + lamports });
    const signature = base58.decode(randomBytes(64));
    this.landed.set(signature, { slot: this.slot('finalized'), err: null });
    return signature;
  }

  #execute(transaction, slot) {
    const addresses = transaction.message.staticAccounts;
    const before = addresses.map((address) => this.#balances(address));
    const result = this.svm.sendTransaction(forLitesvm(transaction));
    const failed = result instanceof FailedTransactionMetadata;
    const err = failed ? transactionError(result.err()) : null;
    // A transaction whose fee can't be paid is never part of a block.
    if (failed && err.InstructionError === undefined && err.InsufficientFundsForRent === undefined) return;
    const meta = failed ? result.meta() : result;
    const after = addresses.map((address) => this.#balances(address));
    const record = {
      transaction,
      slot,
      err,
      blockTime: Math.floor(Date.now() / 1_000),
      fee: feeOf(transaction.message),
      logs: meta.logs(),
      unitsConsumed: Number(meta.computeUnitsConsumed()),
      before,
      after,
    };
    this.messages.set(messageKey(transaction), record);
    this.landed.set(transaction.signature, record);
  }

  #balances(address) {
    const account = this.account(address);
    return { lamports: account?.lamports ?? 0n, token: account && tokenBalance(this, account) };
  }

  #refusal(transaction, commitment) {
    if (this.isProcessed(transaction, commitment)) return 'AlreadyProcessed';
    if (!this.isBlockhashValid(transaction.message.lifetimeToken, commitment)) return 'BlockhashNotFound';
    return null;
  }

  #advanceTo(slot) {
    const oldest = slot - 2 * MAX_PROCESSING_AGE;
    for (let next = Math.max(this.newest + 1, oldest); next <= slot; next += 1) {
      const hash = base58.decode(createHash('sha256').update(`edge402 ${this.start} ${next}`).digest());
      this.hashOfSlot.set(next, hash);
      this.slotOfHash.set(hash, next);
    }
    for (const [old, hash] of this.hashOfSlot) {
      if (old >= oldest) break;
      this.hashOfSlot.delete(old);
      this.slotOfHash.delete(hash);
    }
    this.newest = slot;
    const clock = this.svm.getClock();
    clock.slot = BigInt(slot);
    clock.unixTimestamp = BigInt(Math.floor(Date.now() / 1_000));
    this.svm.setClock(clock);
  }
}

const keys = new WeakMap();

/** What makes two transactions the same one: the message, not the signatures. */
function messageKey(transaction) {
  let key = keys.get(transaction);
  if (key === undefined) {
    key = createHash('sha256').update(transaction.messageBytes).digest('base64');
    keys.set(transaction, key);
  }
  return key;
}

/** litesvm's wrapper writes the signatures in the order of this object's keys. */
function forLitesvm({ messageBytes, signers, signatures }) {
  const zeros = new Uint8Array(64);
  return { messageBytes, signatures: Object.fromEntries(signers.map((signer, i) => [signer, signatures[i] ?? zeros])) };
}

function returnData(meta) {
  const data = meta.returnData();
  const bytes = data.data();
  if (bytes.length === 0) return null;
  return { programId: base58.decode(data.programId()), data: [Buffer.from(bytes).toString('base64'), 'base64'] };
}
