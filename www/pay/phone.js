/** Paying with another device: the page's address as a QR code, and links into wallets' own browsers. */
import { data, HERE, link, make, text } from './page.js';
import { chainOf, isEvm } from './chains.js';
import { qrCode } from './qr.js';

const enc = encodeURIComponent;

/** Wallets whose own browsers open a page by a link, and on which kinds of chains they pay. */
const LINKS = [
  // docs.metamask.io, "Use deeplinks". The path is not encoded: encoded, it opens an empty tab.
  ['MetaMask', true, true, () => `https://link.metamask.io/dapp/${HERE.replace(/^https?:\/\//, '')}`],
  // docs.phantom.com, "Browse".
  ['Phantom', true, true, () => `https://phantom.app/ul/browse/${enc(HERE)}?ref=${enc(location.origin)}`],
  // docs.cdp.coinbase.com, "Mobile dapp integration".
  ['Base', true, false, () => `https://go.cb-w.com/dapp?cb_url=${enc(HERE)}`],
  // developer.trustwallet.com, "Deep linking"; the chain is a coin of SLIP-44.
  ['Trust Wallet', true, true, (hasEvm) => `https://link.trustwallet.com/open_url?coin_id=${hasEvm ? 60 : 501}&url=${enc(HERE)}`],
  // web3.okx.com, "App universal link".
  ['OKX Wallet', true, true, () => `https://web3.okx.com/download?deeplink=${enc(`okx://wallet/dapp/url?dappUrl=${enc(HERE)}`)}`],
  // docs.solflare.com, "Deeplinks", "Browse"; so does Solana's wallet-adapter.
  ['Solflare', false, true, () => `https://solflare.com/ul/v1/browse/${enc(HERE)}?ref=${enc(location.origin)}`],
];

/** Whether a phone that follows this address finds itself, and not this computer. */
export const isLocal = /^(localhost|127(\.\d+){3}|\[::1\])$|\.localhost$/.test(location.hostname);

/** Whether the page is already where it would be sent to. */
export const isPhone = matchMedia('(pointer: coarse)').matches;

let made;

/** A part of the page that is folded, unless there is no other way to pay. */
export function phone(isOpen) {
  made ??= make('details', {}, make('summary', {}, text(isPhone ? 'links' : 'phone')), isPhone ? links() : isLocal ? make('p', {}, text('local')) : scan());
  if (isOpen) made.open = true;
  return made;
}

function scan() {
  const code = qrCode(HERE);
  code?.setAttribute('role', 'img');
  code?.setAttribute('aria-label', text('qr'));
  return make('div', { className: 'scan' }, code, make('p', {}, text('scan')));
}

function links() {
  const networks = data.offers.map(({ network }) => network);
  const hasEvm = networks.some(isEvm);
  const hasSolana = networks.some((network) => chainOf(network).standard);
  const able = LINKS.filter(([, evm, solana]) => (evm && hasEvm) || (solana && hasSolana));
  return make('ul', { className: 'links' }, ...able.map(([name, , , url]) => make('li', {}, link(url(hasEvm), name))));
}
