/** A deployed shop as a buyer and a crawler meet it: does it sell what wrangler.toml says, and is anything of that free? */
import { atomic } from './fees.mjs';
import { fault, warning } from './findings.mjs';

const TIMEOUT_MS = 20_000;
/** How many files of the folder are asked for, of those that are sold. */
const FILES_ASKED = 5;
/** The longest header that real clients take, in bytes. */
const LONGEST_CHALLENGE = 3_000;
const BROWSER = {
  accept: 'text/html,application/xhtml+xml',
  'accept-language': 'en',
  'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
  'sec-fetch-site': 'none',
  'sec-fetch-mode': 'navigate',
  'sec-fetch-dest': 'document',
};
/** What another site's page sends: it is told the price where visitors would read for free, and uses up nobody's share. */
const ELSEWHERE = { accept: 'application/json', origin: 'https://check.edge402.invalid', 'sec-fetch-site': 'cross-site' };
/** Classes that whoever checks may be in. */
const MAY_BE_HERE = /^(country|asn|network):/;

/**
 * Looks at a deployed shop.
 *
 * @param {string} url
 * @param {{ config: any, report: any, files: { path: string, route: number | null }[], secrets?: Record<string, string> }} local what it should be
 * @returns {Promise<{ findings: import('./findings.mjs').Finding[], lines: string[] }>}
 */
export async function checkLive(url, { config, report, files, secrets = {} }) {
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
  findings.push(...await checkMachines(ask, config.vars, sold), ...await checkDesk(ask, secrets));
  return { findings, lines: [`${origin}: ${state.selling ? 'sells on every network' : 'does not sell on every network'}`] };
}

/** The Worker's own words: `KEY: problem`. */
function problemOf(text) {
  const end = text.indexOf(': ');
  return end < 0 ? fault('deployed', text) : fault(`deployed ${text.slice(0, end)}`, text.slice(end + 2));
}

async function checkRoute(ask, number, route, { methods, free, price, challenge_on: protectedBy }, known) {
  const { path, isPrefix, freeFor } = route;
  const key = `deployed ROUTES[${number}]`;
  const method = methods?.[0] ?? 'GET';
  const isOurs = freeFor.some((it) => MAY_BE_HERE.test(it));
  // What is free for a while is not used up by a check.
  let response = await ask(path, { method, headers: free === undefined ? { accept: 'application/json' } : ELSEWHERE });
  if (response.status !== 402 && isOurs) response = await ask(path, { method, headers: ELSEWHERE });
  const shown = `${method} ${path}`;
  // The origin says which of its pages are sold, and may sell none at this path.
  const isOriginAsked = protectedBy !== undefined || price === 'origin';
  if (isOriginAsked && response.status !== 402 && response.status !== 503) return [];
  if (response.status < 400) return [fault(key, `${shown} answers ${response.status} without a payment: what is deployed gives it away. Deploy this configuration: edge402 deploy`)];
  if (response.status !== 402) return [fault(key, `${shown} answers ${response.status} in place of 402${response.status === 503 ? ': it is switched off at the desk, or its log says why, npx wrangler tail' : ''}`)];
  const header = response.headers.get('payment-required') ?? '';
  const challenge = readChallenge(header);
  if (!challenge) return [fault(key, `${shown} answers 402 without a PAYMENT-REQUIRED header that can be read: it is not edge402's`)];
  const found = [];
  if (header.length > LONGEST_CHALLENGE) found.push(fault(key, `the challenge has ${header.length} bytes, and clients take ${LONGEST_CHALLENGE}`));
  found.push(...compare(key, challenge.accepts, route, known, price === 'origin'));
  if (method !== 'GET' || isOriginAsked) return found;
  if (free === undefined && !isOurs) found.push(...await checkPage(ask, path, freeFor.includes('people'), key));
  found.push(...await checkSpellings(ask, path, isPrefix, key));
  return found;
}

