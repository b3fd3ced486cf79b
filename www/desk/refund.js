/** Paying a sale back: from the seller's own wallet, or by a transaction that was made elsewhere. */
import { explorerUrl } from '../pay/chains.js';
import { pause } from '../pay/stop.js';
import { findWallets, paysOn } from '../pay/wallets.js';
import { ask, query, Refusal } from './api.js';
import { timeOf } from './days.js';
import { decimal, short, unitsOf } from './money.js';
import { alertOf, button, make, networkName, section, table, transactionOf } from './parts.js';
import { sendBack } from './wallet.js';

const PATH = 'desk/refunds';
/** How often the chain is asked while the dialog is open, and how often at most. */
const AGAIN_MS = 4_000;
const TRIES = 75;

/** What is said while the wallet is to answer. */
const STEPS = { connecting: 'Connect this page in your wallet.', switching: 'Switch your wallet to NETWORK.', signing: 'Confirm the transfer of AMOUNT in your wallet. You pay the network’s fee.' };
/** What went wrong, by the names that the wallets' code gives it. */
const STOPS = {
  no_account: 'The wallet names no account: unlock it, and try again.',
  no_switch: 'The wallet stays on another network: switch it to NETWORK yourself, and try again.',
  no_chain: 'The wallet does not know NETWORK: add it there, and try again.',
  no_balance: 'There is too little in this account of the wallet: it has BALANCE.',
  no_blockhash: 'The nodes of NETWORK do not answer the Worker: try again later.',
  nonsense: 'The wallet has answered with something else than a transaction.',
};

/**
 * What a wallet was asked for, or has sent, and the Worker has not heard of yet, by
 * the payments of the sales: `{ asked }` (milliseconds), or what the wallet answered.
 * Kept by the browser: a reload must not forget what may have been paid.
 */
const unheard = {
  KEY: 'edge402 refunds',
  all() {
    try {
      return JSON.parse(localStorage.getItem(this.KEY)) ?? {};
    } catch {
      return {};
    }
  },
  get(payment) {
    return this.all()[payment];
  },
  set(payment, sent) {
    localStorage.setItem(this.KEY, JSON.stringify({ ...this.all(), [payment]: sent }));
  },
  delete(payment) {
    const { [payment]: gone, ...left } = this.all();
    localStorage.setItem(this.KEY, JSON.stringify(left));
  },
};
/** What the Worker answers to what is no refund, whenever it is asked. */
const FINAL = [400, 404, 409];

let wallets = [];
let hasLooked = false;
/** What shows the wallets that there are by now. */
let draw = () => {};

function look() {
  if (hasLooked) return;
  hasLooked = true;
  findWallets((found) => {
    wallets = found;
    draw();
  });
}

/**
 * Opens the dialog in which a sale is paid back.
 *
 * @param {{ network: string, time: number, payment: string }} sale
 * @param {() => void} onChange something was noted, or taken off
 */
