/** The tables of bad-input.test.mjs: one mistake each, and the one right answer. */
import { ataOf, TOKEN_2022_MINT, TOKEN_2022_PROGRAM, TOKEN_PROGRAM } from '../../dev/solana/setup.mjs';
import { computeLimit, computePrice, encode, EVM_NETWORK, highS, littleEndian, memo, nowSeconds, ROLE, SOLANA_NETWORK, transferChecked } from './support.mjs';

const UNREADABLE = [400];
const SYSTEM_PROGRAM = '11111111111111111111111111111111';
const ATA_PROGRAM = 'ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL';
const LIGHTHOUSE_PROGRAM = 'L2TExMFKdjpN9kozasaurPirfHy9P8sbXoAN1qA3S95';
const RECENT_BLOCKHASHES = 'SysvarRecentB1ockHashes11111111111111111111';

const json = (change) => ({ text: (valid) => encode(change(valid)), expect: UNREADABLE });
/** JSON text with one more member in front of all the others. */
const withMember = (value, member) => JSON.stringify(value).replace('{', `{${member},`);
/** Replaces a member of the wire's scheme or network, wherever the version keeps it. */
const renamed = (changes) => (valid) => encode(valid.accepted ? { ...valid, accepted: { ...valid.accepted, ...changes } } : { ...valid, ...changes });

/** What is wrong with the header or with the JSON around the payload. */
export const WRAPPER_CASES = {
  'nothing in it': { text: () => '', expect: UNREADABLE },
  'not base64': { text: () => '!!!!', expect: UNREADABLE },
  'JSON without base64': { text: (valid) => JSON.stringify(valid).replaceAll(',', ';'), expect: UNREADABLE },
  'base64 without padding': { text: () => encode('{"x402Version":1}  ').replace(/=+$/, ''), expect: UNREADABLE },
  'the alphabet of URLs': { text: () => encode('{"a":"\u00ff\u00ff\u00fe>>>???"}').replaceAll('+', '-').replaceAll('/', '_'), expect: UNREADABLE },
  'a blank within base64': { text: (valid) => encode(valid).replace(/^(.{8})/, '$1 '), expect: UNREADABLE },
  'not JSON': json(() => 'x402'),
  'bytes that are not UTF-8': { text: () => Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]).toString('base64'), expect: UNREADABLE },
  'null': json(() => 'null'),
  'a number': json(() => '402'),
  'an array': json((valid) => [valid]),
  'an empty object': json(() => '{}'),
  'half of it': json((valid) => JSON.stringify(valid).slice(0, 80)),
  'something behind it': json((valid) => `${JSON.stringify(valid)}{}`),
  'the other version': json((valid) => ({ ...valid, x402Version: 3 - valid.x402Version })),
  'version 3': json((valid) => ({ ...valid, x402Version: 3 })),
  'a version as text': json((valid) => ({ ...valid, x402Version: String(valid.x402Version) })),
  'a version with a fraction': json((valid) => JSON.stringify(valid).replace(/("x402Version":\d)/, '$1.5')),
  'no version': json(({ x402Version: _, ...rest }) => rest),
  'no payload': json(({ payload: _, ...rest }) => rest),
  'a repeated version': json((valid) => withMember(valid, `"x402Version":${valid.x402Version}`)),
  'a repeated payload': json((valid) => withMember(valid, '"payload":{}')),
  'a key repeated within the payload': json((valid) => JSON.stringify(valid).replace('"to":', '"to":"0x0000000000000000000000000000000000000001","to":')),
  'a key repeated in another spelling': json((valid) => JSON.stringify(valid).replace('"value":', '"\\u0076alue":"1","value":')),
  'deep nesting': json((valid) => withMember(valid, `"extensions":${'['.repeat(5_000)}${']'.repeat(5_000)}`)),
  'deep nesting of objects': json((valid) => JSON.stringify({ ...valid, payload: 0 }).replace('"payload":0', `"payload":${'{"a":'.repeat(2_000)}1${'}'.repeat(2_000)}`)),
  'more than 16 kilobytes': json((valid) => ({ ...valid, extensions: { padding: 'x'.repeat(17_000) } })),
  'a scheme of a wrong type': { text: (valid) => renamed({ scheme: 1 })(valid), expect: UNREADABLE },
  'a network of a wrong type': { text: (valid) => renamed({ network: null })(valid), expect: UNREADABLE },
  'nothing accepted': { ...json(({ accepted: _, ...rest }) => rest), versions: [2] },
  'accepted as an array': { ...json((valid) => ({ ...valid, accepted: [valid.accepted] })), versions: [2] },
  'another scheme': { text: renamed({ scheme: 'upto' }), expect: [402, 'invalid_scheme'] },
  'the scheme in capitals': { text: renamed({ scheme: 'EXACT' }), expect: [402, 'invalid_scheme'] },
  'a network that is not taken': { text: renamed({ network: 'base' }), versions: [1], expect: [402, 'invalid_network'] },
  'a chain that is not taken': { text: renamed({ network: 'eip155:8453' }), versions: [2], expect: [402, 'invalid_network'] },
  'a network by its name of version 2': { text: renamed({ network: EVM_NETWORK }), versions: [1], expect: [402, 'invalid_network'] },
  'a network by its name of version 1': { text: renamed({ network: 'base-sepolia' }), versions: [2], expect: [402, 'invalid_network'] },
  'a network in another spelling': { text: renamed({ network: 'eip155:084532' }), versions: [2], expect: [402, 'invalid_network'] },
};

