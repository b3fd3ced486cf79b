/** The sales: found by what somebody asks about, page by page, and as files. */
import { ask, query } from './api.js';
import { shift, startOf, timeOf } from './days.js';
import { short, shown, totals } from './money.js';
import { alertOf, button, make, networkName, section, table, transactionOf } from './parts.js';
import { openRefund } from './refund.js';

const PAGE = 25;
const TITLES = ['Time (UTC)', 'What', 'Amount', 'Network', 'Payer', 'Transaction', 'Goods', 'Refund'];

/** What a text to search for is: hex and base58 name payers and transactions by their lengths, anything else is a route. */
export function filterOf(text) {
  const it = text.trim();
  if (!it) return {};
  if (/^0x[0-9a-f]{64}$/i.test(it) || /^[1-9A-HJ-NP-Za-km-z]{64,90}$/.test(it)) return { transaction: it };
  if (/^0x[0-9a-f]{40}$/i.test(it) || /^[1-9A-HJ-NP-Za-km-z]{32,44}$/.test(it)) return { payer: it };
  return { route: it };
}

/**
 * @param {(sale: any) => { decimals?: number, symbol?: string }} tokenOf what a sale was paid in
 * @returns {{ element: HTMLElement, load: () => Promise<void>, find: (filter: any) => void }}
 */
export function salesList(tokenOf) {
  const field = (name, title, more) => make('label', { className: 'field' }, title, make('input', { name, ...more }));
  const rows = make('div', {});
  const status = make('p', { role: 'status', className: 'soft' });
  const older = button('Older', () => turn([...cursors, next]));
  const newer = button('Newer', () => turn(cursors.slice(0, -1)));
  const files = make('p', { className: 'soft' });
  const form = make('form', { className: 'search', onsubmit: (event) => { event.preventDefault(); turn([]); } },
    field('text', 'Payer, transaction or route', { type: 'search', autocomplete: 'off', spellcheck: false, autocapitalize: 'none' }),
    field('from', 'From', { type: 'date' }), field('to', 'To', { type: 'date' }),
    make('button', {}, 'Search'));
  let cursors = [];
  let next = null;
  let latest = 0;

  function asked() {
    const { text, from, to } = Object.fromEntries(new FormData(form));
    return { ...filterOf(text), from: from && startOf(from), to: to && startOf(shift(to, 1)) };
  }

  async function read() {
    const own = (latest += 1);
    const filter = asked();
    const { route, from, to } = filter;
    const file = (format) => make('a', { href: `/.edge402/sales/export${query({ format, route, from, to })}`, download: '' }, format.toUpperCase());
    files.replaceChildren(`As a file${route || from || to ? ', of this route and time' : ', all of them'}: `, file('csv'), ' ', file('json'));
    const page = await ask(`sales${query({ ...filter, limit: PAGE, cursor: cursors.at(-1) })}`);
    if (own !== latest) return;
    next = page.next;
    older.disabled = !next;
    newer.disabled = !cursors.length;
    rows.replaceChildren(...(page.sales.length ? [table('Sales, the newest first', TITLES, page.sales.map(rowOf), 'flow')] : []));
    status.textContent = page.sales.length ? `Page ${cursors.length + 1}` : 'No sales are found.';
  }

  async function load() {
    rows.setAttribute('aria-busy', 'true');
    await read().catch((error) => rows.replaceChildren(alertOf(error)));
    rows.removeAttribute('aria-busy');
  }

  /** Another page, or other sales. */
  function turn(to) {
    cursors = to;
    return load();
  }

  function find(filter) {
    [form.elements.text.value] = Object.values(filter);
    turn([]);
    form.elements.text.focus();
  }

  function rowOf(sale) {
    const { time, route, path, method, payer, network, transaction, way } = sale;
    const what = path ? [make('code', {}, `${method} ${path}`), route !== path && make('small', {}, route)] : [way ?? 'not known'];
    return [
      timeOf(time), what.filter(Boolean), totals([{ ...tokenOf(sale), ...sale, count: 1 }]).map((total) => make('b', {}, shown(total))), network ? networkName(network) : 'not known',
      button(short(payer), () => find({ payer }), { className: 'link', title: payer }), transactionOf(network, transaction), deliveredOf(sale),
      refundOf(sale),
    ];
  }

  /** What came back of a sale, and a way to send more. */
  function refundOf(sale) {
    const { amount, asset, network, refunded = '0', payer } = sale;
    const back = refunded === '0' ? [] : totals([{ ...tokenOf(sale), ...sale, amount: refunded, count: 1 }]).map((total) => make('span', { className: 'amount' }, `${shown(total)} back${BigInt(refunded) > BigInt(amount) ? ', more than was paid' : ''}`));
    const isLeft = network && asset && BigInt(amount) > BigInt(refunded);
    return [...back, isLeft && button('Refund', () => openRefund(sale, load), { className: 'link', 'aria-label': `Refund ${shown(totals([{ ...tokenOf(sale), ...sale, count: 1 }])[0])} to ${short(payer)}` })].filter(Boolean);
  }

  const element = section('Sales', form, rows, make('div', { className: 'pager' }, newer, older, status), files);
  return { element, load, find };
}

function deliveredOf({ delivered, redeliveries }) {
  if (delivered == null) return 'delivered elsewhere';
  if (!delivered) return 'not delivered yet';
  return redeliveries ? `delivered ${redeliveries + 1}×` : 'delivered';
}
