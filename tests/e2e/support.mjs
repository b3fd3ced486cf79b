/** What the end-to-end tests share: payments made by hand, raw HTTP, balances, and answers taken apart. */
import assert from 'node:assert/strict';
import { createPrivateKey, randomBytes, sign } from 'node:crypto';
import { connect } from 'node:net';
import { appendTransactionMessageInstructions, compileTransactionMessage, createTransactionMessage, getBase58Encoder, getCompiledTransactionMessageEncoder, pipe, setTransactionMessageFeePayer, setTransactionMessageLifetimeUsingBlockhash } from '@solana/kit';
import { USDC_ADDRESS } from '../../dev/evm/anvil.mjs';
import { ataOf, tokenBalanceOf, TOKEN_PROGRAM, USDC_MINT } from '../../dev/solana/setup.mjs';
import { EVM_NETWORK, SOLANA_NETWORK } from '../../dev/world.mjs';

export { EVM_NETWORK, SOLANA_NETWORK };

/** What is sold on the demo site, and the price of it in atomic units of USDC. */
export const PAGE = '/premium/';
export const PAGE_PRICE = 10_000n;

export const COMPUTE_BUDGET_PROGRAM = 'ComputeBudget111111111111111111111111111111';
export const MEMO_PROGRAM = 'MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr';

/** Roles of accounts in an instruction, as @solana/kit numbers them. */
export const ROLE = { readonly: 0, writable: 1, signer: 2, writableSigner: 3 };

const RAW_TIMEOUT_MS = 10_000;
const HEADERS = { 1: ['x-payment', 'x-payment-response'], 2: ['payment-signature', 'payment-response'] };
const V1_NAMES = { [EVM_NETWORK]: 'base-sepolia', [SOLANA_NETWORK]: 'solana-devnet' };

export const nowSeconds = () => Math.floor(Date.now() / 1_000);
export const randomHex = (bytes) => `0x${randomBytes(bytes).toString('hex')}`;

/** Base64 of JSON; a text stays the text it is. */
export const encode = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64');

/** The JSON in a header, or undefined if the header is not there. */
export function decode(header) {
  return header ? JSON.parse(Buffer.from(header, 'base64').toString()) : undefined;
}

/** A promise and what settles it. */
export function deferred() {
  const it = {};
  it.promise = new Promise((resolve, reject) => Object.assign(it, { resolve, reject }));
  return it;
}

/**
 * What the seller asks for at a URL on one network: the entry of `accepts` in v2.
 */
export async function offerOf(url, network = EVM_NETWORK) {
  const response = await fetch(url);
  await response.arrayBuffer();
  assert.equal(response.status, 402, url);
  const { accepts } = decode(response.headers.get('payment-required'));
  const offer = accepts.find((entry) => entry.network === network);
  assert.ok(offer, `${network} is offered at ${url}`);
  return offer;
}

/**
 * A payment in a header of either version. `changes` replace members of the
 * JSON's top level, `accepted` those of what a v2 client says it accepted.
 */
export function paymentHeader(version, offer, payload, { accepted = {}, ...changes } = {}) {
  const payment =
    version === 1
      ? { x402Version: 1, scheme: offer.scheme, network: V1_NAMES[offer.network], payload, ...changes }
      : { x402Version: 2, accepted: { ...offer, ...accepted }, payload, ...changes };
  return { [HEADERS[version][0]]: encode(payment) };
}

/** The headers of a payment from text, sent as it is. */
export const paymentText = (version, text) => ({ [HEADERS[version][0]]: text });

/**
 * The payload of an EVM payment, signed by hand.
 *
 * @param {object} buyer account of `evmBuyer`
 * @param {object} offer
 * @param {object} [changes]
 * @param {object} [changes.authorization] members that are signed and sent
 * @param {object} [changes.sent] members of the authorization that are sent, but were not signed
 * @param {object} [changes.domain] members of the EIP-712 domain
 * @param {(signature: string) => string} [changes.signature] changes the signature after the fact
 */
export async function evmPayload(buyer, offer, { authorization = {}, sent = {}, domain = {}, signature = (it) => it } = {}) {
  const message = {
    from: buyer.address,
    to: offer.payTo,
    value: offer.amount,
    validAfter: String(nowSeconds() - 600),
    validBefore: String(nowSeconds() + 240),
    nonce: randomHex(32),
    ...authorization,
  };
  const field = (name, type) => ({ name, type });
  const signed = await buyer.signTypedData({
    domain: { ...offer.extra, chainId: Number(offer.network.split(':')[1]), verifyingContract: offer.asset, ...domain },
    types: {
      TransferWithAuthorization: [
        field('from', 'address'), field('to', 'address'), field('value', 'uint256'),
        field('validAfter', 'uint256'), field('validBefore', 'uint256'), field('nonce', 'bytes32'),
      ],
    },
    primaryType: 'TransferWithAuthorization',
    message: { ...message, value: BigInt(message.value), validAfter: BigInt(message.validAfter), validBefore: BigInt(message.validBefore) },
  });
  return { signature: signature(signed), authorization: { ...message, ...sent } };
}

