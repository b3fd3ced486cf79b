/** What outlives the page: a payment until its answer is final, and the receipts of this browser. */
import { HERE } from './page.js';

const KEY = `edge402 ${HERE}`;

/** Storage that is full, forbidden or unreadable is no reason not to sell. */
function attempt(work) {
  try {
    return work();
  } catch {
    return undefined;
  }
}

const get = (storage) => attempt(() => JSON.parse(window[storage].getItem(KEY))) ?? undefined;
const set = (storage, value) => attempt(() => (value ? window[storage].setItem(KEY, JSON.stringify(value)) : window[storage].removeItem(KEY)));

/**
 * The payment that was signed here and has no final answer yet.
 *
 * @typedef {object} Payment
 * @property {string} header
 * @property {import('./page.js').Offer} offer
 * @property {string} wallet its name
 * @property {boolean} [isContract] the account has code, so that the token asks it whether it signed
 * @property {number} ends until when it is worth trying by itself, in milliseconds
 * @property {boolean} [tried] it was sent before, and nobody knows what became of that
 * @property {number} [moves] from how many addresses it was taken to the next one
 * @property {number} [paid] when it was answered well, in milliseconds
 * @property {boolean} [direct] the browser could not open what was bought, so that the page shows it
 */
export const payment = {
  get: () => get('sessionStorage'),
  set: (value) => set('sessionStorage', value),
  /** Takes it along to another address of this shop. */
  move: (value, url) => attempt(() => {
    window.sessionStorage.setItem(`edge402 ${url}`, JSON.stringify(value));
    window.sessionStorage.removeItem(KEY);
  }),
};

/** What was bought here last: `{ at, amount, network, title, transaction }`. */
export const receipt = { get: () => get('localStorage'), set: (value) => set('localStorage', value) };
