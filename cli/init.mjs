/** `edge402 init`: a shop in this folder, from a few answers. */
import { existsSync } from 'node:fs';
import { basename, isAbsolute, relative, resolve } from 'node:path';
import { parse } from 'smol-toml';
import { Mistake, readArguments } from '../dev/cli.mjs';
import { conversation } from './ask.mjs';
import { filesBeside, filesOf, writeShop } from './init-files.mjs';
import { KINDS, addressesOf, kindOf } from './new-keys.mjs';
import { findNetwork, freeCoinOf, knownNetworks, namesOf } from './networks.mjs';
import { bindingsOf, configFileIn, readConfig, report } from './reader.mjs';

const USAGE = `Usage: edge402 init [options]

Writes wrangler.toml, .dev.vars with fresh keys, .gitignore, package.json and
README.md into this folder, and asks for what no option says. A file that is
there stays as it is; only a .gitignore that would let git take the keys gets
the line that it lacks.

  --origin <where>      what is sold comes from: a folder of files ("./site"), the
                        URL of a site, "zone" (the server behind your Cloudflare
                        zone), or "service:<name>" (another Worker of yours)
  --host <host>         with --origin zone: the zone's host, example.com
  --sell <pattern>      what is sold of it, '/premium/*'
  --price <price>       for how much, '$0.01': in single quotes, because shells read
                        $0 as a name; 0.01 is the same
  --description <text>  what it is, for people and agents
  --network <name>      paid on: base-sepolia, base, solana-devnet …; may be repeated
  --pay-to <address>    who is paid: an EVM address, a Solana wallet, or both
  --name <name>         of the Worker; default: this folder's`;

const OPTIONS = {
  origin: { type: 'string' },
  host: { type: 'string' },
  sell: { type: 'string' },
  price: { type: 'string' },
  description: { type: 'string' },
  network: { type: 'string', multiple: true },
  'pay-to': { type: 'string', multiple: true },
  name: { type: 'string' },
};

/** Folders in which people keep what they publish. */
const USUAL_FOLDERS = ['site', 'public', 'www', 'dist', 'build', 'out', '_site'];

export async function main(args) {
  const { values } = readArguments(USAGE, { options: OPTIONS, args });
  const config = configFileIn('.');
  // Answers would change nothing of a shop that is there.
  if (config !== undefined && Object.keys(values).every((it) => it === 'help')) return completed(config);
  const shop = await shopOf(values);
  await refuseFaults(shop);
  const { written, added, left } = await writeShop(process.cwd(), shop);
  await tell(shop, { written, added, left });
}

/** Writes what a shop with a configuration lacks: its keys, and what keeps them from git. */
async function completed(file) {
  const { name, vars: { NETWORKS: networks = {} } = {} } = readConfig(file);
  const known = await knownNetworks();
  const own = Object.entries(networks).filter(([, it]) => it?.facilitator === undefined).map(([id]) => known.find((it) => it.id === id) ?? { id, title: id, coin: { symbol: 'coin' } });
  const shop = { name: nameOf(name), networks: own.filter(({ id }) => kindOf(id) in KINDS) };
  await tell(shop, await writeShop(process.cwd(), shop, filesBeside(file, shop)));
}

/** What is sold, from options and answers. */
async function shopOf(values) {
  const known = await knownNetworks();
  const people = { open: null };
  // Nobody is asked what the options say already.
  const ask = (given, question, options) => {
    const wrong = given !== undefined && options?.problem?.(given);
    if (wrong) throw new Mistake(`${given}: ${wrong}`);
    if (given !== undefined) return given;
    people.open ??= conversation();
    return people.open.ask(question, options);
  };
  try {
    const origin = originOf(await ask(values.origin, 'What is sold comes from: a folder, a URL, "zone", or "service:<name>"', {
      preset: `./${USUAL_FOLDERS.find((name) => existsSync(name)) ?? 'site'}`,
      problem: originProblem,
    }));
    if (origin.kind === 'zone') origin.host = await ask(values.host, 'The host of your zone', { problem: hostProblem });
    const sell = await ask(values.sell, 'What is sold of it', { preset: '/premium/*' });
    const price = dollars(await ask(values.price, 'The price of one request', { preset: '$0.01' }));
    const networks = await networksOf(ask, values.network, known);
    const payTo = {};
    for (const kind of new Set(networks.map(({ id }) => kindOf(id)))) {
      const given = (values['pay-to'] ?? []).filter((it) => isOfKind(it, kind));
      if (given.length > 1) throw new Mistake(`--pay-to names two ${PAID[kind].what}s: ${given.join(' and ')}`);
      payTo[kind] = await ask(given[0], `Who is paid on ${networks.filter(({ id }) => kindOf(id) === kind).map(({ title }) => title).join(', ')} (${PAID[kind].what})`);
    }
    const spare = (values['pay-to'] ?? []).find((it) => !Object.values(payTo).includes(it));
    if (spare !== undefined) throw new Mistake(`--pay-to ${spare} is no address on ${networks.map(({ title }) => title).join(' or ')}`);
    const { description } = values;
    return { name: nameOf(values.name), origin, sell, price, description, networks, payTo };
  } finally {
    people.open?.close();
  }
}

