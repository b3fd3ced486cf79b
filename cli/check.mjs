/** `edge402 check`: what is wrong with a shop, before a buyer finds it. */
import { basename, dirname, resolve } from 'node:path';
import { Mistake, readArguments } from '../dev/cli.mjs';
import { checkChains } from './check/chains.mjs';
import { checkConfig } from './check/config.mjs';
import { fault, noteOf, warning } from './check/findings.mjs';
import { checkKeys } from './check/keys.mjs';
import { checkLimits } from './check/limits.mjs';
import { checkOrigin } from './check/origin.mjs';
import { checkSite } from './check/site.mjs';
import { checkWebhooks } from './check/webhooks.mjs';
import { KINDS, cdpKey, grantSecret, webhookSecret } from './new-keys.mjs';
import { CONFIG_FILE, SECRETS_FILE, bindingsOf, configFileOf, configFilesIn, readConfig, readSecrets, report, secretsFileIn } from './reader.mjs';

const USAGE = `Usage: edge402 check [options]

Reads wrangler.toml (or wrangler.jsonc) and .dev.vars as the Worker does, looks at the folder that is
sold, and asks the chains. Ends with 0 if nothing keeps the shop from selling, with
1 if something does.

  --live <url>       looks at the deployed shop as well, as a buyer and a crawler would
  --offline          asks no chain
  --without-secrets  takes the secrets for stored: for CI, where ${SECRETS_FILE} is not
  --env <name>       an environment of the configuration
  --config <file>    default: the one that wrangler takes here
  --secrets <file>   default ${SECRETS_FILE} beside it
  --json             the findings as JSON`;

const OPTIONS = {
  live: { type: 'string' },
  offline: { type: 'boolean', default: false },
  'without-secrets': { type: 'boolean', default: false },
  env: { type: 'string' },
  config: { type: 'string' },
  secrets: { type: 'string' },
  json: { type: 'boolean', default: false },
};

export async function main(args) {
  const { values } = readArguments(USAGE, { options: OPTIONS, args });
  if (values.live !== undefined && !URL.canParse(values.live)) throw new Mistake(`--live ${values.live} is no URL\n\n${USAGE}`);
  const result = await check(values);
  if (values.json) console.log(JSON.stringify(result.findings, null, 2));
  else show(result);
  if (result.findings.some(({ kind }) => kind === 'fault')) process.exitCode = 1;
}

/**
 * Checks a folder.
 *
 * @param {{ config?: string, env?: string, secrets?: string, offline?: boolean, 'without-secrets'?: boolean, live?: string }} options
 * @returns {Promise<{ findings: import('./check/findings.mjs').Finding[], lines: string[], report: any, config: any }>}
 */
export async function check({ config: file, env, secrets: secretsFile, offline = false, 'without-secrets': areStored = false, live }) {
  const path = resolve(configFileOf(file));
  const folder = dirname(path);
  const config = readConfig(path, env);
  const secrets = secretsOf(folder, secretsFile, env);
  const { vars: variables = {} } = config;
  const read = await report({ variables, secrets: areStored ? standIns(variables) : secrets.values, bindings: bindingsOf(config) });
  if (areStored) forgetStandIns(read);
  const site = await checkSite(config, folder);
  const limits = checkLimits(config, read, secrets.values, site.files);
  const chains = offline ? { findings: [], lines: [] } : await checkChains(read);
  const shop = live === undefined ? { findings: [], lines: [] } : await (await import('./check/live.mjs')).checkLive(live, { config, report: read, files: site.files, secrets: secrets.values });
  const findings = [
    ...read.faults.map(({ key, problem }) => fault(key, problem)),
    ...checkConfig(config, folder, read, secrets),
    ...checkKeys(read),
    ...read.notes.map(noteOf),
    ...site.findings,
    ...limits.findings,
    ...offline ? [] : [...await checkOrigin(config, read), ...await checkWebhooks(config)],
    ...chains.findings,
    ...shop.findings,
    ...file === undefined ? passedOver(folder) : [],
  ].map((found) => ({ ...found, problem: found.problem.replaceAll(CONFIG_FILE, basename(path)) }));
  return { findings, lines: [...soldLines(read, [config.vars?.ROUTES ?? []].flat()), ...limits.lines, ...chains.lines, ...shop.lines], report: read, config };
}

/** Configurations that wrangler takes no notice of, because it takes another one. */
function passedOver(folder) {
  const [taken, ...others] = configFilesIn(folder);
  return others.map((name) => warning(name, `counts for nothing: wrangler takes ${taken}, and so does this check. Remove one of them`));
}

