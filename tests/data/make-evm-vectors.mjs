// Writes tests/data/evm/*.json: what viem makes of addresses, EIP-712 typed
// data, calldata and transactions, for the Rust tests to agree with.
//
// The same input gives the same bytes: keys and values come from hashes of
// their names, and signatures are deterministic (RFC 6979).
//
//   node tests/data/make-evm-vectors.mjs

import { mkdirSync, writeFileSync } from 'node:fs';
import {
  domainSeparator,
  encodeErrorResult,
  encodeFunctionData,
  encodeFunctionResult,
  getAddress,
  hashTypedData,
  keccak256,
  maxUint256,
  multicall3Abi,
  parseAbi,
  parseSignature,
  parseTransaction,
  serializeErc6492Signature,
  serializeTransaction,
  stringToHex,
} from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import {
  PERMIT2_ADDRESS,
  permit2WitnessTypes,
  uptoPermit2WitnessTypes,
  x402ExactPermit2ProxyABI,
  x402ExactPermit2ProxyAddress,
  x402UptoPermit2ProxyABI,
  x402UptoPermit2ProxyAddress,
} from '@x402/evm';

const OUT = new URL('./evm/', import.meta.url);
const MULTICALL3 = '0xcA11bde05977b3631167028862bE2a173976CA11';

const abi = parseAbi([
  'function transferWithAuthorization(address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce, uint8 v, bytes32 r, bytes32 s)',
  'function transferWithAuthorization(address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce, bytes signature)',
  'function isValidSignature(bytes32 hash, bytes signature) view returns (bytes4)',
  'function authorizationState(address authorizer, bytes32 nonce) view returns (bool)',
  'function balanceOf(address account) view returns (uint256)',
]);

const types = {
  TransferWithAuthorization: [
    { name: 'from', type: 'address' },
    { name: 'to', type: 'address' },
    { name: 'value', type: 'uint256' },
    { name: 'validAfter', type: 'uint256' },
    { name: 'validBefore', type: 'uint256' },
    { name: 'nonce', type: 'bytes32' },
  ],
};

const hash = (name) => keccak256(stringToHex(name));
const account = (name) => privateKeyToAccount(hash(`key of ${name}`));
const address = (name) => getAddress(`0x${hash(`address of ${name}`).slice(26)}`);

const DOMAINS = [
  ['USD Coin', '2', 1n, '0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48'],
  ['USD Coin', '2', 8453n, '0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913'],
  ['USDC', '2', 84532n, '0x036CbD53842c5426634e7929541eC2318f3dCF7e'],
  ['USD Coin', '2', 43114n, '0xB97EF9Ef8734C71904D8002F8b6Bc66Dd9c48a6E'],
  ['USDC', '2', 80002n, '0x41E94Eb019C0762f9Bfcf9Fb1E58725BfB0e7582'],
  ['EURC', '2', 8453n, address('another token')],
  ['Tether Ünï ₮', '1', 42161n, address('a token with letters beyond ASCII')],
  ['T', '0', 18446744073709551615n, address('a token with a short name')],
].map(([name, version, chainId, verifyingContract]) => ({
  name,
  version,
  chainId,
  verifyingContract,
}));

const MESSAGES = [
  { value: 10000n, validAfter: 1700000000n, validBefore: 1700000660n },
  { value: 0n, validAfter: 0n, validBefore: 0n },
  { value: maxUint256, validAfter: maxUint256 - 1n, validBefore: maxUint256 },
  { value: 2n ** 128n, validAfter: 2n ** 64n, validBefore: 2n ** 64n - 1n },
];

async function authorize(domain, name, values) {
  const payer = account(`payer ${name}`);
  const authorization = {
    from: payer.address,
    to: address(`payee ${name}`),
    ...values,
    nonce: hash(`nonce ${name}`),
    ...(values.to ? { to: values.to } : {}),
  };
  const typed = {
    domain,
    types,
    primaryType: 'TransferWithAuthorization',
    message: authorization,
  };
  return {
    key: hash(`key of payer ${name}`),
    authorization,
    digest: hashTypedData(typed),
    signature: await payer.signTypedData(typed),
  };
}

