/** `edge402 dev`: the seller's own shop on this machine, for test money. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { Mistake, readArguments } from '../dev/cli.mjs';
import { ROOT } from '../dev/util.mjs';
import { configFileOf } from './reader.mjs';

const USAGE = `Usage: edge402 dev [options]

Opens the shop of this folder on this machine: its ROUTES and ORIGIN count, its
NETWORKS are an EVM chain and a Solana cluster that run here, with test money. The
first time it installs the programs that play them, and says so.

  --config <file>  default: the one that wrangler takes here
  --env <name>     an environment of it
  --port <n>       default 8402, or another one if that is taken
  --no-install     installs nothing: says what is missing`;

const OPTIONS = {
  config: { type: 'string' },
  env: { type: 'string' },
  port: { type: 'string' },
  'no-install': { type: 'boolean', default: false },
};

export async function main(args) {
  const { values } = readArguments(USAGE, { options: OPTIONS, args });
  const file = configFileOf(values.config);
  const config = resolve(file);
  if (!existsSync(config)) throw new Mistake(`There is no file ${file}. \`edge402 init\` writes one.`);
  await ensurePrograms(dirname(config), !values['no-install']);
  const { configShop, openShop } = await import('../dev/shop.mjs');
  await openShop(configShop(config, values.env), { port: values.port, buy: 'npx edge402 buy', prepare: async () => {} });
}

/** Sees to it that what plays the chains is there. */
async function ensurePrograms(folder, mayInstall) {
  const { devPrograms } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  // The repository has them all.
  const missing = Object.entries(devPrograms ?? {}).filter(([name]) => !isInstalled(name, folder));
  if (missing.length === 0) return;
  const list = missing.map(([name, { version, megabytes, what }]) => `  ${name} ${version}, about ${megabytes} MB: ${what}`).join('\n');
  const packages = missing.map(([name, { version }]) => `${name}@${version}`);
  const command = `npm install --save-dev ${packages.join(' ')}`;
  if (!mayInstall) throw new Mistake(`edge402 dev needs more than this package has:\n${list}\n\n  ${command}`);
  console.log(`Installing what plays the chains here, once:\n${list}\n  ${command}`);
  execFileSync('npm', command.split(' ').slice(1).concat('--no-audit', '--no-fund'), { cwd: folder, stdio: 'inherit' });
  const absent = missing.filter(([name]) => !isInstalled(name, folder));
  if (absent.length > 0) throw new Mistake(`npm has not installed ${absent.map(([name]) => name).join(' and ')}: run the command above and see what it says.`);
}

function isInstalled(name, folder) {
  const places = [import.meta.url, join(folder, 'package.json')].flatMap((from) => createRequire(from).resolve.paths(name) ?? []);
  return places.some((place) => existsSync(join(place, name, 'package.json')));
}