export function openRefund({ network, time, payment }, onChange) {
  const status = make('p', { role: 'status' });
  const said = make('div', {});
  const body = make('div', {});
  const close = button('Close', () => dialog.close());
  const title = make('h2', { id: 'refund-title' }, 'Refund');
  const dialog = make('dialog', { 'aria-labelledby': 'refund-title', onclose: () => { dialog.remove(); draw = () => {}; } }, title, body, status, said, close);
  document.body.append(dialog);
  dialog.showModal();
  look();

  let terms;
  const amountOf = (units) => (terms.decimals == null ? `${units} units` : `${decimal(units, terms.decimals)} ${terms.symbol}`);
  const fill = (text, more = {}) => text.replace('NETWORK', networkName(network)).replace('AMOUNT', more.amount).replace('BALANCE', more.balance);
  const fail = (error) => {
    status.textContent = '';
    said.replaceChildren(alertOf(error));
  };

  /** Asks anew what there is to pay back. */
  async function load() {
    body.setAttribute('aria-busy', 'true');
    try {
      terms = await ask(`${PATH}${query({ network, time, payment })}`);
      show();
    } catch (error) {
      fail(error);
    }
    body.removeAttribute('aria-busy');
  }

  function show() {
    const { payer, amount, left, refunds } = terms;
    const before = refunds.map(({ transaction, state, amount: back, problem }) => make('li', {},
      back ? `${amountOf(back)} came back: ` : `${problem ?? 'on its way'}: `, transactionOf(network, transaction), ' ',
      ...(state === 'noted' ? [] : [button('Look again', () => tell({ transaction })), ' ', button('Take off', () => takeOff(transaction), { 'aria-label': `Take off ${short(transaction)}` })])));
    const lost = unheard.get(payment);
    if (lost?.asked) {
      before.push(make('li', {}, 'A wallet was asked for this sale, and its answer was not heard: look there. If it has sent nothing: ', button('Nothing was sent', () => { unheard.delete(payment); show(); })));
    } else if (lost) {
      before.push(make('li', {}, 'Sent, and the Worker does not know it yet: ', lost.transaction ? transactionOf(network, lost.transaction) : 'as your wallet has signed it', ' ', button('Tell the Worker again', () => tell(lost))));
    }
    body.replaceChildren(
      make('p', {}, `${amountOf(amount)} on ${networkName(network)}, ${timeOf(time)} UTC, paid by `, make('code', { title: payer }, short(payer)), '.'),
      ...(before.length ? [make('ul', {}, ...before)] : []),
      ...(left === '0' ? [make('p', { className: 'good' }, 'All of it has come back.')] : form(lost || refunds.some(({ state }) => state === 'open'))));
    draw();
  }

  function form(isOnItsWay) {
    const { left, decimals } = terms;
    const input = make('input', { name: 'amount', value: decimals == null ? left : decimal(left, decimals).replaceAll(',', ''), inputMode: 'decimal', autocomplete: 'off' });
    const list = make('div', { className: 'actions' });
    draw = () => {
      const able = wallets.filter((it) => paysOn(it, network));
      list.replaceChildren(...(able.length ? able.map((it) => button(it.name, () => pay(it, input.value), { className: 'main' })) : [make('p', { className: 'soft' }, `No wallet of this browser can send on ${networkName(network)}.`)]));
    };
    const known = make('input', { name: 'transaction', autocomplete: 'off', spellcheck: false, autocapitalize: 'none' });
    const note = make('form', { className: 'note', onsubmit: (event) => { event.preventDefault(); tell({ transaction: known.value.trim() }); } },
      make('label', { className: 'field' }, 'Sent from elsewhere? Its transaction', known), make('button', {}, 'Note it'));
    if (isOnItsWay) return [make('p', { className: 'soft' }, 'Until the transaction above is there or taken off, no wallet is asked for another one.'), note];
    const withWallet = terms.symbol == null ? [] : [make('label', { className: 'field' }, `Amount in ${terms.symbol}`, input), list];
    return [...withWallet, note];
  }

  /** Says what is done meanwhile; nothing can be pressed but Close. */
  async function working(work) {
    said.replaceChildren();
    for (const it of body.querySelectorAll('button, input')) it.disabled = true;
    try {
      await work();
    } catch (error) {
      fail(error);
    } finally {
      for (const it of body.querySelectorAll('button, input')) it.disabled = false;
    }
  }

  const pay = (wallet, text) => working(async () => {
    const amount = unitsOf(text, terms.decimals);
    if (!amount || amount > BigInt(terms.left)) throw new Refusal(0, `The amount must be more than 0, and at most ${amountOf(terms.left)}.`);
    // One tab at a time, from what is known now until the Worker knows more.
    await navigator.locks.request(`edge402 refund ${payment}`, { ifAvailable: true }, async (lock) => {
      if (!lock || unheard.get(payment)) throw new Refusal(0, 'A wallet has not answered yet to an earlier request for this sale: answer there first.');
      terms = await ask(`${PATH}${query({ network, time, payment })}`);
      if (amount > BigInt(terms.left) || terms.refunds.some(({ state }) => state === 'open')) {
        show();
        throw new Refusal(0, 'Something was sent for this sale meanwhile. Nothing was asked of your wallet.');
      }
      let sent;
      unheard.set(payment, { asked: Date.now() });
      try {
        sent = await sendBack(wallet, terms, amount, (name) => { status.textContent = fill(STEPS[name], { amount: amountOf(amount) }); });
      } catch (error) {
        // Else it may have been sent.
        if (isDeclined(error) || (STOPS[error.message] && error.message !== 'nonsense') || error.code === -32002) unheard.delete(payment);
        else show();
        throw new Refusal(0, reasonOf(error));
      }
      await follow(sent);
    });
  });

  const isDeclined = ({ code, message }) => code === 4001 || /reject|declin|denied|cancel/i.test(message);

  function reasonOf({ code, message, values }) {
    if (isDeclined({ code, message })) return 'You declined in your wallet. Nothing was sent.';
    if (code === -32002) return 'Your wallet already has a request open: look there.';
    const text = STOPS[message];
    return text ? fill(text, { balance: values.balance === undefined ? '' : amountOf(values.balance) }) : `The wallet says: ${message}. Look there whether anything was sent before you try again.`;
  }

  const tell = (sent) => working(() => follow(sent));

  /** Tells the Worker of what was sent, until the chain shows it. */
  async function follow(sent) {
    status.textContent = 'The Worker looks for the transaction on the chain…';
    for (let tries = 0; tries < TRIES; tries += 1) {
      unheard.set(payment, sent);
      const it = await ask(PATH, { method: 'POST', body: { network, time, payment, ...sent } }).catch((error) => {
        const isFinal = FINAL.includes(error.status);
        if (isFinal) unheard.delete(payment);
        else show();
        throw new Refusal(error.status, sent.transaction ? `${error.message} The transaction is ${sent.transaction}.` : error.message);
      });
      unheard.delete(payment);
      if (it.state === 'noted') {
        await load();
        status.textContent = `${amountOf(it.amount)} came back to the payer.`;
        onChange();
        return;
      }
      if (tries === 0) onChange();
      const url = explorerUrl(network, it.transaction);
      status.replaceChildren('It is sent. Waiting for the chain: you may close this, the Worker goes on looking. ', url ? make('a', { href: url, rel: 'noreferrer', target: '_blank' }, short(it.transaction)) : short(it.transaction));
      await pause(AGAIN_MS);
      if (!dialog.isConnected) return watch(it.transaction);
    }
    await load();
  }

  /** Once the dialog is closed: has the list say so when the transaction is noted. It may be taken off meanwhile, and must not be told again. */
  async function watch(transaction) {
    for (let tries = 0; tries < TRIES; tries += 1) {
      const { refunds } = await ask(`${PATH}${query({ network, time, payment })}`);
      if (refunds.find((it) => it.transaction === transaction)?.state !== 'open') return onChange();
      await pause(AGAIN_MS);
    }
  }

  const takeOff = (transaction) => working(async () => {
    await ask(`${PATH}${query({ network, transaction })}`, { method: 'DELETE' });
    onChange();
    await load();
  });

  void load();
}

/** What is no refund yet; nothing where there is none. */
export function refundsOf({ refunds }, onChange) {
  if (!refunds.length) return undefined;
  const rows = refunds.map(({ network, time, sale_time: sold, payment, payer, transaction, problem }) => [
    timeOf(time), networkName(network), make('code', { title: payer }, short(payer)), transactionOf(network, transaction), problem ?? 'the chain does not show it yet',
    button('Show', () => openRefund({ network, time: sold, payment }, onChange), { 'aria-label': `Show the refund to ${short(payer)}` }),
  ]);
  return section('Refunds', table('Refunds on their way', ['Told (UTC)', 'Network', 'Payer', 'Transaction', 'How it stands', 'Sale'], rows, 'stack'));
}
