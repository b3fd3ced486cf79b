/** A shop on this machine, with both chains behind it: what `npm start` and `edge402 dev` open. */
import { existsSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { readConfig, readSecrets, secretsFileIn } from '../cli/reader.mjs';
import { Mistake } from './cli.mjs';
import { placePermit2 } from './evm/permit2.mjs';
import { whenNpmEnds } from './npm.mjs';
import { holderOf, isFree } from './ports.mjs';
import { freePort, step, waitFor } from './util.mjs';
import { EVM_NETWORK, startWorld } from './world.mjs';
import { findWorld, forgetWorld, noteWorld } from './world-file.mjs';

const PORT = 8402;
/** Where people expect the local chains, unless another program listens there: a wallet is told of them only once. */
const CHAIN_PORTS = { evm: 8545, solana: 8899 };

const stops = [];
let stopping = false;

/**
 * Opens a shop and keeps it open until a signal comes.
 *
 * @param {{ worker: object, example: string, isByUse?: boolean, notes?: string[] }} shop of `siteShop` or `configShop`
 * @param {object} options
 * @param {string} [options.port] default: 8402, or another one if that is taken
 * @param {() => Promise<void>} options.prepare what must be there before the chains start
 * @param {string} options.buy the command that buys, to which a URL and options can be added
 */
export async function openShop(shop, { port: asked, prepare, buy }) {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => end(0));
  whenNpmEnds(() => end(0));
  const open = findWorld();
  // Two shops would share one folder, and each would take the other's keys for its own.
  if (open) throw new Mistake(`The shop is open already: ${open.url} (process ${open.pid}). Close it first: Ctrl-C in its terminal, or \`kill ${open.pid}\`.`);
  try {
    await prepare();
    const world = await step('Local chains, with test money', startChains);
    stops.push(world.stop);
    if (shop.isByUse) await placePermit2(world.evm);
    const port = await portOf(asked);
    await step('Worker in workerd', startShop(world, { ...shop.worker, port }));
    noteWorld(world);
    stops.push(forgetWorld);
    console.log(welcome(world, shop, buy));
    for (const problem of await faultsOf(world.worker, shop.example)) console.error(problem);
  } catch (error) {
    console.error(`\n${error.message}`);
    await end(1);
  }
}

async function startChains() {
  const evm = { port: CHAIN_PORTS.evm };
  const solana = { slotMs: 400, port: CHAIN_PORTS.solana };
  return startWorld({ engine: 'wrangler', worker: false, evm, solana });
}

/** A folder of files, of which a pattern is sold. */
export function siteShop(folder, pattern, price) {
  if (!existsSync(folder)) throw new Mistake(`There is no folder ${folder}`);
  return { worker: { assets: folder, vars: { ROUTES: [{ pattern, price }] } }, example: pathOf(pattern) };
}

/**
 * What a wrangler.toml or wrangler.jsonc sells, on the local chains.
 *
 * @param {string} configFile
 * @param {string} [environment] one of the file's
 */
export function configShop(configFile, environment) {
  const { vars = {}, assets } = readConfig(configFile, environment);
  const name = relative(process.cwd(), configFile);
  const { ORIGIN: origin, ROUTES: routes = [], WEBHOOKS: webhooks = [] } = vars;
  if (['zone', 'service'].includes(origin)) {
    throw new Mistake(`${name}: ORIGIN = "${origin}" is there on Cloudflare only. To try it here, put the URL of the site: ORIGIN = "https://…"`);
  }
  if (origin === 'assets' && !existsSync(resolve(configFile, '..', assets?.directory ?? ''))) {
    throw new Mistake(`${name}: [assets] directory = "${assets?.directory}" is no folder`);
  }
  // Nobody far away may take what is bought here for a sale.
  const [told, untold] = [true, false].map((isNear) => [webhooks].flat().filter(({ url }) => isOnThisMachine(url) === isNear));
  const sold = [routes].flat().map(onLocalChains);
  const changes = { ROUTES: sold, FACILITATOR: undefined, FORMER_SIGNERS: undefined, ...(told.length > 0 ? { WEBHOOKS: told } : { WEBHOOKS: undefined }) };
  const secrets = ownSecrets({ ...vars, WEBHOOKS: told }, secretsFileIn(dirname(configFile), environment));
  const worker = { configFile, environment, vars: changes, secrets };
  const notes = [
    ...untold.map(({ url }) => `${URL.canParse(url) ? new URL(url).host : url} is not told of what is bought here: it may take it for a sale`),
    ...(secrets.DESK_TOKENS ? ['The desk, for one of your tokens: /.edge402/desk'] : []),
  ];
  return { worker, example: pathOf(sold[0]?.pattern ?? '/'), isByUse: sold.some(({ scheme }) => scheme === 'upto'), notes };
}