const transferCall = ({ authorization: a, signature }) => {
  const { r, s, yParity } = parseSignature(signature);
  return encodeFunctionData({
    abi,
    functionName: 'transferWithAuthorization',
    args: [a.from, a.to, a.value, a.validAfter, a.validBefore, a.nonce, 27 + yParity, r, s],
  });
};

const aggregate3 = (calls) =>
  encodeFunctionData({ abi: multicall3Abi, functionName: 'aggregate3', args: [calls] });

const stateCall = (authorizer, nonce) =>
  encodeFunctionData({ abi, functionName: 'authorizationState', args: [authorizer, nonce] });

const balanceCall = (of) => encodeFunctionData({ abi, functionName: 'balanceOf', args: [of] });

async function typedData() {
  const tokens = [];
  for (const [i, domain] of DOMAINS.entries()) {
    const authorizations = [];
    for (const [j, message] of MESSAGES.entries()) {
      authorizations.push(await authorize(domain, `${i}.${j}`, message));
    }
    tokens.push({ domain, separator: domainSeparator({ domain }), authorizations });
  }
  return tokens;
}

async function calls() {
  const domain = DOMAINS[2];
  const payTo = address('the seller');
  const token = domain.verifyingContract;
  const payments = [];
  for (let i = 0; i < 32; i += 1) {
    const payment = await authorize(domain, `in a batch ${i}`, {
      to: payTo,
      value: 10000n,
      validAfter: 1699999400n,
      validBefore: 1700000060n,
    });
    const { from, nonce } = payment.authorization;
    payments.push({
      authorization: payment.authorization,
      signature: payment.signature,
      transferWithAuthorization: transferCall(payment),
      authorizationState: stateCall(from, nonce),
      balanceOf: balanceCall(from),
    });
  }
  const batch = (count, allowFailure) =>
    aggregate3(
      payments.slice(0, count).map((payment) => ({
        target: token,
        allowFailure,
        callData: payment.transferWithAuthorization,
      })),
    );
  const check = (count) =>
    aggregate3(
      payments
        .slice(0, count)
        .flatMap((p) => [p.authorizationState, p.balanceOf, p.transferWithAuthorization])
        .map((callData) => ({ target: token, allowFailure: true, callData })),
    );
  return {
    domain,
    payTo,
    now: 1700000000n,
    maxTimeoutSeconds: 60n,
    multicall3: MULTICALL3,
    payments,
    batches: [0, 1, 3, 32].map((count) => ({ count, data: batch(count, true) })),
    estimates: [1, 3].map((count) => ({ count, data: batch(count, false) })),
    checks: [1, 2].map((count) => ({ count, data: check(count) })),
  };
}

// EIP-2612.
const eip2612PermitTypes = {
  Permit: ['owner address', 'spender address', 'value uint256', 'nonce uint256', 'deadline uint256']
    .map((member) => member.split(' '))
    .map(([name, type]) => ({ name, type })),
};

const PERMIT2_MESSAGES = [
  { amount: 10000n, nonce: BigInt(hash('a Permit2 nonce')), deadline: 1700000060n, validAfter: 0n },
  { amount: 1n, nonce: 0n, deadline: 1700000006n, validAfter: 1700000005n },
  { amount: 2n ** 128n - 1n, nonce: maxUint256, deadline: maxUint256, validAfter: 1699999400n },
  { amount: 10000n, nonce: 256n, deadline: 1700086400n, validAfter: 1700000000n },
];

const permit2Abi = parseAbi([
  'function nonceBitmap(address owner, uint256 wordPos) view returns (uint256)',
  'function allowance(address owner, address spender) view returns (uint256)',
]);

