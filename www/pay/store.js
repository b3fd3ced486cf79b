/** What outlives the page: a payment until its answer is final, and the receipts of this browser. */
import { HERE } from './page.js';

const keyOf = (url) => `edge402 payment ${url}`;
const RECEIPT = `edge402 ${HERE}`;

/** Storage that is full, forbidden or unreadable is no reason not to sell. */
function attempt(work) {
  try {
    return work();
  } catch {
    return undefined;
  }
}

const get = (storage, key) => attempt(() => JSON.parse(window[storage].getItem(key))) ?? undefined;
const set = (storage, key, value) => attempt(() => (value ? window[storage].setItem(key, JSON.stringify(value)) : window[storage].removeItem(key)));

/**
 * The payment that was signed here and has no final answer yet.
 *
 * @typedef {object} Payment
 * @property {string} header
 * @property {import('./page.js').Offer} offer
 * @property {string} wallet its name
 * @property {boolean} [isSmart] the account is a contract, or will be, so that the token asks it whether it signed
 * @property {number} ends until when it is worth trying by itself, in milliseconds
 * @property {boolean} [tried] it was sent before, and nobody knows what became of that
 * @property {number} [moves] from how many addresses it was taken to the next one
 * @property {number} [paid] when it was answered well, in milliseconds
 * @property {boolean} [direct] the browser could not open what was bought, so that the page shows it
 */
export const payment = {
  /** In every tab of this browser, also after a tab was closed: what may still be charged is not signed a second time. */
  get: () => get('localStorage', keyOf(HERE)),
  set: (value) => set('localStorage', keyOf(HERE), value),
  /** Takes it along to another address of this shop. */
  move(value, url) {
    set('localStorage', keyOf(url), value);
    payment.set();
  },
};

/** The payment for which this tab was told to open what was bought. */
export const opened = { get: () => get('sessionStorage', RECEIPT), set: (value) => set('sessionStorage', RECEIPT, value) };

/** What was bought here last: `{ at, amount, network, title, transaction }`. */
export const receipt = { get: () => get('localStorage', RECEIPT), set: (value) => set('localStorage', RECEIPT, value) };