/** Payloads that are none. */
export function payloadCases(network) {
  const none = { 'null': null, 'a text': 'x', 'a number': 1, 'an array': [], 'an empty object': {} };
  const wrong = network === SOLANA_NETWORK
    ? { 'a transaction as a number': { transaction: 1 }, 'a transaction as an array': { transaction: ['AA=='] } }
    : {
        'no authorization': { signature: `0x${'11'.repeat(65)}` },
        'an authorization as an array': { signature: `0x${'11'.repeat(65)}`, authorization: [] },
        'a signature as a number': { signature: 1, authorization: {} },
      };
  const text = network === SOLANA_NETWORK
    ? { 'an empty transaction': { transaction: '' }, 'a transaction that is not base64': { transaction: '****' }, 'a transaction of zeros': { transaction: 'AAAA'.repeat(40) } }
    : {};
  const table = (cases, code) => Object.entries(cases).map(([what, payload]) => [what, { payload, expect: [402, code] }]);
  return Object.fromEntries([
    ...table({ ...none, ...wrong }, 'invalid_payload'),
    ...table(text, 'invalid_exact_svm_payload_transaction_could_not_be_decoded'),
  ]);
}

const unreadable = (sent) => ({ code: 'invalid_payload', changes: { sent } });
const badSignature = (signature, more = {}) => ({ code: 'invalid_exact_evm_payload_signature', signature, ...more });
const wrongWindow = (end, authorization) => ({ code: `invalid_exact_evm_payload_authorization_valid_${end}`, changes: () => ({ authorization: authorization() }) });
const endingIn = (v) => badSignature((it) => it.slice(0, 130) + v);