/** The local chains play other networks than the file may name; what is sold by use is sold on EVM alone. */
function onLocalChains({ networks: _networks, ...route }) {
  return route.scheme === 'upto' ? { ...route, networks: [EVM_NETWORK] } : route;
}

const isOnThisMachine = (url) => URL.canParse(url) && ['localhost', '127.0.0.1', '[::1]'].includes(new URL(url).hostname);

/** Of the seller's secrets those that are for the origin, for passes, the desk and receivers on this machine: the chains here have keys of their own. */
function ownSecrets({ ORIGIN_HEADERS: headers = {}, WEBHOOKS: webhooks }, file) {
  const names = ['ORIGIN_SECRET', 'PASSES', 'DESK_TOKENS', ...Object.values(headers).map((value) => value.secret), ...webhooks.map(({ secret = 'WEBHOOK_SECRET' }) => secret)];
  return Object.fromEntries(Object.entries(readSecrets(file)).filter(([name]) => names.includes(name)));
}

/** A path that a pattern covers. */
const pathOf = (pattern) => pattern.replace(/\*$/, '');

async function portOf(asked) {
  const port = Number(asked ?? PORT);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new Mistake(`--port ${asked} is no port`);
  if (await isFree(port)) return port;
  const holder = holderOf(port);
  const by = holder ? `process ${holder.pid} (${holder.command.slice(0, 100)})` : 'another process';
  if (asked) throw new Mistake(`Port ${port} is taken by ${by}.`);
  const other = await freePort();
  console.log(`  Port ${port} is taken by ${by}: the shop opens at ${other}.`);
  return other;
}

function startShop(world, options) {
  return async () => {
    world.worker = await world.startWorker({ name: 'shop', ...options });
    world.url = world.worker.url;
    world.worker.exited?.then(() => !stopping && end(1));
  };
}

/** What keeps the shop from selling: the Worker says it in its log, where nobody looks. */
async function faultsOf({ url, log }, example) {
  const { status } = await fetch(`${url}${encodeURI(example)}`, { method: 'HEAD', redirect: 'manual' });
  if (status !== 503) return [];
  const said = () => /the configuration has \d+ fault\(s\).*\n\n?((?: +.*\n)+)/.exec(log())?.[1];
  const lines = await waitFor(said, { timeout: 5_000 }).catch(() => undefined);
  return ['', 'It sells nothing:', lines?.trimEnd() ?? `  ${url}/.edge402/health says why`];
}

function welcome({ url, evm, solana, accounts }, { example, notes = [] }, buy) {
  const [evmKey, solanaKey] = [accounts.evm.buyers[0].privateKey, accounts.solana.buyers[0].secretBase58];
  return `
The shop is open:  ${url}

  base-sepolia     ${evm.url}  (anvil)
  solana-devnet    ${solana.url}  (litesvm)

Look at it in a browser, or buy something in another terminal:

  curl -i ${url}${example}
  ${buy} ${url}${example}
  ${buy} ${url}${example} --network solana-devnet

To buy in the browser, give your wallet a test account. Everybody knows its key,
and its money is worth something on this machine alone:

  MetaMask         add a network, or change the RPC URL of Base Sepolia:
                   RPC URL ${evm.url}, chain ID ${evm.chainId}, currency ETH
                   import the account ${evmKey}
  on Solana        import the account ${solanaKey}
${notes.map((note) => `\n${note}`).join('')}
Ctrl-C closes the shop. So does \`kill ${process.pid}\`.`;
}

async function end(code) {
  if (stopping) return;
  stopping = true;
  for (const stop of stops.reverse()) await stop();
  process.exit(code);
}
