/** Smart wallets on a local chain: what deploys them, and how their owners sign. */
import { concat, encodeAbiParameters, encodeFunctionData, getAddress, hashTypedData, keccak256, parseAbi, serializeErc6492Signature } from 'viem';
import { compileTestWallets } from './compile.mjs';

/** Where Coinbase's factories are on real chains; here is one of our own at the first, and one that burns gas at the second. */
export const FACTORY_ADDRESS = '0x0BA5ED0c6AA8c49038F819E587E2633c4A9F428a';
export const GREEDY_FACTORY_ADDRESS = '0xBA5ED110eFDBa3D005bfC882d75358ACBbB85842';

export const FACTORY_ABI = parseAbi([
  'function createAccount(address owner, uint256 nonce) returns (address)',
  'function getAddress(address owner, uint256 nonce) view returns (address)',
  'event Created(address indexed wallet, address indexed caller)',
]);

const PLACES = {
  [FACTORY_ADDRESS]: 'TestWalletFactory',
  [GREEDY_FACTORY_ADDRESS]: 'TestGreedyFactory',
  [getAddress(`0x${'d1'.repeat(20)}`)]: 'TestDelegate',
  [getAddress(`0x${'d2'.repeat(20)}`)]: 'TestStrictDelegate',
};
const placeOf = (name) => Object.keys(PLACES).find((address) => PLACES[address] === name);

/** What signs in place of an account, as x402's clients take it. */
const signer = (address, sign) => ({ address, signTypedData: async (typed) => sign(hashTypedData(typed)) });

/** What an account signs in place of a digest (`replaySafe` of TestWallets.sol). */
const replaySafe = (chainId, account, digest) =>
  keccak256(encodeAbiParameters([{ type: 'bytes32' }, { type: 'uint256' }, { type: 'address' }], [digest, BigInt(chainId), account]));

/**
 * Puts the contracts where they are to be.
 *
 * @param {import('./anvil.mjs').Anvil} chain
 * @returns {Promise<WalletWorld>}
 *
 * @typedef {{ address: string, signTypedData: (typed: any) => Promise<`0x${string}`> }} Signer
 * @typedef {object} WalletWorld
 * @property {(owner: any, nonce?: bigint, factory?: string) => Promise<Signer & { undeployed: Signer }>} wallet of an
 *   owner, deployed or not; `undeployed` signs with what deploys it by a factory (ERC-6492)
 * @property {(owner: any, nonce?: bigint) => Promise<void>} deploy
 * @property {(account: any, options?: { strict?: boolean }) => Promise<Signer>} delegate has an account delegate
 *   (EIP-7702), and answers how its contract wants it to sign
 * @property {(name: 'TestFickleWallet' | 'TestGreedyWallet', address: string) => Promise<Signer>} place a wallet that
 *   takes every signature, in simulations
 */
export async function placeWallets({ client, chainId }) {
  const contracts = compileTestWallets();
  for (const [address, name] of Object.entries(PLACES)) await client.setCode({ address, bytecode: contracts[name].runtimeCode });
  const [sender] = await client.getAddresses();
  const creation = (owner, nonce) => encodeFunctionData({ abi: FACTORY_ABI, functionName: 'createAccount', args: [owner.address, nonce] });
  return {
    async wallet(owner, nonce = 0n, factory = FACTORY_ADDRESS) {
      const address = await client.readContract({ address: FACTORY_ADDRESS, abi: FACTORY_ABI, functionName: 'getAddress', args: [owner.address, nonce] });
      const sign = async (digest) => {
        const signature = await owner.sign({ hash: replaySafe(chainId, address, digest) });
        return encodeAbiParameters([{ type: 'uint256' }, { type: 'bytes' }], [0n, signature]);
      };
      const wrap = async (digest) => serializeErc6492Signature({ address: factory, data: creation(owner, nonce), signature: await sign(digest) });
      return { ...signer(address, sign), undeployed: signer(address, wrap) };
    },
    async deploy(owner, nonce = 0n) {
      const hash = await client.sendTransaction({ account: sender, to: FACTORY_ADDRESS, data: creation(owner, nonce) });
      await client.waitForTransactionReceipt({ hash });
    },
    async delegate(account, { strict = false } = {}) {
      const delegate = placeOf(strict ? 'TestStrictDelegate' : 'TestDelegate');
      await client.setCode({ address: account.address, bytecode: concat(['0xef0100', delegate]) });
      return signer(account.address, (digest) => account.sign({ hash: strict ? replaySafe(chainId, account.address, digest) : digest }));
    },
    async place(name, address) {
      await client.setCode({ address, bytecode: contracts[name].runtimeCode });
      return signer(getAddress(address), async () => '0x5151');
    },
  };
}
