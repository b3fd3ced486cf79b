/** A transaction's bytes: decoding, as Agave's RPC does it, and signatures. */
import { createPublicKey, verify } from 'node:crypto';
import { getAddressEncoder, getBase58Decoder, getBase58Encoder, getCompiledTransactionMessageDecoder } from '@solana/kit';
import { invalidParams } from './errors.mjs';

/** The most bytes a transaction may have: one network packet. */
const PACKET_DATA_SIZE = 1232;
const TYPE_NAME = 'solana_transaction::versioned::VersionedTransaction';

const base58 = getBase58Encoder();
const toBase58 = getBase58Decoder();
const addressBytes = getAddressEncoder();
const messageDecoder = getCompiledTransactionMessageDecoder();

/**
 * Decodes what `sendTransaction` and `simulateTransaction` are given.
 *
 * @param {string} text
 * @param {'base58' | 'base64'} encoding
 * @returns {WireTransaction}
 * @throws JSON-RPC error -32602 with Agave's words
 *
 * @typedef {object} WireTransaction
 * @property {Uint8Array[]} signatures one for every signer, in order; zeros when absent
 * @property {string[]} signers addresses
 * @property {string} signature base58 of the first one: the transaction's name
 * @property {Uint8Array} messageBytes what is signed
 * @property {any} message header, accounts, instructions
 * @property {Uint8Array} bytes all of it
 */
export function decodeTransaction(text, encoding) {
  if (typeof text !== 'string') throw invalidParams('Invalid params: invalid type: expected a string.');
  return readTransaction(decodeText(text, encoding));
}

/** Decodes a message alone, for `getFeeForMessage`. */
export function decodeMessage(text) {
  try {
    return messageDecoder.decode(decodeText(text, 'base64'));
  } catch (error) {
    throw error.code === -32602 ? error : unreadable('io error: failed to fill whole buffer');
  }
}

/** The same transaction with another blockhash; signatures no longer fit. */
export function withBlockhash(transaction, blockhash) {
  const { messageBytes, message, signatures } = transaction;
  const versionBytes = message.version === 'legacy' ? 0 : 1;
  const accounts = message.staticAccounts.length;
  const at = versionBytes + 3 + compactLength(accounts) + accounts * 32;
  const changed = Uint8Array.from(messageBytes);
  changed.set(base58.encode(blockhash), at);
  return readTransaction(Buffer.concat([compact(signatures.length), ...signatures, changed]));
}

/** True when every signature is there and is that of its signer. */
export function signaturesHold({ signatures, signers, messageBytes }) {
  return signers.every((signer, i) => verifyEd25519(signer, messageBytes, signatures[i]));
}

function readTransaction(bytes) {
  const [count, start] = readCompact(bytes);
  const end = start + count * 64;
  if (end > bytes.length) throw unreadable('io error: failed to fill whole buffer');
  const messageBytes = bytes.subarray(end);
  const message = readMessage(messageBytes);
  const { numSignerAccounts } = message.header;
  if (count > numSignerAccounts || count === 0) throw unsanitary();
  const signatures = Array.from({ length: count }, (_, i) => bytes.subarray(start + i * 64, start + i * 64 + 64));
  return {
    signatures,
    signers: message.staticAccounts.slice(0, numSignerAccounts),
    signature: toBase58.decode(signatures[0]),
    messageBytes,
    message,
    bytes,
  };
}

function readMessage(bytes) {
  let message;
  try {
    message = messageDecoder.decode(bytes);
  } catch {
    throw unreadable('io error: failed to fill whole buffer');
  }
  const { header, staticAccounts, instructions } = message;
  const accounts = staticAccounts.length + lookedUp(message);
  const sane =
    header.numSignerAccounts >= 1 &&
    header.numReadonlySignerAccounts < header.numSignerAccounts &&
    header.numSignerAccounts + header.numReadonlyNonSignerAccounts <= staticAccounts.length &&
    new Set(staticAccounts).size === staticAccounts.length &&
    instructions.every(
      (instruction) =>
        instruction.programAddressIndex > 0 &&
        instruction.programAddressIndex < staticAccounts.length &&
        (instruction.accountIndices ?? []).every((index) => index < accounts),
    );
  if (!sane) throw unsanitary();
  return message;
}

function lookedUp({ addressTableLookups = [] }) {
  return addressTableLookups.reduce(
    (sum, table) => sum + (table.writableIndexes ?? table.writableIndices).length + (table.readonlyIndexes ?? table.readableIndices).length,
    0,
  );
}

function verifyEd25519(address, message, signature) {
  // The fixed SPKI prefix of an ed25519 key (RFC 8410, section 4).
  const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), addressBytes.encode(address)]);
  try {
    return verify(null, message, createPublicKey({ key: der, format: 'der', type: 'spki' }), signature);
  } catch {
    return false;
  }
}

function decodeText(text, encoding) {
  const bytes = encoding === 'base58' ? decodeBase58(text) : decodeBase64(text);
  if (bytes.length > PACKET_DATA_SIZE) {
    throw invalidParams(`decoded ${TYPE_NAME} too large: ${bytes.length} bytes (max: ${PACKET_DATA_SIZE} bytes)`);
  }
  return bytes;
}

function decodeBase64(text) {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) throw invalidParams('invalid base64 encoding: InvalidByte(0, 0)');
  return Uint8Array.from(bytes);
}

function decodeBase58(text) {
  try {
    return Uint8Array.from(base58.encode(text));
  } catch {
    throw invalidParams('invalid base58 encoding: InvalidCharacter { character: \'0\', index: 0 }');
  }
}

function unreadable(why) {
  return invalidParams(`failed to deserialize ${TYPE_NAME}: ${why}`);
}

function unsanitary() {
  return invalidParams('invalid transaction: Transaction failed to sanitize accounts offsets correctly');
}

function readCompact(bytes) {
  let value = 0;
  for (let i = 0; i < 3; i += 1) {
    if (i >= bytes.length) break;
    value |= (bytes[i] & 0x7f) << (7 * i);
    if ((bytes[i] & 0x80) === 0) return [value, i + 1];
  }
  throw unreadable('io error: failed to fill whole buffer');
}

function compact(value) {
  return value < 0x80 ? Buffer.from([value]) : Buffer.from([(value & 0x7f) | 0x80, value >> 7]);
}

function compactLength(value) {
  return value < 0x80 ? 1 : 2;
}
