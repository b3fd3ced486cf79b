/** `edge402 deploy`: checks, and then has wrangler deploy. */
import { Mistake, readArguments } from '../dev/cli.mjs';
import { check, show } from './check.mjs';
import { configFileOf } from './reader.mjs';
import { wrangler } from './wrangler.mjs';

const USAGE = `Usage: edge402 deploy [options]

Checks as \`edge402 check\` does, and deploys with wrangler if nothing keeps the shop
from selling.

  --env <name>       an environment of it
  --config <file>    default: the one that wrangler takes here
  --offline          asks no chain before
  --without-secrets  takes the secrets for stored: for CI, where .dev.vars is not
  --force            deploys in spite of faults: a Worker with a fault sells nothing
  --dry-run          has wrangler build and not deploy`;

const OPTIONS = {
  env: { type: 'string' },
  config: { type: 'string' },
  offline: { type: 'boolean', default: false },
  'without-secrets': { type: 'boolean', default: false },
  force: { type: 'boolean', default: false },
  'dry-run': { type: 'boolean', default: false },
};

export async function main(args) {
  const { values } = readArguments(USAGE, { options: OPTIONS, args });
  const result = await check(values);
  show(result);
  const faults = result.findings.filter(({ kind }) => kind === 'fault').length;
  if (faults > 0 && !values.force) throw new Mistake('\nNothing was deployed. Mend what is marked ✘, or add --force.');
  const code = await wrangler(['deploy', '--config', configFileOf(values.config), ...(values.env === undefined ? [] : ['--env', values.env]), ...(values['dry-run'] ? ['--dry-run'] : [])]);
  if (code !== 0) throw new Error(`wrangler deploy ended with ${code}.`);
  if (!values['dry-run']) console.log('\nThen, with the URL above:\n  npx edge402 keys --store           once: the keys of .dev.vars as the Worker’s secrets\n  npx edge402 check --live <url>');
}
