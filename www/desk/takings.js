/** What was taken: in four spans of days, day by day, and by route, network and payer. */
import { ask, query } from './api.js';
import { lastDays, today } from './days.js';
import { countOf, decimal, many, shown, short, totals } from './money.js';
import { alertOf, button, make, networkName, section, table } from './parts.js';
import { plot } from './plot.js';

/** Spans of days, today included. */
const SPANS = [[1, 'Today'], [7, '7 days'], [30, '30 days'], [365, '365 days']];
const YEAR = 365;
/** A day alone is no plot. */
const FEWEST_BARS = 7;

/** Where the sums of a year are. */
export const daily = () => `sales/sums${query({ from: lastDays(YEAR)[0], to: today(), by: 'day' })}`;

/**
 * @param {{ sums: any[], refused: any[] }} all of a year
 * @param {object} desk
 * @param {(filter: { route?: string, payer?: string }) => void} desk.find shows the sales of one route or payer
 * @param {Record<string, { decimals: number, symbol: string }>} desk.coins what fees are paid in, by network
 */
export function takings(all, { find, coins }) {
  const detail = make('div', {});
  const within = (list, count, key = 'day') => list.filter((it) => it[key] >= lastDays(count)[0]);
  let latest = 0;

  async function show(count) {
    const turn = (latest += 1);
    detail.setAttribute('aria-busy', 'true');
    const parts = await details(count).catch((error) => [alertOf(error)]);
    // Somebody may have chosen another one meanwhile.
    if (turn === latest) {
      detail.replaceChildren(...parts);
      detail.removeAttribute('aria-busy');
    }
  }

  async function details(count) {
    const days = lastDays(Math.max(count, FEWEST_BARS));
    const shownSums = all.sums.filter(({ key }) => key >= days[0]);
    const plots = totals(shownSums).map(({ symbol, decimals }) => plot({ symbol, decimals }, days.map((day) => {
      const [it] = totals(shownSums.filter(({ key }) => key === day)).filter((own) => own.symbol === symbol);
      return { day, count: it?.count ?? 0, units: it ? it.units * 10n ** BigInt(decimals - it.decimals) : 0n };
    })));
    const by = (name) => ask(`sales/sums${query({ from: lastDays(count)[0], to: today(), by: name })}`).then(({ sums }) => groups(sums));
    const [routes, networks, payers] = await Promise.all(['route', 'network', 'payer'].map(by));
    const refused = new Map();
    for (const { reason, count: times } of within(all.refused ?? [], count)) refused.set(reason, (refused.get(reason) ?? 0) + times);
    const rows = (list, cell) => list.map(([key, sums]) => [cell(key), countOf(sums).toLocaleString('en'), amounts(sums)]);
    const finder = (name, words) => (key) => (key ? button(words(key), () => find({ [name]: key }), { className: 'link', title: key }) : 'elsewhere');
    const titles = ['Sales', 'Amount'];
    return [
      ...plots,
      make('div', { className: 'columns' },
        ...(routes.length ? [
          table('By route', ['Route', ...titles], rows(routes, finder('route', (key) => key))),
          table('By network', ['Network', ...titles, 'Fees'], networks.map(([key, sums]) => [networkName(key), countOf(sums).toLocaleString('en'), amounts(sums), feesOf(key, sums)])),
          table('By payer', ['Payer', ...titles], rows(payers, finder('payer', short))),
        ] : []),
        ...(refused.size ? [table('Refused payments', ['Reason', 'Times'], [...refused].sort(([, a], [, b]) => b - a).map(([reason, times]) => [make('code', {}, reason), times.toLocaleString('en')]))] : [])),
    ];
  }

  const feesOf = (network, sums) => {
    const coin = coins[network];
    const fee = sums.reduce((sum, it) => sum + BigInt(it.fee ?? 0), 0n);
    return coin?.decimals == null ? '–' : `${decimal(fee, coin.decimals)} ${coin.symbol}`;
  };
  const choices = SPANS.map(([count, name]) => {
    const sums = within(all.sums, count, 'key');
    const input = make('input', { type: 'radio', name: 'span', checked: count === 30, onchange: () => show(count) });
    const taken = totals(sums).map((total) => make('b', {}, shown(total)));
    return make('label', { className: 'card' }, input, make('span', {}, name), ...(taken.length ? taken : [make('b', {}, 'Nothing')]), make('small', {}, many(countOf(sums), 'sale')));
  });
  void show(30);
  return section('Takings',
    make('fieldset', { className: 'cards' }, make('legend', { className: 'soft' }, 'Days end at midnight UTC.'), ...choices),
    detail);
}

/** Sums of one key each, those of the most sales first. */
function groups(sums) {
  const all = new Map();
  for (const sum of sums) all.set(sum.key, [...all.get(sum.key) ?? [], sum]);
  return [...all].sort(([, a], [, b]) => countOf(b) - countOf(a));
}

const amounts = (sums) => totals(sums).map((total) => make('span', { className: 'amount' }, shown(total)));
