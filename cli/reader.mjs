/** A seller's configuration as the Worker reads it: `wrangler.toml` and `.dev.vars`, by the Worker's own Rust code. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { Mistake } from '../dev/cli.mjs';
import { ROOT } from '../dev/util.mjs';

// A name that no bundler follows: the module is made by Rust.
const READER = join(ROOT, 'build/check/check.js');

/** Where `wrangler` looks for a configuration, in its order. */
const CONFIG_FILES = ['wrangler.json', 'wrangler.jsonc', 'wrangler.toml'];
export const CONFIG_FILE = 'wrangler.toml';
export const SECRETS_FILE = '.dev.vars';

/** The tables that a named environment doesn't inherit from the top of wrangler.toml. */
const NOT_INHERITED = ['vars', 'durable_objects', 'kv_namespaces', 'services', 'define', 'secrets'];

/**
 * What a configuration comes to; see `report` in `src/check.rs`.
 *
 * @param {{ variables?: Record<string, any>, secrets?: Record<string, string>, bindings?: string[], requests?: [string, string][] }} settings
 */
export async function report({ variables = {}, secrets = {}, bindings = [], requests = [] }) {
  const { report: read } = await import(READER);
  return JSON.parse(read(JSON.stringify({ variables, secrets, bindings, requests })));
}

/** The configuration that `wrangler` would take in a folder: its name, or undefined. */
export const configFileIn = (folder) => CONFIG_FILES.find((name) => existsSync(join(folder, name)));

/**
 * Reads a folder's wrangler.toml, for one of its environments if one is named.
 *
 * @param {string} path
 * @param {string} [environment]
 * @returns {Record<string, any>} as wrangler would take it
 */
export function readConfig(path, environment) {
  let written;
  try {
    written = parse(readFileSync(path, 'utf8'));
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
  const inherited = Object.entries(top).filter(([name]) => !NOT_INHERITED.includes(name));
  return { ...Object.fromEntries(inherited), ...env[environment] };
}

/** The names of a configuration's bindings. */
export function bindingsOf({ assets, kv_namespaces: kv = [], durable_objects: { bindings = [] } = {}, services = [] }) {
  const names = [assets?.binding, ...[kv, services].flat().map(({ binding }) => binding), ...[bindings].flat().map(({ name }) => name)];
  return names.filter((name) => typeof name === 'string');
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
