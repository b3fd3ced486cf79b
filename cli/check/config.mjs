/** What wrangler.toml says to Cloudflare, of which the Worker itself sees nothing. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, join, relative, resolve, sep } from 'node:path';
import { isPublishedByGit } from '../git.mjs';
import { SECRETS_FILE } from '../reader.mjs';
import { fault, nearest, warning } from './findings.mjs';
import { checkRoutes, hostsOf } from './routes.mjs';

const SETTLER = 'Settler';
const list = (value) => [value ?? []].flat();

/**
 * Looks at everything but the variables.
 *
 * @param {any} config
 * @param {string} folder where it lies
 * @param {{ names: { variables: string[], secrets: string[], bindings: string[] } }} report
 * @param {{ path: string, values: Record<string, string> }} secrets
 * @returns {import('./findings.mjs').Finding[]}
 */
export function checkConfig(config, folder, { names }, secrets) {
  return [
    ...environment(config),
    ...worker(config, folder),
    ...replay(config),
    ...settler(config),
    ...assets(config, folder, secrets.path),
    ...checkRoutes(config),
    ...origin(config),
    ...variables(config, names),
    ...secretFile(secrets, folder, names),
  ];
}

/** What stands at the top of the file and doesn't hold for the environment that is checked. */
function environment({ environment: name, notInherited = [] }) {
  const isList = (key) => ['kv_namespaces', 'services', 'analytics_engine_datasets'].includes(key);
  return notInherited.filter((key) => key !== 'define').map((key) => {
    const table = `[env.${name}.${key === 'durable_objects' ? 'durable_objects.bindings' : key}]`;
    return fault(key, `stands at the top of the file, and environments don't inherit it: repeat it in ${isList(key) || key === 'durable_objects' ? `[${table}]` : table}`);
  });
}

function worker({ main, compatibility_date: date }, folder) {
  const found = [];
  if (typeof main !== 'string') found.push(fault('main', 'is needed: "node_modules/edge402/build/index.js"'));
  else if (!existsSync(join(folder, main))) found.push(fault('main', `${main} is not there: run npm install`));
  if (date === undefined) found.push(fault('compatibility_date', 'is needed: "2026-04-01"'));
  else if (typeof date === 'string' && !/^\d{4}-\d{2}-\d{2}$/.test(date)) found.push(fault('compatibility_date', `${JSON.stringify(date)} must be a day such as "2026-04-01"`));
  else if (typeof date === 'string' && date > tomorrow()) found.push(fault('compatibility_date', `${JSON.stringify(date)} is in the future, which Cloudflare refuses`));
  return found;
}

/** UTC: somewhere that day has begun already. */
const tomorrow = () => new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);

/** Without an id the first deployment makes the namespace. */
function replay({ kv_namespaces: spaces }) {
  const bound = list(spaces).find(({ binding }) => binding === 'REPLAY');
  if (bound?.id === undefined) return [];
  const isExample = /^(0123456789abcdef)+$/i.test(bound.id) || !/^[0-9a-f]{32}$/i.test(bound.id);
  return isExample ? [fault('kv_namespaces', `the id ${JSON.stringify(bound.id)} of REPLAY is no namespace's: take the line out, and the first deployment makes one`)] : [];
}

function settler({ durable_objects: { bindings } = {}, migrations }) {
  const bound = list(bindings).find(({ name }) => name === 'SETTLER');
  // That it is missing says the Worker's reader.
  if (!bound) return [];
  const found = [];
  if (bound.class_name !== SETTLER) found.push(fault('durable_objects', `class_name of SETTLER is ${JSON.stringify(bound.class_name)} and must be "${SETTLER}"`));
  if (bound.script_name !== undefined) found.push(fault('durable_objects', `SETTLER names the script ${JSON.stringify(bound.script_name)}; take script_name out, because the class is in this Worker`));
  const steps = list(migrations);
  const isIn = (kind) => steps.some((step) => list(step[kind]).includes(SETTLER));
  if (isIn('deleted_classes')) found.push(fault('migrations', `deleted_classes has "${SETTLER}": that would delete what it knows of payments`));
  if (isIn('new_classes')) found.push(fault('migrations', `"${SETTLER}" is in new_classes and must be in new_sqlite_classes: it keeps its tables in SQLite`));
  else if (!isIn('new_sqlite_classes')) found.push(fault('migrations', `need [[migrations]] with tag = "v1" and new_sqlite_classes = ["${SETTLER}"]`));
  return found;
}

