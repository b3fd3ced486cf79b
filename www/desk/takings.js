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
  const within = (list, count, key = 'day') => {
    const [first] = lastDays(count);
    return list.filter((it) => it[key] >= first);
  };
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

  /** What there is to a span of days: plots, and tables by route, network, payer and reason. */
  async function details(count) {
    const [routes, networks, payers] = await Promise.all(['route', 'network', 'payer'].map((by) => ask(`sales/sums${query({ from: lastDays(count)[0], to: today(), by })}`)));
    const tables = routes.sums.length ? [
      byKey('By route', 'Route', sorted(groups(routes.sums)), finder('route')),
      byKey('By network', 'Network', sorted(groups(networks.sums)), networkName, ['Fees', feesOf]),
      byKey(`By payer${payers.cut ? ', of the newest sales' : ''}`, 'Payer', groups(payers.sums), finder('payer')),
    ] : [];
    return [...plotsOf(count), make('div', { className: 'columns' }, ...tables, refusedIn(count))];
  }

  function plotsOf(count) {
    const days = lastDays(Math.max(count, FEWEST_BARS));
    const sums = within(all.sums, days.length, 'key');
    return totals(sums).map(({ symbol, decimals }) => plot({ symbol, decimals }, days.map((day) => {
      const it = totals(sums.filter(({ key }) => key === day)).find((own) => own.symbol === symbol);
      return { day, count: it?.count ?? 0, units: it ? it.units * 10n ** BigInt(decimals - it.decimals) : 0n };
    })));
  }

  function refusedIn(count) {
    const times = new Map();
    for (const it of within(all.refused ?? [], count)) times.set(it.reason, (times.get(it.reason) ?? 0) + it.count);
    const rows = [...times].sort(([, a], [, b]) => b - a).map(([reason, number]) => [make('code', {}, reason), number.toLocaleString('en')]);
    return rows.length > 0 && table('Refused payments', ['Reason', 'Times'], rows);
  }

  /** What shows the sales of a route or payer. */
  const finder = (name) => (key) => (key ? button(name === 'payer' ? short(key) : key, () => find({ [name]: key }), { className: 'link', title: key }) : 'elsewhere');

  const feesOf = (network, sums) => {
    const coin = coins[network];
    const fee = sums.reduce((sum, it) => sum + BigInt(it.fee ?? 0), 0n);
    return coin?.decimals == null ? '–' : `${decimal(fee, coin.decimals)} ${coin.symbol}`;
  };

  const choices = SPANS.map(([count, name]) => {
    const sums = within(all.sums, count, 'key');
    const input = make('input', { type: 'radio', name: 'span', checked: count === 30, onchange: () => show(count) });
    const taken = totals(sums).map((total) => make('b', {}, shown(total)));
    return make('label', { className: 'card' }, input, make('span', {}, name), ...(taken.length ? taken : [make('b', {}, 'Nothing')]), make('small', {}, many(countOf(sums), 'sale')), ...backOf(sums).map((total) => make('small', {}, `${shown(total)} back`)));
  });
  void show(30);
  return section('Takings',
    make('fieldset', { className: 'cards' }, make('legend', { className: 'soft' }, 'Days end at midnight UTC.'), ...choices),
    detail);
}

/** Sums of one key each. */
function groups(sums) {
  const all = new Map();
  for (const sum of sums) all.set(sum.key, [...all.get(sum.key) ?? [], sum]);
  return [...all];
}

/** What has come back to payers of these sales. */
const backOf = (sums) => totals(sums.filter(({ refunded }) => refunded).map((it) => ({ ...it, amount: it.refunded })));

/** Those of the most sales first. */
const sorted = (list) => list.sort(([, a], [, b]) => countOf(b) - countOf(a));

function byKey(caption, title, list, cell, [more, moreOf] = []) {
  return table(caption, [title, 'Sales', 'Amount', ...(more ? [more] : [])], list.map(([key, sums]) => [
    cell(key), countOf(sums).toLocaleString('en'), totals(sums).map((total) => make('span', { className: 'amount' }, shown(total))), ...(more ? [moreOf(key, sums)] : []),
  ]));
}