/** Stands for nodes that only the Worker knows. */
const UNKNOWN_NODE = 'https://stored.invalid';

/** Secrets that will do in place of those that are stored, whatever these are. */
function standIns({ FACILITATOR: facilitator, NETWORKS: networks = {}, ORIGIN_HEADERS: headers, ROUTES: routes = [], WEBHOOKS: webhooks = [] }) {
  const withoutNodes = Object.entries(networks).filter(([, it]) => it?.rpc === undefined && it?.facilitator === undefined);
  const urls = Object.fromEntries(withoutNodes.map(([id]) => [id, [UNKNOWN_NODE]]));
  const tokens = [facilitator?.clients ?? []].flat().map(({ name }) => `${name}:${grantSecret()}`);
  const classes = [...JSON.stringify(routes).matchAll(/"secret:([^"\\]+)"/g)].map(([, name]) => name);
  const passes = [...new Set(classes)].map((name) => `${name}:${grantSecret()}`);
  const keys = Object.values(KINDS).map(({ secret, make }) => [secret, make()]);
  const named = Object.values(headers ?? {}).flatMap((it) => (typeof it?.secret === 'string' ? [[it.secret, grantSecret()]] : []));
  const hooks = [webhooks].flat().map((it) => [it?.secret ?? 'WEBHOOK_SECRET', webhookSecret()]);
  const isSigned = Object.values(networks).some((it) => it?.facilitator_auth !== undefined);
  return {
    ...Object.fromEntries([...named, ...hooks, ...keys]),
    GRANT_SECRET: grantSecret(),
    ORIGIN_SECRET: grantSecret(),
    RPC_URLS: JSON.stringify(urls),
    ...(isSigned ? { CDP_API_KEY: cdpKey() } : {}),
    ...(tokens.length > 0 ? { FACILITATOR_TOKENS: tokens.join(',') } : {}),
    ...(passes.length > 0 ? { PASSES: passes.join(',') } : {}),
  };
}

function forgetStandIns(read) {
  read.signers = {};
  for (const network of read.networks) Object.assign(network, { signers: [], rpc: network.rpc.filter((url) => url !== UNKNOWN_NODE) });
}

function secretsOf(folder, given, env) {
  const path = given === undefined ? secretsFileIn(folder, env) : resolve(folder, given);
  return { path, values: readSecrets(path) };
}

/** What is sold, a line for each route: where, for how much, and what of it is free. */
function soldLines({ routes, networks }, written) {
  const titleOf = (id) => networks.find((it) => it.id === id)?.title ?? id;
  return routes.map(({ path, isPrefix, price, prices, freeFor, networks: ids, challengeBytes }, number) => {
    const { price: said, methods, free, pattern } = written[number] ?? {};
    const what = `${Array.isArray(methods) ? `${methods.join(', ')} ` : ''}${path}${isPrefix ? '*' : ''}`;
    const all = `${said === 'origin' ? 'up to ' : ''}${price}${prices.length > 0 ? `, or ${[...new Set(prices)].join(', ')}` : ''}${said === 'origin' ? ', as the origin says,' : ''}`;
    const isAlone = written.filter((it) => it.pattern === pattern).length === 1;
    const rest = [
      ...(typeof free === 'string' ? [`${free} are free`] : []),
      ...(freeFor.length > 0 ? [`free for ${freeFor.join(', ')}`] : []),
      ...(Array.isArray(methods) && isAlone ? ['its other methods are free'] : []),
    ];
    return [`${what} for ${all} on ${[...new Set(ids)].map(titleOf).join(', ')} (a challenge of ${challengeBytes} bytes)`, ...rest].join('; ');
  });
}

/** Tells a person what was found. */
export function show({ findings, lines }) {
  for (const line of lines) console.log(line);
  if (lines.length > 0) console.log('');
  const ordered = [...findings].sort((a, b) => Number(a.kind === 'warning') - Number(b.kind === 'warning'));
  for (const { kind, key, problem } of ordered) console.log(`${kind === 'fault' ? '✘' : '!'} ${key}: ${problem}`);
  const count = (kind, what) => {
    const number = findings.filter((it) => it.kind === kind).length;
    return `${number} ${what}${number === 1 ? '' : 's'}`;
  };
  console.log(`${findings.length > 0 ? '\n' : ''}${count('fault', 'fault')}, ${count('warning', 'warning')}${findings.some(({ kind }) => kind === 'fault') ? '' : ': nothing known keeps this from selling'}`);
}