/** The other valid signature of the same message: s replaced by the order minus s, v by its opposite. */
export function highS(signature) {
  const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
  const s = order - BigInt(`0x${signature.slice(66, 130)}`);
  return `${signature.slice(0, 66)}${s.toString(16).padStart(64, '0')}${signature.endsWith('1b') ? '1c' : '1b'}`;
}

/** Little-endian bytes of numbers: `[value, size]` pairs. */
export function littleEndian(...numbers) {
  return Uint8Array.from(numbers.flatMap(([value, size]) => Array.from({ length: size }, (_, i) => Number((BigInt(value) >> BigInt(8 * i)) & 0xffn))));
}

export const computeLimit = (units) => ({ programAddress: COMPUTE_BUDGET_PROGRAM, data: littleEndian([2, 1], [units, 4]) });
export const computePrice = (price) => ({ programAddress: COMPUTE_BUDGET_PROGRAM, data: littleEndian([3, 1], [price, 8]) });
export const memo = (text = randomHex(8), accounts = []) => ({ programAddress: MEMO_PROGRAM, accounts, data: new TextEncoder().encode(text) });

/** `TransferChecked` of what the offer asks for, with anything changed. */
export async function transferChecked(buyer, offer, changes = {}) {
  const mint = changes.mint ?? offer.asset;
  const it = {
    program: TOKEN_PROGRAM,
    mint,
    source: await ataOf(buyer.address, mint),
    destination: await ataOf(offer.payTo, mint),
    authority: buyer.address,
    amount: offer.amount,
    decimals: 6,
    ...changes,
  };
  return {
    programAddress: it.program,
    accounts: [
      { address: it.source, role: ROLE.writable },
      { address: it.mint, role: ROLE.readonly },
      { address: it.destination, role: ROLE.writable },
      { address: it.authority, role: ROLE.signer },
    ],
    data: littleEndian([12, 1], [it.amount, 8], [it.decimals, 1]),
  };
}

/**
 * The payload of a Solana payment, put together by hand.
 *
 * @param {object} buyer account of `solanaBuyer`
 * @param {object} offer with the hint `recentBlockhash`
 * @param {object} [changes]
 * @param {object} [changes.transfer] for `transferChecked`
 * @param {(standard: any[]) => any[]} [changes.instructions] limit, price, transfer and memo, changed
 * @param {string} [changes.feePayer] account 0
 * @param {object[]} [changes.signers] who signs besides the buyer
 * @param {0 | 'legacy'} [changes.version]
 * @param {(compiled: object) => object} [changes.compiled] changes the message before it is encoded
 * @param {(message: Buffer) => Buffer} [changes.message] changes the encoded message before it is signed
 * @param {(signatures: Buffer[]) => Buffer[]} [changes.signatures]
 * @param {(wire: Buffer) => Buffer} [changes.wire] changes the whole transaction
 */
export async function solanaPayload(buyer, offer, changes = {}) {
  const same = (it) => it;
  const { instructions = same, compiled = same, message = same, signatures = same, wire = same, signers = [], version = 0 } = changes;
  const standard = [computeLimit(60_000), computePrice(1), await transferChecked(buyer, offer, changes.transfer), memo()];
  const blockhash = changes.blockhash ?? offer.extra.recentBlockhash;
  const built = compiled(
    compileTransactionMessage(
      pipe(
        createTransactionMessage({ version }),
        (m) => setTransactionMessageFeePayer(changes.feePayer ?? offer.extra.feePayer, m),
        (m) => setTransactionMessageLifetimeUsingBlockhash({ blockhash, lastValidBlockHeight: 0n }, m),
        (m) => appendTransactionMessageInstructions(instructions(standard), m),
      ),
    ),
  );
  const bytes = message(Buffer.from(getCompiledTransactionMessageEncoder().encode(built)));
  const made = built.staticAccounts.slice(0, built.header.numSignerAccounts).map((address) => {
    const signer = [buyer, ...signers].find((known) => known.address === address);
    return signer ? signBytes(signer, bytes) : Buffer.alloc(64);
  });
  const slots = signatures(made);
  return { transaction: wire(Buffer.concat([Buffer.from([slots.length]), ...slots, bytes])).toString('base64') };
}

