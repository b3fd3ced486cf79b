/** A deployed shop as a buyer and a crawler meet it: does it sell what wrangler.toml says, and is anything of that free? */
import { fault, warning } from './findings.mjs';

const TIMEOUT_MS = 20_000;
/** How many files of the folder are asked for, of those that are sold. */
const FILES_ASKED = 5;
/** The longest header that real clients take, in bytes. */
const LONGEST_CHALLENGE = 3_000;
const BROWSER = { accept: 'text/html,application/xhtml+xml', 'user-agent': 'Mozilla/5.0 (edge402 check)', 'sec-fetch-dest': 'document' };

/**
 * Looks at a deployed shop.
 *
 * @param {string} url
 * @param {{ config: any, report: any, files: { path: string, route: number | null }[] }} local what it should be
 * @returns {Promise<{ findings: import('./findings.mjs').Finding[], lines: string[] }>}
 */
export async function checkLive(url, { config, report, files }) {
  const { origin } = new URL(url);
  const ask = (path, init) => fetch(`${origin}${path}`, { redirect: 'manual', signal: AbortSignal.timeout(TIMEOUT_MS), ...init });
  const health = await ask('/.edge402/health').catch((error) => error);
  if (health instanceof Error) return { findings: [fault(origin, `can't be reached: ${health.cause?.message ?? health.message}`)], lines: [] };
  const state = await health.json().catch(() => null);
  if (typeof state?.selling !== 'boolean') return { findings: [fault(origin, `answers ${health.status} at /.edge402/health, as no shop of edge402 does: is it deployed, and do its routes lead to it?`)], lines: [] };
  const findings = state.problems.map(problemOf);
  const sold = [config.vars?.ROUTES ?? []].flat();
  for (const [number, route] of report.routes.entries()) findings.push(...await checkRoute(ask, number, route, sold[number] ?? {}, report.networks));
  findings.push(...await checkFiles(ask, files, origin), ...await checkFree(ask, files), ...await checkListing(ask, origin, report.routes, sold));
  return { findings, lines: [`${origin}: ${state.selling ? 'sells on every network' : 'does not sell on every network'}`] };
}

/** The Worker's own words: `KEY: problem`. */
function problemOf(text) {
  const end = text.indexOf(': ');
  return end < 0 ? fault('deployed', text) : fault(`deployed ${text.slice(0, end)}`, text.slice(end + 2));
}

async function checkRoute(ask, number, { path, isPrefix, price, networks }, { methods }, known) {
  const key = `deployed ROUTES[${number}]`;
  const method = methods?.[0] ?? 'GET';
  const response = await ask(path, { method, headers: { accept: 'application/json' } });
  const shown = `${method} ${path}`;
  if (response.status < 400) return [fault(key, `${shown} answers ${response.status} without a payment: what is deployed gives it away. Deploy this configuration: edge402 deploy`)];
  if (response.status !== 402) return [fault(key, `${shown} answers ${response.status} in place of 402${response.status === 503 ? ': its log says why, npx wrangler tail' : ''}`)];
  const header = response.headers.get('payment-required') ?? '';
  const challenge = readChallenge(header);
  if (!challenge) return [fault(key, `${shown} answers 402 without a PAYMENT-REQUIRED header that can be read: it is not edge402's`)];
  const found = [];
  if (header.length > LONGEST_CHALLENGE) found.push(fault(key, `the challenge has ${header.length} bytes, and clients take ${LONGEST_CHALLENGE}`));
  found.push(...compare(key, challenge.accepts, { price, networks }, known));
  if (method === 'GET') {
    const page = await ask(path, { headers: BROWSER });
    if (page.status !== 402 || !page.headers.get('content-type')?.startsWith('text/html')) found.push(fault(key, `a browser gets ${page.status} ${page.headers.get('content-type')} at ${path} in place of the page to pay on`));
    found.push(...await checkSpellings(ask, path, isPrefix, key));
  }
  return found;
}

/** What is deployed may be older than the file. */
function compare(key, offers, { price, networks }, known) {
  const found = [];
  const wanted = new Set(networks);
  for (const { network, amount, payTo, asset } of offers) {
    const own = known.find(({ id }) => id === network);
    const token = own?.tokens.find((it) => it.asset === asset);
    if (!wanted.has(network) || !token) found.push(fault(key, `${network} is offered in ${asset}, and wrangler.toml does not say so: deploy again`));
    else if (own.payTo !== payTo) found.push(fault(key, `pays ${payTo} on ${network}, and wrangler.toml says ${own.payTo}: deploy again`));
    else if (BigInt(amount) !== atomic(price, token.decimals)) found.push(fault(key, `asks for ${amount} atomic units on ${network}, and wrangler.toml says ${price}: deploy again`));
  }
  for (const id of [...wanted].filter((it) => !offers.some(({ network }) => network === it))) found.push(fault(key, `${id} is not offered: deploy again`));
  return found;
}

function atomic(price, decimals) {
  const [whole, fraction = ''] = price.replace(/[$,]/g, '').split('.');
  return BigInt(whole + fraction.padEnd(decimals, '0').slice(0, decimals));
}

/** Other names of one page, by which an origin may serve it. */
async function checkSpellings(ask, path, isPrefix, key) {
  const bare = path.replace(/\/$/, '');
  const spellings = [bare, `${bare}/`, `${bare}/index.html`, `${bare}.html`, path.toUpperCase(), `/${path}`, ...(isPrefix ? [`${bare}/x/../`] : [])];
  const found = [];
  for (const spelling of new Set(spellings.filter((it) => it !== path && it !== '' && it !== '.html'))) {
    const { status } = await ask(spelling, {});
    if (status < 300) found.push(fault(key, `${spelling} answers ${status} without a payment`));
  }
  return found;
}

/** The files that are sold, by their own names. */
async function checkFiles(ask, files, origin) {
  const found = [];
  for (const { path } of files.filter(({ route }) => typeof route === 'number').slice(0, FILES_ASKED)) {
    const { status } = await ask(encodeURI(path), {});
    if (status < 300) found.push(fault('deployed', `${origin}${path} answers ${status} without a payment, and is sold`));
  }
  return found;
}

/** What is free must be there. */
async function checkFree(ask, files) {
  const free = files.find(({ path, route }) => route === null && path === '/index.html') ?? files.find(({ route }) => route === null);
  if (!free) return [];
  const { status } = await ask(free.path === '/index.html' ? '/' : encodeURI(free.path), {});
  return status >= 400 ? [fault('deployed', `${free.path} is free and answers ${status}`)] : [];
}

async function checkListing(ask, origin, routes, sold) {
  const listed = routes.filter((_, number) => sold[number]?.listed === true);
  if (listed.length === 0) return [];
  const response = await ask('/.well-known/x402', {});
  const resources = response.ok ? (await response.json().catch(() => ({}))).resources ?? [] : [];
  return listed.filter(({ path }) => !resources.includes(`${origin}${path}`)).map(({ path }) => warning('deployed', `${path} is listed in wrangler.toml, and crawlers don't find it at /.well-known/x402: deploy again`));
}

function readChallenge(header) {
  try {
    return JSON.parse(Buffer.from(header, 'base64').toString());
  } catch {
    return null;
  }
}
