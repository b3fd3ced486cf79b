/**
 * Resource servers that nobody here wrote, each selling `/goods/…` through a
 * facilitator: unmodified middleware, set up as its documentation does it.
 */
import { createMiddleware } from '@faremeter/middleware/hono';
import { HTTPFacilitatorClient } from '@x402/core/server';
import { ExactEvmScheme } from '@x402/evm/exact/server';
import { UptoEvmScheme } from '@x402/evm/upto/server';
import { paymentMiddleware, setSettlementOverrides, x402ResourceServer } from '@x402/hono';
import { ExactSvmScheme } from '@x402/svm/exact/server';
import { Hono } from 'hono';
import { paymentMiddleware as paymentMiddlewareV1 } from 'x402-hono';
import { serve } from './serve.mjs';

/** What is sold. */
export const GOODS = 'These are the goods.\n';

/**
 * What is asked for on one network.
 *
 * @typedef {object} Offer
 * @property {string} network CAIP-2
 * @property {string} v1Name of the network
 * @property {string} payTo
 * @property {string} asset
 * @property {bigint} amount atomic units of USDC
 * @property {any} [price] of another token, as `@x402/hono` takes it
 * @property {'exact' | 'upto'} [scheme]
 */

/**
 * `@x402/hono`: version 2, all networks at every path.
 *
 * @param {{ facilitator: string, token?: string, offers: Offer[], extensions?: any, used?: () => string }} options
 *   `extensions`: what the challenge declares; `used`: what is charged of an offer that is paid by use
 * @returns {Promise<import('./serve.mjs').Server>}
 */
export function startX402Hono({ facilitator, token, offers, extensions, used }) {
  const client = new HTTPFacilitatorClient({ url: facilitator, createAuthHeaders: authHeaders(token) });
  const server = new x402ResourceServer(client)
    .register('eip155:*', new ExactEvmScheme())
    .register('eip155:*', new UptoEvmScheme())
    .register('solana:*', new ExactSvmScheme());
  const accepts = offers.map(({ network, payTo, amount, price = dollars(amount), scheme = 'exact' }) => ({ scheme, network, payTo, price }));
  const sold = { accepts, description: 'The goods', mimeType: 'text/plain', extensions };
  const answer = used && ((context) => setSettlementOverrides(context, { amount: used() }));
  return serveShop([paymentMiddleware({ '/goods/*': sold }, server)], answer);
}

/**
 * `x402-hono`: version 1, one network at a path: `/goods/<v1 name>`.
 *
 * @param {{ facilitator: string, token?: string, offers: Offer[] }} options
 * @returns {Promise<import('./serve.mjs').Server>}
 */
export function startX402HonoV1({ facilitator, token, offers }) {
  const client = { url: facilitator, createAuthHeaders: authHeaders(token) };
  const middleware = offers.map(({ v1Name, payTo, amount }) =>
    paymentMiddlewareV1(payTo, { [`/goods/${v1Name}`]: { price: dollars(amount), network: v1Name } }, client));
  return serveShop(middleware);
}

/**
 * `@faremeter/middleware`: both versions unless told otherwise. It can't send
 * a token: its facilitator must be open. It is told nothing that a facilitator
 * can add: no EIP-712 domain, no fee payer.
 *
 * @param {{ facilitator: string, offers: Offer[], versions?: number[] }} options
 * @returns {Promise<import('./serve.mjs').Server>}
 */
export async function startFaremeter({ facilitator, offers, versions = [1, 2] }) {
  const middleware = await createMiddleware({
    facilitatorURL: facilitator,
    accepts: offers.map(({ network, payTo, asset, amount }) => ({
      scheme: 'exact', network, payTo, asset, maxAmountRequired: String(amount), maxTimeoutSeconds: 60, description: 'The goods',
    })),
    supportedVersions: { x402v1: versions.includes(1), x402v2: versions.includes(2) },
  });
  return serveShop([middleware]);
}

function serveShop(middleware, answer = () => {}) {
  const app = new Hono();
  for (const each of middleware) app.use('/goods/*', each);
  app.get('/goods/*', (context) => {
    answer(context);
    return context.text(GOODS);
  });
  return serve((request) => app.fetch(request));
}

/** What the reference's facilitator clients send, by endpoint; nothing without a token. */
function authHeaders(token) {
  if (token === undefined) return undefined;
  const headers = { Authorization: `Bearer ${token}` };
  return async () => ({ verify: headers, settle: headers, supported: headers });
}

const dollars = (amount) => `$${Number(amount) / 1_000_000}`;
