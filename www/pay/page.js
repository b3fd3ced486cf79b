/** What the Worker put into the page, its texts, and how elements are made. */
import { make } from './make.js';
import { pause, Stop } from './stop.js';

export { make, pause, Stop };

const read = (id) => JSON.parse(document.getElementById(id).textContent);

/**
 * @typedef {object} Offer what is paid on one network
 * @property {string} network CAIP-2
 * @property {string} title the network's name, for people
 * @property {string} asset
 * @property {string} amount in atomic units
 * @property {string} shown the same in tokens
 * @property {string} symbol
 * @property {number} decimals
 */

/** @type {{ method: string, again: number, access: boolean, accent: string, offers: Offer[] }} `again`: for how many seconds what was bought can be had again; `access`: it opens the route for a while */
export const data = read('data');
const texts = read('texts');

/** The URL that is sold: what stands behind a # is not sent. */
export const HERE = location.href.split('#')[0];

/**
 * Loads this address anew. A reload counts for some browsers as done by whoever led here, another site perhaps,
 * for which the shop does less. Only a reload keeps what stands behind a #.
 */
export const reopen = () => (location.href === HERE ? location.replace(HERE) : location.reload());

/** A text of the page's language, with its gaps filled. */
export const text = (name, values = {}) => (texts[name] ?? '').replace(/{(\w+)}/g, (gap, key) => values[key] ?? gap);
export const language = texts.lang;

/** What an offer costs, for people. */
export const amountOf = ({ shown, symbol }) => `${shown} ${symbol}`;

export const link = (href, ...children) => make('a', { href, rel: 'noreferrer' }, ...children);
export const button = (words, onclick, more = {}) => make('button', { type: 'button', onclick, ...more }, words);

/** Gives what is pressed the seller's colour, and its words the one that can be read on it (WCAG 2, relative luminance). */
export function paint(colour) {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const part = parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  const isLight = 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179;
  document.documentElement.style.setProperty('--brand', colour);
  document.documentElement.style.setProperty('--on-brand', isLight ? '#000' : '#fff');
}
