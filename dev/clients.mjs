/** Buyers' clients that nobody here wrote: each gives a `fetch` that pays. */
import { createLocalWallet as faremeterEvmWallet } from '@faremeter/wallet-evm';
import { createLocalWallet as faremeterSolanaWallet } from '@faremeter/wallet-solana';
import { createPaymentHandler as faremeterEvmHandler } from '@faremeter/payment-evm/exact';
import { createPaymentHandler as faremeterSolanaHandler } from '@faremeter/payment-solana/exact';
import { wrap as wrapFaremeter } from '@faremeter/fetch';
import { x402Client } from '@x402/core/client';
import { ExactEvmScheme } from '@x402/evm/exact/client';
import { ExactEvmSchemeV1 } from '@x402/evm/exact/v1/client';
import { wrapFetchWithPayment as wrapV2 } from '@x402/fetch';
import { ExactSvmScheme } from '@x402/svm/exact/client';
import { ExactSvmSchemeV1 } from '@x402/svm/exact/v1/client';
import { createSolanaRpc } from '@solana/kit';
import { wrapFetchWithPayment as wrapV1 } from 'x402-fetch';
import { USDC_MINT } from './solana/setup.mjs';

/** Networks of the local world, by their v1 name. */
export const NETWORK_NAMES = {
  'base-sepolia': 'eip155:84532',
  'solana-devnet': 'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1',
};

/** The CAIP-2 identifier of a network given by either of its names. */
export const caip2 = (network) => NETWORK_NAMES[network] ?? network;

// The clients cap what they spend by default; whoever uses these asked for the purchase.
const NO_LIMIT = 10n ** 30n;

/**
 * What a paying client needs.
 *
 * @typedef {object} Buyer
 * @property {any} evm account of `evmBuyer`
 * @property {any} solana account of `solanaBuyer`
 * @property {string} solanaUrl RPC of the local cluster
 * @property {string} [network] CAIP-2 or v1 name; default: the first that is offered
 * @property {string} [asset] address of a token; default: the first that is offered on the network. Not for Faremeter's
 * @property {(offers: any[], chosen: any) => void} [onOffer] told before anything is paid
 * @property {typeof fetch} [fetch] default: the global one
 */

/**
 * `@x402/fetch`: protocol version 2; version 1 where a seller offers nothing else.
 *
 * @param {Buyer} buyer
 * @returns {typeof fetch}
 */
export function x402Fetch({ evm, solana, solanaUrl, network, asset, onOffer, fetch = globalThis.fetch }) {
  const client = new x402Client((_version, offers) => choose(offers, { network, asset }, onOffer))
    .register('eip155:*', new ExactEvmScheme(evm))
    .register('solana:*', new ExactSvmScheme(solana.signer, { rpcUrl: solanaUrl }))
    .registerV1('base-sepolia', new ExactEvmSchemeV1(evm))
    .registerV1('solana-devnet', new ExactSvmSchemeV1(solana.signer, { rpcUrl: solanaUrl }))
    .setSpendControls(false);
  return wrapV2(fetch, client);
}

/**
 * `x402-fetch`: protocol version 1.
 *
 * @param {Buyer} buyer
 * @returns {typeof fetch}
 */
export function x402FetchV1({ evm, solana, solanaUrl, network, asset, onOffer, fetch = globalThis.fetch }) {
  const select = (offers) => choose(offers, { network, asset }, onOffer);
  return wrapV1(fetch, { evm, svm: solana.signer }, NO_LIMIT, select, { svmConfig: { rpcUrl: solanaUrl } });
}

/**
 * `@faremeter/fetch`, which speaks both versions and pays what it finds first.
 *
 * @param {Buyer} buyer
 * @returns {Promise<typeof fetch>}
 */
export async function faremeterFetch({ evm, solana, solanaUrl, network, fetch = globalThis.fetch }) {
  const evmWallet = await faremeterEvmWallet({ id: 84532, name: 'Base Sepolia' }, evm.privateKey);
  const solanaWallet = await faremeterSolanaWallet('devnet', solana.secretKey);
  const handlers = {
    'eip155:84532': faremeterEvmHandler(evmWallet),
    [NETWORK_NAMES['solana-devnet']]: faremeterSolanaHandler(solanaWallet, USDC_MINT, createSolanaRpc(solanaUrl)),
  };
  const wanted = network === undefined ? Object.values(handlers) : [handlers[caip2(network)]];
  return wrapFaremeter(fetch, { handlers: wanted, retryCount: 0, returnPaymentFailure: true });
}

function choose(offers, { network, asset }, onOffer) {
  const isWanted = (offer) => (network === undefined || caip2(offer.network) === caip2(network)) && (asset === undefined || offer.asset === asset);
  const chosen = offers.find(isWanted);
  if (!chosen) {
    const offered = offers.map((offer) => offer.network).join(', ');
    throw new Error(`the seller does not take ${asset ?? 'any token'} on ${network}; offered: ${offered}`);
  }
  onOffer?.(offers, chosen);
  return chosen;
}
