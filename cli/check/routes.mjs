/** What Cloudflare sends to the Worker, by the routes of wrangler.toml. The rest passes by it. */
import { fault, warning } from './findings.mjs';

const list = (value) => [value ?? []].flat();
const quoted = (patterns) => patterns.map((it) => JSON.stringify(it)).join(', ');

/** With this a request to the Worker's own zone goes through the front door, and so to the Worker. */
const ASKS_ITSELF = 'global_fetch_strictly_public';

/**
 * Looks at where the Worker can be reached.
 *
 * @param {any} config
 * @returns {import('./findings.mjs').Finding[]}
 */
export function checkRoutes(config) {
  const { workers_dev: hasOwnHost, vars, name, compatibility_flags: flags } = config;
  const found = [];
  const all = reaches(config);
  if (all.length === 0 && hasOwnHost === false) found.push(fault('workers_dev', 'is false and there are no routes, so nobody can reach the shop'));
  if (vars?.ORIGIN === 'zone') {
    if (list(flags).includes(ASKS_ITSELF)) found.push(fault('compatibility_flags', `${JSON.stringify(ASKS_ITSELF)} makes the Worker ask itself in place of the server behind the zone: take it out`));
    if (all.length === 0) found.push(fault('routes', 'are needed for ORIGIN = "zone": routes = [{ pattern = "example.com/*", zone_name = "example.com" }]'));
    for (const { key, pattern, isCustom } of all) {
      if (isCustom) found.push(fault(key, `${JSON.stringify(pattern)} is a custom domain, behind which there is no server: ORIGIN = "zone" needs a route with zone_name`));
    }
    if (hasOwnHost !== false) found.push(warning('workers_dev', `should be false: behind ${name}.workers.dev there is no zone`));
  }
  for (const { key, pattern, host, path } of all) {
    if (!path.endsWith('*')) found.push(warning(key, `${JSON.stringify(pattern)} covers this one URL; every other one passes by the Worker. To cover all: "${host}/*"`));
  }
  return [...found, ...ofOneScheme(all), ...passingBy(all, vars)];
}

/** The hosts that lead to the Worker. */
export const hostsOf = (config) => reaches(config).map(({ host }) => host);

function reaches({ route, routes }) {
  const of = (key, value) => list(value).map((it) => reachOf(key, typeof it === 'string' ? { pattern: it } : it));
  return [...of('route', route), ...of('routes', routes)];
}

/** What of a host a route covers. Without a path it is the one page `/`, unless the whole host is the Worker's. */
function reachOf(key, { pattern, custom_domain: isCustom = false }) {
  const [, scheme, host, path] = /^(?:(https?):\/\/)?([^/]*)(.*)$/s.exec(String(pattern));
  const isAll = isCustom || (path === '' && host.endsWith('*'));
  return { key, pattern: String(pattern), isCustom, scheme, host: host.toLowerCase(), path: isAll ? '/*' : path || '/' };
}

/** Of `https://shop.example/*` what comes over http is the server's. */
function ofOneScheme(all) {
  const isOther = (one, other) => one.host === other.host && one.path === other.path && one.scheme !== other.scheme;
  const alone = all.filter((one) => one.scheme && !all.some((other) => isOther(one, other)));
  return alone.map(({ key, pattern, scheme, host, path }) => warning(key, `${JSON.stringify(pattern)} leaves requests over ${scheme === 'https' ? 'http' : 'https'} to your server, past the Worker: take "${host}${path}"`));
}

/** Whether a route for the hosts `wide` is one for `host`, too. */
const isFor = (wide, host) => wide === host || (wide.startsWith('*') && host.endsWith(wide.slice(1)));

/** Requests for what is sold that Cloudflare doesn't send to the Worker, because its routes have paths of their own. */
function passingBy(all, vars) {
  const whole = all.filter(({ path }) => path === '/*');
  const hosts = [...new Set(all.map(({ host }) => host))].filter((host) => !whole.some((it) => isFor(it.host, host)));
  const sold = list(vars?.ROUTES).map((it) => it?.pattern).filter((it) => typeof it === 'string');
  const missedBy = (routes) => sold.filter((it) => !routes.some(({ path }) => (path.endsWith('*') ? it.startsWith(path.slice(0, -1)) : it === path)));
  const missed = missedBy(all);
  return hosts.map((host) => {
    const own = all.filter((it) => isFor(it.host, host));
    const [{ key }] = own;
    const patterns = quoted(own.map(({ pattern }) => pattern));
    const instead = `take "${host}/*"`;
    if (missed.length > 0) return fault(key, `${quoted(missed)} ${missed.length > 1 ? 'are' : 'is'} sold, and requests for that pass by the Worker: ${instead}`);
    const elsewhere = missedBy(own);
    if (elsewhere.length > 0) return warning(key, `${patterns} ${own.length > 1 ? 'give' : 'gives'} the Worker a part of ${host}, and ${quoted(elsewhere)}, which is sold, passes by it there: ${instead}`);
    return warning(key, `${patterns} ${own.length > 1 ? 'let' : 'lets'} other spellings of what is sold (/Premium/, /premium.html, //premium) pass by the Worker, and your server may know them: ${instead}`);
  });
}
