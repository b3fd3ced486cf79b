/** The tables of facilitator-bad-input.test.mjs: one mistake each of a resource server, and the field that it is in. */
import { EVM_NETWORK, SOLANA_NETWORK } from './support.mjs';

const OTHER_ADDRESS = { evm: `0x${'11'.repeat(20)}`, solana: 'MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr' };
/** USDC on other networks. */
const OTHER_ASSET = { evm: '0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913', solana: 'EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v' };
const UTF8 = new TextEncoder();

/** JSON text with one more member in front of all the others. */
const withMember = (value, member) => JSON.stringify(value).replace('{', `{${member},`);

/** Bodies that are no JSON object: `text` makes one from a valid body. */
export const BODY_CASES = {
  'nothing in it': () => '',
  'a blank': () => ' ',
  'not JSON': () => 'x402',
  'a form': () => 'x402Version=2&paymentPayload=1',
  'null': () => 'null',
  'a number': () => '402',
  'a text': () => '"x402"',
  'an array': (valid) => JSON.stringify([valid]),
  'half of it': (valid) => JSON.stringify(valid).slice(0, 80),
  'something behind it': (valid) => `${JSON.stringify(valid)}{}`,
  'single quotes': (valid) => JSON.stringify(valid).replaceAll('"', "'"),
  'a comma at the end': (valid) => JSON.stringify(valid).replace(/}$/, ',}'),
  'bytes that are not UTF-8': () => Uint8Array.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]),
  'half a surrogate': () => '{"a":"\\ud800"}',
  'a zero byte': (valid) => `${JSON.stringify(valid)}\0`,
  'a repeated version': (valid) => withMember(valid, `"x402Version":${valid.x402Version}`),
  'a repeated list or payment': (valid) => withMember(valid, valid.accepts ? '"accepts":[]' : '"paymentPayload":{}'),
  'a key repeated further down': (valid) => JSON.stringify(valid).replace('"payTo":', '"payTo":"x","payTo":'),
  'a key repeated in another spelling': (valid) => JSON.stringify(valid).replace('"asset":', '"\\u0061sset":"x","asset":'),
  'deep nesting': (valid) => withMember(valid, `"extensions":${'['.repeat(5_000)}${']'.repeat(5_000)}`),
  'deep nesting of objects': (valid) => withMember(valid, `"extensions":${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`),
};

const NOT_OBJECTS = { 'null': null, 'a text': 'x', 'a number': 1, 'an array': [], 'true': true };
const OTHER_TYPES = { 'a number': 1, 'an object': {}, 'an array': ['x'] };
const NOT_TEXTS = { 'null': null, ...OTHER_TYPES };
const NOT_AMOUNTS = {
  ...NOT_TEXTS,
  'empty': '', '1.0': '1.0', '01': '01', '00': '00', '-1': '-1', '+1': '+1', '1e4': '1e4', 'hex': '0x2710', 'with a blank in front': ' 10000',
  'with a blank behind': '10000 ', 'with a comma': '10,000', 'in dollars': '$0.01', 'in Arabic digits': '١٠٠٠٠', 'of 257 bits': (2n ** 256n).toString(), 'of 300 digits': '1'.repeat(300),
};
const NOT_TIMES = { 'null': null, 'as text': '300', 'negative': -1, 'with a fraction': 300.5, 'beyond 64 bits': 1e30 };

/** `what: value` as cases that put the value, or leave the member out. */
const values = (path, table) => Object.entries(table).map(([what, value]) => [`${path}: ${what}`, path, value]);
const missing = (path) => [`${path}: missing`, path, undefined];

/** Members of /verify and /settle: name, path, value. `amount` stands for what the version calls it. */
function memberRows(version, chain) {
  const name = { evm: ['base-sepolia', EVM_NETWORK], solana: ['solana-devnet', SOLANA_NETWORK] }[chain][version - 1];
  const amount = `paymentRequirements.${version === 1 ? 'maxAmountRequired' : 'amount'}`;
  const payment = version === 1 ? 'paymentPayload' : 'paymentPayload.accepted';
  return [
    ...values('x402Version', { 'zero': 0, 'version 3': 3, 'as text': String(version), 'with a fraction': version + 0.5, 'an object': {}, 'negative': -version }),
    missing('paymentPayload'),
    ...values('paymentPayload', NOT_OBJECTS),
    ...values('paymentPayload.x402Version', { 'version 3': 3, 'as text': String(version), 'the other version': 3 - version }),
    missing('paymentPayload.payload'),
    ...values('paymentPayload.payload', NOT_OBJECTS),
    ...(version === 2 ? [missing('paymentPayload.accepted'), ...values('paymentPayload.accepted', NOT_OBJECTS)] : []),
    missing(`${payment}.scheme`),
    ...values(`${payment}.scheme`, NOT_TEXTS),
    missing(`${payment}.network`),
    ...values(`${payment}.network`, NOT_TEXTS),
    missing('paymentRequirements'),
    ...values('paymentRequirements', NOT_OBJECTS),
    missing('paymentRequirements.scheme'),
    ...values('paymentRequirements.scheme', { ...NOT_TEXTS, 'unknown': 'escrow', 'in capitals': 'EXACT' }),
    missing('paymentRequirements.network'),
    ...values('paymentRequirements.network', { ...NOT_TEXTS, 'empty': '', 'unknown': 'eip155:1', 'a name nobody knows': 'basement', 'in capitals': name.toUpperCase() }),
    missing(amount),
    ...values(amount, NOT_AMOUNTS),
    missing('paymentRequirements.asset'),
    ...values('paymentRequirements.asset', { ...NOT_TEXTS, 'empty': '', 'no address': 'USDT', 'another token': OTHER_ASSET[chain], 'of the other chain': OTHER_ADDRESS[chain === 'evm' ? 'solana' : 'evm'] }),
    missing('paymentRequirements.payTo'),
    ...values('paymentRequirements.payTo', { ...NOT_TEXTS, 'empty': '', 'no address': 'shop.eth', 'somebody else': OTHER_ADDRESS[chain], 'of the other chain': OTHER_ADDRESS[chain === 'evm' ? 'solana' : 'evm'] }),
    missing('paymentRequirements.maxTimeoutSeconds'),
    ...values('paymentRequirements.maxTimeoutSeconds', { ...NOT_TIMES, 'zero': 0 }),
    ...values('paymentRequirements.extra', { 'a text': 'x', 'an array': [], 'a number': 1 }),
    ...extraRows(chain),
  ];
}

