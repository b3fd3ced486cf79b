/** Keys that sign and pay fees, made here and never sent anywhere. */
import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { createKeyPairSignerFromBytes, getBase58Decoder, getBase58Encoder } from '@solana/kit';
import { Mistake } from '../dev/cli.mjs';
import { report } from './reader.mjs';

const base58 = (bytes) => getBase58Decoder().decode(bytes);

/** By kind of chain: the secret that holds its keys, what their account is called, and how one is made. */
export const KINDS = {
  eip155: { secret: 'EVM_RELAYER_KEYS', role: 'relayer', make: () => `0x${randomBytes(32).toString('hex')}` },
  solana: { secret: 'SOLANA_FEE_PAYER_KEYS', role: 'fee payer', make: solanaKey },
};

/** What signs access grants and delivery cookies: 32 bytes in hex. */
export const grantSecret = () => randomBytes(32).toString('hex');

/** What signs webhooks: Standard Webhooks' spelling of 32 bytes. */
export const webhookSecret = () => `whsec_${randomBytes(32).toString('base64')}`;

/** What looks like a key of the Coinbase Developer Platform, and is nobody's. */
export const cdpKey = () => `${randomUUID()}:${keyPair().toString('base64')}`;

/** The kind of chain of a CAIP-2 name. */
export const kindOf = (network) => network.split(':')[0];

/** 64 bytes in base58, the secret seed and then the public key: what wallets export. */
function solanaKey() {
  return base58(keyPair());
}

/** Ed25519: the secret seed and then the public key, 64 bytes. */
function keyPair() {
  const { d, x } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  return Buffer.concat([d, x].map((part) => Buffer.from(part, 'base64url')));
}

/**
 * The addresses of keys, as the Worker reads them.
 *
 * @param {'eip155' | 'solana'} kind
 * @param {string} keys what the secret holds
 * @returns {Promise<{ addresses: string[], problems: string[] }>}
 */
export async function addressesOf(kind, keys) {
  const { secret } = KINDS[kind];
  const { signers, faults } = await report({ secrets: { [secret]: keys } });
  return { addresses: signers[kind], problems: faults.filter(({ key }) => key === secret).map(({ problem }) => problem) };
}

/**
 * The account of a Solana keypair: base58 of 64 bytes, or the JSON array that solana-keygen writes.
 *
 * @returns {Promise<{ address: string, signer: import('@solana/kit').KeyPairSigner }>}
 */
export async function solanaSigner(text, name) {
  const bytes = keypairBytes(text.trim());
  if (bytes?.length !== 64) throw new Mistake(`${name} must be a keypair: base58 of 64 bytes, or what solana-keygen wrote`);
  const signer = await createKeyPairSignerFromBytes(Uint8Array.from(bytes)).catch(() => {
    throw new Mistake(`${name} doesn't fit together: the second 32 bytes must be the public key of the first 32`);
  });
  return { address: signer.address, signer };
}

function keypairBytes(text) {
  try {
    return text.startsWith('[') ? JSON.parse(text) : getBase58Encoder().encode(text);
  } catch {
    return undefined;
  }
}
