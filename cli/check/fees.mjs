/** Whether what is sold costs more than its fee: what doesn't is not sent, and its buyer gets 503. */
import { coins, fault, warning } from './findings.mjs';

/**
 * Compares the fee of one payment with the prices.
 *
 * @param {any} network
 * @param {bigint} fee in wei or lamports
 * @param {{ number: number, price: string, prices: string[] }[]} routes those that are sold there
 * @returns {import('./findings.mjs').Finding[]}
 */
export function checkFees({ id, title, coin, facilitator, tokens: [token] }, fee, routes) {
  // Without a price of the coin no fee is too high.
  if (facilitator !== null || token === undefined || token.coinPrice === null) return [];
  const units = fee * BigInt(token.coinPrice) / 10n ** BigInt(coin.decimals);
  return routes.flatMap(({ number, price, prices }) => {
    const [least] = [price, ...prices].sort((a, b) => (atomic(a, token.decimals) < atomic(b, token.decimals) ? -1 : 1));
    if (atomic(least, token.decimals) >= units) return [];
    // Fees go up and down: what is far below is never sold.
    const say = atomic(least, token.decimals) < units / 2n ? fault : warning;
    const key = `ROUTES[${number}].${least === price ? 'price' : 'prices'}`;
    return [say(key, `${least} is less than the fee of a payment on ${title}, about ${coins(fee, coin)} now, or ${dollars(units, token.decimals)} at the coin_price of NETWORKS.${JSON.stringify(id)}: such a payment is not sent. Take more, leave that network out of the route's networks, or set coin_price`)];
  });
}

/** A price in atomic units of a token. */
export function atomic(price, decimals) {
  const [whole, fraction = ''] = price.replace(/[$,]/g, '').split('.');
  return BigInt(whole + fraction.padEnd(decimals, '0').slice(0, decimals));
}

/** Two digits from the first that is not 0. */
function dollars(units, decimals) {
  return `$${Number((Number(units) / 10 ** decimals).toPrecision(2))}`;
}