/** Signs without the `signBytes` of @solana/kit, which signs the whole pool of a Buffer that lies at its start. */
function signBytes({ secretKey }, bytes) {
  // The fixed PKCS #8 prefix of an ed25519 seed (RFC 8410, section 7).
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), secretKey.subarray(0, 32)]);
  return sign(null, bytes, createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
}

/** A whole valid payment: the headers to send. */
export async function payment(world, url, { version = 2, network = EVM_NETWORK, buyer = 0, ...changes } = {}) {
  const offer = await offerOf(url, network);
  const buyers = network === EVM_NETWORK ? world.accounts.evm.buyers : world.accounts.solana.buyers;
  const account = typeof buyer === 'number' ? buyers[buyer] : buyer;
  const payload = await (network === EVM_NETWORK ? evmPayload : solanaPayload)(account, offer, changes);
  return paymentHeader(version, offer, payload);
}

/**
 * Sends a request and takes the answer apart.
 *
 * @returns {Promise<Answer>}
 *
 * @typedef {object} Answer
 * @property {number} status
 * @property {Headers} headers
 * @property {Buffer} bytes
 * @property {string} text
 * @property {any} json undefined if the body is none
 * @property {any} receipt of either version
 * @property {any} challenge of v2
 * @property {string | undefined} reason the code of a refused payment
 */
export async function send(url, headers = {}, init = {}) {
  return takeApart(await fetch(url, { redirect: 'manual', ...init, headers: { ...headers, ...init.headers } }));
}

export async function takeApart(response) {
  const bytes = Buffer.from(await response.arrayBuffer());
  const { status, headers } = response;
  const receipt = decode(headers.get('payment-response') ?? headers.get('x-payment-response'));
  const challenge = decode(headers.get('payment-required'));
  const json = bytes.length > 0 && /json/.test(headers.get('content-type') ?? '') ? JSON.parse(bytes.toString()) : undefined;
  const reason = receipt?.errorReason ?? (status === 402 ? json?.error : undefined);
  return { status, headers, bytes, text: bytes.toString(), json, receipt, challenge, reason };
}

/** Asserts a 402 with this code, in the receipt, in the header and in the body alike. */
export function assertRefused(answer, code, what = code) {
  assert.equal(answer.reason, code, `${what}: ${answer.status} ${answer.text.slice(0, 300)}`);
  assert.equal(answer.status, 402, what);
  assert.equal(answer.challenge.error, code, what);
  assert.equal(answer.json.error, code, what);
  if (answer.receipt) assert.equal(answer.receipt.success, false, what);
  assert.equal(answer.headers.get('cache-control'), 'no-store', what);
}

/** Asserts that a resource was sold by one settled payment; answers the receipt. */
export function assertPaid(answer, version = 2) {
  assert.equal(answer.status, 200, `${answer.status} ${answer.reason ?? ''} ${answer.text.slice(0, 300)}`);
  assert.equal(answer.headers.get('cache-control'), 'private, no-store');
  const receipt = decode(answer.headers.get(HEADERS[version][1]));
  assert.ok(receipt, `a receipt of version ${version}`);
  assert.equal(answer.headers.get(HEADERS[3 - version][1]), null, 'no receipt of the other version');
  assert.equal(receipt.success, true);
  assert.ok(receipt.transaction.length > 0);
  return receipt;
}

/** Everything on both chains that a payment changes. */
export async function ledger({ evm, solana, accounts }) {
  const of = (address) => evm.usdcBalance(address);
  const onSolana = (address) => tokenBalanceOf(solana, address);
  const nonces = accounts.evm.relayers.map(({ address }) => evm.client.getTransactionCount({ address, blockTag: 'pending' }));
  return {
    evmSeller: await of(accounts.evm.seller.address),
    evmBuyers: await Promise.all(accounts.evm.buyers.map(({ address }) => of(address))),
    solanaSeller: await onSolana(accounts.solana.seller.address),
    solanaBuyers: await Promise.all(accounts.solana.buyers.map(({ address }) => onSolana(address))),
    relayerNonces: await Promise.all(nonces),
    solanaTransactions: solana.chain.landed.size,
    solanaSends: solana.calls.filter((method) => method === 'sendTransaction').length,
  };
}

/** Asserts that a piece of work moves nothing on either chain and sends nothing to it. */
export async function unchanged(world, work) {
  const start = await ledger(world);
  const value = await work();
  assert.deepEqual(await ledger(world), start, 'nothing was sent to a chain');
  return value;
}

