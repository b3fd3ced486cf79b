/** Keys as other tools write them. */
import { createDecipheriv, createHash, pbkdf2Sync, scryptSync } from 'node:crypto';
import { keccak256, toHex } from 'viem';
import { english, mnemonicToAccount } from 'viem/accounts';
import { Mistake } from '../dev/cli.mjs';
import { addressesOf } from './new-keys.mjs';

/** More than any tool asks for, and less than a machine has. */
const SCRYPT_MEMORY = 1 << 30;

/**
 * Reads a key in the spelling of whichever tool wrote it.
 *
 * @param {string} text
 * @returns {Promise<{ kind: 'eip155' | 'solana', key: string }>} as `.dev.vars` takes it
 */
export async function convert(text) {
  if (text.startsWith('{')) return { kind: 'eip155', key: fromKeystore(text) };
  if (/^([a-z]+\s+){11,}[a-z]+$/.test(text)) return { kind: 'eip155', key: fromPhrase(text) };
  const problems = [];
  for (const kind of /^(0x)?[0-9a-f]{64}$/i.test(text) ? ['eip155'] : ['solana', 'eip155']) {
    const { addresses, problems: own } = await addressesOf(kind, text);
    if (addresses.length === 1 && own.length === 0) return { kind, key: kind === 'eip155' ? `0x${text.replace(/^0x/i, '')}` : text.replace(/\s+/g, '') };
    problems.push(own[0]);
  }
  throw new Mistake(`That is no key that is known here. As a Solana key, it ${problems[0]}.${problems[1] ? ` As an EVM key, it ${problems[1]}.` : ''}`);
}

/** The first account of a seed phrase, which wallets and `cast` show first (BIP-44, m/44'/60'/0'/0/0). */
function fromPhrase(phrase) {
  const words = phrase.split(/\s+/);
  if (!isPhrase(words)) throw new Mistake('That looks like a seed phrase, and its words or their order are not those of one (BIP-39).');
  return toHex(mnemonicToAccount(words.join(' ')).getHdKey().privateKey);
}

/** Eleven bits for each word; the last ones are the first ones of a hash of the others (BIP-39). */
function isPhrase(words) {
  const numbers = words.map((word) => english.indexOf(word));
  if (![12, 15, 18, 21, 24].includes(words.length) || numbers.includes(-1)) return false;
  const bits = numbers.map((number) => number.toString(2).padStart(11, '0')).join('');
  const length = Math.floor(bits.length / 33) * 32;
  const entropy = Buffer.from(bits.slice(0, length).match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const [first] = createHash('sha256').update(entropy).digest();
  return first.toString(2).padStart(8, '0').startsWith(bits.slice(length));
}

/** An Ethereum keystore, version 3: what geth, `cast wallet` and most wallets export. */
function fromKeystore(text) {
  const password = process.env.KEY_PASSWORD;
  const { crypto } = parseKeystore(text);
  if (password === undefined) throw new Mistake('That is an Ethereum keystore: put its password into KEY_PASSWORD.');
  const { kdf, kdfparams: how, ciphertext, cipherparams, mac } = crypto;
  const salt = Buffer.from(how.salt, 'hex');
  const derived = kdf === 'scrypt'
    ? scryptSync(password, salt, how.dklen, { N: how.n, r: how.r, p: how.p, maxmem: SCRYPT_MEMORY })
    : pbkdf2Sync(password, salt, how.c, how.dklen, 'sha256');
  const body = Buffer.from(ciphertext, 'hex');
  if (keccak256(Buffer.concat([derived.subarray(16, 32), body])) !== `0x${mac.toLowerCase()}`) throw new Mistake('KEY_PASSWORD is not the password of that keystore.');
  const decipher = createDecipheriv('aes-128-ctr', derived.subarray(0, 16), Buffer.from(cipherparams.iv, 'hex'));
  return `0x${Buffer.concat([decipher.update(body), decipher.final()]).toString('hex')}`;
}

function parseKeystore(text) {
  try {
    const { crypto, Crypto } = JSON.parse(text);
    const held = crypto ?? Crypto;
    if (held.cipher === 'aes-128-ctr' && ['scrypt', 'pbkdf2'].includes(held.kdf)) return { crypto: held };
  } catch {
    // Said below.
  }
  throw new Mistake('That is JSON, and neither what solana-keygen writes (an array of 64 numbers) nor an Ethereum keystore.');
}
