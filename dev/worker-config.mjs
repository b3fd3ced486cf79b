/** The configuration that a local Worker runs with: the demo shop's, or another, and what a world changes in it. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { readConfig } from '../cli/reader.mjs';
import { DEV_DIR, ROOT, WORKER_MAIN } from './util.mjs';

/**
 * What `startWorker` and `startMiniflare` take.
 *
 * @typedef {object} WorkerOptions
 * @property {string} [name] folder below `.dev/`; two Workers that run at the same time need two names
 * @property {Record<string, any>} [vars] replaces variables of the configuration one by one: ROUTES, NETWORKS, ORIGIN …
 * @property {Record<string, string>} [secrets] what `wrangler secret put` would hold; a value may also be an object, or `undefined`: there is none
 * @property {string | { directory: string }} [assets] folder of the demo site, relative to the repository
 * @property {Record<string, any>} [bindings] any other configuration, merged deeply; arrays are replaced
 * @property {{ binding: string, name?: string, script: string }[]} [services] small JS Workers, as module source text
 * @property {number} [port]
 * @property {boolean | string} [persist] keep KV and Durable Objects from one start to the next: `true` (below `.dev/<name>`) or a folder
 * @property {string} [main] default: the built Worker
 * @property {string} [configFile] default: the demo shop's
 * @property {string} [environment] one of that file's
 */

/** The demo shop's configuration, which the tests run, too: no seller's edits are in it. */
export const DEMO_CONFIG = join(ROOT, 'dev/demo.toml');

let unnamed = 0;

/**
 * Writes `.dev/<name>/wrangler.json`, `.dev.vars` and the service Workers.
 *
 * @param {WorkerOptions} options
 * @returns {{ name: string, folder: string, configs: string[], persistTo: string, keep: boolean, config: any, secrets: Record<string, string> }}
 *   `configs`: the Worker's own first
 */
export function writeConfig(options) {
  const { name = `worker-${process.pid}-${(unnamed += 1)}`, persist = false, services = [] } = options;
  const folder = join(DEV_DIR, name);
  const persistTo = typeof persist === 'string' ? resolve(ROOT, persist) : join(folder, 'state');
  if (!persist) rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });

  const config = workerConfig(options);
  const given = Object.entries(options.secrets ?? {}).filter(([, value]) => value !== undefined);
  const secrets = Object.fromEntries(given.map(([key, value]) => [key, text(value)]));
  const own = writeJson(join(folder, 'wrangler.json'), config);
  writeFileSync(join(folder, '.dev.vars'), Object.entries(secrets).map(([key, value]) => `${key}='${value}'\n`).join(''));
  const others = services.map((service) => writeService(folder, service, config.compatibility_date));
  return { name, folder, configs: [own, ...others], persistTo, keep: Boolean(persist), config, secrets };
}

/** The configuration with absolute paths, without a build step, and with the changes. */
function workerConfig({ configFile = DEMO_CONFIG, environment, main = WORKER_MAIN, vars = {}, assets, bindings = {}, services = [] }) {
  // Routes name a zone; locally they would only change the host of every URL.
  const { build: _build, routes: _routes, route: _route, $schema: _schema, ...written } = readConfig(configFile, environment);
  const config = mergeDeep({ ...written, main, vars: { ...written.vars, ...vars } }, bindings);
  if (services.length > 0) {
    config.services = [...(config.services ?? []), ...services.map(({ binding, name }) => ({ binding, service: name ?? serviceName(binding) }))];
  }
  if (assets) config.assets = mergeDeep(config.assets ?? {}, typeof assets === 'string' ? { directory: assets } : assets);
  if (config.assets) config.assets.directory = resolve(assets ? ROOT : dirname(configFile), config.assets.directory);
  return config;
}

function writeService(folder, { binding, name = serviceName(binding), script }, compatibilityDate) {
  const own = join(folder, 'services', name);
  mkdirSync(own, { recursive: true });
  writeFileSync(join(own, 'main.mjs'), script);
  return writeJson(join(own, 'wrangler.json'), { name, main: join(own, 'main.mjs'), compatibility_date: compatibilityDate });
}

function serviceName(binding) {
  return binding.toLowerCase().replaceAll('_', '-');
}

function mergeDeep(base, changes) {
  const merged = { ...base };
  for (const [key, value] of Object.entries(changes)) {
    merged[key] = isTable(value) && isTable(base[key]) ? mergeDeep(base[key], value) : value;
  }
  return merged;
}

function isTable(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(value) {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function writeJson(path, value) {
  writeFileSync(path, JSON.stringify(value, null, 2));
  return path;
}
