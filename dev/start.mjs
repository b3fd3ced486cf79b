/** `npm start`: a shop on this machine, with both chains behind it: the demo, or the seller's own site. */
import { existsSync, readFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { parse } from 'smol-toml';
import { build } from './build.mjs';
import { Mistake, command, readArguments } from './cli.mjs';
import { holderOf, isFree } from './ports.mjs';
import { ensureTools } from './tools.mjs';
import { freePort, step } from './util.mjs';
import { DEMO_CONFIG } from './worker-config.mjs';
import { startWorld } from './world.mjs';
import { findWorld, forgetWorld, noteWorld } from './world-file.mjs';

const PORT = 8402;
/** Where people expect the local chains, and what a wallet was told of them the last time. */
const CHAIN_PORTS = { evm: 8545, solana: 8899 };

const USAGE = `Usage: npm start -- [options]

  without options     the demo shop
  --site <folder>     sells a folder of static files: yours, for test money
  --sell <pattern>    with --site: what is sold of it, default "/*"
  --price <price>     with --site: for how much, default '$0.01'; in single quotes,
                      because shells read $0 as a name
  --config <file>     sells what a wrangler.toml says, for test money: its ROUTES
                      and ORIGIN count, its NETWORKS are the local chains
  --port <n>          default ${PORT}, or another one if that is taken`;

const OPTIONS = {
  site: { type: 'string' },
  sell: { type: 'string' },
  price: { type: 'string' },
  config: { type: 'string' },
  port: { type: 'string' },
};

const stops = [];
let stopping = false;

async function main() {
  const { values } = readArguments(USAGE, { options: OPTIONS });
  const shop = shopOf(values);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => end(0));
  const open = findWorld();
  // Two shops would share one folder, and each would take the other's keys for its own.
  if (open) throw new Mistake(`The shop is open already: ${open.url} (process ${open.pid}). Close it first: Ctrl-C in its terminal, or \`kill ${open.pid}\`.`);
  try {
    await step('Build tools', ensureTools);
    await step('Worker built', () => build({ quiet: false }));
    const world = await step('Local chains, with test money', startChains);
    stops.push(world.stop);
    const port = await portOf(values);
    await step('Worker in workerd', startShop(world, { ...shop.worker, port }));
    noteWorld(world);
    stops.push(forgetWorld);
    console.log(welcome(world, shop.example));
  } catch (error) {
    console.error(`\n${error.message}`);
    await end(1);
  }
}

async function startChains() {
  const evm = { port: await usual(CHAIN_PORTS.evm) };
  const solana = { slotMs: 400, port: await usual(CHAIN_PORTS.solana) };
  return startWorld({ engine: 'wrangler', worker: false, evm, solana });
}

/** A port that is always the same, so that a wallet is told only once; 0 for any if it is taken. */
const usual = async (port) => ((await isFree(port)) ? port : 0);

/** What the Worker is started with, and a path that it sells. */
function shopOf({ site, config, sell, price }) {
  if (site !== undefined && config !== undefined) throw new Mistake(`--site and --config exclude each other\n\n${USAGE}`);
  if (site === undefined && (sell ?? price) !== undefined) throw new Mistake(`--sell and --price go with --site\n\n${USAGE}`);
  if (price !== undefined && !/^\$\d/.test(price)) throw new Mistake(`--price ${price} is no price like '$0.01'. In single quotes: a shell reads $0 as a name`);
  if (site !== undefined) return siteShop(resolve(site), sell ?? '/*', price ?? '$0.01');
  return configShop(config === undefined ? DEMO_CONFIG : resolve(config));
}

function siteShop(folder, pattern, price) {
  if (!existsSync(folder)) throw new Mistake(`There is no folder ${folder}`);
  return { worker: { assets: folder, vars: { ROUTES: [{ pattern, price }] } }, example: pathOf(pattern) };
}

function configShop(configFile) {
  const { vars = {}, assets } = readConfig(configFile);
  const name = relative(process.cwd(), configFile);
  const { ORIGIN: origin, ROUTES: routes = [] } = vars;
  if (['zone', 'service'].includes(origin)) {
    throw new Mistake(`${name}: ORIGIN = "${origin}" is there on Cloudflare only. To try it here, put the URL of the site: ORIGIN = "https://…"`);
  }
  if (origin === 'assets' && !existsSync(resolve(configFile, '..', assets?.directory ?? ''))) {
    throw new Mistake(`${name}: [assets] directory = "${assets?.directory}" is no folder`);
  }
  // The local chains play other networks than the file may name.
  const sold = routes.map(({ networks: _networks, ...route }) => route);
  const worker = { configFile, vars: { ROUTES: sold, FACILITATOR: undefined } };
  return { worker, example: pathOf(sold[0]?.pattern ?? '/') };
}

function readConfig(configFile) {
  try {
    return parse(readFileSync(configFile, 'utf8'));
  } catch (error) {
    throw new Mistake(error.code === 'ENOENT' ? `There is no file ${configFile}` : `${configFile} can't be read: ${error.message}`);
  }
}

/** A path that a pattern covers. */
const pathOf = (pattern) => pattern.replace(/\*$/, '');

async function portOf({ port: asked }) {
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

function welcome({ url, evm, solana, accounts }, example) {
  const [evmKey, solanaKey] = [accounts.evm.buyers[0].privateKey, accounts.solana.buyers[0].secretBase58];
  return `
The shop is open:  ${url}

  base-sepolia     ${evm.url}  (anvil)
  solana-devnet    ${solana.url}  (litesvm)

Look at it in a browser, or buy something in another terminal:

  curl -i ${url}${example}
  npm run pay -- ${url}${example}
  npm run pay -- ${url}${example} --network solana-devnet

To buy in the browser, give your wallet a test account. Everybody knows its key,
and its money is worth something on this machine alone:

  MetaMask         add a network, or change the RPC URL of Base Sepolia:
                   RPC URL ${evm.url}, chain ID ${evm.chainId}, currency ETH
                   import the account ${evmKey}
  on Solana        import the account ${solanaKey}

Ctrl-C closes the shop. So does \`kill ${process.pid}\`; to end npm alone would leave it open.`;
}

async function end(code) {
  if (stopping) return;
  stopping = true;
  for (const stop of stops.reverse()) await stop();
  process.exit(code);
}

await command(main);
