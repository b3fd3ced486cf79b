/** `edge402 buy`: buys what a URL sells, on any network, and says what happened. */
import { privateKeyToAccount } from 'viem/accounts';
import { evmBuyer, solanaBuyer } from '../dev/accounts.mjs';
import { caip2, x402Fetch } from '../dev/buyer.mjs';
import { Mistake, readArguments } from '../dev/cli.mjs';
import { purchase } from '../dev/purchase.mjs';
import { findWorld } from '../dev/world-file.mjs';
import { solanaSigner } from './new-keys.mjs';
import { findNetwork, knownNetworks, publicNodes } from './networks.mjs';
import { decimalsBy, limit } from './price.mjs';

const USAGE = `Usage: BUYER_KEY=0x… edge402 buy <url> [options]

Pays with the key of an account that holds the token: BUYER_KEY on EVM chains (64 hex
digits), SOLANA_BUYER_KEY on Solana (base58 of 64 bytes, or what solana-keygen wrote).
At a shop that \`edge402 dev\` has opened it pays with test money, and needs no key.

  --network <name>  base, base-sepolia, solana, eip155:8453 …; default: what is offered first
  --max <dollars>   the most that is paid in USDC, default 1; what is sold by use may cost less
  --asset <address> the token that is paid in; default: what is offered first
  --max-units <n>   the most of it in atomic units, for a token other than USDC
  --rpc <url>       a node of the network; default: a public one
  --out <file>      where to write what was bought`;

/** What is paid: a price, or by use up to one. */
const SCHEMES = ['exact', 'upto'];

const OPTIONS = {
  network: { type: 'string' },
  max: { type: 'string', default: '1' },
  asset: { type: 'string' },
  'max-units': { type: 'string' },
  rpc: { type: 'string' },
  out: { type: 'string' },
};

export async function main(args) {
  const { values, positionals: [url] } = readArguments(USAGE, { options: OPTIONS, arguments: [1, 1], args });
  if (!URL.canParse(url)) throw new Mistake(`${url} is not a URL\n\n${USAGE}`);
  const most = Number(values.max.replace(/^\$/, ''));
  if (!(most > 0)) throw new Mistake(`--max ${values.max} is no price: write 0.50`);
  const { asset } = values;
  const mostUnits = unitsOf(values['max-units'], asset);
  const known = await knownNetworks();
  const names = Object.fromEntries(known.map(({ id, v1Name }) => [v1Name ?? id, id]));
  const local = localWorld(url);
  const people = await buyer(local);
  const idOf = (name) => caip2(name, names);
  const nodeOf = (id) => values.rpc ?? local?.[id.split(':')[0]] ?? publicNodes(id)[0];
  const chains = known.filter(({ id }) => id.startsWith('eip155:') && nodeOf(id));
  const evmNodes = Object.fromEntries(chains.map(({ id }) => [Number(id.split(':')[1]), { rpcUrl: nodeOf(id) }]));
  const network = values.network && (findNetwork(known, values.network)?.id ?? values.network);
  const wasGood = await purchase({
    url,
    out: values.out,
    buyer: { evm: people.evm?.address, solana: people.solana?.address },
    client: (how) => x402Fetch({ ...people, evmNodes, solanaUrl: nodeOf, network, asset, names, ...how }),
    idOf,
    nodeOf,
    otherNode: '--rpc https://…',
    decimalsOf: decimalsBy(known, idOf, local !== undefined),
    approve: limit({ most, asset, mostUnits }),
    onChallenge: ({ v1, v2 }) => requireKey((v2 ?? v1)?.accepts ?? [], people, idOf),
  }).catch((error) => {
    throw error instanceof Mistake ? error : new Error(`The purchase failed: ${error.message}`);
  });
  if (!wasGood) process.exitCode = 1;
}

function unitsOf(text, asset) {
  if (text === undefined) return undefined;
  if (asset === undefined) throw new Mistake(`--max-units ${text} needs --asset: of which token?\n\n${USAGE}`);
  if (!/^\d+$/.test(text)) throw new Mistake(`--max-units ${text} is no amount: write whole atomic units, such as 10000`);
  return BigInt(text);
}

/** The nodes of the shop on this machine, if that is where the URL leads. */
function localWorld(url) {
  const world = findWorld();
  if (!world || new URL(url).origin !== world.url) return undefined;
  return { eip155: world.evm.url, solana: world.solana.url };
}

async function buyer(local) {
  const { BUYER_KEY: evm, SOLANA_BUYER_KEY: solana } = process.env;
  if (!evm && !solana) {
    if (!local) throw new Mistake(`Who pays? Set BUYER_KEY or SOLANA_BUYER_KEY.\n\n${USAGE}`);
    return { evm: evmBuyer(), solana: await solanaBuyer() };
  }
  return { evm: evm && evmAccount(evm), solana: solana && await solanaSigner(solana, 'SOLANA_BUYER_KEY') };
}

function evmAccount(text) {
  const [digits] = /^(?:0x)?([0-9a-f]{64})$/i.exec(text.trim())?.slice(1) ?? [];
  if (!digits) throw new Mistake('BUYER_KEY must be a private key: 0x and 64 hex digits');
  return privateKeyToAccount(`0x${digits}`);
}

/** Says which key is missing, before a client says that it knows no scheme. */
function requireKey(offers, { evm, solana }, idOf) {
  if (offers.length === 0) return;
  const schemes = [...new Set(offers.map(({ scheme }) => scheme))];
  if (!schemes.some((it) => SCHEMES.includes(it))) throw new Mistake(`It is sold by the scheme ${schemes.join(', ')}, and this command pays ${SCHEMES.join(' and ')}; a program can: see docs/buyers.md`);
  const kinds = new Set(offers.map(({ network }) => idOf(network).split(':')[0]));
  const has = { eip155: evm, solana };
  if ([...kinds].some((kind) => has[kind])) return;
  const missing = [...kinds].map((kind) => (kind === 'solana' ? 'SOLANA_BUYER_KEY' : 'BUYER_KEY'));
  throw new Mistake(`It is paid on ${offers.map(({ network }) => network).join(', ')}: set ${missing.join(' or ')}.`);
}

