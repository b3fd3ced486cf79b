/** How things stand: what keeps the shop from selling, what waits, and what is in the keys. */
import { timeOf } from './days.js';
import { roughly, short } from './money.js';
import { make, networkName, section, table, transactionOf } from './parts.js';

/** Fewer sales than this are left: time to send coin. */
const FEW = 100;

export function problemsOf({ problems }) {
  if (!problems.length) return make('p', { className: 'good' }, 'Selling on every network.');
  return make('div', { role: 'alert', className: 'bad' }, make('b', {}, 'Not everything can be sold now.'), make('ul', {}, ...problems.map((it) => make('li', {}, it))));
}

export function waitingOf({ waiting }) {
  if (!waiting.length) return section('Waiting', make('p', { className: 'soft' }, 'No payment waits or is stuck.'));
  const rows = waiting.map(({ network, payer, since, transaction, state, reason, remedy }) => [
    timeOf(since), networkName(network), make('code', { title: payer ?? '' }, short(payer ?? 'not known')), transaction ? transactionOf(network, transaction) : 'not sent',
    [make('b', {}, state), reason && ` ${reason}`].filter(Boolean), remedy ?? '–',
  ]);
  return section('Waiting', table('Payments that wait or are stuck', ['Since (UTC)', 'Network', 'Payer', 'Transaction', 'How it stands', 'What to do'], rows, 'stack'));
}

export function keysOf({ keys }) {
  const rows = keys.map(({ network, role, address, balance, decimals, symbol, sales_left: left }) => [
    networkName(network), role, make('code', {}, address),
    balance == null || decimals == null ? 'not known' : `${roughly(balance, decimals)} ${symbol}`,
    left == null ? 'not known' : make('span', { className: left < FEW ? 'bad' : '' }, left.toLocaleString('en')),
  ]);
  return section('Keys', table('What pays the fees', ['Network', 'Role', 'Address', 'Balance', 'Sales left'], rows, 'stack'));
}