/** EVM payments with one thing wrong. */
export const EVM_CASES = {
  'a value as 1e4': unreadable({ value: '1e4' }),
  'a value with a plus': unreadable({ value: '+10000' }),
  'a value with a leading zero': unreadable({ value: '010000' }),
  'a value in hex': unreadable({ value: '0x2710' }),
  'a value with a blank': unreadable({ value: ' 10000' }),
  'a value with a fraction': unreadable({ value: '10000.0' }),
  'a negative value': unreadable({ value: '-10000' }),
  'an empty value': unreadable({ value: '' }),
  'a value as a number': unreadable({ value: 10_000 }),
  'a value of 2^256': unreadable({ value: (2n ** 256n).toString() }),
  'digits of another script': unreadable({ value: '١٠٠٠٠' }),
  'no value': unreadable({ value: undefined }),
  'a window as a number': unreadable({ validBefore: nowSeconds() + 200 }),
  'a nonce of an odd length': unreadable({ nonce: `0x${'1'.repeat(63)}` }),
  'a nonce of 31 bytes': unreadable({ nonce: `0x${'11'.repeat(31)}` }),
  'a nonce of 33 bytes': unreadable({ nonce: `0x${'11'.repeat(33)}` }),
  'a nonce without 0x': unreadable({ nonce: '11'.repeat(32) }),
  'a nonce that is not hex': unreadable({ nonce: `0x${'zz'.repeat(32)}` }),
  'an address of 19 bytes': unreadable({ to: `0x${'11'.repeat(19)}` }),
  'an address of an odd length': unreadable({ to: `0x${'1'.repeat(39)}` }),
  'an address without 0x': unreadable({ from: '11'.repeat(20) }),
  'a name for an address': unreadable({ to: 'vitalik.eth' }),

  'an empty signature': badSignature(() => '0x'),
  'a signature without 0x': badSignature((it) => it.slice(2)),
  'a signature of an odd length': badSignature((it) => it.slice(0, -1)),
  'a signature of 63 bytes': badSignature((it) => it.slice(0, -4)),
  'a signature of 66 bytes': badSignature((it) => `${it}00`),
  'a signature that is not hex': badSignature((it) => it.replace(/^0x../, '0xzz')),
  'a high s': badSignature(highS),
  'an r of zero': badSignature((it) => `0x${'0'.repeat(64)}${it.slice(66)}`),
  'an s of zero': badSignature((it) => `${it.slice(0, 66)}${'0'.repeat(64)}${it.slice(130)}`),
  'an r beyond the order': badSignature((it) => `0x${'f'.repeat(64)}${it.slice(66)}`),
  'a v of 2': endingIn('02'),
  'a v of 26': endingIn('1a'),
  'a v of 29': endingIn('1d'),
  'a v with a chain id in it': endingIn('25'),
  'the other v': badSignature((it) => it.slice(0, 130) + (it.endsWith('1b') ? '1c' : '1b')),
  'a wrapped signature of a contract account': badSignature((it) => `${it}${'6492'.repeat(16)}`),
  'somebody else’s signature': badSignature((it) => it, { buyer: `0x${'17'.repeat(32)}`, changes: (_, { other }) => ({ authorization: { from: other.address } }) }),
  'a from of zero': badSignature((it) => it, { changes: { sent: { from: `0x${'0'.repeat(40)}` } } }),
  'a from of zero that nobody signed': badSignature(() => `0x${'0'.repeat(130)}`, { changes: { sent: { from: `0x${'0'.repeat(40)}` } } }),
  'the domain of another chain': badSignature((it) => it, { domain: { chainId: 8453 } }),
  'the domain of another token': badSignature((it) => it, { domain: { verifyingContract: '0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913' } }),
  'the domain of another name': badSignature((it) => it, { domain: { name: 'USD Coin' } }),
  'the domain of another version': badSignature((it) => it, { domain: { version: '1' } }),
  // Whether a contract would take the signature is asked last, of the chain.
  'a value other than the signed one': { ...badSignature((it) => it, { changes: { sent: { value: '10001' } } }), code: 'invalid_exact_evm_payload_authorization_value_mismatch' },
  'a nonce other than the signed one': badSignature((it) => it, { changes: { sent: { nonce: `0x${'22'.repeat(32)}` } } }),

  'another recipient': { code: 'invalid_exact_evm_payload_recipient_mismatch', changes: (_, { other }) => ({ authorization: { to: other.address } }) },
  'the relayer as recipient': { code: 'invalid_exact_evm_payload_recipient_mismatch', changes: (_, { relayer }) => ({ authorization: { to: relayer.address } }) },
  'a window that is over': wrongWindow('before', () => ({ validBefore: String(nowSeconds() - 1) })),
  'a window that is nearly over': wrongWindow('before', () => ({ validBefore: String(nowSeconds() + 3) })),
  'a window of the year zero': wrongWindow('before', () => ({ validBefore: '0' })),
  'a window that has not begun': wrongWindow('after', () => ({ validAfter: String(nowSeconds() + 120) })),
  'a window that never begins': wrongWindow('after', () => ({ validAfter: (2n ** 256n - 1n).toString() })),
  'a value too low': { code: 'invalid_exact_evm_payload_authorization_value_mismatch', authorization: { value: '9999' } },
  'a value too high': { code: 'invalid_exact_evm_payload_authorization_value_mismatch', authorization: { value: '10001' } },
  'a value of zero': { code: 'invalid_exact_evm_payload_authorization_value_mismatch', authorization: { value: '0' } },
  'a value that wraps to the right one': { code: 'invalid_exact_evm_payload_authorization_value_mismatch', authorization: { value: (2n ** 128n + 10_000n).toString() } },
};

