/** Buyers' clients that nobody here wrote: each gives a `fetch` that pays. */
import { createLocalWallet as faremeterEvmWallet } from '@faremeter/wallet-evm';
import { createLocalWallet as faremeterSolanaWallet } from '@faremeter/wallet-solana';
import { createPaymentHandler as faremeterEvmHandler } from '@faremeter/payment-evm/exact';
import { createPaymentHandler as faremeterSolanaHandler } from '@faremeter/payment-solana/exact';
import { wrap as wrapFaremeter } from '@faremeter/fetch';
import { createSolanaRpc } from '@solana/kit';
import { wrapFetchWithPayment as wrapV1 } from 'x402-fetch';
import { NETWORK_NAMES, caip2, choose } from './buyer.mjs';
import { USDC_MINT } from './solana/setup.mjs';

export { NETWORK_NAMES, caip2, x402Fetch } from './buyer.mjs';

/** @typedef {import('./buyer.mjs').Buyer} Buyer */

// The clients cap what they spend by default; whoever uses these asked for the purchase.
const NO_LIMIT = 10n ** 30n;

/**
 * `x402-fetch`: protocol version 1.
 *
 * @param {Buyer} buyer
 * @returns {typeof fetch}
 */
export function x402FetchV1({ evm, solana, solanaUrl, network, asset, onOffer, fetch = globalThis.fetch }) {
  const select = (offers) => choose(offers, { network, asset, onOffer });
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
