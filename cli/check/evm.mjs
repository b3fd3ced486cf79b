/** What an EVM chain must say of a configuration. */
import { freeCoinOf } from '../networks.mjs';
import { checkFees } from './fees.mjs';
import { coins, fault, warning } from './findings.mjs';

/** Gas of one payment to an address that holds none of the token yet, the dearest. */
const GAS_OF_PAYMENT = 86_000n;
/** For how many payments a relayer should hold coin. */
const PAYMENTS_TO_FUND = 1_000n;
/** A block older than this, in seconds: the node doesn't follow the chain. */
const OLD_BLOCK_SECONDS = 600;
/** Selectors of the token's functions. */
const DOMAIN_SEPARATOR = '0x3644e515';
const NAME = '0x06fdde03';
const VERSION = '0x54fd4d50';
const DECIMALS = '0x313ce567';
const IS_BLACKLISTED = '0xfe575a87';
const AUTHORIZATION_STATE = '0xe94a0102';

/** What payments by Permit2 go through. */
const CONTRACTS = { permit2: 'Permit2', exactProxy: 'x402’s contract in front of it', uptoProxy: 'x402’s contract for what is sold by use' };

const word = (hex) => hex.replace(/^0x/, '').toLowerCase().padStart(64, '0');

/** @returns {[string, string, any[]][]} name, method and parameters */
export function questionsOfEvm({ signers, tokens, payTo }, { multicall3, permit2, exactProxy, uptoProxy }) {
  const call = (to, data) => ['eth_call', [{ to, data }, 'latest']];
  return [
    ['block', 'eth_getBlockByNumber', ['latest', false]],
    ['gasPrice', 'eth_gasPrice', []],
    ['multicall', 'eth_getCode', [multicall3, 'latest']],
    ['permit2', 'eth_getCode', [permit2, 'latest']],
    ['exactProxy', 'eth_getCode', [exactProxy, 'latest']],
    ['uptoProxy', 'eth_getCode', [uptoProxy, 'latest']],
    ...signers.map((address) => [`balance ${address}`, 'eth_getBalance', [address, 'latest']]),
    ...tokens.flatMap(({ asset }) => [
      [`code ${asset}`, 'eth_getCode', [asset, 'latest']],
      [`separator ${asset}`, ...call(asset, DOMAIN_SEPARATOR)],
      [`name ${asset}`, ...call(asset, NAME)],
      [`version ${asset}`, ...call(asset, VERSION)],
      [`decimals ${asset}`, ...call(asset, DECIMALS)],
      [`state ${asset}`, ...call(asset, `${AUTHORIZATION_STATE}${word('0x1')}${word('0x1')}`)],
      ...(payTo === null ? [] : [[`blacklisted ${asset}`, ...call(asset, `${IS_BLACKLISTED}${word(payTo)}`)]]),
    ]),
  ];
}

/** @param {Record<string, { result?: any, error: string }>} said */
export function checkEvm(network, said, { key, keyOfToken, routes }) {
  const findings = [];
  const lines = [];
  const age = Date.now() / 1_000 - Number(said.block.result?.timestamp ?? NaN);
  if (age > OLD_BLOCK_SECONDS) findings.push(warning(key('rpc'), `the newest block that the first node knows is ${Math.round(age / 60)} minutes old`));
  if (isEmpty(said.multicall.result)) findings.push(warning(`NETWORKS.${JSON.stringify(network.id)}`, 'has no Multicall3 at its usual address: each payment goes out in a transaction of its own'));
  for (const address of network.signers) {
    const { findings: more, line } = checkBalance(network, address, said);
    findings.push(...more);
    lines.push(line);
  }
  network.tokens.forEach((token, index) => findings.push(...checkToken(network, token, said, keyOfToken(index))));
  for (const { asset } of network.tokens) findings.push(...checkRecipient(network, asset, said, key('pay_to')));
  const missing = missingOf(['permit2', 'uptoProxy'], said);
  for (const { number } of missing ? routes.filter(({ isByUse }) => isByUse) : []) findings.push(fault(`ROUTES[${number}].scheme`, `"upto" needs ${missing}, which ${network.title} does not have: leave ${network.id} out of the route's networks`));
  findings.push(...checkFees(network, GAS_OF_PAYMENT * BigInt(said.gasPrice.result ?? 0), routes));
  return { findings, lines };
}

