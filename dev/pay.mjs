/** `npm run pay -- <url>`: buys something from a local shop with a real client. */
import { writeFileSync } from 'node:fs';
import { evmBuyer, solanaBuyer } from './accounts.mjs';
import { Mistake, command, readArguments } from './cli.mjs';
import { caip2, x402Fetch, x402FetchV1 } from './clients.mjs';
import { chainClient, usdcReader } from './evm/anvil.mjs';
import { uiAmount } from './solana/parsed.mjs';
import { ataOf } from './solana/setup.mjs';
import { isMain } from './util.mjs';
import { findWorld } from './world-file.mjs';

const USAGE = `Usage: npm run pay -- <url> [options]

  --network <name>  eip155:84532 or base-sepolia; solana:EtWT… or solana-devnet
                    default: what the seller offers first
  --v1              protocol version 1 (x402-fetch) instead of 2 (@x402/fetch)
  --buyer <n>       which of the local buyers pays, default 0
  --out <file>      where to write what was bought`;
const SHOWN_LINES = 12;
const DECIMALS = 6;

async function main() {
  const { url, options } = readPurchase();
  const world = findWorld();
  if (!world) throw new Mistake('No local world runs: start one with `npm start` in another terminal.');

  const people = { evm: evmBuyer(options.buyer), solana: await solanaBuyer(options.buyer) };
  const purchase = { offer: null, before: null };
  const client = options.v1 ? x402FetchV1 : x402Fetch;
  const pay = client({
    ...people,
    solanaUrl: world.solana.url,
    network: options.network,
    fetch: shopFetch(purchase, options.v1),
    onOffer(offers, offer) {
      showOffer(offers, offer, options.v1);
      Object.assign(purchase, { offer, before: balances(world, people, offer) });
    },
  });

  const response = await pay(url, { headers: { accept: '*/*' } });
  const body = Buffer.from(await response.arrayBuffer());
  const receipt = readReceipt(response);
  console.log(`\nAnswer       ${response.status} ${response.statusText}`);
  if (!purchase.offer) console.log('             nothing had to be paid');
  if (receipt) showReceipt(receipt);
  if (purchase.offer) showBalances(await purchase.before, await balances(world, people, purchase.offer));
  showBody(response, body, options.out);
  if (!response.ok) process.exitCode = 1;
}

const OPTIONS = {
  network: { type: 'string' },
  v1: { type: 'boolean', default: false },
  buyer: { type: 'string', default: '0' },
  out: { type: 'string' },
};

function readPurchase() {
  const { values, positionals: [url] } = readArguments(USAGE, { options: OPTIONS, arguments: [1, 1] });
  if (!URL.canParse(url)) throw new Mistake(`${url} is not a URL\n\n${USAGE}`);
  if (!/^\d+$/.test(values.buyer)) throw new Mistake(`--buyer ${values.buyer} is not a number\n\n${USAGE}`);
  return { url, options: { ...values, buyer: Number(values.buyer) } };
}

/**
 * `fetch` for the clients: reads the balances before it lets a payment through,
 * and says plainly what the clients' own errors don't.
 */
function shopFetch(purchase, v1) {
  return async (input, init) => {
    await purchase.before;
    const response = await reach(input, init);
    if (v1 && response.status === 402 && !purchase.offer) await requireV1(response.clone());
    return response;
  };
}

async function reach(input, init) {
  try {
    return await fetch(input, init);
  } catch (error) {
    throw new Mistake(`${input.url ?? input} can't be reached: ${error.cause?.message ?? error.message}`);
  }
}

async function requireV1(response) {
  const challenge = await response.json().catch(() => null);
  if (!Array.isArray(challenge?.accepts)) throw new Mistake('The seller offers nothing to clients of version 1.');
}

function showOffer(offers, offer, v1) {
  const price = (item) => dollars(BigInt(item.amount ?? item.maxAmountRequired));
  console.log(`Protocol     x402 version ${v1 ? 1 : 2}`);
  for (const item of offers) {
    console.log(`${item === offers[0] ? 'Offered' : '       '}      ${price(item)} on ${item.network} to ${item.payTo}`);
  }
  console.log(`Paying       ${price(offer)} on ${offer.network}`);
}

/** What buyer and seller have on the chain that is paid on, in atomic units. */
async function balances(world, { evm, solana }, offer) {
  if (caip2(offer.network).startsWith('eip155:')) {
    const { usdcBalance } = usdcReader(chainClient(world.evm.url, world.evm.chainId), offer.asset);
    return { buyer: await usdcBalance(evm.address), seller: await usdcBalance(offer.payTo) };
  }
  const read = (owner) => solanaBalance(world.solana.url, owner, offer.asset);
  return { buyer: await read(solana.address), seller: await read(offer.payTo) };
}

async function solanaBalance(url, owner, mint) {
  const params = [await ataOf(owner, mint), { commitment: 'processed' }];
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'getTokenAccountBalance', params });
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  const { result } = await response.json();
  return BigInt(result?.value.amount ?? 0);
}

function readReceipt(response) {
  const header = response.headers.get('payment-response') ?? response.headers.get('x-payment-response');
  return header && JSON.parse(Buffer.from(header, 'base64').toString());
}

function showReceipt({ success, transaction, network, payer, errorReason }) {
  console.log(`Settled      ${success ? 'yes' : `no: ${errorReason}`}`);
  if (transaction) console.log(`Transaction  ${transaction}\n             on ${network}, paid by ${payer}`);
}

function showBalances(before, after) {
  for (const who of ['buyer', 'seller']) {
    const difference = after[who] - before[who];
    const change = difference === 0n ? 'unchanged' : `${difference > 0n ? '+' : '-'}${dollars(difference < 0n ? -difference : difference)}`;
    console.log(`${who === 'buyer' ? 'Buyer ' : 'Seller'}       ${dollars(before[who])} → ${dollars(after[who])} (${change})`);
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

function dollars(amount) {
  return `$${uiAmount(amount, DECIMALS).uiAmountString}`;
}

if (isMain(import.meta.url)) {
  await command(() => main().catch((error) => {
    throw error instanceof Mistake ? error : new Error(`The purchase failed: ${error.message}`);
  }));
}
