/** `edge402`: what a seller does, without Rust. Each command is a module of its own, loaded when it is asked for. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Mistake, command } from '../dev/cli.mjs';
import { ROOT } from '../dev/util.mjs';

const COMMANDS = {
  init: { what: 'asks what is sold, and writes a shop into this folder', load: () => import('./init.mjs') },
  keys: { what: 'makes the keys that pay the fees, shows and stores them', load: () => import('./keys.mjs') },
  check: { what: 'finds what is wrong, here, on the chains and in the deployed shop', load: () => import('./check.mjs') },
  dev: { what: 'opens the shop on this machine, for test money', load: () => import('./dev.mjs') },
  buy: { what: 'buys what a URL sells', load: () => import('./buy.mjs') },
  deploy: { what: 'checks, then deploys', load: () => import('./deploy.mjs') },
};

const USAGE = `Usage: edge402 <command> [options]

${Object.entries(COMMANDS).map(([name, { what }]) => `  ${name.padEnd(7)} ${what}`).join('\n')}

edge402 <command> --help says more. edge402 --version says which this is.`;

async function main() {
  const [name, ...args] = process.argv.slice(2);
  if (name === undefined) throw new Mistake(USAGE);
  if (['--help', '-h', 'help'].includes(name)) return console.log(USAGE);
  if (['--version', '-v'].includes(name)) return console.log(version());
  if (!Object.hasOwn(COMMANDS, name)) throw new Mistake(`There is no command '${name}'\n\n${USAGE}`);
  const { main: run } = await COMMANDS[name].load();
  await run(args);
}

const version = () => JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version;

await command(main);