/** What somebody sees who opens the page in a browser. */
async function checkPage(ask, path, isFree, key) {
  const { status, headers } = await ask(path, { headers: BROWSER });
  if (isFree) return status === 402 ? [fault(key, `is free for people, and a browser gets ${status} at ${path}: deploy again`)] : [];
  if (status === 402 && headers.get('content-type')?.startsWith('text/html')) return [];
  return [fault(key, `a browser gets ${status} ${headers.get('content-type')} at ${path} in place of the page to pay on`)];
}

/** What is deployed may be older than the file. */
function compare(key, offers, { price, prices, networks }, known, isSaidByOrigin) {
  const found = [];
  const wanted = new Set(networks);
  for (const { network, amount, payTo, asset } of offers) {
    const own = known.find(({ id }) => id === network);
    const token = own?.tokens.find((it) => it.asset === asset);
    if (!wanted.has(network) || !token) found.push(fault(key, `${network} is offered in ${asset}, and wrangler.toml does not say so: deploy again`));
    else if (own.payTo !== payTo) found.push(fault(key, `pays ${payTo} on ${network}, and wrangler.toml says ${own.payTo}: deploy again`));
    else if (isSaidByOrigin ? BigInt(amount) > atomic(price, token.decimals) : ![price, ...prices].some((it) => BigInt(amount) === atomic(it, token.decimals))) found.push(fault(key, `asks for ${amount} atomic units on ${network}, and wrangler.toml says ${[price, ...prices].join(' or ')}: deploy again, unless you changed the price at the desk`));
  }
  for (const id of [...wanted].filter((it) => !offers.some(({ network }) => network === it))) found.push(fault(key, `${id} is not offered: deploy again`));
  return found;
}

/** What origins and frameworks put behind the name of a page: the page itself, its data, and its text. */
const ALONG = ['.html', '.txt', '.data', '.md'];
const INSIDE = ['/', '/index.html', '/index.txt', '/index.xml', '/__data.json', '/_payload.json', '/_.data'];

/** Other names of one page, by which an origin may serve it. */
async function checkSpellings(ask, path, isPrefix, key) {
  const bare = path.replace(/\/$/, '');
  const ends = bare === '' ? INSIDE : ['', ...ALONG, ...INSIDE];
  const spellings = [...ends.map((end) => `${bare}${end}`), path.toUpperCase(), `/${path}`, ...(isPrefix ? [`${bare}/x/../`] : [])];
  const found = [];
  for (const spelling of new Set(spellings.filter((it) => it !== path))) {
    const { status } = await ask(spelling, { headers: ELSEWHERE });
    if (status < 300) found.push(fault(key, `${spelling} answers ${status} without a payment`));
  }
  return found;
}

/** The files that are sold, by their own names. */
async function checkFiles(ask, files, origin) {
  const found = [];
  for (const { path } of files.filter(({ route }) => typeof route === 'number').slice(0, FILES_ASKED)) {
    const { status } = await ask(encodeURI(path), { headers: ELSEWHERE });
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

/** The documents that crawlers and agents look for first. What is sold is not given to them. */
async function checkMachines(ask, { TELL_MACHINES: tells } = {}, sold) {
  if (!sold.some(({ listed }) => listed === true)) return [];
  const paths = ['/.well-known/prices.md', ...(tells === true ? ['/robots.txt', '/license.xml', '/openapi.json'] : [])];
  const answers = await Promise.all(paths.map((path) => ask(path, {})));
  return paths.filter((_, index) => ![200, 402].includes(answers[index].status)).map((path) => warning('deployed', `${path} is not there for crawlers: deploy again`));
}

/** The desk is open if its tokens are stored. */
async function checkDesk(ask, { DESK_TOKENS: tokens }) {
  if (!tokens) return [];
  const { status } = await ask('/.edge402/desk', {});
  return status === 404 ? [warning('deployed DESK_TOKENS', 'is not known there, so the desk is closed: edge402 keys --store')] : [];
}

function readChallenge(header) {
  try {
    return JSON.parse(Buffer.from(header, 'base64').toString());
  } catch {
    return null;
  }
}