function assets({ assets: table, vars }, folder, secretsPath) {
  if (table === undefined) return [];
  const found = [];
  if (!isWorkerFirst(table.run_worker_first)) found.push(fault('assets.run_worker_first', 'must be true: without it Cloudflare gives away each file that exists before the Worker runs'));
  const { directory } = table;
  const path = resolve(folder, directory ?? '');
  if (typeof directory !== 'string') found.push(fault('assets.directory', 'is needed: the folder with your site'));
  else if (!existsSync(path) || !statSync(path).isDirectory()) found.push(fault('assets.directory', `${JSON.stringify(directory)} is no folder`));
  else {
    const published = [join(folder, SECRETS_FILE), resolve(folder, secretsPath)].filter((file) => isIn(path, file) && !isIgnored(path, file));
    if (published.length > 0) {
      const names = [...new Set(published.map((file) => relative(path, file)))].join(' and ');
      found.push(fault('assets.directory', `${JSON.stringify(directory)} is where the keys lie, and would publish them: put your site into a folder of its own, or ${names} into its .assetsignore`));
    }
  }
  if (vars?.ORIGIN === 'assets' && table.not_found_handling === 'single-page-application') {
    found.push(warning('assets.not_found_handling', 'answers 200 for a path that is not there, so that buyers are charged for it; take "404-page"'));
  }
  return found;
}

/** `["/*"]` is all, too, if nothing is taken out of it again. */
const isWorkerFirst = (rule) => rule === true || (Array.isArray(rule) && rule.includes('/*') && !rule.some((it) => String(it).startsWith('!')));

const isIn = (folder, file) => !relative(folder, file).split(sep).includes('..');

/**
 * Whether a folder's `.assetsignore` keeps a file of keys from being published. Of
 * itself wrangler leaves out `/.assetsignore`, `/_redirects` and `/_headers` alone.
 * Only lines that cover it for certain count: the path, its name, a beginning of
 * either with `*`; and any `!` line may take it in again.
 */
function isIgnored(folder, file) {
  const list = join(folder, '.assetsignore');
  if (!existsSync(list)) return false;
  const lines = readFileSync(list, 'utf8').split(/\r?\n/).map((line) => line.trim());
  if (lines.some((line) => line.startsWith('!'))) return false;
  const path = relative(folder, file).split(sep).join('/');
  const covers = (line, text) => line === text || (/^[^*?[\]\\]*\*$/.test(line) && text.startsWith(line.slice(0, -1)) && !text.slice(line.length - 1).includes('/'));
  return lines.some((line) => line !== '' && (line.includes('/') ? covers(line.replace(/^\//, ''), path) : covers(line, basename(path))));
}

const LOCAL = /^(localhost|127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|0\.0\.0\.0|\[::1\])/;

/** Whether a host is one of this machine or of a network that only its owner reaches. */
export const isLocalHost = (host) => LOCAL.test(host);

function origin(config) {
  const { vars, name, services } = config;
  const value = vars?.ORIGIN;
  if (value === 'service') {
    const bound = list(services).find(({ binding }) => binding === 'ORIGIN_SERVICE');
    return bound?.service === name ? [fault('services', `ORIGIN_SERVICE is ${JSON.stringify(name)}, which is this Worker itself`)] : [];
  }
  if (typeof value !== 'string' || !URL.canParse(value)) return [];
  const { host, protocol } = new URL(value);
  if (isLocalHost(host)) return [fault('ORIGIN', `${host} can't be reached from Cloudflare: put the public URL of your site`)];
  if (hostsOf(config).includes(host)) return [fault('ORIGIN', `${host} is the Worker's own host, see routes: it would ask itself. For the server behind it: ORIGIN = "zone"`)];
  return protocol === 'http:' ? [warning('ORIGIN', 'begins with http://, so what is sold can be read on its way; take https://')] : [];
}

/** Long random parts of a path or a query: what providers call an API key. */
const HAS_KEY = /(\/|[?&][\w-]*key=)(?=[\w-]*\d)(?=[\w-]*[a-zA-Z])[\w-]{24,}/;

function variables({ vars = {} }, names) {
  const known = [...names.variables, ...names.secrets];
  const found = Object.keys(vars).filter((name) => !known.includes(name)).map((name) => unknown(`vars.${name}`, name, known));
  for (const name of names.secrets.filter((it) => it in vars)) {
    found.push(fault(name, 'stands in wrangler.toml, which others can read; take it out, put it into .dev.vars and run edge402 keys --store'));
  }
  for (const [id, network] of Object.entries(vars.NETWORKS ?? {})) {
    if (list(network?.rpc).some((url) => HAS_KEY.test(url))) {
      found.push(warning(`NETWORKS.${JSON.stringify(id)}.rpc`, `holds what looks like an API key; put the URL into the secret RPC_URLS: {${JSON.stringify(id)}: ["https://…"]}`));
    }
  }
  return found;
}

function unknown(key, name, known) {
  const near = nearest(name, known);
  return warning(key, `is no name that edge402 reads${near ? `; is it ${near}?` : ''}`);
}

function secretFile({ path, values }, folder, names) {
  const found = Object.keys(values).filter((name) => !names.secrets.includes(name) && !names.variables.includes(name)).map((name) => unknown(`${relative(folder, path)} ${name}`, name, names.secrets));
  if (Object.keys(values).length > 0 && isPublishedByGit(path)) found.push(fault(relative(folder, path), 'holds keys, and git would take it; add it to .gitignore'));
  return found;
}