async function permit2() {
  const payments = [];
  for (const [i, { amount, nonce, deadline, validAfter }] of PERMIT2_MESSAGES.entries()) {
    const payer = account(`Permit2 payer ${i}`);
    const domain = DOMAINS[i];
    const token = domain.verifyingContract;
    const witness = { to: address(`Permit2 payee ${i}`), validAfter };
    const permit = { permitted: { token, amount }, nonce, deadline };
    const typed = {
      domain: { name: 'Permit2', chainId: domain.chainId, verifyingContract: PERMIT2_ADDRESS },
      types: permit2WitnessTypes,
      primaryType: 'PermitWitnessTransferFrom',
      message: { ...permit, spender: x402ExactPermit2ProxyAddress, witness },
    };
    const signature = await payer.signTypedData(typed);
    const approval = {
      domain,
      types: eip2612PermitTypes,
      primaryType: 'Permit',
      message: { owner: payer.address, spender: PERMIT2_ADDRESS, value: amount, nonce: BigInt(i), deadline },
    };
    const approvalSignature = await payer.signTypedData(approval);
    const { r, s, yParity } = parseSignature(approvalSignature);
    const args = [permit, payer.address, witness, signature];
    const abi = x402ExactPermit2ProxyABI;
    payments.push({
      domain,
      payload: {
        signature,
        permit2Authorization: {
          permitted: { token, amount },
          from: payer.address,
          spender: x402ExactPermit2ProxyAddress,
          nonce,
          deadline,
          witness,
        },
      },
      digest: hashTypedData(typed),
      approval: {
        from: payer.address,
        asset: token,
        spender: PERMIT2_ADDRESS,
        amount,
        nonce: BigInt(i),
        deadline,
        signature: approvalSignature,
        version: '1',
      },
      settle: encodeFunctionData({ abi, functionName: 'settle', args }),
      settleWithPermit: encodeFunctionData({
        abi,
        functionName: 'settleWithPermit',
        args: [{ value: amount, deadline, r, s, v: 27 + yParity }, ...args],
      }),
      nonceBitmap: encodeFunctionData({
        abi: permit2Abi, functionName: 'nonceBitmap', args: [payer.address, nonce >> 8n],
      }),
      balanceOf: balanceCall(payer.address),
      allowance: encodeFunctionData({
        abi: permit2Abi, functionName: 'allowance', args: [payer.address, PERMIT2_ADDRESS],
      }),
      permit2OfProxy: encodeFunctionData({ abi, functionName: 'PERMIT2' }),
    });
  }
  return { permit2: PERMIT2_ADDRESS, proxy: x402ExactPermit2ProxyAddress, now: 1700000000n, payments };
}

/** What was used of the same amounts: some, nothing, all. */
const USED = [1234n, 0n, 2n ** 128n - 1n, 10000n];

async function upto() {
  const payments = [];
  for (const [i, { amount, nonce, deadline, validAfter }] of PERMIT2_MESSAGES.entries()) {
    const payer = account(`upto payer ${i}`);
    const domain = DOMAINS[i];
    const token = domain.verifyingContract;
    const witness = { to: address(`upto payee ${i}`), facilitator: address(`upto relayer ${i}`), validAfter };
    const permit = { permitted: { token, amount }, nonce, deadline };
    const typed = {
      domain: { name: 'Permit2', chainId: domain.chainId, verifyingContract: PERMIT2_ADDRESS },
      types: uptoPermit2WitnessTypes,
      primaryType: 'PermitWitnessTransferFrom',
      message: { ...permit, spender: x402UptoPermit2ProxyAddress, witness },
    };
    const signature = await payer.signTypedData(typed);
    const approvalSignature = await payer.signTypedData({
      domain,
      types: eip2612PermitTypes,
      primaryType: 'Permit',
      message: { owner: payer.address, spender: PERMIT2_ADDRESS, value: amount, nonce: BigInt(i), deadline },
    });
    const { r, s, yParity } = parseSignature(approvalSignature);
    const used = USED[i];
    const args = [permit, used, payer.address, witness, signature];
    const abi = x402UptoPermit2ProxyABI;
    payments.push({
      domain,
      payload: {
        signature,
        permit2Authorization: {
          permitted: { token, amount },
          from: payer.address,
          spender: x402UptoPermit2ProxyAddress,
          nonce,
          deadline,
          witness,
        },
      },
      digest: hashTypedData(typed),
      approval: {
        from: payer.address,
        asset: token,
        spender: PERMIT2_ADDRESS,
        amount,
        nonce: BigInt(i),
        deadline,
        signature: approvalSignature,
        version: '1',
      },
      used,
      settle: encodeFunctionData({ abi, functionName: 'settle', args }),
      settleWithPermit: encodeFunctionData({
        abi,
        functionName: 'settleWithPermit',
        args: [{ value: amount, deadline, r, s, v: 27 + yParity }, ...args],
      }),
    });
  }
  return { proxy: x402UptoPermit2ProxyAddress, now: 1700000000n, payments };
}

