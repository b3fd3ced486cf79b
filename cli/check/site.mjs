/** The files of a site beside the routes: what is sold of them, and what is free that may not be meant to be. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import { report } from '../reader.mjs';
import { warning } from './findings.mjs';

/** How many files are named in a finding. */
const NAMED = 3;
/** How many files are looked at: one more than Cloudflare takes. */
const MOST = 100_001;

/**
 * Looks at the folder of `[assets]`.
 *
 * @param {any} config
 * @param {string} folder where the configuration lies
 * @returns {Promise<{ findings: import('./findings.mjs').Finding[], files: { path: string, bytes: number, route: number | null }[] }>}
 *   the files by their paths on the site, with the number of the route that sells each
 */
export async function checkSite({ vars, assets }, folder) {
  const site = resolve(folder, assets?.directory ?? '');
  if (vars?.ORIGIN !== 'assets' || typeof assets?.directory !== 'string' || !existsSync(site)) return { findings: [], files: [] };
  const all = filesOf(site);
  const paths = all.map(({ path }) => path);
  const routes = [vars.ROUTES ?? []].flat();
  const requests = paths.map((path) => ['GET', encodeURI(path)]);
  const { sold, faults } = await report({ variables: vars, requests });
  // Nobody knows what is sold then.
  if (faults.some(({ key }) => /^ROUTES(\[\d+\](\.(pattern|methods))?)?$/.test(key))) return { findings: [], files: all.map((it) => ({ ...it, route: null })) };
  const files = all.map((it, index) => ({ ...it, route: sold[index] }));
  return { findings: routes.flatMap((route, number) => checkRoute(route, number, files, assets.directory)), files };
}

function checkRoute({ pattern, methods }, number, files, directory) {
  const isRead = !Array.isArray(methods) || methods.some((it) => ['GET', 'HEAD'].includes(it));
  if (typeof pattern !== 'string' || !isRead) return [];
  const key = `ROUTES[${number}].pattern`;
  if (!files.some(({ route }) => route === number)) return [warning(key, `${JSON.stringify(pattern)} covers no file of ${directory}${suggestion(pattern, files)}`)];
  // `/premium` with a folder of that name beside it: only the page is sold.
  const below = `${pattern.replace(/\.\w+$/, '').replace(/\/$/, '')}/`;
  const free = pattern.endsWith('*') ? [] : files.filter(({ path, route }) => route === null && path.toLowerCase().startsWith(below.toLowerCase()));
  // What ends in a slash the Worker's own reader warns of.
  if (free.length === 0 || pattern.endsWith('/')) return [];
  return [warning(key, `sells ${JSON.stringify(pattern)} alone; free are ${named(free)}. To sell those too: "${below}*"`)];
}

/** A folder that differs from a pattern by a slip. */
function suggestion(pattern, files) {
  const first = (path) => path.split('/')[1] ?? '';
  const names = [...new Set(files.map(({ path }) => first(path)))];
  const wanted = first(pattern).replace(/\*$/, '').toLowerCase();
  const near = wanted && names.find((name) => name.toLowerCase().startsWith(wanted.slice(0, 3)) && Math.abs(name.length - wanted.length) <= 2);
  return near ? `; is it "/${near}/*"?` : '';
}

const named = (files) => `${files.slice(0, NAMED).map(({ path }) => path).join(', ')}${files.length > NAMED ? ` and ${files.length - NAMED} more` : ''}`;

function filesOf(site) {
  const entries = readdirSync(site, { recursive: true, withFileTypes: true }).filter((it) => it.isFile()).slice(0, MOST);
  const all = entries.map(({ parentPath, path: former, name }) => {
    const file = join(parentPath ?? former, name);
    return { path: `/${relative(site, file).split(sep).join('/')}`, bytes: statSync(file).size };
  });
  const isServed = ({ path }) => !['/.assetsignore', '/_headers', '/_redirects'].includes(path);
  return all.filter(isServed).sort((a, b) => (a.path < b.path ? -1 : 1));
}
