/** The wallets of this browser, as they announce themselves. */
import { chainOf } from './chains.js';

/**
 * @typedef {object} Wallet one name, whatever it can pay on
 * @property {string} name
 * @property {string} [icon] a data: URL
 * @property {any} [evm] its EIP-1193 provider
 * @property {any} [solana] its Wallet Standard object
 */

/** For so long the wallet that names itself nowhere is not listed: those that do are told from it by their names. */
const LAST_RESORT_MS = 600;

/**
 * Looks for wallets, as long as the page is open: some come late.
 *
 * @param {(wallets: Wallet[]) => void} onChange
 */
export function findWallets(onChange) {
  const evm = new Map();
  const solana = new Set();
  const tell = () => onChange(merge([...evm.values()], [...solana]));

  // EIP-6963.
  addEventListener('eip6963:announceProvider', ({ detail }) => {
    const { info, provider } = detail ?? {};
    if (!info?.name || !provider?.request || evm.has(info.rdns || info.uuid)) return;
    evm.set(info.rdns || info.uuid, { name: info.name, icon: info.icon, evm: provider });
    tell();
  });
  dispatchEvent(new Event('eip6963:requestProvider'));

  // Wallet Standard.
  const register = (...wallets) => {
    for (const wallet of wallets) solana.add(wallet);
    tell();
    return () => {
      for (const wallet of wallets) solana.delete(wallet);
      tell();
    };
  };
  addEventListener('wallet-standard:register-wallet', ({ detail: callback }) => callback({ register }));
  dispatchEvent(new CustomEvent('wallet-standard:app-ready', { detail: { register } }));

  setTimeout(() => {
    const provider = window.ethereum;
    if (evm.size === 0 && provider?.request) evm.set('', { name: nameOf(provider), evm: provider });
    tell();
  }, LAST_RESORT_MS);
}

const nameOf = (provider) => (provider.isMetaMask ? 'MetaMask' : provider.isCoinbaseWallet ? 'Coinbase Wallet' : 'Ethereum');

/** A wallet for several kinds of chains announces itself once for each. */
function merge(evm, solana) {
  const wallets = new Map(evm.map((wallet) => [wallet.name, { ...wallet }]));
  for (const wallet of solana) {
    if (!wallet.features?.['standard:connect'] || !wallet.features['solana:signTransaction']) continue;
    const known = wallets.get(wallet.name) ?? { name: wallet.name, icon: wallet.icon };
    wallets.set(wallet.name, { ...known, solana: wallet });
  }
  return [...wallets.values()];
}

/** Whether a wallet can pay on a network. */
export function paysOn(wallet, network) {
  const { standard } = chainOf(network);
  return standard ? Boolean(wallet.solana?.chains.includes(standard)) : network.startsWith('eip155:') && Boolean(wallet.evm);
}