/** Which contracts have no code, in words; `undefined` if none. */
function missingOf(names, said) {
  const missing = names.filter((name) => isEmpty(said[name].result));
  return missing.length > 0 ? missing.map((name) => CONTRACTS[name]).join(' and ') : undefined;
}

function checkBalance({ id, signerSecret, signerTitle, coin, title, lowBalance }, address, said) {
  const { result, error } = said[`balance ${address}`];
  if (result === undefined) return { findings: [warning(signerSecret, `the balance of ${address} on ${title} is not known: ${error}`)], line: `${signerTitle} ${address}: balance unknown` };
  const balance = BigInt(result);
  const each = GAS_OF_PAYMENT * BigInt(said.gasPrice.result ?? 0);
  const line = `${signerTitle} ${address} has ${coins(balance, coin)}; a payment costs about ${coins(each, coin)}`;
  if (balance === 0n || balance < each) {
    const wanted = each === 0n ? '' : `, and one payment costs about ${coins(each, coin)}. Send it ${coins(each * PAYMENTS_TO_FUND, coin)} for a thousand${freeCoinOf(id)}`;
    return { findings: [fault(signerSecret, `${signerTitle} ${address} has ${coins(balance, coin)} on ${title}${wanted}`)], line };
  }
  if (lowBalance !== null && balance < BigInt(lowBalance)) return { findings: [warning(signerSecret, `${signerTitle} ${address} has ${coins(balance, coin)} on ${title}, less than low_balance`)], line };
  return { findings: [], line };
}

function checkToken({ title }, { asset, decimals, onChain }, said, key) {
  const answer = (name) => said[`${name} ${asset}`]?.result;
  if (isEmpty(answer('code'))) return [fault(key('asset'), `there is no contract at ${asset} on ${title}`)];
  const found = [];
  const separator = answer('separator');
  if (onChain.domainSeparator !== undefined && separator !== undefined && !isEmpty(separator) && separator.toLowerCase() !== onChain.domainSeparator) {
    const [name, version] = ['name', 'version'].map((it) => textOf(answer(it)));
    const hint = name === undefined ? '' : `; the token calls itself name = ${JSON.stringify(name)}${version === undefined ? '' : `, version = ${JSON.stringify(version)}`}`;
    found.push(fault(key('name'), `name and version are not the EIP-712 domain of ${asset}, so no signature would be good there${hint}`));
  }
  const counted = answer('decimals');
  if (counted !== undefined && !isEmpty(counted) && Number(counted) !== decimals) found.push(fault(key('decimals'), `is ${decimals}, and the token has ${Number(counted)}: prices would be wrong`));
  if (onChain.transferMethod === 'permit2') {
    const missing = missingOf(['permit2', 'exactProxy'], said);
    if (missing) found.push(fault(key('asset_transfer_method'), `needs ${missing}, which ${title} does not have: take a token that knows EIP-3009`));
  } else if (isEmpty(answer('state'))) {
    found.push(fault(key('asset'), `${asset} knows no authorizationState, so it is no EIP-3009 token: take another, or asset_transfer_method = "permit2"`));
  }
  return found;
}

/** Issuers can block accounts. */
function checkRecipient({ title, payTo }, asset, said, key) {
  const answer = said[`blacklisted ${asset}`]?.result;
  if (isEmpty(answer) || BigInt(answer) !== 1n) return [];
  return [fault(key, `the issuer of ${asset} on ${title} has blocked ${payTo}, which can't be paid; put another address`)];
}

const isEmpty = (hex) => hex === undefined || hex === null || hex === '0x';

/** A string as a contract returns it: offset, length, bytes. */
function textOf(hex) {
  if (isEmpty(hex)) return undefined;
  const bytes = Buffer.from(hex.slice(2), 'hex');
  if (bytes.length < 64) return undefined;
  const length = Number(BigInt(`0x${bytes.subarray(32, 64).toString('hex')}`));
  return bytes.subarray(64, 64 + length).toString('utf8');
}
