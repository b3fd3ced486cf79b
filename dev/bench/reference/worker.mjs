/** The reference at the edge: `@x402/hono` before an origin, with a facilitator that checks and settles. */
import { HTTPFacilitatorClient } from '@x402/core/server';
import { ExactEvmScheme } from '@x402/evm/exact/server';
import { paymentMiddleware, x402ResourceServer } from '@x402/hono';
import { ExactSvmScheme } from '@x402/svm/exact/server';
import { Hono } from 'hono';

let app;

export default {
  fetch(request, env, context) {
    // Not at the start: asking the facilitator what it supports is IO.
    app ??= shop(env);
    return app.fetch(request, env, context);
  },
};

function shop({ ORIGIN, FACILITATOR, OFFERS }) {
  const server = new x402ResourceServer(new HTTPFacilitatorClient({ url: FACILITATOR }))
    .register('eip155:*', new ExactEvmScheme())
    .register('solana:*', new ExactSvmScheme());
  const accepts = OFFERS.map((offer) => ({ scheme: 'exact', ...offer }));
  return new Hono()
    .use(paymentMiddleware({ '/paid/*': { accepts, description: 'Premium pages', mimeType: 'text/html' } }, server))
    .all('*', ({ req }) => fetch(ORIGIN + req.path, req.raw));
}
