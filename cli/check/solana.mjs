/** What a Solana cluster must say of a configuration. */
import { getBase58Decoder } from '@solana/kit';
import { freeCoinOf } from '../networks.mjs';
import { checkFees } from './fees.mjs';
import { coins, fault, warning } from './findings.mjs';

/** Lamports of one payment: two signatures. */
const FEE_OF_PAYMENT = 10_000n;
/** What an account must keep, or the cluster takes nothing of it: the rent of 0 bytes. */
const RENT = 890_880n;
const PAYMENTS_TO_FUND = 1_000n;
const TOKEN_PROGRAMS = { TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA: 'spl-token', TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb: 'token-2022' };
/** Where a mint keeps its decimals; where a token account keeps its owner. */
const DECIMALS_AT = 44;
const OWNER_AT = 32;

const read = (address) => ['getAccountInfo', [address, { encoding: 'base64', commitment: 'confirmed' }]];

/** @returns {[string, string, any[]][]} name, method and parameters */
export function questionsOfSolana({ signers, tokens, payTo }) {
  return [
    ...signers.map((address) => [`balance ${address}`, 'getBalance', [address, { commitment: 'confirmed' }]]),
    ...(payTo === null ? [] : [['payTo', ...read(payTo)]]),
    ...tokens.flatMap(({ asset, onChain: { payToAccount } }) => [
      [`mint ${asset}`, ...read(asset)],
      ...(payToAccount ? [[`account ${asset}`, ...read(payToAccount)]] : []),
    ]),
  ];
}

/** @param {Record<string, { result?: any, error: string }>} said */
export function checkSolana(network, said, { key, keyOfToken, routes }) {
  const { payTo, title } = network;
  const lines = [];
  const findings = [];
  for (const address of network.signers) {
    const { findings: more, line } = checkBalance(network, address, said);
    findings.push(...more);
    lines.push(line);
  }
  const recipient = said.payTo?.result?.value;
  const isTokenAccount = recipient && TOKEN_PROGRAMS[recipient.owner] !== undefined;
  if (isTokenAccount) {
    const owner = addressAt(bytesOf(recipient), OWNER_AT);
    findings.push(fault(key('pay_to'), `${payTo} is a token account; put the wallet that owns it${owner ? `: ${owner}` : ''}`));
  }
  network.tokens.forEach((token, index) => findings.push(...checkToken(token, said, { payTo, title, key: keyOfToken(index), keyOfPayTo: key('pay_to'), isTokenAccount })));
  findings.push(...checkFees(network, FEE_OF_PAYMENT, routes));
  return { findings, lines };
}

function checkBalance({ id, signerSecret, signerTitle, coin, title, lowBalance }, address, said) {
  const { result, error } = said[`balance ${address}`];
  if (result === undefined) return { findings: [warning(signerSecret, `the balance of ${address} on ${title} is not known: ${error}`)], line: `${signerTitle} ${address}: balance unknown` };
  const balance = BigInt(result.value);
  const line = `${signerTitle} ${address} has ${coins(balance, coin)}; a payment costs ${coins(FEE_OF_PAYMENT, coin)}`;
  if (balance < RENT + FEE_OF_PAYMENT) {
    return { findings: [fault(signerSecret, `${signerTitle} ${address} has ${coins(balance, coin)} on ${title}; it must keep ${coins(RENT, coin)}, and each payment costs ${coins(FEE_OF_PAYMENT, coin)}. Send it ${coins(RENT + FEE_OF_PAYMENT * PAYMENTS_TO_FUND, coin)} for a thousand${freeCoinOf(id)}`)], line };
  }
  if (lowBalance !== null && balance < BigInt(lowBalance)) return { findings: [warning(signerSecret, `${signerTitle} ${address} has ${coins(balance, coin)} on ${title}, less than low_balance`)], line };
  return { findings: [], line };
}

function checkToken({ asset, symbol, decimals, onChain }, said, { payTo, title, key, keyOfPayTo, isTokenAccount }) {
  const mint = said[`mint ${asset}`].result?.value;
  if (mint === undefined) return [warning(key('asset'), `is not known: ${said[`mint ${asset}`].error}`)];
  const program = mint && TOKEN_PROGRAMS[mint.owner];
  if (!program) return [fault(key('asset'), `${asset} is no mint on ${title}`)];
  const found = [];
  if (mint.owner !== onChain.tokenProgram) return [fault(key('token_program'), `must be "${program}": ${asset} belongs to that program`)];
  const counted = bytesOf(mint)[DECIMALS_AT];
  if (counted !== undefined && counted !== decimals) found.push(fault(key('decimals'), `is ${decimals}, and the mint has ${counted}: prices would be wrong`));
  const account = said[`account ${asset}`];
  if (account && !account.result?.value && !isTokenAccount) {
    found.push(fault(keyOfPayTo, `${payTo} has no token account for ${symbol}, and a payment makes none: send it any amount of ${symbol} once, or spl-token create-account ${asset} --owner ${payTo} (the account is ${onChain.payToAccount})`));
  }
  return found;
}

const bytesOf = ({ data }) => Buffer.from([data].flat()[0] ?? '', 'base64');
const addressAt = (bytes, at) => (bytes.length >= at + 32 ? getBase58Decoder().decode(bytes.subarray(at, at + 32)) : undefined);
