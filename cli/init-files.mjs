/** The files of a new shop. */
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT } from '../dev/util.mjs';
import { ignoreLine, isPublishedByGit } from './git.mjs';
import { KINDS, grantSecret, kindOf } from './new-keys.mjs';
import { publicNodes } from './networks.mjs';
import { CONFIG_FILE, SECRETS_FILE, configFileIn } from './reader.mjs';

/** What must not be published: keys, and what tools leave behind. */
const IGNORED = ['node_modules/', '.dev.vars', '.dev.vars.*', '!.dev.vars.example', '.edge402/', '.wrangler/'];

const own = () => JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

/**
 * The files of a shop, without keys: name → text.
 *
 * @param {Shop} shop
 *
 * @typedef {object} Shop
 * @property {string} name
 * @property {{ kind: 'assets', folder: string } | { kind: 'url', url: string } | { kind: 'zone', host: string } | { kind: 'service', service: string }} origin
 * @property {string} sell a pattern
 * @property {string} price
 * @property {string} [description]
 * @property {{ id: string, title: string }[]} networks
 * @property {{ eip155?: string, solana?: string }} payTo
 */
export function filesOf(shop) {
  return { [CONFIG_FILE]: wranglerToml(shop), '.gitignore': `${IGNORED.join('\n')}\n`, 'package.json': packageJson(shop), 'README.md': readme(shop), ...site(shop) };
}

/**
 * The files that a shop needs besides its configuration, which is there already.
 *
 * @param {string} config the name of that
 * @param {{ name: string }} shop
 */
export const filesBeside = (config, shop) => ({ [config]: '', '.gitignore': `${IGNORED.join('\n')}\n`, 'package.json': packageJson(shop) });

/**
 * Writes what is not there yet, and touches nothing else but a .gitignore that would let git take the keys.
 *
 * @returns {Promise<{ written: string[], added: { name: string, line: string }[], left: { name: string, advice?: string }[] }>} `shop.keys` is set to what
 *   `.dev.vars` holds if that was written
 */
export async function writeShop(folder, shop, files = filesOf(shop)) {
  const written = [];
  const left = [];
  const write = (name, text, mode) => {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    // Never over a file that came meanwhile.
    writeFileSync(join(folder, name), text, { flag: 'wx', mode });
    written.push(name);
  };
  const added = coverKeys(folder);
  // Of two configurations wrangler takes one, and it may not be this one.
  const config = configFileIn(folder);
  for (const [name, text] of Object.entries(files)) {
    if (name === CONFIG_FILE && config) left.push({ name: config, advice: config === CONFIG_FILE ? undefined : 'No wrangler.toml was written beside it' });
    else if (existsSync(join(folder, name))) left.push({ name, advice: adviceOn(folder, name) });
    else write(name, text, 0o644);
  }
  shop.keys = keysOf(shop);
  if (existsSync(join(folder, SECRETS_FILE))) left.push({ name: SECRETS_FILE, advice: 'Its keys stay in use' });
  else write(SECRETS_FILE, Object.entries(shop.keys).map(([name, value]) => `${name}='${value}'\n`).join(''), 0o600);
  return { written, added, left };
}

/** Before keys are written where git would take them: the line that keeps it from that. A .gitignore that is missing is written with the rest. */
function coverKeys(folder) {
  const name = '.gitignore';
  const path = join(folder, name);
  const keys = join(folder, SECRETS_FILE);
  if (existsSync(keys) || !existsSync(path) || !isPublishedByGit(keys)) return [];
  const line = ignoreLine(keys);
  const text = readFileSync(path, 'utf8');
  appendFileSync(path, `${text && !text.endsWith('\n') ? '\n' : ''}${line}\n`);
  return [{ name, line }];
}

function keysOf({ networks }) {
  const kinds = [...new Set(networks.map(({ id }) => kindOf(id)))].map((kind) => KINDS[kind]);
  return Object.fromEntries([...kinds.map(({ secret, make }) => [secret, make()]), ['GRANT_SECRET', grantSecret()]]);
}

/** What a file that stays may still lack. */
function adviceOn(folder, name) {
  const text = () => readFileSync(join(folder, name), 'utf8');
  if (name === '.gitignore') {
    const lines = text().split(/\r?\n/).map((line) => line.trim());
    const areKeysCovered = lines.includes(ignoreLine(SECRETS_FILE));
    const missing = IGNORED.filter((it) => !(areKeysCovered && it.includes(SECRETS_FILE)) && ![it, `/${it}`, it.replace(/\/$/, ''), `/${it.replace(/\/$/, '')}`].some((spelling) => lines.includes(spelling)));
    return missing.length > 0 ? `Add to it: ${missing.join(' ')}` : undefined;
  }
  if (name === 'package.json') {
    const install = 'npm install edge402, so that wrangler finds the Worker';
    try {
      const { dependencies, devDependencies } = JSON.parse(text());
      return 'edge402' in { ...dependencies, ...devDependencies } ? undefined : `Run ${install}`;
    } catch (error) {
      // Half of a shop is worse than a package.json that npm will complain of.
      return `It can't be read (${error.message.split('\n')[0]}): mend it, then run ${install}`;
    }
  }
  return undefined;
}

