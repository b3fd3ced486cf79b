/**
 * What was found.
 *
 * @typedef {object} Finding
 * @property {'fault' | 'warning'} kind a fault keeps something from being sold, or gives it away; a warning may be what is wanted
 * @property {string} key of the configuration
 * @property {string} problem what is wrong, and what it should be
 */

/** @returns {Finding} */
export const fault = (key, problem) => ({ kind: 'fault', key, problem });

/** @returns {Finding} */
export const warning = (key, problem) => ({ kind: 'warning', key, problem });

/** A finding of the Worker's own reader that is one text: `KEY: problem`. */
export function noteOf(text) {
  const end = text.indexOf(': ');
  return warning(text.slice(0, end), text.slice(end + 2));
}

/** The one of some words that a misspelt one is likely to mean, if there is one. */
export function nearest(word, words) {
  const close = words.filter((it) => distance(word.toUpperCase(), it) <= Math.max(2, Math.floor(it.length / 5)));
  return close.sort((a, b) => distance(word, a) - distance(word, b))[0];
}

/** How many letters must be put in, taken out or changed (Levenshtein). */
function distance(from, to) {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= to.length; j += 1) {
      next.push(Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (from[i - 1] === to[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row.at(-1);
}

/** An amount of a coin in its smallest unit, in words: `0.0123 ETH`. */
export function coins(amount, { symbol, decimals }) {
  const digits = BigInt(amount).toString().padStart(decimals + 1, '0');
  const [whole, fraction] = [digits.slice(0, -decimals), digits.slice(-decimals)];
  // Four digits from the first that is not 0.
  const zeros = whole === '0' ? fraction.length - fraction.replace(/^0+/, '').length : 0;
  const shown = fraction.slice(0, zeros + 4).replace(/0+$/, '');
  return `${whole}${shown && `.${shown}`} ${symbol}`;
}
