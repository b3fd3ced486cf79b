/** What was taken day by day, as bars. */
import { many, shown } from './money.js';
import { make, table } from './parts.js';

const SVG = 'http://www.w3.org/2000/svg';
/** More bars than this are drawn as weeks: they would be thinner than a line. */
const MOST_BARS = 60;
/** Bars are so many units high: no amount, so it may be rounded. */
const HEIGHT = 1_000n;

function element(tag, attributes, ...children) {
  const it = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) it.setAttribute(name, value);
  it.append(...children);
  return it;
}

/**
 * The plot of one token.
 *
 * @param {{ symbol: string, decimals: number }} token
 * @param {{ day: string, units: bigint, count: number }[]} days all of them, the oldest first
 */
export function plot(token, days) {
  const bars = days.length > MOST_BARS ? weeksOf(days) : days.map((day) => ({ ...day, name: day.day }));
  const top = bars.reduce((most, { units }) => (units > most ? units : most), 0n);
  const amount = (units) => shown({ ...token, units });
  const total = bars.reduce((all, { units }) => all + units, 0n);
  const svg = element('svg', {
    viewBox: `0 0 ${bars.length * 10} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img',
    'aria-label': `${amount(total)} from ${days[0].day} to ${days.at(-1).day}; the most at once: ${amount(top)}`,
  }, ...bars.map(({ name, units }, n) => {
    const height = top && (units * HEIGHT) / top;
    // The whole column says what it is, however low the bar.
    return element('g', {},
      element('title', {}, `${name}: ${amount(units)}`),
      element('rect', { class: 'column', x: n * 10, y: 0, width: 10, height: HEIGHT }),
      element('rect', { class: 'bar', x: n * 10 + 1, y: HEIGHT - height, width: 8, height }));
  }));
  const rows = bars.filter(({ count }) => count).reverse().map(({ name, units, count }) => [name, many(count, 'sale'), amount(units)]);
  return make('figure', {},
    make('figcaption', {}, make('b', {}, token.symbol), ` by ${bars === days || bars.length === days.length ? 'day' : 'week'}, at most ${amount(top)}`),
    svg,
    make('p', { className: 'ends soft' }, make('span', {}, days[0].day), make('span', {}, days.at(-1).day)),
    make('details', {}, make('summary', {}, 'The numbers'), table(`${token.symbol} taken`, ['When', 'Sales', 'Amount'], rows)));
}

/** Weeks that end with the last day. */
function weeksOf(days) {
  const weeks = [];
  for (let end = days.length; end > 0; end -= 7) {
    const part = days.slice(Math.max(0, end - 7), end);
    weeks.unshift({
      name: `${part[0].day} to ${part.at(-1).day}`,
      units: part.reduce((all, { units }) => all + units, 0n),
      count: part.reduce((all, { count }) => all + count, 0),
    });
  }
  return weeks;
}