function results() {
  const aggregate = (items) => ({
    results: items,
    data: encodeFunctionResult({
      abi: multicall3Abi,
      functionName: 'aggregate3',
      result: items,
    }),
  });
  const ok = (returnData) => ({ success: true, returnData });
  const failed = (returnData) => ({ success: false, returnData });
  const bool = (result) =>
    encodeFunctionResult({ abi, functionName: 'authorizationState', result });
  const uint = (result) => encodeFunctionResult({ abi, functionName: 'balanceOf', result });
  const errorAbi = parseAbi(['error Error(string)']);
  const error = (text) => ({
    text,
    data: encodeErrorResult({ abi: errorAbi, errorName: 'Error', args: [text] }),
  });
  const errors = [
    '',
    'FiatTokenV2: invalid signature',
    'ERC20: transfer amount exceeds balance',
    'exactly thirty-two characters ok',
  ].map(error);
  return {
    aggregates: [
      aggregate([]),
      aggregate([ok('0x')]),
      aggregate([failed(errors[1].data), ok(bool(true)), ok(uint(maxUint256))]),
      aggregate(Array.from({ length: 32 }, (_, i) => (i % 3 ? ok('0x') : failed(errors[2].data)))),
    ],
    checks: [
      {
        data: aggregate([ok(bool(false)), ok(uint(10000n)), ok('0x')]).data,
        nonceUsed: false,
        balance: 10000n,
        simulated: true,
        revertReason: null,
      },
      {
        data: aggregate([ok(bool(true)), ok(uint(0n)), failed(errors[1].data)]).data,
        nonceUsed: true,
        balance: 0n,
        simulated: false,
        revertReason: errors[1].text,
      },
      {
        data: aggregate([ok('0x'), failed('0x'), ok('0x')]).data,
        nonceUsed: null,
        balance: null,
        simulated: true,
        revertReason: null,
      },
    ],
    bools: [true, false].map((value) => ({ value, data: bool(value) })),
    uints: [0n, 1n, 10000n, 2n ** 128n, maxUint256].map((value) => ({ value, data: uint(value) })),
    errors,
  };
}

// An r or s that starts with a zero byte is written shorter: the first nonce
// that gives such an r, and the first that gives such an s.
async function noncesOfShortSignatures(relayer, base) {
  const found = {};
  for (let nonce = 1000; !found.r || !found.s; nonce += 1) {
    const { r, s } = parseTransaction(await relayer.signTransaction({ ...base, nonce }));
    if (BigInt(r) >> 248n === 0n) found.r ??= nonce;
    if (BigInt(s) >> 248n === 0n) found.s ??= nonce;
  }
  return [found.r, found.s];
}

