/** Sends a payment until its fate is known, and never makes a second one. */
import { decode } from './bytes.js';
import { data, HERE } from './page.js';

const WAITS_MS = [1_000, 2_000, 3_000, 5_000];
/** Answers of the gate or of what stands before it that say nothing of the payment. */
const isNotNow = (status) => [408, 425, 429].includes(status) || (status >= 500 && status < 600);

/** Whether the browser can open what was bought by itself: by the cookie that the shop then sets. */
export const canReload = () => navigator.cookieEnabled && data.again > 0;

/**
 * Sends a payment, again and again if need be.
 *
 * @param {import('./store.js').Payment} payment
 * @param {boolean} wasTried it was sent before, and nobody knows what became of that
 * @param {(name: string) => void} say
 * @returns {Promise<{ is: 'paid' | 'refused' | 'moved' | 'failed' | 'unknown', answer?: Response, receipt?: any }>}
 *   `moved`: it is sold at another address, and only with a receipt it was charged; `unknown`: whether it was made nobody has said
 */
export async function send(payment, wasTried, say) {
  let isUnsure = wasTried;
  for (let tries = 0; ; tries += 1) {
    const outcome = await once(payment);
    // What stands before the gate may speak in its place.
    if (outcome.is === 'failed' && !outcome.receipt?.success && isUnsure) return { ...outcome, is: 'unknown' };
    if (outcome.is !== 'again') return outcome;
    isUnsure = true;
    if (Date.now() > payment.ends) return { ...outcome, is: 'unknown' };
    say(outcome.why);
    await awhile(outcome.wait ?? WAITS_MS[Math.min(tries, WAITS_MS.length - 1)]);
  }
}

async function once({ header, direct, paid }) {
  // Where a redirect leads, and whether it was charged, could not be read here.
  const prefer = canReload() && !direct ? 'return=minimal, redirect=manual' : 'redirect=manual';
  const headers = { 'PAYMENT-SIGNATURE': header, Accept: '*/*', Prefer: prefer };
  let answer;
  try {
    answer = await fetch(HERE, { headers, cache: 'no-store', redirect: 'manual' });
  } catch {
    return { is: 'again', why: 'offline' };
  }
  const receipt = decode(answer.headers.get('PAYMENT-RESPONSE'));
  // What brings no receipt is not the gate's.
  if (answer.ok) return { is: receipt?.success || paid ? 'paid' : 'unknown', answer, receipt };
  // The gate has heard that none can be read: it is somebody else's.
  if (answer.type === 'opaqueredirect') return { is: paid ? 'paid' : 'unknown', answer };
  if (answer.status === 409 && answer.headers.has('Preference-Applied')) return { is: 'moved', answer, receipt, to: addressOf(answer) };
  // 412: something is to be done before the payment.
  if (answer.status === 402 || answer.status === 412) {
    const reason = receipt?.errorReason ?? decode(answer.headers.get('PAYMENT-REQUIRED'))?.error ?? '';
    // A sentence says that no payment came: something has dropped it.
    if (!/^\w+$/.test(reason)) return { is: 'unknown', answer };
    return reason === 'settlement_pending' ? { is: 'again', why: 'pending', wait: waitOf(answer), receipt } : { is: 'refused', answer, receipt, reason };
  }
  // With a receipt it is paid for, whatever became of the goods.
  if (!receipt?.success && isNotNow(answer.status)) return { is: 'again', why: 'busy', wait: waitOf(answer), answer };
  return { is: 'failed', answer, receipt };
}

/** Where an answer leads that says so, if a browser can go there. */
export function leadsTo(answer) {
  try {
    const to = new URL(answer.headers.get('Location') ?? '', HERE);
    return /^https?:$/.test(to.protocol) ? to : undefined;
  } catch {
    return undefined;
  }
}

/** Where it is sold, if that is an address of this shop and another one than this. */
function addressOf(answer) {
  const to = leadsTo(answer);
  if (to) to.hash = '';
  return to?.origin === location.origin && to.href !== HERE ? to : undefined;
}

const waitOf = (answer) => 1_000 * Math.min(Number(answer.headers.get('Retry-After')) || 0, 10) || undefined;

/** A pause that ends early when the connection is back. */
const awhile = (ms) =>
  new Promise((done) => {
    const timer = setTimeout(done, ms);
    addEventListener('online', () => { clearTimeout(timer); done(); }, { once: true });
  });
