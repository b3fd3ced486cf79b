/** One purchase, told to a person as it goes: the offers, the price, what moved, what came. */
import { writeFileSync } from 'node:fs';
import { Mistake } from './cli.mjs';
import { uiAmount } from './solana/parsed.mjs';
import { ataOf } from './solana/setup.mjs';

const SHOWN_LINES = 12;
/** USDC's, and those of each token of the local world. */
const DECIMALS = 6;
/** A scheme by which the price is the most that is paid. */
const UPTO = 'upto';
const BALANCE_OF = '0x70a08231';
const NODE_TIMEOUT_MS = 10_000;

/** What the codes mean that buyers meet most. */
const REASONS = {
  insufficient_funds: 'the buyer has less than the price, or has signed for more at once',
  duplicate_settlement: 'this payment has bought something already',
  settlement_pending: 'the chain has not answered yet: the same payment may be sent again',
  invalid_exact_evm_payload_signature: 'the signature is not the buyer’s, or not for this token',
  invalid_exact_svm_transaction_simulation_failed: 'the cluster would refuse the transaction',
  permit2_allowance_required: 'the buyer must let Permit2 move the token before, in a transaction of their own: the token’s approve(0x000000000022D473030F116dDEE9F6B43aC78BA3, amount)',
  upto_debt_unpaid: 'something that was delivered before is still to be paid: have enough in the account, and try again',
};

/**
 * Buys what a URL sells.
 *
 * @param {object} order
 * @param {string} order.url
 * @param {(how: { fetch: typeof fetch, onOffer: (offers: any[], offer: any) => void }) => typeof fetch} order.client
 * @param {1 | 2} [order.version] of the protocol
 * @param {{ evm?: string, solana?: string }} order.buyer addresses
 * @param {(network: string) => string} order.idOf the CAIP-2 name of a network
 * @param {(id: string) => string | undefined} order.nodeOf where to ask for balances
 * @param {(offer: any) => number | undefined} [order.decimalsOf] of an offer's token, `undefined` if they aren't known; never by what
 *   the seller says. Default: 6
 * @param {(offer: any, price: { text: string, units: bigint, dollars: number | undefined }) => void} [order.approve] throws if it is too dear
 * @param {(challenge: any) => void} [order.onChallenge] told what is asked for, before anything is chosen
 * @param {string} [order.otherNode] how to name another node, for a message
 * @param {string} [order.out] where to write what was bought
 * @returns {Promise<boolean>} whether the answer was good
 */
export async function purchase(order) {
  const state = { offer: null, before: null, mistake: null, isSent: false };
  // The clients put errors of others into words of their own.
  const own = (work) => {
    try {
      return work();
    } catch (error) {
      state.mistake = error;
      throw error;
    }
  };
  const decimalsOf = order.decimalsOf ?? (() => DECIMALS);
  const words = wordsBy(decimalsOf);
  const pay = order.client({
    fetch: async (input, init) => {
      await state.before;
      state.isSent ||= hasPayment(input, init);
      const response = await reach(input, init, state);
      if (response.status === 402 && !state.offer) {
        const challenge = await challengeOf(response.clone());
        own(() => order.onChallenge?.(challenge));
      }
      return response;
    },
    onOffer(offers, offer) {
      const units = amountOf(offer);
      own(() => {
        showOffers(offers, offer, order.version ?? 2, words);
        order.approve?.(offer, { text: words(units, offer), units, dollars: dollars(units, decimalsOf(offer)) });
      });
      Object.assign(state, { offer, before: balances(order, offer) });
    },
  });
  const response = await pay(order.url, { headers: { accept: '*/*' } }).catch(async (error) => {
    throw state.mistake ?? (await silentNode(order, state)) ?? error;
  });
  const body = Buffer.from(await response.arrayBuffer());
  console.log(`\nAnswer       ${response.status} ${response.statusText}`);
  if (!state.offer) console.log('             nothing had to be paid');
  const receipt = readReceipt(response);
  if (receipt) showReceipt(receipt);
  else if (state.offer?.scheme === UPTO && response.ok) console.log('Settled      soon, by what was used: below it may not show yet');
  if (state.offer) showBalances(await state.before, await balances(order, state.offer), (amount) => words(amount, state.offer));
  showBody(response, body, order.out);
  return response.ok;
}

const hasPayment = (input, init) => ['payment-signature', 'x-payment'].some((name) => new Headers(init?.headers ?? input.headers).has(name));

async function reach(input, init, state) {
  try {
    return await fetch(input, init);
  } catch (error) {
    const why = error.cause?.message ?? error.message;
    // Whatever the client makes of it.
    state.mistake = new Mistake(state.isSent
      ? `${input.url ?? input} was sent the payment and has not answered: ${why}. It may have been made: look at the buyer's balance before you buy again.`
      : `${input.url ?? input} can't be reached: ${why}`);
    throw state.mistake;
  }
}