const svm = (code, changes) => ({ code: `invalid_exact_svm_payload_${code}`, changes: typeof changes === 'function' ? changes : () => changes });
const undecodable = (changes) => svm('transaction_could_not_be_decoded', changes);
const at = (index, make) => async (people) => {
  const made = await make(people);
  return { instructions: (standard) => standard.with(index, made) };
};
const beside = (count, make) => async (people) => {
  const made = await make(people);
  return { instructions: ([limit, price, transfer]) => [limit, price, transfer, ...Array.from({ length: count }, () => memo()), made] };
};
const transfer = (changes) => async (people) => ({ transfer: await changes(people) });
const unlisted = (account) => ({ compiled: (message) => ({ ...message, instructions: message.instructions.map((it, i) => (i === 2 ? { ...it, accountIndices: [account, ...it.accountIndices.slice(1)] } : it)) }) });

/** What would charge the fee payer, or the buyer, the rent of a token account. */
const createAta = async (funder, { other, offer }) => ({
  programAddress: ATA_PROGRAM,
  accounts: [
    { address: funder.address, role: ROLE.writableSigner },
    { address: await ataOf(other.address, offer.asset), role: ROLE.writable },
    ...[other.address, offer.asset, SYSTEM_PROGRAM, TOKEN_PROGRAM].map((address) => ({ address, role: ROLE.readonly })),
  ],
  data: Uint8Array.of(1),
});
const advanceNonce = ({ buyer, other }) => ({
  programAddress: SYSTEM_PROGRAM,
  accounts: [
    { address: other.address, role: ROLE.writable },
    { address: RECENT_BLOCKHASHES, role: ROLE.readonly },
    { address: buyer.address, role: ROLE.signer },
  ],
  data: littleEndian([4, 4]),
});
const systemTransfer = (from, to) => ({
  programAddress: SYSTEM_PROGRAM,
  accounts: [{ address: from.address, role: ROLE.writableSigner }, { address: to.address, role: ROLE.writable }],
  data: littleEndian([2, 4], [1_000_000, 8]),
});
const lighthouse = (accounts = []) => ({ programAddress: LIGHTHOUSE_PROGRAM, accounts, data: new TextEncoder().encode('a') });
const lookups = [{ lookupTableAddress: LIGHTHOUSE_PROGRAM, writableIndexes: [0], readonlyIndexes: [1], writableIndices: [0], readableIndices: [1] }];

