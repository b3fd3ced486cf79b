/**
 * The people of the local world. All keys are derived from public constants:
 * they are worth nothing and must never hold anything on a real network.
 */
import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import { createKeyPairSignerFromBytes, getBase58Decoder } from '@solana/kit';
import { keccak256, toBytes, toHex } from 'viem';
import { mnemonicToAccount, privateKeyToAccount } from 'viem/accounts';

const MNEMONIC = 'test test test test test test test test test test test junk';
const SELLER_INDEX = 9;
// Beyond the accounts that anvil unlocks: only the Worker sends from these.
const FIRST_RELAYER_INDEX = 20;

/** An EVM account of anvil's standard mnemonic, with its `privateKey`. */
export function evmAccount(addressIndex) {
  const account = mnemonicToAccount(MNEMONIC, { addressIndex });
  return { ...account, privateKey: toHex(account.getHdKey().privateKey) };
}

/** The EVM account that is paid. */
export const evmSeller = () => evmAccount(SELLER_INDEX);

/** The accounts that send settlements and pay their gas. */
export const evmRelayers = (count = 1) => range(count).map((i) => evmAccount(FIRST_RELAYER_INDEX + i));

/** EVM buyer number `index`: has test USDC, never any ether. */
export function evmBuyer(index = 0) {
  const privateKey = keccak256(toBytes(`edge402 local buyer ${index}`));
  return { ...privateKeyToAccount(privateKey), privateKey };
}

/** The first `count` EVM buyers. */
export const evmBuyers = (count = 1) => range(count).map(evmBuyer);

/**
 * A Solana key pair from a name: same name, same key.
 *
 * @returns {Promise<{ address: string, secretKey: Uint8Array, secretBase58: string, signer: import('@solana/kit').KeyPairSigner }>}
 *   `secretKey` is 64 bytes, seed then public key; `secretBase58` the same in base58.
 */
export async function solanaAccount(name) {
  const seed = createHash('sha256').update(`edge402 local solana ${name}`).digest();
  const secretKey = Uint8Array.from([...seed, ...publicKeyOf(seed)]);
  const signer = await createKeyPairSignerFromBytes(secretKey, true);
  return { address: signer.address, secretKey, secretBase58: getBase58Decoder().decode(secretKey), signer };
}

/** The Solana account that is paid. */
export const solanaSeller = () => solanaAccount('seller');

/** The accounts that pay the fees of settlements. */
export const solanaFeePayers = (count = 1) => Promise.all(range(count).map((i) => solanaAccount(`fee payer ${i}`)));

/** Solana buyer number `index`: has test USDC, never any SOL. */
export const solanaBuyer = (index = 0) => solanaAccount(`buyer ${index}`);

/** The first `count` Solana buyers. */
export const solanaBuyers = (count = 1) => Promise.all(range(count).map(solanaBuyer));

function publicKeyOf(seed) {
  // The fixed PKCS #8 prefix of an ed25519 seed (RFC 8410, section 7).
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const key = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
  return key.export({ format: 'der', type: 'spki' }).subarray(-32);
}

function range(count) {
  return Array.from({ length: count }, (_, i) => i);
}