const PAID = { eip155: { what: 'EVM address' }, solana: { what: 'Solana wallet' } };
const isOfKind = (address, kind) => address.startsWith('0x') === (kind === 'eip155');

async function networksOf(ask, given, known) {
  const split = (text) => text.split(/[\s,]+/).filter(Boolean);
  const unknown = (text) => split(text).find((name) => !findNetwork(known, name));
  const problem = (text) => unknown(text) && `There is no network ${unknown(text)} that needs no more than its name. There are ${namesOf(known)}; for others see docs/configuration.md`;
  const text = await ask(given?.join(','), `Paid on (${namesOf(known)})`, { preset: 'base-sepolia', problem });
  return [...new Set(split(text).map((name) => findNetwork(known, name)))];
}

function originOf(text) {
  if (/^https?:/.test(text)) return { kind: 'url', url: text };
  if (text === 'zone') return { kind: 'zone' };
  if (text.startsWith('service:')) return { kind: 'service', service: text.slice('service:'.length) };
  return { kind: 'assets', folder: `./${relative(process.cwd(), resolve(text))}` };
}

function originProblem(text) {
  if (/^https?:/.test(text)) return URL.canParse(text) ? undefined : 'That is no URL.';
  if (text === 'zone') return undefined;
  if (text.startsWith('service:')) return /^service:[a-z0-9_-]+$/.test(text) ? undefined : 'Write the name of your Worker: service:my-site';
  const path = relative(process.cwd(), resolve(text));
  if (path === '') return 'This folder itself would publish your keys with it: put what you sell into a folder of its own, ./site';
  return path.startsWith('..') || isAbsolute(path) ? 'The folder must lie in this one.' : undefined;
}

const hostProblem = (text) => (/^[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(text) ? undefined : 'Write a host such as example.com.');

/** A shell eats the "$" of "$0.01". */
const dollars = (price) => (/^[\d.]+$/.test(price) ? `$${price}` : price);

function nameOf(given) {
  const slug = (given ?? basename(process.cwd())).toLowerCase().replace(/[^a-z0-9-]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 63);
  if (given !== undefined && slug !== given) throw new Mistake(`--name ${given}: must be small letters, digits and -, such as my-shop`);
  return slug || 'my-shop';
}

/** The Worker's own reader decides what is wrong with an answer, before anything is written. */
async function refuseFaults(shop) {
  const config = parse(filesOf(shop)['wrangler.toml']);
  const secrets = Object.fromEntries(Object.values(KINDS).map(({ secret, make }) => [secret, make()]));
  const { faults } = await report({ variables: config.vars, secrets, bindings: bindingsOf(config) });
  if (faults.length > 0) throw new Mistake(faults.map(({ key, problem }) => `${optionOf(key)}: ${problem}${optionOf(key) === '--price' ? ', in single quotes; a shell reads $0 as a name' : ''}`).join('\n'));
}

/** The option that a key of the configuration comes from. */
function optionOf(key) {
  const options = { pattern: '--sell', price: '--price', description: '--description', pay_to: '--pay-to', ORIGIN: '--origin' };
  return options[key.split('.').at(-1)] ?? key;
}

async function tell(shop, { written, added, left }) {
  for (const name of written) console.log(`wrote      ${name}`);
  for (const { name, line } of added) {
    const { advice } = left.find((it) => it.name === name) ?? {};
    console.log(`added to   ${name}: ${line}, so that git does not take the keys${advice ? `. ${advice}` : ''}`);
  }
  for (const { name, advice } of left.filter((it) => !added.some(({ name: changed }) => changed === it.name))) console.log(`left alone ${name}: it is there already${advice ? `. ${advice}` : ''}`);
  if (written.includes('.dev.vars')) {
    console.log('\nThese accounts pay the fees. Send each a little of its chain’s coin:');
    for (const { id, title, coin } of shop.networks) {
      const { addresses } = await addressesOf(kindOf(id), shop.keys[KINDS[kindOf(id)].secret]);
      console.log(`  ${addresses[0]}  ${coin.symbol} on ${title}${freeCoinOf(id)}`);
    }
  }
  console.log(`
Next:
  npx edge402 dev       the shop on this machine, for test money
  npx edge402 check     what is still missing
  npx edge402 deploy    onto Cloudflare`);
}