/** On Solana a client asks a node before it signs; where that is silent, clients say no more than "fetch failed". */
async function silentNode({ idOf, nodeOf, otherNode }, { offer, isSent }) {
  const id = offer && idOf(offer.network);
  if (!id?.startsWith('solana:') || isSent) return undefined;
  const node = nodeOf(id);
  if (node === undefined) return new Mistake(`No node of ${offer.network} is known, and a payment on Solana can't be signed without one.${otherNode ? ` Name one: ${otherNode}` : ''}`);
  const why = await ask(node, 'getLatestBlockhash', [{ commitment: 'confirmed' }]).then(() => undefined, (error) => error.cause?.message ?? error.message);
  if (why === undefined) return undefined;
  return new Mistake(`A payment on Solana can't be signed without a node, and ${new URL(node).host} does not answer: ${why}. Nothing was paid.${otherNode ? ` Name another node of ${offer.network}: ${otherNode}` : ''}`);
}

/** What a 402 asks for, in version 2, or else in version 1. */
async function challengeOf(response) {
  const header = response.headers.get('payment-required');
  const body = await response.json().catch(() => null);
  return { v1: body, v2: header && JSON.parse(Buffer.from(header, 'base64').toString()) };
}

/** The price in atomic units. An offer names it once, by the version's name: of two the client may sign for either. */
export const amountOf = ({ amount, maxAmountRequired }) => [amount, maxAmountRequired].filter((it) => it !== undefined).map(BigInt).reduce((a, b) => (a > b ? a : b));

const dollars = (units, decimals) => (decimals === undefined ? undefined : Number(units) / 10 ** decimals);

/** An amount in dollars: sellers set prices in them, and take one token for one. */
const wordsBy = (decimalsOf) => (amount, offer) => {
  const decimals = decimalsOf(offer);
  return decimals === undefined ? `${amount} atomic units of ${offer.asset}` : `$${uiAmount(amount, decimals).uiAmountString}`;
};

function showOffers(offers, offer, version, words) {
  const price = (item) => `${item.scheme === UPTO ? 'at most ' : ''}${words(amountOf(item), item)}`;
  console.log(`Protocol     x402 version ${version}`);
  for (const item of offers) {
    console.log(`${item === offers[0] ? 'Offered' : '       '}      ${price(item)} on ${item.network} to ${item.payTo}`);
  }
  console.log(`Paying       ${price(offer)} on ${offer.network}`);
}

/** What buyer and seller have of the token that is paid in, in atomic units; `undefined` where no node says. */
async function balances({ buyer, idOf, nodeOf }, offer) {
  const id = idOf(offer.network);
  const node = nodeOf(id);
  const read = async (owner) => (node && owner ? balanceOf(node, id, owner, offer).catch(() => undefined) : undefined);
  const own = id.startsWith('eip155:') ? buyer.evm : buyer.solana;
  return { buyer: await read(own), seller: await read(offer.payTo) };
}

async function balanceOf(node, id, owner, { asset, extra }) {
  if (id.startsWith('eip155:')) {
    const data = `${BALANCE_OF}${owner.slice(2).toLowerCase().padStart(64, '0')}`;
    return BigInt(await ask(node, 'eth_call', [{ to: asset, data }, 'latest']));
  }
  const account = await ataOf(owner, asset, extra?.tokenProgram);
  const { value } = await ask(node, 'getTokenAccountBalance', [account, { commitment: 'processed' }]).catch(() => ({ value: { amount: 0 } }));
  return BigInt(value.amount);
}

async function ask(node, method, params) {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
  const response = await fetch(node, { method: 'POST', headers: { 'content-type': 'application/json' }, body, signal: AbortSignal.timeout(NODE_TIMEOUT_MS) });
  const { result, error } = await response.json().catch(() => ({ error: { message: `HTTP ${response.status} and no JSON` } }));
  if (error) throw new Error(error.message ?? `HTTP ${response.status}`);
  return result;
}

function readReceipt(response) {
  const header = response.headers.get('payment-response') ?? response.headers.get('x-payment-response');
  return header && JSON.parse(Buffer.from(header, 'base64').toString());
}

function showReceipt({ success, transaction, network, payer, errorReason }) {
  const why = REASONS[errorReason];
  console.log(`Settled      ${success ? 'yes' : `no: ${errorReason}${why ? `, ${why}` : ''}`}`);
  if (transaction) console.log(`Transaction  ${transaction}\n             on ${network}, paid by ${payer}`);
}

function showBalances(before, after, words) {
  for (const who of ['buyer', 'seller']) {
    const title = who === 'buyer' ? 'Buyer ' : 'Seller';
    if (before[who] === undefined || after[who] === undefined) {
      console.log(`${title}       balance unknown: no node of the network says`);
      continue;
    }
    const difference = after[who] - before[who];
    const change = difference === 0n ? 'unchanged' : `${difference > 0n ? '+' : '-'}${words(difference < 0n ? -difference : difference)}`;
    console.log(`${title}       ${words(before[who])} → ${words(after[who])} (${change})`);
  }
}

function showBody(response, body, out) {
  const type = response.headers.get('content-type') ?? 'no content type';
  console.log(`Got          ${body.length} bytes, ${type}`);
  if (out) {
    writeFileSync(out, body);
    console.log(`             written to ${out}`);
  } else if (/^(text\/|application\/(json|xml|javascript))/.test(type)) {
    const lines = body.toString().split('\n');
    console.log(`\n${lines.slice(0, SHOWN_LINES).join('\n')}${lines.length > SHOWN_LINES ? '\n…' : ''}`);
  }
}
