/** Having a wallet of EVM chains turn to one of them, and asking it about that chain. */
import { chainOf } from './chains.js';
import { pause, Stop } from './stop.js';

export const chainIdOf = ({ network }) => Number(network.split(':')[1]);
const isDeclined = ({ code }) => code === 4001 || code === -32002;

/**
 * Wallets sign for the chain that they are on.
 *
 * @param {(method: string, params?: any[]) => Promise<any>} ask a wallet
 * @param {{ network: string }} shown
 * @param {(name: string) => void} say
 */
export async function useChain(ask, shown, say) {
  const id = chainIdOf(shown);
  const chainId = `0x${id.toString(16)}`;
  const isThere = async () => Number(await ask('eth_chainId')) === id;
  const turn = () => ask('wallet_switchEthereumChain', [{ chainId }]);
  if (await isThere()) return;
  say('switching');
  try {
    await turn();
  } catch (error) {
    // An unknown chain has several codes, by wallet; a refusal has one.
    if (error instanceof Stop || isDeclined(error)) throw error;
    await addChain(ask, shown, chainId);
    if (!(await isThere())) await turn();
  }
  // Some say yes and do nothing, others do it a moment later.
  for (let tries = 0; !(await isThere()); tries += 1) {
    if (tries === 5) throw new Stop('no_switch');
    await pause(200);
  }
}

async function addChain(ask, shown, chainId) {
  const { title, rpc, explorer, coin } = chainOf(shown.network);
  if (!rpc) throw new Stop('no_chain', { id: chainIdOf(shown) });
  try {
    await ask('wallet_addEthereumChain', [{ chainId, chainName: title, rpcUrls: [rpc], blockExplorerUrls: [explorer], nativeCurrency: coin }]);
  } catch (error) {
    if (error instanceof Stop || isDeclined(error)) throw error;
    throw new Stop('no_switch');
  }
}

/** The account that a wallet uses now: another one may have been chosen since it was connected. */
export async function accountOf(ask, connected) {
  const accounts = (await ask('eth_accounts')) ?? [];
  const account = accounts.includes(connected) ? connected : accounts[0] ?? connected;
  if (!/^0x[0-9a-f]{40}$/i.test(account)) throw new Stop('no_account');
  return account;
}

/** A number or an address as a word of calldata. */
export const word = (value) => BigInt(value).toString(16).padStart(64, '0');

/** What an account has of a token; undefined where the wallet can't tell. */
export async function balanceOf(ask, asset, account) {
  try {
    return BigInt(await ask('eth_call', [{ to: asset, data: `0x70a08231${word(account)}` }, 'latest']));
  } catch (error) {
    if (error instanceof Stop) throw error;
    return undefined;
  }
}