/** Solana payments with one thing wrong. */
export const SOLANA_CASES = {
  'a byte left over': undecodable({ wire: (it) => Buffer.concat([it, Buffer.of(0)]) }),
  'a byte missing': undecodable({ wire: (it) => it.subarray(0, -1) }),
  'the message alone': undecodable({ wire: (it) => it.subarray(1 + 2 * 64) }),
  'more than a packet': undecodable({ instructions: (all) => [...all.slice(0, 3), memo('x'.repeat(1_200))] }),
  'version 1 of messages': undecodable({ message: (it) => Buffer.concat([Buffer.of(0x81), it.subarray(1)]) }),
  'a length with a byte to spare': undecodable({ wire: (it) => Buffer.concat([Buffer.of(0x82, 0x00), it.subarray(1)]) }),
  'an account index out of range': undecodable(unlisted(60)),
  'an account index just out of range': undecodable({ compiled: (m) => unlisted(m.staticAccounts.length).compiled(m) }),
  'a program index out of range': undecodable({ compiled: (m) => ({ ...m, instructions: m.instructions.map((it, i) => (i === 3 ? { ...it, programAddressIndex: 200 } : it)) }) }),
  'the fee payer as a program': undecodable({ compiled: (m) => ({ ...m, instructions: m.instructions.map((it, i) => (i === 3 ? { ...it, programAddressIndex: 0 } : it)) }) }),
  'an account twice': undecodable({ compiled: (m) => ({ ...m, staticAccounts: m.staticAccounts.with(-1, m.staticAccounts[2]) }) }),
  'more signers than accounts': undecodable({ message: (it) => Buffer.concat([it.subarray(0, 1), Buffer.of(60), it.subarray(2)]) }),
  'a lookup table': undecodable({ compiled: (m) => ({ ...m, addressTableLookups: lookups }) }),
  'one signature too few': undecodable({ signatures: (it) => it.slice(0, 1) }),
  'one signature too many': undecodable({ signatures: (it) => [...it, Buffer.alloc(64)] }),
  'no signatures': undecodable({ signatures: () => [] }),

  'the buyer as fee payer': svm('fee_payer_mismatch', ({ buyer }) => ({ feePayer: buyer.address })),
  'somebody else as fee payer': svm('fee_payer_mismatch', ({ other }) => ({ feePayer: other.address, signers: [other] })),
  'one more signer': svm('excessive_signers', ({ other }) => ({
    signers: [other], instructions: (all) => all.with(3, memo('x', [{ address: other.address, role: ROLE.signer }])),
  })),
  'our other fee payer as one more signer': svm('excessive_signers', ({ secondFeePayer }) => ({
    instructions: (all) => all.with(3, memo('x', [{ address: secondFeePayer.address, role: ROLE.signer }])),
  })),
  'no signature of the buyer': svm('signature_invalid', { signatures: ([first]) => [first, Buffer.alloc(64)] }),
  'a signature with one bit changed': svm('signature_invalid', { signatures: ([first, buyer]) => [first, Buffer.from(buyer.map((byte, i) => (i === 5 ? byte ^ 1 : byte)))] }),
  'a signature of another message': svm('signature_invalid', { wire: (it) => Buffer.from(it.map((byte, i) => (i === it.length - 2 ? byte ^ 1 : byte))) }),
  'something where our signature belongs': svm('signature_invalid', { signatures: ([, buyer]) => [buyer, buyer] }),
  'a buyer who signs, and a transfer of somebody else’s': svm('signature_invalid', transfer(async ({ other, offer }) => ({ source: await ataOf(other.address, offer.asset), authority: other.address }))),

  'two instructions': svm('transaction_instructions_length', { instructions: (all) => [all[0], all[2]] }),
  'thirteen instructions': svm('transaction_instructions_length', { instructions: (all) => [...all, ...Array.from({ length: 9 }, () => memo())] }),
  'no compute limit': svm('transaction_instructions_compute_limit_instruction', { instructions: ([, ...rest]) => [...rest, memo()] }),
  'a compute limit with a byte more': svm('transaction_instructions_compute_limit_instruction', at(0, () => ({ ...computeLimit(1), data: littleEndian([2, 1], [60_000, 4], [0, 1]) }))),
  'a heap frame for a compute limit': svm('transaction_instructions_compute_limit_instruction', at(0, () => ({ ...computeLimit(1), data: littleEndian([1, 1], [65_536, 4]) }))),
  'a durable nonce': svm('transaction_instructions_compute_limit_instruction', (people) => ({ instructions: (all) => [advanceNonce(people), ...all] })),
  'a compute limit above the cap': svm('transaction_instructions_compute_limit_instruction_too_high', at(0, () => computeLimit(400_001))),
  'the largest compute limit': svm('transaction_instructions_compute_limit_instruction_too_high', at(0, () => computeLimit(0xffffffff))),
  'no compute price': svm('transaction_instructions_compute_price_instruction', at(1, () => memo())),
  'two compute limits': svm('transaction_instructions_compute_price_instruction', at(1, () => computeLimit(1))),
  'a compute price above the cap': svm('transaction_instructions_compute_price_instruction_too_high', at(1, () => computePrice(5_000_001))),
  'the largest compute price': svm('transaction_instructions_compute_price_instruction_too_high', at(1, () => computePrice(2n ** 64n - 1n))),
  'a fee above the cap in all': svm('transaction_instructions_compute_price_instruction_too_high', { instructions: ([, , ...rest]) => [computeLimit(400_000), computePrice(1_000_000), ...rest] }),

  'a plain Transfer': svm('no_transfer_instruction', ({ offer }) => ({
    instructions: (all) => all.with(2, { ...all[2], accounts: all[2].accounts.toSpliced(1, 1), data: littleEndian([3, 1], [offer.amount, 8]) }),
  })),
  'an Approve': svm('no_transfer_instruction', { instructions: (all) => all.with(2, { ...all[2], data: Uint8Array.from([13, ...all[2].data.slice(1)]) }) }),
  'a transfer of SOL': svm('no_transfer_instruction', at(2, ({ buyer, seller }) => systemTransfer(buyer, seller))),
  'a transfer with an account more': svm('no_transfer_instruction', ({ other }) => ({ instructions: (all) => all.with(2, { ...all[2], accounts: [...all[2].accounts, { address: other.address, role: ROLE.readonly }] }) })),
  'our fee payer’s own tokens': svm('transaction_fee_payer_transferring_funds', transfer(async ({ feePayer, offer }) => ({ source: await ataOf(feePayer.address, offer.asset), authority: feePayer.address }))),
  'our fee payer as delegate of the buyer': svm('transaction_fee_payer_transferring_funds', transfer(({ feePayer }) => ({ authority: feePayer.address }))),
  'our fee payer in a memo': svm('transaction_fee_payer_transferring_funds', at(3, ({ feePayer }) => memo('x', [{ address: feePayer.address, role: ROLE.readonly }]))),
  'our fee payer in a Lighthouse instruction that is no assertion': svm('transaction_fee_payer_transferring_funds', at(3, ({ feePayer }) => lighthouse([{ address: feePayer.address, role: ROLE.writable }]))),
  'SOL of our fee payer': svm('transaction_fee_payer_transferring_funds', beside(0, ({ feePayer, other }) => systemTransfer(feePayer, other))),
  'a token account at our fee payer’s cost': svm('transaction_fee_payer_transferring_funds', beside(0, (people) => createAta(people.feePayer, people))),
  'our other fee payer in a memo': svm('transaction_fee_payer_transferring_funds', at(3, ({ secondFeePayer }) => memo('x', [{ address: secondFeePayer.address, role: ROLE.readonly }]))),

  'another mint': svm('mint_mismatch', transfer(() => ({ mint: TOKEN_2022_MINT, program: TOKEN_2022_PROGRAM }))),
  'the other token program': svm('mint_mismatch', transfer(() => ({ program: TOKEN_2022_PROGRAM }))),
  'other decimals': svm('mint_mismatch', transfer(() => ({ decimals: 5 }))),
  'another recipient': svm('recipient_mismatch', transfer(async ({ other, offer }) => ({ destination: await ataOf(other.address, offer.asset) }))),
  'the seller’s wallet for its token account': svm('recipient_mismatch', transfer(({ seller }) => ({ destination: seller.address }))),
  'an amount too low': svm('amount_mismatch', transfer(() => ({ amount: 9_999 }))),
  'an amount too high': svm('amount_mismatch', transfer(() => ({ amount: 10_001 }))),
  'an amount of zero': svm('amount_mismatch', transfer(() => ({ amount: 0 }))),

  'a token account at the buyer’s cost': svm('unknown_fourth_instruction', beside(0, (people) => createAta(people.buyer, people))),
  'a late durable nonce': svm('unknown_fourth_instruction', beside(0, advanceNonce)),
  'a second transfer': svm('unknown_fourth_instruction', beside(0, ({ buyer, offer }) => transferChecked(buyer, offer))),
  'a compute budget at the end': svm('unknown_fourth_instruction', beside(0, () => computeLimit(1_400_000))),
  'SOL of the buyer in the fifth place': svm('unknown_fifth_instruction', beside(1, ({ buyer, other }) => systemTransfer(buyer, other))),
  'a token account in the sixth place': svm('unknown_sixth_instruction', beside(2, (people) => createAta(people.buyer, people))),
  'a durable nonce in the seventh place': svm('unknown_seventh_instruction', beside(3, advanceNonce)),
};
