/** A seller's configuration as the Worker reads it: `wrangler.toml` or `wrangler.jsonc`, and `.dev.vars`, by the Worker's own Rust code. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { Mistake } from '../dev/cli.mjs';
import { ROOT } from '../dev/util.mjs';
import { parseJsonc } from './jsonc.mjs';

// A name that no bundler follows: the module is made by Rust.
const READER = join(ROOT, 'build/check/check.js');

/** Where `wrangler` looks for a configuration, in its order. */
const CONFIG_FILES = ['wrangler.json', 'wrangler.jsonc', 'wrangler.toml'];
export const CONFIG_FILE = 'wrangler.toml';
export const SECRETS_FILE = '.dev.vars';

/** The tables that a named environment doesn't inherit from the top of the file. */
const NOT_INHERITED = ['vars', 'durable_objects', 'kv_namespaces', 'services', 'analytics_engine_datasets', 'define', 'secrets'];

/**
 * What a configuration comes to; see `report` in `src/check.rs`.
 *
 * @param {{ variables?: Record<string, any>, secrets?: Record<string, string>, bindings?: string[], requests?: [string, string][] }} settings
 */
export async function report({ variables = {}, secrets = {}, bindings = [], requests = [] }) {
  const { report: read } = await import(READER);
  return JSON.parse(read(JSON.stringify({ variables, secrets, bindings, requests })));
}

/** The configurations of a folder, the one that `wrangler` takes first. */
export const configFilesIn = (folder) => CONFIG_FILES.filter((name) => existsSync(join(folder, name)));

/** The configuration that `wrangler` would take in a folder: its name, or undefined. */
export const configFileIn = (folder) => configFilesIn(folder)[0];

/** The configuration that a command means: the one it was given, else the one that `wrangler` would take here. */
export const configFileOf = (given) => given ?? configFileIn('.') ?? CONFIG_FILE;

/**
 * Reads a configuration, for one of its environments if one is named.
 *
 * @param {string} path
 * @param {string} [environment]
 * @returns {Record<string, any>} as wrangler would take it. For an environment it has two members more, which aren't
 *   enumerable: `environment`, and `notInherited`, the tables that stand at the top alone
 */
export function readConfig(path, environment) {
  let written;
  try {
    const text = readFileSync(path, 'utf8');
    written = /\.jsonc?$/.test(path) ? parseJsonc(text) : parse(text);
  } catch (error) {
    if (error.code === 'ENOENT') throw new Mistake(`There is no file ${path}. \`edge402 init\` writes one.`);
    throw new Mistake(`${path} can't be read: ${error.message}`);
  }
  const { env = {}, ...top } = written;
  if (environment === undefined) return top;
  if (!Object.hasOwn(env, environment)) {
    const names = Object.keys(env);
    throw new Mistake(`${path} has no [env.${environment}]${names.length > 0 ? `; it has ${names.join(', ')}` : ''}`);
  }
  const own = env[environment];
  const inherited = Object.entries(top).filter(([name]) => !NOT_INHERITED.includes(name));
  const config = { ...Object.fromEntries(inherited), ...(top.name === undefined ? {} : { name: `${top.name}-${environment}` }), ...own };
  const notInherited = NOT_INHERITED.filter((name) => name in top && !(name in own));
  return Object.defineProperties(config, { environment: { value: environment }, notInherited: { value: notInherited } });
}

/** The names of a configuration's bindings. */
export function bindingsOf({ assets, kv_namespaces: kv = [], durable_objects: { bindings = [] } = {}, services = [], analytics_engine_datasets: datasets = [] }) {
  const names = [assets?.binding, ...[kv, services, datasets].flat().map(({ binding }) => binding), ...[bindings].flat().map(({ name }) => name)];
  return names.filter((name) => typeof name === 'string');
}

/** The file of secrets that `wrangler` takes in a folder: an environment's own, if it is there. */
export function secretsFileIn(folder, environment) {
  const own = join(folder, `${SECRETS_FILE}.${environment}`);
  return environment !== undefined && existsSync(own) ? own : join(folder, SECRETS_FILE);
}

/** What stands in a file of secrets, `NAME=value` lines as wrangler reads them; none if there is no such file. */
export function readSecrets(path) {
  if (!existsSync(path)) return {};
  const secrets = {};
  for (const line of readFileSync(path, 'utf8').split(/\r?\n/)) {
    const [, name, value] = /^\s*(?:export\s+)?([\w.-]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (name) secrets[name] = unquoted(value);
  }
  return secrets;
}

function unquoted(value) {
  const [, , inside] = /^(['"`])(.*)\1$/.exec(value) ?? [];
  return inside ?? value.replace(/\s+#.*$/, '');
}
