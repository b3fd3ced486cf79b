/** The page: who sells what, the wallets, and what becomes of a payment. */
import { chainOf, explorerUrl, FAUCET, isEvm } from './chains.js';
import { payByEvm } from './evm.js';
import { show } from './goods.js';
import { amountOf, button, data, language, link, make, paint, reopen, Stop, text } from './page.js';
import { isLocal, isPhone, phone } from './phone.js';
import { canReload, leadsTo, send } from './send.js';
import { payBySolana } from './solana.js';
import { opened, payment as kept, receipt as receipts } from './store.js';
import { findWallets, paysOn } from './wallets.js';

/** A page that comes back so soon was not opened by its cookie. */
const NOT_OPENED_MS = 10_000;
/** From how many addresses a payment is taken to the next one: more lead in a circle. */
const MOVES_MAX = 4;
/** After so long without an answer of the wallet, people are told where to look. */
const STILL_MS = 15_000;
/** What is being said while the wallet is to answer. */
const OF_THE_WALLET = ['connecting', 'switching', 'approving', 'permitting', 'signing'];

const place = document.getElementById('pay');
const choice = make('div');
const status = make('p', { role: 'status' });
const result = make('div', { tabIndex: -1 });
const stop = button(text('cancel'), () => cancel?.(), { className: 'plain', hidden: true });

/** @type {import('./wallets.js').Wallet[]} */
let wallets = [];
let isSearching = true;
/** The network that the buyer has chosen, if any. */
let wanted;
/** Ends the wait for a wallet. */
let cancel;

const canPay = data.method === 'GET' && data.offers.length > 0 && isSecureContext;

function start() {
  place.replaceChildren(status, result, stop, choice);
  const before = opened.get();
  opened.set();
  if (before && Date.now() - before.paid < NOT_OPENED_MS) return deliver({ ...before, direct: true });
  const unsettled = kept.get();
  if (unsettled) return deliver(unsettled);
  remember();
  return offer();
}

/** Says what was bought here before. */
function remember() {
  const before = receipts.get();
  if (before) result.replaceChildren(boughtBefore(before));
}

let isOffering = false;

/** Shows the wallets, and goes on showing those that come later. */
function offer() {
  choice.hidden = false;
  if (isOffering) return drawChoice();
  isOffering = true;
  if (!canPay) return choice.replaceChildren(make('p', { className: 'error' }, text(data.method !== 'GET' ? 'not_get' : data.offers.length > 0 ? 'insecure' : 'by_use', data)));
  findWallets((found) => {
    wallets = found;
    drawChoice();
  });
  setTimeout(() => {
    isSearching = false;
    drawChoice();
  }, 700);
  drawChoice();
}

/** The offer that a wallet pays: the wanted one if it can, else the first it can. */
const offerFor = (wallet) => [wanted, ...data.offers].find((it) => it && paysOn(wallet, it.network));

