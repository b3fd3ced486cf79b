/** Permit2 on a local chain, x402's contracts in front of it, and a token that knows no EIP-3009. */
import { PERMIT2_ADDRESS, x402ExactPermit2ProxyAddress, x402UptoPermit2ProxyAddress } from '@x402/evm';
import { encodeFunctionData, getAddress, maxUint256, parseAbi, parseEther } from 'viem';
import { compileTestPermit2 } from './compile.mjs';

export { PERMIT2_ADDRESS, x402ExactPermit2ProxyAddress as EXACT_PROXY_ADDRESS, x402UptoPermit2ProxyAddress as UPTO_PROXY_ADDRESS };

/** Where the token is. */
export const TOKEN_ADDRESS = getAddress('0x70e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2');
/** Its EIP-712 name and version. */
export const TOKEN_NAME = 'Test Dollar';
export const TOKEN_VERSION = '1';

const TOKEN_ABI = parseAbi([
  'function balanceOf(address owner) view returns (uint256)',
  'function allowance(address owner, address spender) view returns (uint256)',
  'function nonces(address owner) view returns (uint256)',
  'function approve(address spender, uint256 value) returns (bool)',
  'function transfer(address to, uint256 value) returns (bool)',
  'function mint(address to, uint256 value)',
]);

/**
 * Puts the contracts where they are on real chains.
 *
 * @param {import('./anvil.mjs').Anvil} chain
 * @returns {Promise<Permit2World>}
 *
 * @typedef {object} Permit2World amounts in atomic units of the token
 * @property {(to: string, amount: bigint) => Promise<void>} mint
 * @property {(account: any, amount?: bigint) => Promise<void>} approve lets Permit2 move that much; the account gets the
 *   gas for it, and no ether is left with it
 * @property {(account: any, to: string, amount: bigint) => Promise<void>} send the same for a transfer
 * @property {(owner: string) => Promise<bigint>} balance
 * @property {(owner: string) => Promise<bigint>} allowance of Permit2
 */
export async function placePermit2({ client, fund }) {
  const { TestPermit2, TestExactPermit2Proxy, TestUptoPermit2Proxy, TestToken } = compileTestPermit2();
  const places = [
    [PERMIT2_ADDRESS, TestPermit2], [x402ExactPermit2ProxyAddress, TestExactPermit2Proxy],
    [x402UptoPermit2ProxyAddress, TestUptoPermit2Proxy], [TOKEN_ADDRESS, TestToken],
  ];
  for (const [address, { runtimeCode }] of places) await client.setCode({ address, bytecode: runtimeCode });
  const read = (functionName, args) => client.readContract({ address: TOKEN_ADDRESS, abi: TOKEN_ABI, functionName, args });
  const send = async (account, functionName, args) => {
    const data = encodeFunctionData({ abi: TOKEN_ABI, functionName, args });
    await client.waitForTransactionReceipt({ hash: await client.sendTransaction({ account, to: TOKEN_ADDRESS, data }) });
  };
  const withGas = async (account, functionName, args) => {
    await fund(account.address, parseEther('1'));
    await send(account, functionName, args);
    await fund(account.address, 0n);
  };
  const [minter] = await client.getAddresses();
  return {
    mint: (to, amount) => send(minter, 'mint', [to, amount]),
    approve: (account, amount = maxUint256) => withGas(account, 'approve', [PERMIT2_ADDRESS, amount]),
    send: (account, to, amount) => withGas(account, 'transfer', [to, amount]),
    balance: (owner) => read('balanceOf', [owner]),
    allowance: (owner) => read('allowance', [owner, PERMIT2_ADDRESS]),
  };
}
