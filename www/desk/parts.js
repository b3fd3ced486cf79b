/** What all parts of the desk are made of. */
import { chainOf, explorerUrl } from '../pay/chains.js';
import { make } from '../pay/make.js';
import { short } from './money.js';

export { make };
export const button = (words, onclick, more = {}) => make('button', { type: 'button', onclick, ...more }, words);

/** A part of the page under a heading. */
export const section = (title, ...children) => make('section', {}, make('h2', {}, title), ...children);

/** What went wrong, for the seller. */
export const alertOf = (error) => make('p', { role: 'alert', className: 'bad' }, error.message);

/**
 * A table: columns by their titles, rows of what stands in their cells; the first is the row's heading.
 *
 * @param {'' | 'stack' | 'flow'} [onPhone] as it is; each cell beside its title; or cells that say themselves what they are, one after the other
 */
export function table(caption, titles, rows, onPhone = '') {
  const cell = (tag, content, n) => make(tag, { ...(tag === 'th' && { scope: 'row' }), 'data-title': titles[n] }, Array.isArray(content) ? make('div', {}, ...content) : content);
  return make('table', { className: onPhone },
    make('caption', {}, caption),
    make('thead', {}, make('tr', {}, ...titles.map((title) => make('th', { scope: 'col' }, title)))),
    make('tbody', {}, ...rows.map((cells) => make('tr', {}, ...cells.map((it, n) => cell(n ? 'td' : 'th', it, n))))));
}

/** A network, as people call it. */
export function networkName(id) {
  const { title, standard, test } = chainOf(id);
  return title ?? (standard ? `Solana${test ? ' Devnet' : ''}` : id);
}

/** A transaction, with a link to an explorer where one is known. */
export function transactionOf(network, id) {
  const url = explorerUrl(network ?? '', id);
  const code = make('code', { title: id }, short(id) || 'none');
  return url ? make('a', { href: url, rel: 'noreferrer', target: '_blank' }, code) : code;
}