async function transactions() {
  const relayer = account('the relayer');
  const base = {
    type: 'eip1559',
    chainId: 84532,
    nonce: 7,
    maxPriorityFeePerGas: 1000000n,
    maxFeePerGas: 15000000n,
    gas: 120000n,
    to: MULTICALL3,
    data: '0x82ad56cb',
  };
  const long = (bytes) =>
    `0x${hash('long data').slice(2).repeat(Math.ceil(bytes / 32))}`.slice(0, 2 + 2 * bytes);
  const edits = [
    {},
    { nonce: 0 },
    { nonce: 127 },
    { nonce: 128 },
    { nonce: 255 },
    { nonce: 256 },
    { nonce: 2 ** 32 },
    { maxPriorityFeePerGas: 0n, maxFeePerGas: 0n },
    { maxPriorityFeePerGas: 0n, maxFeePerGas: 1n },
    { maxPriorityFeePerGas: 2n ** 64n, maxFeePerGas: 2n ** 128n - 1n },
    { gas: 0n },
    { gas: 2n ** 63n },
    { chainId: 1 },
    { chainId: 2 ** 32 + 1 },
    { to: '0x0000000000000000000000000000000000000001' },
    ...['0x', '0x00', '0x7f', '0x80', long(55), long(56), long(255), long(256), long(20000)].map(
      (data) => ({ data }),
    ),
    ...(await noncesOfShortSignatures(relayer, base)).map((nonce) => ({ nonce })),
  ];
  const made = [];
  for (const edit of edits) {
    const transaction = { ...base, ...edit };
    const raw = await relayer.signTransaction(transaction);
    made.push({
      chainId: transaction.chainId,
      nonce: transaction.nonce,
      maxPriorityFeePerGas: transaction.maxPriorityFeePerGas,
      maxFeePerGas: transaction.maxFeePerGas,
      gasLimit: transaction.gas,
      to: transaction.to,
      data: transaction.data,
      signingHash: keccak256(serializeTransaction(transaction)),
      hash: keccak256(raw),
      raw,
    });
  }
  return { key: hash('key of the relayer'), address: relayer.address, transactions: made };
}

function addresses() {
  return Array.from({ length: 64 }, (_, i) => {
    const key = hash(`key of account ${i}`);
    return { key, address: privateKeyToAccount(key).address };
  });
}

/** Bytes of any length, from a name. */
const bytesOf = (name, length) =>
  `0x${Array.from({ length: Math.ceil(length / 32) }, (_, i) => hash(`${name} ${i}`).slice(2)).join('')}`.slice(0, 2 + 2 * length);

// Signatures that a contract judges, bare and with what deploys it.
async function wallets() {
  const domain = DOMAINS[2];
  const payTo = address('the seller');
  const payments = [];
  for (const [length, deployed] of [[1, null], [64, null], [65, null], [66, null], [700, null], [65, 0], [700, 132], [224, 1]]) {
    const { authorization, digest } = await authorize(domain, `of a wallet ${length} ${deployed}`, {
      to: payTo, value: 10000n, validAfter: 1699999400n, validBefore: 1700000060n,
    });
    const inner = bytesOf(`signature of ${length} bytes`, length);
    const factory = address('a factory');
    const data = deployed === null ? null : bytesOf('its calldata', deployed);
    const { from, to, value, validAfter, validBefore, nonce } = authorization;
    const transfer = encodeFunctionData({
      abi, functionName: 'transferWithAuthorization', args: [from, to, value, validAfter, validBefore, nonce, inner],
    });
    const target = domain.verifyingContract;
    payments.push({
      authorization,
      digest,
      signature: data === null ? inner : serializeErc6492Signature({ address: factory, data, signature: inner }),
      inner,
      isValid: encodeFunctionData({ abi, functionName: 'isValidSignature', args: [digest, inner] }),
      to: data === null ? target : MULTICALL3,
      call: data === null ? transfer : aggregate3([
        { target: factory, allowFailure: true, callData: data },
        { target, allowFailure: false, callData: transfer },
      ]),
      factoryData: data,
    });
  }
  return { domain, payTo, now: 1700000000n, factory: address('a factory'), payments };
}

function write(name, value) {
  // Numbers are decimal strings, as they are on the wire.
  const text = JSON.stringify(
    value,
    (_, item) => (typeof item === 'bigint' || typeof item === 'number' ? item.toString() : item),
    1,
  );
  writeFileSync(new URL(`${name}.json`, OUT), `${text}\n`);
}

mkdirSync(OUT, { recursive: true });
write('addresses', addresses());
write('typed-data', await typedData());
write('calls', await calls());
write('permit2', await permit2());
write('upto', await upto());
write('results', results());
write('wallets', await wallets());
write('transactions', await transactions());
