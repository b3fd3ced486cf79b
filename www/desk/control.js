/** What the seller changes, and who hears of sales: prices of routes, and webhooks. */
import { ask } from './api.js';
import { timeOf } from './days.js';
import { alertOf, button, make, section, table } from './parts.js';

export function webhooksOf({ webhooks, problems = [] }) {
  const rows = webhooks.map(({ url, events, pending, last, failing_since: failing }) => [
    make('code', {}, url), events.join(', '), pending.toLocaleString('en'), last ? `${timeOf(last.time)}: ${last.status}` : 'none yet',
    failing ? make('span', { className: 'bad' }, `since ${timeOf(failing)}`) : 'no',
  ]);
  const alerts = problems.map((it) => alertOf({ message: it }));
  return section('Webhooks', ...alerts, rows.length ? table('Who hears of what', ['URL', 'Events', 'Pending', 'Last (UTC)', 'Failing'], rows, 'stack') : make('p', { className: 'soft' }, 'There are none.'));
}

export function overridesOf(first) {
  const body = make('div', {});
  const show = ({ routes, history, published }) => body.replaceChildren(
    ...(published === false ? [make('p', { role: 'status' }, 'The last change is kept, but KV has not taken it yet: it is written again.')] : []),
    table('Prices, until they are set back', ['Route', 'Price', 'For sale', 'Change'], routes.map(rowOf), 'stack'),
    ...(history?.length ? [make('details', {}, make('summary', {}, 'Who changed what'), table('Changes', ['When (UTC)', 'Token', 'Route', 'Price', 'For sale'],
      history.map(({ time, who, route, price, on }) => [timeOf(time), make('code', {}, who), route, price ?? 'set back', on ? 'yes' : 'no']), 'stack'))] : []));

  function rowOf({ route, price, on, default_price: usual, problem }) {
    const name = [make('code', {}, route), problem && make('small', { className: 'bad' }, problem)].filter(Boolean);
    const said = make('span', { role: 'status' });
    const send = async (body) => {
      try {
        show(await ask('desk/overrides', Object.keys(body).length > 1 ? { method: 'PUT', body } : {}));
      } catch (error) {
        said.replaceChildren(alertOf(error));
      }
    };
    if (usual === null) {
      // There is no such route any more.
      const remove = button('Remove', () => send({ route, price: null, on: true }), { 'aria-label': `Remove ${route}` });
      return [name, price ?? 'none', on ? 'yes' : 'no', [remove, said]];
    }
    const input = make('input', { value: price ?? '', placeholder: usual ?? '', 'aria-label': `Price of ${route}`, size: 8 });
    const sold = make('input', { type: 'checkbox', checked: on, 'aria-label': `${route} is for sale` });
    const save = button('Save', () => {
      // What was not touched here may have been changed elsewhere since.
      const wanted = input.value.trim() || null;
      return send({ route, ...(wanted !== price && { price: wanted }), ...(sold.checked !== on && { on: sold.checked }) });
    }, { 'aria-label': `Save ${route}` });
    return [name, input, sold, [save, said]];
  }

  show(first);
  return section('Prices', make('p', { className: 'soft' }, 'A change is in effect within a minute. Empty: the price that wrangler.toml says.'), body);
}