function extraRows(chain) {
  if (chain === 'evm') {
    return [
      ...values('paymentRequirements.extra.name', OTHER_TYPES),
      ...values('paymentRequirements.extra.version', OTHER_TYPES),
      ...values('paymentRequirements.extra.assetTransferMethod', { 'permit2': 'permit2', 'a number': 1 }),
    ];
  }
  return [
    missing('paymentRequirements.extra.feePayer'),
    ...values('paymentRequirements.extra.feePayer', { ...NOT_TEXTS, 'empty': '', 'no address': 'x', 'somebody else': OTHER_ADDRESS.solana }),
    ...values('paymentRequirements.extra.memo', { 'a number': 1, 'an object': {}, 'of 257 bytes': 'x'.repeat(257), 'of 128 letters and 258 bytes': `${'é'.repeat(128)}xx` }),
  ];
}

/** Members of /accepts. */
function acceptsRows(version) {
  const amount = version === 1 ? 'maxAmountRequired' : 'amount';
  return [
    missing('x402Version'),
    ...values('x402Version', { 'version 3': 3, 'as text': String(version), 'with a fraction': 1.5 }),
    missing('accepts'),
    ...values('accepts', { 'null': null, 'a text': 'x', 'an object': {} }),
    ...values('accepts[0]', NOT_OBJECTS),
    ...values('accepts[1]', { 'null': null, 'a text': 'x' }),
    missing('accepts[0].scheme'),
    ...values('accepts[0].scheme', NOT_TEXTS),
    missing('accepts[0].network'),
    ...values('accepts[0].network', NOT_TEXTS),
    ...values(`accepts[0].${amount}`, NOT_AMOUNTS),
    ...values('accepts[0].asset', OTHER_TYPES),
    ...values('accepts[0].payTo', NOT_TEXTS),
    ...values('accepts[1].maxTimeoutSeconds', { ...NOT_TIMES, 'null': 'x' }),
    ...values('accepts[1].extra', { 'a text': 'x', 'an array': [], 'a number': 1 }),
  ];
}

const asCases = (rows) => rows.map(([what, field, value]) => ({ what, field, change: (valid) => put(valid, field, value) }));

/** Cases for an endpoint that takes a body: `{ what, field, change(valid) }`. */
export function memberCases(endpoint, version, chain) {
  return asCases(endpoint === '/accepts' ? acceptsRows(version) : memberRows(version, chain));
}

/** A copy with one member replaced, or without it. */
function put(value, path, member) {
  const copy = JSON.parse(JSON.stringify(value));
  const steps = path.split(/[.[\]]+/).filter(Boolean);
  const last = steps.pop();
  const parent = steps.reduce((it, step) => it[step], copy);
  if (member === undefined) delete parent[last];
  else parent[last] = member;
  return copy;
}

const header = (paymentHeader) => ({ field: 'paymentHeader', change: ({ paymentPayload: _, ...rest }) => ({ ...rest, paymentHeader }) });
const base64 = (text) => Buffer.from(text).toString('base64');

/** The payment in a header: version 1 only. */
export const HEADER_CASES = {
  'a number': header(1),
  'an object': header({ x402Version: 1 }),
  'empty': header(''),
  'not base64': header('!!!!'),
  'JSON without base64': header('{"x402Version":1}'),
  'base64 of no JSON': header(base64('x402')),
  'base64 of an array': header(base64('[]')),
  'base64 of a repeated key': header(base64('{"x402Version":1,"x402Version":1}')),
  'base64 of bytes that are not UTF-8': header(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]).toString('base64')),
};

/** Values of the header Idempotency-Key. */
export const KEY_CASES = { 'empty': '', 'of 10,000 letters': 'x'.repeat(10_000) };

/** What a version 2 buyer says it accepted, where that decides how the payment is read. */
export const ACCEPTED_CASES = {
  'another network': { network: SOLANA_NETWORK },
  'another chain': { network: 'eip155:8453' },
  'another scheme': { scheme: 'upto' },
};

/** Paths below the facilitator's that are none. */
export const NO_PATHS = ['/nothing', '/verify/', '/verify/x', '/VERIFY', '/settle.json', '/supported/', '/discovery', '/discovery/', '/discovery/resources/x'];

/** Methods that an endpoint does not take, and the one that it does. */
export const WRONG_METHODS = [
  ...['/verify', '/settle', '/accepts'].flatMap((endpoint) => ['GET', 'PUT', 'DELETE', 'PATCH'].map((method) => [method, endpoint, 'POST'])),
  ...['/supported', '/discovery/resources'].flatMap((endpoint) => ['POST', 'PUT', 'DELETE'].map((method) => [method, endpoint, 'GET'])),
];

/** A body of exactly this many bytes that means the same. */
export function padded(body, bytes) {
  const text = JSON.stringify(body);
  return text + ' '.repeat(bytes - UTF8.encode(text).length);
}