const quoted = (text) => JSON.stringify(text);

function wranglerToml({ name, origin, sell, price, description, networks, payTo }) {
  const lines = [
    '# Your shop. All keys: node_modules/edge402/docs/configuration.md',
    `name = ${quoted(name)}`,
    'main = "node_modules/edge402/build/index.js"',
    'compatibility_date = "2026-04-01"',
    ...(origin.kind === 'zone' ? [`routes = [{ pattern = ${quoted(`${origin.host}/*`)}, zone_name = ${quoted(origin.host)} }]`, 'workers_dev = false'] : []),
    '',
    ...originTables(origin),
    '# Remembers at every edge what was paid. The first deployment makes it.',
    '[[kv_namespaces]]',
    'binding = "REPLAY"',
    '',
    '# Decides which payment buys what, and sends it to the chain.',
    '[[durable_objects.bindings]]',
    'name = "SETTLER"',
    'class_name = "Settler"',
    '',
    '[[migrations]]',
    'tag = "v1"',
    'new_sqlite_classes = ["Settler"]',
    '',
    '[vars]',
    `ORIGIN = ${quoted(origin.kind === 'url' ? origin.url : origin.kind)}`,
    '',
    '# One such table for each thing that is sold. What no table covers is free.',
    '[[vars.ROUTES]]',
    `pattern = ${quoted(sell)}`,
    `price = ${quoted(price)}`,
    ...(description === undefined ? [] : [`description = ${quoted(description)}`]),
  ];
  for (const { id, title } of networks) {
    lines.push('', `[vars.NETWORKS.${quoted(id)}]  # ${title}`, `rpc = [${publicNodes(id).map(quoted).join(', ')}]`, `pay_to = ${quoted(payTo[kindOf(id)])}`);
  }
  return `${lines.join('\n')}\n`;
}

function originTables({ kind, folder, service }) {
  if (kind === 'assets') {
    return ['# Your site. Without run_worker_first its files are given away before the Worker runs.', '[assets]', `directory = ${quoted(folder)}`, 'binding = "ASSETS"', 'run_worker_first = true', ''];
  }
  if (kind === 'service') return ['# The Worker whose answers are sold. Turn off its own public routes.', '[[services]]', 'binding = "ORIGIN_SERVICE"', `service = ${quoted(service)}`, ''];
  return [];
}

function packageJson({ name }) {
  const { version, peerDependencies } = own();
  return `${JSON.stringify({ name, private: true, scripts: { dev: 'edge402 dev', check: 'edge402 check', deploy: 'edge402 deploy' }, dependencies: { edge402: version }, devDependencies: peerDependencies }, null, 2)}\n`;
}

/** An example of what can be sold, if the folder isn't there: a page that is free, and one that is not. */
function site({ origin, sell, price }) {
  if (origin.kind !== 'assets' || existsSync(origin.folder)) return {};
  const path = sell.replace(/\*$/, '');
  const page = (title, text) => `<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>${title}</title>\n<h1>${title}</h1>\n<p>${text}</p>\n</html>\n`;
  const sold = path.endsWith('/') ? `${path}index.html` : path;
  return {
    ...(sold === '/index.html' ? {} : { [join(origin.folder, 'index.html')]: page('Welcome', `This page is free. <a href="${path}">This one</a> costs ${price}.`) }),
    [join(origin.folder, sold)]: page('Thank you', 'This page was paid for.'),
  };
}

function readme({ name, sell, price, networks, origin }) {
  const from = { assets: () => `the folder \`${origin.folder}\``, url: () => origin.url, zone: () => `the server behind ${origin.host}`, service: () => `the Worker \`${origin.service}\`` }[origin.kind]();
  const path = sell.replace(/\*$/, '');
  return `# ${name}

Sells \`${sell}\` of ${from} for ${price} a request, paid by [x402](https://www.x402.org/) on ${networks.map(({ title }) => title).join(' and ')}.

\`\`\`sh
npm install
npx edge402 dev                  # opens the shop on this machine, for test money
npx edge402 check                # says what is wrong or missing, here and on the chains
npx wrangler login
npx edge402 deploy
npx edge402 keys --store         # stores the keys of .dev.vars as the Worker's secrets
npx edge402 check --live https://<your shop>
BUYER_KEY=0x… npx edge402 buy https://<your shop>${path}
\`\`\`

- What is sold, where it comes from and who is paid stands in \`wrangler.toml\`.
- The keys in \`.dev.vars\` pay the fees of each sale. They hold no income: that goes from the buyer to your \`pay_to\`. \`npx edge402 keys\` shows their addresses; send each a little of its chain's coin. Keep the file out of git and keep a copy.
`;
}