/** The transfers of USDC that a transaction made on chain: `{ from, to, value }`. */
export async function transfersIn(world, { network, transaction }) {
  if (network === EVM_NETWORK || network === 'base-sepolia') {
    const { status } = await world.evm.client.getTransactionReceipt({ hash: transaction });
    assert.equal(status, 'success');
    const logs = (await world.evm.transferLogs()).filter((log) => log.transactionHash === transaction);
    return logs.map(({ args: { from, to, value } }) => ({ from, to, value }));
  }
  const record = world.solana.chain.landed.get(transaction);
  assert.equal(record?.err, null, `${transaction} landed`);
  const changes = record.after.flatMap(({ token }, i) => (token?.mint === USDC_MINT ? [{ owner: token.owner, by: token.amount - record.before[i].token.amount }] : []));
  const [from] = changes.filter(({ by }) => by < 0n);
  const [to] = changes.filter(({ by }) => by > 0n);
  assert.equal(changes.length, 2);
  return [{ from: from.owner, to: to.owner, value: to.by }];
}

/**
 * One request written onto a socket as it stands, so that nobody tidies up its path.
 *
 * @param {string} url of the Worker
 * @param {{ method?: string, headers?: [string, string][], body?: string }} [options]
 * @returns {Promise<{ status: number, headers: Headers, text: string }>}
 */
export async function raw(url, target, { method = 'GET', headers = [], body = '' } = {}) {
  const { hostname, port, host } = new URL(url);
  const socket = connect(Number(port), hostname);
  const lines = [`${method} ${target} HTTP/1.1`, `Host: ${host}`, ...headers.map(([name, value]) => `${name}: ${value}`)];
  if (body) lines.push(`Content-Length: ${Buffer.byteLength(body)}`);
  const chunks = [];
  await new Promise((done, fail) => {
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      // workerd leaves the connection open, whatever it is asked.
      if (isWhole(Buffer.concat(chunks).toString('latin1'), method)) done();
    });
    socket.on('end', done);
    // A server that refuses an oversized head may close while it is being written.
    socket.on('error', (error) => (chunks.length > 0 ? done() : fail(error)));
    socket.on('close', done);
    socket.setTimeout(RAW_TIMEOUT_MS, () => fail(new Error(`no answer to ${method} ${target}`)));
    socket.write(`${lines.join('\r\n')}\r\n\r\n${body}`, 'latin1');
  });
  socket.destroy();
  return parseAnswer(Buffer.concat(chunks).toString('latin1'));
}

/** Whether an answer has come to its end (RFC 9112, section 6.3). */
function isWhole(answer, method) {
  const end = answer.indexOf('\r\n\r\n');
  if (end < 0) return false;
  const { status, headers } = parseAnswer(answer);
  if (method === 'HEAD' || status === 204 || status === 304) return true;
  if (/chunked/i.test(headers.get('transfer-encoding') ?? '')) return answer.endsWith('\r\n0\r\n\r\n');
  return answer.length - end - 4 >= Number(headers.get('content-length') ?? 0);
}

function parseAnswer(answer) {
  const [head, ...rest] = answer.split('\r\n\r\n');
  const [statusLine, ...lines] = head.split('\r\n');
  const headers = new Headers(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]));
  return { status: Number(statusLine.split(' ')[1]), headers, text: rest.join('\r\n\r\n') };
}

const TRANSFER_WITH_AUTHORIZATION = /e3ee160e/g;

/** The relayer's transactions since a block: how many payments each carries, how many it made, its gas. */
export async function transactionsSince(world, fromBlock) {
  const { client } = world.evm;
  const [{ address }] = world.accounts.evm.relayers;
  const found = [];
  for (let blockNumber = fromBlock + 1n; blockNumber <= (await client.getBlockNumber()); blockNumber += 1n) {
    const { transactions } = await client.getBlock({ blockNumber, includeTransactions: true });
    for (const { hash, from, input } of transactions) {
      if (from.toLowerCase() !== address.toLowerCase()) continue;
      const { logs, gasUsed } = await client.getTransactionReceipt({ hash });
      // Each payment leaves two logs: AuthorizationUsed and Transfer.
      found.push({ hash, carries: input.match(TRANSFER_WITH_AUTHORIZATION)?.length ?? 0, made: logs.length / 2, gas: Number(gasUsed) });
    }
  }
  return found;
}

/** The bytes of a base58 text. */
export const base58Bytes = (text) => Buffer.from(getBase58Encoder().encode(text));

export { USDC_ADDRESS, USDC_MINT };
