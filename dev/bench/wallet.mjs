/** Payments by the reference's own client, made before the clock starts. */
import { x402Client } from '@x402/core/client';
import { encodePaymentSignatureHeader, x402HTTPClient } from '@x402/core/http';
import { ExactEvmScheme } from '@x402/evm/exact/client';
import { ExactSvmScheme } from '@x402/svm/exact/client';

/**
 * Asks what a page costs and signs the payment for it.
 *
 * @param {string} url
 * @param {import('../clients.mjs').Buyer} buyer
 * @param {string} network CAIP-2
 * @param {(offer: any) => any} [change] what is signed instead of what was asked for
 * @returns {Promise<Record<string, string>>} the headers that pay
 */
export async function preparePayment(url, buyer, network, change = (offer) => offer) {
  return signPayment(url, schemesOf(buyer), network, change);
}

/**
 * The same for so many payments that differ in nothing but their nonces.
 *
 * @returns {Promise<Record<string, string>[]>}
 */
export async function preparePayments(count, url, buyer, network, change = (offer) => offer) {
  const signer = await signerFor(url, schemesOf(buyer), network, change);
  const payments = [];
  for (let i = 0; i < count; i += 1) payments.push(await signer());
  return payments;
}

const schemesOf = (buyer) => [['eip155:*', new ExactEvmScheme(buyer.evm)], ['solana:*', new ExactSvmScheme(buyer.solana.signer, { rpcUrl: buyer.solanaUrl })]];

/**
 * The same by whatever schemes of the reference's.
 *
 * @param {string} url
 * @param {[string, any][]} schemes by the networks that they are for
 * @param {string} network CAIP-2
 * @param {(offer: any) => any} [change] as above
 * @returns {Promise<Record<string, string>>} the headers that pay
 */
export async function signPayment(url, schemes, network, change = (offer) => offer) {
  return (await signerFor(url, schemes, network, change))();
}

async function signerFor(url, schemes, network, change) {
  const client = new x402Client((_version, offers) => offers[0]).setSpendControls(false);
  for (const [networks, scheme] of schemes) client.register(networks, scheme);
  const response = await fetch(url);
  const required = new x402HTTPClient(client).getPaymentRequiredResponse((name) => response.headers.get(name), await response.json());
  const offer = required.accepts.find((candidate) => candidate.network === network);
  if (!offer) throw new Error(`${url} doesn't take ${network}`);
  return async () => {
    const payload = await client.createPaymentPayload({ ...required, accepts: [change(offer)] });
    return { 'PAYMENT-SIGNATURE': encodePaymentSignatureHeader({ ...payload, accepted: offer }) };
  };
}

/**
 * Pays and waits for the whole page.
 *
 * @returns {Promise<{ paid: boolean, status: number, ms: number, transaction?: string, reason?: string }>}
 */
export async function payFor(url, headers, { timeoutMs = 60_000 } = {}) {
  const start = performance.now();
  try {
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(timeoutMs) });
    const body = await response.text();
    const receipt = response.headers.get('payment-response');
    const { success, transaction, errorReason } = receipt ? JSON.parse(Buffer.from(receipt, 'base64').toString()) : {};
    return {
      paid: response.status === 200 && success === true,
      status: response.status,
      ms: performance.now() - start,
      transaction,
      reason: errorReason ?? (response.ok ? undefined : body.slice(0, 200)),
    };
  } catch (error) {
    return { paid: false, status: 0, ms: performance.now() - start, reason: error.cause?.message ?? error.message };
  }
}
