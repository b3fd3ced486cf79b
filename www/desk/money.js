/** Amounts: whole numbers of atomic units, shown as decimals. No amount is ever a float. */

/**
 * An amount as people write it: `1,234.5`. What is cut off behind the last place is no more than was asked to be.
 *
 * @param {bigint | string} units
 * @param {number} decimals of the token
 * @param {number} [places] the most that are shown
 */
export function decimal(units, decimals, places = decimals) {
  const digits = String(units).padStart(decimals + 1, '0');
  const at = digits.length - decimals;
  const fraction = digits.slice(at, at + places).replace(/0+$/, '');
  return BigInt(digits.slice(0, at)).toLocaleString('en') + (fraction && `.${fraction.padEnd(2, '0')}`);
}

/** The same with four digits that count: enough for what is in a purse. */
export function roughly(units, decimals) {
  const fraction = String(units).padStart(decimals, '0').slice(-decimals);
  const zeros = String(units).length > decimals ? 0 : /^0*/.exec(fraction)[0].length;
  return decimal(units, decimals, Math.min(decimals, zeros + 4));
}

/** What people have written, in atomic units; undefined for what is no amount, or finer than those. A comma is a point to some. */
export function unitsOf(text, decimals) {
  const [, whole, fraction = ''] = /^(\d{1,30})(?:\.(\d*))?$/.exec(text.trim()) ?? [];
  const rest = fraction.replace(/0+$/, '');
  return whole && rest.length <= decimals ? BigInt(whole + rest.padEnd(decimals, '0')) : undefined;
}

export const short = (text) => (text.length > 16 ? `${text.slice(0, 6)}…${text.slice(-4)}` : text);

/** What an amount is of, if the Worker knows no symbol for it. */
const symbolOf = ({ symbol, asset }) => symbol ?? `units of ${asset ? short(asset) : 'an unknown token'}`;

/** Adds up what was paid: one total for each symbol, the largest number of sales first. */
export function totals(sums) {
  const all = new Map();
  for (const sum of sums) {
    const symbol = symbolOf(sum);
    const it = all.get(symbol) ?? { symbol, decimals: 0, units: 0n, count: 0 };
    const own = sum.decimals ?? 0;
    const decimals = Math.max(own, it.decimals);
    // The same token may have other decimals on another network.
    const units = it.units * 10n ** BigInt(decimals - it.decimals) + BigInt(sum.amount) * 10n ** BigInt(decimals - own);
    all.set(symbol, { symbol, decimals, units, count: it.count + sum.count });
  }
  return [...all.values()].sort((a, b) => b.count - a.count);
}

export const shown = ({ units, decimals, symbol }) => `${decimal(units, decimals)} ${symbol}`;
export const countOf = (sums) => sums.reduce((all, { count }) => all + count, 0);
export const many = (count, one, more = `${one}s`) => `${count.toLocaleString('en')} ${count === 1 ? one : more}`;
