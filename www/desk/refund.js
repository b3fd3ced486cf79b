/** Paying a sale back: from the seller's own wallet, or by a transaction that was made elsewhere. */
import { randomBytes } from '../pay/bytes.js';
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

/** What a wallet says whose user has declined (EIP-1193). */
const DECLINED = 4001;
const LOOK_THERE = 'Look there whether anything was sent before you try again.';
/** What is said while the wallet is to answer. */
const STEPS = { connecting: 'Connect this page in your wallet.', switching: 'Switch your wallet to NETWORK.', signing: 'Confirm the transfer of AMOUNT in your wallet. You pay the network’s fee.' };
/** What went wrong, by the names that the wallets' code gives it. */
const STOPS = {
  no_account: 'The wallet names no account: unlock it, and try again.',
  no_switch: 'The wallet stays on another network: switch it to NETWORK yourself, and try again.',
  no_chain: 'The wallet does not know NETWORK: add it there, and try again.',
  no_balance: 'There is too little in this account of the wallet: it has BALANCE.',
  no_blockhash: 'The nodes of NETWORK do not answer the Worker: try again later.',
  nonsense: `The wallet has answered with something else than a transaction. ${LOOK_THERE}`,
};

/**
 * What a wallet was asked for here, by the payments of the sales: `{ reservation }`, and
 * what the wallet has answered as long as the Worker has not heard of it. Kept by the
 * browser: a reload must not forget what was paid.
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
/** How long the Worker looks for what may still land: then it can be taken off for good. */
const MONTH_MS = 30 * 86_400_000;
const isSent = (it) => Boolean(it?.transaction || it?.signed);

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
      const own = unheard.get(payment);
      // Somebody else has released it.
      if (own && !isSent(own) && !terms.reservation) unheard.delete(payment);
      show();
    } catch (error) {
      fail(error);
    }
    body.removeAttribute('aria-busy');
  }

  function show() {
    const { payer, amount, left, over, refunds, reservation, problem } = terms;
    const own = unheard.get(payment);
    const is = (wanted) => refunds.filter(({ state }) => state === wanted).map(({ transaction }) => transaction);
    const lines = [...refunds.map(lineOf), ...heldLines(own, reservation)].map((line) => make('li', {}, ...line));
    const isBusy = own || reservation || is('open').length;
    body.replaceChildren(
      make('p', {}, `${amountOf(amount)} on ${networkName(network)}, ${timeOf(time)} UTC, paid by `, make('code', { title: payer }, short(payer)), '.'),
      ...(lines.length ? [make('ul', {}, ...lines)] : []),
      ...(over ? [make('p', { className: 'bad' }, `${amountOf(over)} more than was paid has come back.`)] : []),
      ...(left === '0' ? [make('p', { className: 'good' }, 'All of it has come back.')] : problem ? [make('p', { className: 'bad' }, `No refund can be looked for now: ${problem}.`)] : form(isBusy, is('silent'), is('replaced'))));
    draw();
  }

  /** A transaction, how it stands, and what can be done about it. */
  function lineOf({ transaction, state, amount: back, problem, own, off: isOff, time: told }) {
    const off = button('Take off', () => takeOff(transaction, back), { 'aria-label': `Take off ${short(transaction)}` });
    const can = state === 'noted' ? [!own && off] : [button('Look again', () => tell({ transaction })), ' ', ((state !== 'silent' && !isOff) || Date.now() > told * 1_000 + MONTH_MS) && off];
    return [back ? `${amountOf(back)} came back: ` : `${problem ?? 'on its way'}: `, transactionOf(network, transaction), ' ', ...can.filter(Boolean)];
  }

  /** The wallet that was asked. */
  function heldLines(own, held) {
    if (isSent(own)) return [['Sent, and the Worker does not know it yet: ', own.transaction ? transactionOf(network, own.transaction) : 'as your wallet has signed it', ' ', button('Tell the Worker again', () => tell(own))]];
    if (!held) return [];
    const said = `A wallet was asked for ${amountOf(held.amount)} at ${timeOf(held.time)} UTC, and its answer was not heard: look there. `;
    if (!own && !held.is_over) return [[said, `Another browser may be at it, and until ${timeOf(held.until)} it alone can say that nothing was sent.`]];
    return [[said, 'If it has sent nothing, or that is noted here: ', button('Nothing else was sent', () => working(async () => { await release(); await load(); }))]];
  }

  async function release() {
    await ask(`${PATH}${query({ payment, reservation: unheard.get(payment)?.reservation })}`, { method: 'DELETE' });
    unheard.delete(payment);
    onChange();
  }

  /**
   * @param {string[]} silent transactions that may still land
   * @param {string[]} replaced those whose place another has taken
   */
  function form(isBusy, silent, replaced) {
    const despite = [...silent, ...replaced];
    const { left, decimals } = terms;
    const input = make('input', { name: 'amount', value: decimals == null ? left : decimal(left, decimals).replaceAll(',', ''), inputMode: 'decimal', autocomplete: 'off' });
    const list = make('div', { className: 'actions' });
    const sure = make('input', { type: 'checkbox', name: 'sure', onchange: () => draw() });
    draw = () => {
      const able = wallets.filter((it) => paysOn(it, network));
      list.hidden = despite.length && !sure.checked;
      list.replaceChildren(...(able.length ? able.map((it) => button(it.name, () => pay(it, input.value, despite), { className: 'main' })) : [make('p', { className: 'soft' }, `No wallet of this browser can send on ${networkName(network)}.`)]));
    };
    const known = make('input', { name: 'transaction', autocomplete: 'off', spellcheck: false, autocapitalize: 'none' });
    const note = make('form', { className: 'note', onsubmit: (event) => { event.preventDefault(); tell({ transaction: known.value.trim() }); } },
      make('label', { className: 'field' }, 'Sent from elsewhere? Its transaction', known), make('button', {}, 'Note it'));
    if (isBusy) return [make('p', { className: 'soft' }, 'Until it is clear what became of that, no wallet is asked for another one.'), note];
    const warn = (list, text) => (list.length ? [make('p', { className: 'bad' }, ...list.flatMap((it) => [transactionOf(network, it), ' ']), text)] : []);
    const warning = [
      ...warn(silent, 'may still land: then the payer gets both. Look in the wallet that has sent it first; there it can be replaced or sped up.'),
      ...warn(replaced, 'did not land: another transaction of the wallet took its place. If that was this refund, sped up, enter it below.'),
      ...(despite.length ? [make('label', { className: 'sure' }, sure, 'I have looked: pay again all the same')] : []),
    ];
    return [...(terms.symbol == null ? [] : [...warning, make('label', { className: 'field' }, `Amount in ${terms.symbol}`, input), list]), note];
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

  const pay = (wallet, text, despite) => working(async () => {
    if (unheard.get(payment)) {
      await load();
      throw new Refusal(0, 'Another tab of this browser is at it. Nothing was asked of your wallet here.');
    }
    const amount = unitsOf(text, terms.decimals);
    if (!amount || amount > BigInt(terms.left)) throw new Refusal(0, `The amount must be more than 0, and at most ${amountOf(terms.left)}.`);
    const reservation = Array.from(randomBytes(16), (byte) => byte.toString(16).padStart(2, '0')).join('');
    // Before anybody is asked: from here on no other browser asks a wallet.
    unheard.set(payment, { reservation });
    try {
      terms = await ask(PATH, { method: 'PUT', body: { network, time, payment, amount: String(amount), reservation, despite } });
    } catch (error) {
      // Another tab may have asked its wallet meanwhile.
      if (FINAL.includes(error.status) && unheard.get(payment)?.reservation === reservation) unheard.delete(payment);
      await load();
      throw new Refusal(error.status, `${error.message} Nothing was asked of your wallet.`);
    }
    let sent;
    let step;
    try {
      sent = await sendBack(wallet, terms, amount, (name) => { step = name; status.textContent = fill(STEPS[name], { amount: amountOf(amount) }); });
    } catch (error) {
      // Once it was asked to sign, no words of a wallet prove that it has sent nothing.
      const maySend = step === 'signing' && error.code !== DECLINED;
      if (!maySend) await release().catch(() => {});
      await load();
      throw new Refusal(0, reasonOf(error, maySend));
    }
    await follow({ ...sent, reservation });
  });

  function reasonOf({ code, message, values }, maySend) {
    if (code === DECLINED) return 'You declined in your wallet. Nothing was sent.';
    if (code === -32002 && !maySend) return 'Your wallet already has a request open: look there.';
    const text = STOPS[message];
    return text ? fill(text, { balance: values?.balance === undefined ? '' : amountOf(values.balance) }) : `The wallet says: ${message}. ${maySend ? LOOK_THERE : 'Nothing was sent.'}`;
  }

  const tell = (sent) => working(() => follow(sent));

  /** Tells the Worker of what was sent, until the chain shows it. */
  async function follow(sent) {
    status.textContent = 'The Worker looks for the transaction on the chain…';
    const isOwn = Boolean(sent.reservation);
    for (let tries = 0; tries < TRIES; tries += 1) {
      if (isOwn) unheard.set(payment, sent);
      const it = await ask(PATH, { method: 'POST', body: { network, time, payment, ...sent } }).catch(async (error) => {
        const isFinal = FINAL.includes(error.status);
        if (isOwn && isFinal) unheard.delete(payment);
        // What was entered by hand stays, to be mended.
        if (isOwn || !isFinal) await load();
        throw new Refusal(error.status, isOwn && sent.transaction ? `${error.message} The transaction is ${sent.transaction}.` : error.message);
      });
      if (isOwn) unheard.delete(payment);
      if (it.state === 'noted') {
        await load();
        status.textContent = `${amountOf(it.amount)} came back to the payer.`;
        onChange();
        return;
      }
      if (tries === 0) onChange();
      const url = explorerUrl(network, it.transaction);
      status.replaceChildren(`It is sent. ${it.problem ? `But ${it.problem}. ` : ''}Waiting for the chain: you may close this, the Worker goes on looking. `, url ? make('a', { href: url, rel: 'noreferrer', target: '_blank' }, short(it.transaction)) : short(it.transaction));
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

  const takeOff = (transaction, isNoted) => working(async () => {
    if (isNoted && !confirm(`Take ${transaction} off? It will no longer count as a refund of this sale.`)) return;
    await ask(`${PATH}${query({ network, transaction })}`, { method: 'DELETE' });
    onChange();
    await load();
  });

  void load();
}

/** What is no refund yet; nothing where there is none. */
export function refundsOf({ refunds, reservations }, onChange) {
  const all = [...reservations, ...refunds];
  if (!all.length) return undefined;
  const rows = all.map(({ network, time, sale_time: sold, payment, payer, transaction, until, problem }) => [
    timeOf(time), networkName(network), make('code', { title: payer }, short(payer)), transaction ? transactionOf(network, transaction) : 'not known', problem ?? (until ? 'a wallet was asked, and has not answered' : 'the chain does not show it yet'),
    button('Show', () => openRefund({ network, time: sold, payment }, onChange), { 'aria-label': `Show the refund to ${short(payer)}` }),
  ]);
  return section('Refunds', table('Refunds on their way', ['Told (UTC)', 'Network', 'Payer', 'Transaction', 'How it stands', 'Sale'], rows, 'stack'));
}
