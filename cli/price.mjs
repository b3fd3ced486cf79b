/** What an offer costs in dollars by what is known here of its token, and whether that is too dear. */
import { Mistake } from '../dev/cli.mjs';

/** USDC's, on each network that is known. */
const USDC_DECIMALS = 6;

const isHex = (address) => /^0x/i.test(address);

/** Whether two spellings are one address: upper and lower case differ on Solana alone. */
export const isSameAddress = (one, other) => one === other || (isHex(one) && isHex(other) && one.toLowerCase() === other.toLowerCase());

/**
 * The decimals of an offer's token; `undefined` for a token that isn't known.
 * What the seller says of them, in `extra`, counts for nothing: with 18 for USDC
 * $1,000 would look like less than a cent.
 *
 * @param {{ id: string, usdc: string }[]} known
 * @param {(network: string) => string} idOf the CAIP-2 name of a network
 * @param {boolean} isLocal whether the seller is the shop on this machine, whose tokens are test money
 * @returns {(offer: any) => number | undefined}
 */
export function decimalsBy(known, idOf, isLocal = false) {
  return ({ network, asset }) => {
    if (isLocal) return USDC_DECIMALS;
    const usdc = known.find(({ id }) => id === idOf(network))?.usdc;
    return usdc !== undefined && isSameAddress(usdc, String(asset)) ? USDC_DECIMALS : undefined;
  };
}

/**
 * The guard of a purchase: throws unless the price is known to be within the limit.
 *
 * @param {{ most: number, asset?: string, mostUnits?: bigint }} limits dollars; or atomic units of one token
 * @returns {(offer: any, price: { text: string, units: bigint, dollars: number | undefined }) => void}
 */
export function limit({ most, asset, mostUnits }) {
  return (offer, { text, units, dollars }) => {
    if (units < 0n) throw new Mistake(`The seller asks for ${units}, which is no price.`);
    if (mostUnits !== undefined && isSameAddress(asset, offer.asset)) {
      if (!(units <= mostUnits)) throw new Mistake(`That is ${units} atomic units, and no more than ${mostUnits} are paid: --max-units ${units} allows it.`);
      return;
    }
    if (dollars === undefined) {
      throw new Mistake(`${offer.asset} on ${offer.network} is not USDC, so what ${units} atomic units of it are worth is not known here: --asset ${offer.asset} --max-units ${units} allows it.`);
    }
    // So that what is no number is refused.
    if (!(dollars <= most)) throw new Mistake(`That is ${text}, and no more than $${most} is paid: --max ${dollars} allows it.`);
  };
}
