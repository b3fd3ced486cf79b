/** The reference client, `@x402/fetch`, for whoever has keys: in the local world, and anywhere else. */
import { x402Client } from '@x402/core/client';
import { ExactEvmScheme } from '@x402/evm/exact/client';
import { ExactEvmSchemeV1 } from '@x402/evm/exact/v1/client';
import { UptoEvmScheme } from '@x402/evm/upto/client';
import { wrapFetchWithPayment } from '@x402/fetch';
import { ExactSvmScheme } from '@x402/svm/exact/client';
import { ExactSvmSchemeV1 } from '@x402/svm/exact/v1/client';

/** Networks of the local world, by their v1 name. */
export const NETWORK_NAMES = {
  'base-sepolia': 'eip155:84532',
  'solana-devnet': 'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1',
};

/** The CAIP-2 identifier of a network given by either of its names. */
export const caip2 = (network, names = NETWORK_NAMES) => names[network] ?? network;

/**
 * What a paying client needs. Without an account for a kind of chain it pays on the other.
 *
 * @typedef {object} Buyer
 * @property {any} [evm] account of `evmBuyer`, or of viem's
 * @property {any} [solana] account of `solanaBuyer`
 * @property {Record<number, { rpcUrl: string }>} [evmNodes] by the number of the chain: with one a permit is signed where Permit2 may not move the token yet, and the seller takes that
 * @property {string | ((cluster: string) => string)} [solanaUrl] RPC of the cluster
 * @property {string} [network] CAIP-2 or v1 name; default: the first that is offered
 * @property {string} [asset] address of a token; default: the first that is offered on the network. Not for Faremeter's
 * @property {Record<string, string>} [names] v1 name → CAIP-2 of the networks that are paid on; default: the local ones
 * @property {(offers: any[], chosen: any) => void} [onOffer] told before anything is paid; may throw
 * @property {typeof fetch} [fetch] default: the global one
 */

/**
 * `@x402/fetch`: protocol version 2; version 1 where a seller offers nothing else.
 *
 * @param {Buyer} buyer
 * @returns {typeof fetch}
 */
export function x402Fetch({ evm, evmNodes, solana, solanaUrl, network, asset, names = NETWORK_NAMES, onOffer, fetch = globalThis.fetch }) {
  const client = new x402Client((_version, offers) => choose(offers, { network, asset, onOffer, names }));
  const ofKind = (kind) => Object.entries(names).filter(([, id]) => id.startsWith(kind));
  if (evm) {
    client.register('eip155:*', new ExactEvmScheme(evm));
    client.register('eip155:*', new UptoEvmScheme(evm, evmNodes));
    for (const [name] of ofKind('eip155:')) client.registerV1(name, new ExactEvmSchemeV1(evm));
  }
  if (solana) {
    const rpcOf = (cluster) => ({ rpcUrl: typeof solanaUrl === 'function' ? solanaUrl(cluster) : solanaUrl });
    for (const [name, cluster] of ofKind('solana:')) {
      client.register(cluster, new ExactSvmScheme(solana.signer, rpcOf(cluster)));
      client.registerV1(name, new ExactSvmSchemeV1(solana.signer, rpcOf(cluster)));
    }
  }
  // The clients cap what they spend by default; whoever uses these asked for the purchase.
  return wrapFetchWithPayment(fetch, client.setSpendControls(false));
}

/** Whether two addresses of tokens are one: in EVM addresses upper and lower case are only a checksum. */
const isSame = (one, other) => one === other || (/^0x/i.test(other) && String(one).toLowerCase() === other.toLowerCase());

/** The offer that is paid: the first, or the first on a network or in a token. */
export function choose(offers, { network, asset, onOffer, names }) {
  const isOn = (offer) => network === undefined || caip2(offer.network, names) === caip2(network, names);
  const chosen = offers.find((offer) => isOn(offer) && (asset === undefined || isSame(offer.asset, asset)));
  if (!chosen) {
    const offered = offers.map((offer) => offer.network).join(', ');
    throw new Error(`the seller does not take ${asset ?? 'any token'} on ${network}; offered: ${offered}`);
  }
  onOffer?.(offers, chosen);
  return chosen;
}
