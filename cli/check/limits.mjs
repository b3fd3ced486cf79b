/** Cloudflare's own limits, where a configuration can run into them. */
import { fault, warning } from './findings.mjs';

/** Bytes of a variable or a secret at most, and how many there may be (of both, on the paid plan). */
const VARIABLE_BYTES = 5_120;
const VARIABLES = 128;
/** Bytes of a file of a site at most, and how many files there may be (on the paid plan). */
const FILE_BYTES = 25 << 20;
const FILES = 100_000;
const FREE_FILES = 20_000;
/** What one request may ask on the free plan. */
const FREE_SUBREQUESTS = 50;
/** Settlers of a network where a facilitator settles, or did so once: the desk asks them, too. */
const FACILITATOR_SETTLERS = 16;
/** What one invocation of a Settler with a full batch takes, and some more. */
const CPU_MS = 50;
/** Fewer would not do for one sale: claim, KV, origin, the nodes' answers until it is in a block, deliveries. */
const SUBREQUESTS_OF_SALE = 50;

const NAMED = 3;

/**
 * Looks for what Cloudflare would refuse to deploy, or cut off while it runs.
 *
 * @param {any} config
 * @param {any} report see `src/check.rs`
 * @param {Record<string, string>} secrets
 * @param {{ path: string, bytes: number }[]} files of the site
 * @returns {{ findings: import('./findings.mjs').Finding[], lines: string[] }} `lines`: what is good to know, for people
 */
export function checkLimits({ vars = {}, limits = {} }, report, secrets, files) {
  const asked = settlersOf(report, vars);
  const hasDesk = Boolean(secrets.DESK_TOKENS);
  return {
    findings: [...variables(vars, secrets), ...site(files), ...own(limits, hasDesk ? asked : 0)],
    lines: [
      ...(hasDesk && asked > FREE_SUBREQUESTS ? [`The desk asks ${asked} Durable Objects at a time: Cloudflare's free plan allows ${FREE_SUBREQUESTS}, the paid one 10,000`] : []),
      ...(files.length > FREE_FILES && files.length <= FILES ? [`The site has ${files.length} files: Cloudflare's free plan takes ${FREE_FILES}`] : []),
    ],
  };
}

const bytesOf = (value) => Buffer.byteLength(typeof value === 'string' ? value : JSON.stringify(value));

function variables(vars, secrets) {
  const remedies = { ROUTES: 'Sell prefixes in place of single paths, shorten descriptions, or put part of it into another Worker' };
  const all = [...Object.entries(vars), ...Object.entries(secrets)];
  const found = all.filter(([, value]) => bytesOf(value) > VARIABLE_BYTES).map(([name, value]) =>
    fault(name, `has ${bytesOf(value)} bytes, and Cloudflare takes ${VARIABLE_BYTES} of one variable: it would not be deployed. ${remedies[name] ?? 'Shorten it'}`));
  if (all.length > VARIABLES) found.push(fault('vars', `are ${all.length} with the secrets, and Cloudflare takes ${VARIABLES}: take out those that nothing reads`));
  return found;
}

function site(files) {
  const large = files.filter(({ bytes }) => bytes > FILE_BYTES).map(({ path }) => path);
  const found = [];
  if (large.length > 0) {
    const names = `${large.slice(0, NAMED).join(', ')}${large.length > NAMED ? ` and ${large.length - NAMED} more` : ''}`;
    found.push(fault('assets.directory', `${names}: Cloudflare takes files of 25 MiB at most, and would deploy nothing. Put larger ones into a bucket behind a Worker or a URL, and that into ORIGIN`));
  }
  if (files.length > FILES) found.push(fault('assets.directory', `has more than ${FILES} files, and Cloudflare takes no more: put them behind a Worker or a URL, and that into ORIGIN`));
  return found;
}

function own({ cpu_ms: cpu, subrequests }, asked) {
  const found = [];
  if (cpu < CPU_MS) found.push(warning('limits.cpu_ms', `is ${cpu}: a settlement may take more, and is cut off then; ${CPU_MS} or more, or leave it out`));
  const needed = Math.max(SUBREQUESTS_OF_SALE, asked + 2);
  if (subrequests < needed) found.push(warning('limits.subrequests', `is ${subrequests}: ${asked + 2 > SUBREQUESTS_OF_SALE ? `the desk alone asks ${asked} Durable Objects at a time` : 'a sale may ask more than that until it is in a block'}; ${needed} or more, or leave it out`));
  return found;
}

/** How many Settlers may have sold something: those of each key that signs or has signed, and a facilitator's. */
function settlersOf({ networks, signers }, { FORMER_SIGNERS: former = [] }) {
  const formerOf = { eip155: 0, solana: 0 };
  for (const address of [former].flat()) formerOf[String(address).startsWith('0x') ? 'eip155' : 'solana'] += 1;
  return networks.reduce((sum, { namespace }) => sum + (signers[namespace]?.length ?? 0) + formerOf[namespace] + FACILITATOR_SETTLERS, 0);
}
