/** The seller's desk: signing in, and what is shown then. */
import { ask, Refusal } from './api.js';
import { overridesOf, webhooksOf } from './control.js';
import { alertOf, button, make } from './parts.js';
import { refundsOf } from './refund.js';
import { salesList } from './sales.js';
import { keysOf, problemsOf, waitingOf } from './state.js';
import { daily, takings } from './takings.js';

/** The Worker takes no session there is none of, nor looks at too many tries. */
const isOut = ({ status }) => status === 401 || status === 429;

const main = make('main', { tabIndex: -1 });
const actions = make('div', { className: 'actions' });
document.body.append(make('header', {}, make('h1', {}, 'Desk ', make('span', { className: 'soft' }, location.host)), actions), main);

function signIn(message) {
  actions.replaceChildren();
  const input = make('input', { type: 'password', name: 'token', required: true, autocomplete: 'current-password' });
  const said = make('div', {}, message && alertOf(message));
  const form = make('form', { className: 'sign-in' },
    make('h2', {}, 'Sign in'),
    // By which password managers tell it from other passwords.
    make('input', { value: 'desk', autocomplete: 'username', hidden: true }),
    make('label', { className: 'field' }, 'Token', input),
    said,
    make('button', { className: 'main' }, 'Sign in'),
    make('p', { className: 'soft' }, 'One whose SHA-256 is in the secret DESK_TOKENS. You stay signed in for 12 hours.'));
  form.onsubmit = async (event) => {
    event.preventDefault();
    said.replaceChildren();
    try {
      await ask('desk/session', { method: 'POST', body: { token: input.value } });
      await open(new Refusal(401, 'The browser has not kept the session: it needs https, and cookies of this site.'));
    } catch (error) {
      said.replaceChildren(alertOf(error.status === 401 ? new Refusal(401, 'This is no token of this shop.') : error));
      input.focus();
    }
  };
  main.replaceChildren(form);
  input.focus();
}

async function signOut() {
  try {
    await ask('desk/session', { method: 'DELETE' });
    signIn();
  } catch (error) {
    main.prepend(alertOf(error));
  }
}

/** What one of the Worker's paths says; undefined where there is no such path, or why it says nothing. */
const told = (path) => ask(path).catch((error) => (error.status === 404 ? undefined : error));

/** What is said, shown; nothing where nothing is. */
const shownBy = (show, said) => (said instanceof Refusal ? alertOf(said) : said && show(said));

/** Shows everything there is; a sign-in if nobody has signed in, with what to say then. */
async function open(otherwise) {
  main.setAttribute('aria-busy', 'true');
  // The one before all others: whoever has not signed in tries once.
  const sums = await told(daily());
  main.removeAttribute('aria-busy');
  if (isOut(sums ?? {})) return signIn(otherwise);
  const [state, prices, webhooks, refunds] = await Promise.all(['desk/state', 'desk/overrides', 'desk/webhooks', 'desk/refunds'].map(told));
  const tokens = new Map((sums?.sums ?? []).map(({ network, asset, decimals, symbol }) => [`${network}/${asset}`, { decimals, symbol }]));
  const coins = Object.fromEntries((state?.keys ?? []).map((key) => [key.network, key]));
  const sales = salesList(({ network, asset }) => tokens.get(`${network}/${asset}`));
  const parts = [
    shownBy(problemsOf, state), shownBy((said) => takings(said, { find: sales.find, coins }), sums), sales.element, shownBy((said) => refundsOf(said, sales.load), refunds),
    shownBy(waitingOf, state), shownBy(keysOf, state), shownBy(overridesOf, prices), shownBy(webhooksOf, webhooks),
  ];
  if (!refresh.isConnected) actions.replaceChildren(refresh, leave);
  main.replaceChildren(...parts.filter(Boolean));
  // What had the focus may be gone.
  if (document.activeElement === document.body) main.focus();
  return sales.load();
}

let isRefreshing = false;
const refresh = button('Refresh', async () => {
  if (isRefreshing) return;
  isRefreshing = true;
  await open(new Refusal(401, 'Your session is over.')).finally(() => { isRefreshing = false; });
});
const leave = button('Sign out', signOut);
void open();
