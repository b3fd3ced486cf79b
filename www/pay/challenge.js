/** The terms of a payment, asked for anew, and the payment as a header. */
import { decode, encode, hex, randomBytes } from './bytes.js';
import { HERE, reopen, Stop, text } from './page.js';

/** Shows what can't be answered with a payment: it is free now, or was bought before. */
const GONE_ON = new Promise(() => {});

/**
 * Asks what it costs now, as a program would.
 *
 * @param {import('./page.js').Offer} shown what the buyer has seen
 * @returns {Promise<{ offer: any, now: number, isSponsored: boolean, wrap: (payload: object, extensions?: object) => string }>} the
 *   entry of `accepts`, the shop's time in seconds, whether the shop takes a permit along, and what makes a header of
 *   a payload
 */
export async function freshTerms(shown) {
  let answer;
  try {
    answer = await fetch(HERE, { method: 'HEAD', headers: { Accept: 'application/json' }, cache: 'no-store', redirect: 'manual' });
  } catch {
    throw new Stop('no_answer');
  }
  if (answer.ok || answer.type === 'opaqueredirect') {
    reopen();
    await GONE_ON;
  }
  const challenge = decode(answer.headers.get('PAYMENT-REQUIRED'));
  if (answer.status !== 402 || !challenge) throw new Stop('closed');
  const offer = challenge.accepts.find(({ scheme, network, asset, extra }) => scheme === 'exact' && network === shown.network && asset === shown.asset && isKnown(extra));
  if (!offer) throw new Stop('not_offered', { network: shown.title });
  if (offer.amount !== shown.amount) throw changed(shown, offer.amount);
  const date = Date.parse(answer.headers.get('Date'));
  const now = Math.floor((date || Date.now()) / 1_000);
  const { name, version } = offer.extra ?? {};
  const isSponsored = Boolean(challenge.extensions?.[SPONSORING] && name && version);
  return { offer, now, isSponsored, wrap: (payload, signed) => encode(paymentOf(challenge, offer, payload, signed)) };
}

/** Whether an offer is paid by a method that there is here. */
const isKnown = ({ assetTransferMethod = 'eip3009' } = {}) => ['eip3009', 'permit2'].includes(assetTransferMethod);

/** The page shows the new price from now on; the buyer has to ask again. */
function changed(shown, amount) {
  const before = `${shown.shown} ${shown.symbol}`;
  Object.assign(shown, { amount, shown: inTokens(amount, shown.decimals) });
  return new Stop('changed', { before, amount: `${shown.shown} ${shown.symbol}` });
}

/** Atomic units as people read them. */
export function inTokens(amount, decimals) {
  const digits = String(amount).padStart(decimals + 1, '0');
  const whole = digits.slice(0, digits.length - decimals);
  const rest = digits.slice(digits.length - decimals).replace(/0+$/, '');
  return rest ? `${whole}.${rest}` : whole;
}

const NAME = 'payment-identifier';
/** The extension by which a shop takes along what lets Permit2 move a token. */
export const SPONSORING = 'eip2612GasSponsoring';

/** By a name of its own the shop knows the buyer again, wherever they are by then: it takes one whether it has asked for one or not. */
function paymentOf({ resource, extensions }, accepted, payload, signed) {
  const named = extensions?.[NAME];
  const info = { required: false, ...named?.info, id: hex(randomBytes(16)).slice(2) };
  return { x402Version: 2, resource, accepted, payload, extensions: { [NAME]: { ...named, info }, ...signed } };
}

/** For how long an offer is good, for people. */
export const minutesOf = (seconds) => (seconds < 120 ? text('seconds', { n: seconds }) : text('minutes', { n: Math.floor(seconds / 60) }));