function drawChoice() {
  const focused = document.activeElement?.dataset?.key;
  const able = wallets.filter(offerFor);
  const parts = [];
  if (data.offers.some(({ network }) => chainOf(network).test)) parts.push(testNote());
  if (!canReload()) parts.push(make('p', { className: 'note' }, text(data.again > 0 ? 'no_cookies' : 'once')));
  if (data.offers.length > 1) parts.push(networks());
  parts.push(make('h2', {}, text('wallets')));
  if (able.length > 0) parts.push(make('ul', { className: 'wallets' }, ...able.map((wallet) => make('li', {}, walletButton(wallet)))));
  else if (isSearching) parts.push(make('p', { className: 'soft' }, text('searching')));
  else parts.push(make('p', {}, isPhone ? text('no_wallet_here') : wallets.length > 0 ? text('wrong_family', { networks: [...new Set(data.offers.map(({ title }) => title))].join(', ') }) : text('no_wallet')));
  parts.push(phone(!isSearching && able.length === 0));
  choice.replaceChildren(...parts);
  if (focused) choice.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

/** The chains behind a shop on one's own machine are most often there, too, where no faucet's money arrives. */
function testNote() {
  const isOffered = data.offers.every(({ network }) => chainOf(network).test);
  return make('p', { className: 'note' }, isOffered ? `${text('test')} ` : '', isLocal ? '' : link(FAUCET, text('faucet')));
}

/** An offer's network, and what it costs there if that is not all the same. */
const nameOf = (it) => (data.offers.filter(({ network }) => network === it.network).length > 1 ? `${it.title}, ${amountOf(it)}` : it.title);

function networks() {
  const current = wanted ?? offerFor(wallets.find(offerFor) ?? {}) ?? data.offers[0];
  return make(
    'fieldset', {}, make('legend', {}, text('network')),
    ...data.offers.map((it) => {
      const choose = () => {
        wanted = it;
        drawChoice();
      };
      const radio = make('input', { type: 'radio', name: 'network', checked: it === current, onchange: choose });
      radio.dataset.key = `${it.network}/${it.asset}`;
      return make('label', {}, radio, ` ${nameOf(it)}`);
    }),
  );
}

function walletButton(wallet) {
  const it = offerFor(wallet);
  const icon = /^data:image\//.test(wallet.icon) ? make('img', { src: wallet.icon.trim(), alt: '', width: 32, height: 32 }) : make('span', { className: 'icon', 'aria-hidden': true }, wallet.name.slice(0, 1));
  const element = button('', () => pay(wallet, it), { className: 'wallet' });
  element.append(icon, make('span', {}, make('b', {}, wallet.name), make('small', {}, text('wallet_on', { amount: amountOf(it), network: it.title }))));
  element.dataset.key = wallet.name;
  return element;
}

/** Has a wallet sign, and sends what it signed. */
async function pay(wallet, shown) {
  // Another tab may have signed meanwhile.
  const unsettled = kept.get();
  if (unsettled) return deliver(unsettled);
  const values = { wallet: wallet.name, network: shown.title, symbol: shown.symbol };
  let still;
  const say = (name, more) => {
    clearTimeout(still);
    status.textContent = text(name, { ...values, amount: amountOf(shown), ...more });
    if (OF_THE_WALLET.includes(name)) still = setTimeout(() => { status.textContent += ` ${text('still', values)}`; }, STILL_MS);
  };
  const canceled = new Promise((_, fail) => { cancel = () => fail(new Stop('')); });
  // What a wallet says after the buyer gave it up is not listened to.
  const step = (work) => Promise.race([work, canceled]);
  busy(true);
  try {
    const at = { say, step, agree: (fee) => step(agree({ ...values, fee })) };
    const { header, seconds, isSmart } = await (isEvm(shown.network) ? payByEvm(wallet.evm, shown, at) : payBySolana(wallet.solana, shown, at));
    clearTimeout(still);
    const payment = { header, isSmart, offer: { ...shown }, wallet: wallet.name, ends: Date.now() + 1_000 * seconds };
    await deliver(payment);
  } catch (error) {
    clearTimeout(still);
    fail(error, { ...values, amount: amountOf(shown) });
  }
}

/** Says what a transaction of the buyer's own is for, and waits until they agree to it. */
function agree(values) {
  status.textContent = '';
  return new Promise((done) => {
    const allow = button(text('allow'), () => {
      result.replaceChildren();
      done();
    }, { className: 'main' });
    result.replaceChildren(make('p', { role: 'alert', className: 'note' }, text('approve', values)), allow);
    allow.focus();
  });
}

/** While a payment is under way nothing else can be started. */
function busy(isBusy) {
  choice.hidden = isBusy;
  stop.hidden = !isBusy;
  result.replaceChildren();
  if (!isBusy) status.textContent = '';
}

const CODES = { 4001: 'declined', '-32002': 'open_already', 4100: 'no_account' };

function fail(error, values) {
  let name = error instanceof Stop ? error.message : CODES[error?.code];
  const message = String(error?.message ?? error).slice(0, 200);
  if (name === undefined) name = /reject|declin|cancel|denied/i.test(message) ? 'declined' : 'wallet_failed';
  busy(false);
  drawChoice();
  if (name) alert(text(name, { ...values, message, ...error.values }));
  choice.querySelector('button')?.focus();
}

/** Says what went wrong; screen readers read it at once. */
function alert(words, ...more) {
  result.replaceChildren(make('p', { role: 'alert', className: 'error' }, words, ...more.filter((it) => it?.href).flatMap((it) => [' ', it])), ...more.filter((it) => it && !it.href));
}

/** Sends a payment until its fate is known, and shows that. */
async function deliver(payment) {
  const { offer: shown, wallet } = payment;
  const values = { wallet, network: shown.title, symbol: shown.symbol, amount: amountOf(shown) };
  cancel = undefined;
  busy(true);
  stop.hidden = true;
  const say = (name) => { status.textContent = text(name, values); };
  say('sending');
  const wasTried = payment.tried;
  payment.tried = true;
  // If the page dies meanwhile, the next one knows of no answer.
  kept.set(payment);
  const outcome = await send(payment, wasTried, say);
  const { is, answer, receipt, reason } = outcome;
  if (is === 'paid') return paid(payment, answer, receipt);
  if (is === 'moved' && outcome.to && !(payment.moves >= MOVES_MAX)) {
    // What it has bought, or can buy, is there: it goes along.
    kept.move({ ...payment, tried: !!receipt?.success, moves: (payment.moves ?? 0) + 1 }, outcome.to.href);
    return location.assign(outcome.to);
  }
  busy(false);
  choice.hidden = false;
  if (is === 'refused') {
    kept.set();
    offer();
    // Delivered, and the browser had it.
    if (payment.paid) return remember();
    return alert(text(reasonText(reason, payment.isSmart), { ...values, reason }), transactionLink(shown.network, receipt?.transaction));
  }
  if (is !== 'unknown' && !receipt?.success) {
    kept.set();
    offer();
    return alert(text('failed', { status: answer.status }));
  }
  choice.hidden = true;
  const again = button(text('ask_again'), () => deliver(payment), { className: 'main' });
  if (is !== 'unknown') return alert(text('failed_paid', { status: answer.status }), again);
  const giveUp = button(text('forget'), () => {
    kept.set();
    busy(false);
    offer();
  }, { className: 'plain' });
  return alert(text('unknown'), again, make('p', { className: 'soft' }, giveUp, ` ${text('forget_note')}`));
}

const REASONS = [
  [/allowance/, 'allowance'],
  [/insufficient/, 'insufficient_funds'],
  [/valid_before|expired/, 'expired'],
  [/factory/, 'smart'],
  [/signature/, 'signature'],
  [/simulation/, 'simulation'],
  [/duplicate/, 'duplicate'],
  [/too_many/, 'throttled'],
  [/svm_payload/, 'changed'],
  [/requirements|mismatch$/, 'terms'],
];

function reasonText(reason, isSmart) {
  const known = REASONS.find(([pattern]) => pattern.test(reason))?.[1] ?? 'other';
  return `r_${isSmart && ['simulation', 'signature'].includes(known) ? 'smart' : known}`;
}

async function paid(payment, answer, receipt) {
  const { offer: shown } = payment;
  const bought = { at: Date.now(), amount: amountOf(shown), title: shown.title, network: shown.network, transaction: receipt?.transaction };
  receipts.set(bought);
  const isOpened = !payment.direct && canReload() && answer.status === 204;
  if (isOpened) opened.set({ ...payment, paid: bought.at });
  kept.set();
  choice.hidden = true;
  stop.hidden = true;
  status.textContent = '';
  const heading = make('h2', { className: 'paid' }, text('paid'));
  const facts = make('p', {}, ...factsOf(bought));
  result.replaceChildren(heading, facts);
  result.focus();
  if (isOpened) {
    // A download leaves this page where it is.
    result.append(make('p', { role: 'status' }, text('opening')), button(text('open'), () => reopen(), { className: 'main' }));
    reopen();
  } else if (answer.type === 'opaqueredirect') {
    result.append(make('p', {}, text('elsewhere')));
  } else if (answer.headers.has('Preference-Applied')) {
    const to = leadsTo(answer);
    result.append(make('p', {}, text('elsewhere'), ' ', to && link(to.href, text('open'))));
  } else {
    result.append(...(await show(answer)));
    // By the grant that came with it.
    if (data.access) result.append(button(text('open'), () => reopen(), { className: 'main' }));
  }
}

function transactionLink(network, transaction) {
  const url = explorerUrl(network, transaction);
  return url && link(url, text('transaction'));
}

/** What was paid on which network, and where to see it. */
function factsOf({ amount, title, network, transaction }) {
  const seen = transactionLink(network, transaction);
  return [text('receipt', { amount, network: title }), ...(seen ? [' · ', seen] : [])];
}

function boughtBefore(bought) {
  const date = new Date(bought.at).toLocaleString(language, { dateStyle: 'medium', timeStyle: 'short' });
  return make('p', { className: 'note' }, text('bought', { date }), ' ', text('bought_note'), make('br'), ...factsOf(bought));
}

if (data.accent) paint(data.accent);
start();
