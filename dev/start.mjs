/** `npm start`: a shop on this machine, with both chains behind it: the demo, or the seller's own site. */
import { resolve } from 'node:path';
import { build } from './build.mjs';
import { Mistake, command, readArguments } from './cli.mjs';
import { configShop, openShop, siteShop } from './shop.mjs';
import { ensureTools } from './tools.mjs';
import { step } from './util.mjs';
import { DEMO_CONFIG } from './worker-config.mjs';

const USAGE = `Usage: npm start -- [options]

  without options     the demo shop
  --site <folder>     sells a folder of static files: yours, for test money
  --sell <pattern>    with --site: what is sold of it, default "/*"
  --price <price>     with --site: for how much, default '$0.01'; in single quotes,
                      because shells read $0 as a name
  --config <file>     sells what a wrangler.toml says, for test money: its ROUTES
                      and ORIGIN count, its NETWORKS are the local chains
  --port <n>          default 8402, or another one if that is taken`;

const OPTIONS = {
  site: { type: 'string' },
  sell: { type: 'string' },
  price: { type: 'string' },
  config: { type: 'string' },
  port: { type: 'string' },
};

async function main() {
  const { values } = readArguments(USAGE, { options: OPTIONS });
  await openShop(shopOf(values), {
    port: values.port,
    buy: 'npm run pay --',
    async prepare() {
      await step('Build tools', ensureTools);
      await step('Worker built', () => build({ quiet: false }));
    },
  });
}

/** What the Worker is started with, and a path that it sells. */
function shopOf({ site, config, sell, price }) {
  if (site !== undefined && config !== undefined) throw new Mistake(`--site and --config exclude each other\n\n${USAGE}`);
  if (site === undefined && (sell ?? price) !== undefined) throw new Mistake(`--sell and --price go with --site\n\n${USAGE}`);
  if (price !== undefined && !/^\$\d/.test(price)) throw new Mistake(`--price ${price} is no price like '$0.01'. In single quotes: a shell reads $0 as a name`);
  if (site !== undefined) return siteShop(resolve(site), sell ?? '/*', price ?? '$0.01');
  return configShop(config === undefined ? DEMO_CONFIG : resolve(config));
}

await command(main);
