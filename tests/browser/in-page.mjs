/** Runs in the page before its own script: wallets whose answers come from Node. */
import { registerWallet } from '@wallet-standard/wallet';

async function ask(index, method, params) {
  const { result, error } = await window.__wallet(index, method, params);
  if (error) throw Object.assign(new Error(error.message), error);
  return result;
}

function addEvm(index, { name, rdns, icon, announce }) {
  const provider = { request: ({ method, params }) => ask(index, method, params), isMetaMask: !announce };
  if (!announce) {
    window.ethereum = provider;
    return;
  }
  const detail = Object.freeze({ info: { uuid: `uuid-${index}`, name, rdns, icon }, provider });
  const tell = () => dispatchEvent(new CustomEvent('eip6963:announceProvider', { detail }));
  addEventListener('eip6963:requestProvider', tell);
  tell();
}

const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const textOf = (bytes) => btoa(String.fromCharCode(...bytes));

function addSolana(index, { name, icon, chains, address, publicKey }) {
  const account = { address, publicKey: Uint8Array.from(publicKey), chains, features: ['solana:signTransaction'] };
  const wallet = {
    version: '1.0.0', name, icon, chains, accounts: [],
    features: {
      'standard:connect': {
        version: '1.0.0',
        async connect() {
          await ask(index, 'connect');
          wallet.accounts = [account];
          return { accounts: wallet.accounts };
        },
      },
      'standard:events': { version: '1.0.0', on: () => () => {} },
      'solana:signTransaction': {
        version: '1.0.0', supportedTransactionVersions: ['legacy', 0],
        async signTransaction({ transaction }) {
          const signed = await ask(index, 'signTransaction', textOf(transaction));
          return [{ signedTransaction: bytesOf(signed) }];
        },
      },
    },
  };
  registerWallet(wallet);
}

window.__wallets.forEach((wallet, index) => {
  const add = () => (wallet.kind === 'evm' ? addEvm : addSolana)(index, wallet);
  if (wallet.after > 0) setTimeout(add, wallet.after);
  else add();
});
