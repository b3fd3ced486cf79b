/** The snippets of README.md and docs/: each is run by `tests/e2e/snippets*.test.mjs` or `tests/cli`, or stands here with the reason why not. */
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../dev/util.mjs';

const ACCOUNT = 'needs an account at Cloudflare';
const COMMANDS = 'is what tests/cli/package.test.mjs runs, with the lines of docs/cli.md';
const LONG = 'runs for an hour';
const TARBALL = 'is what `install` does in the tests of the package';

/** What no test runs: `[document, how it begins, why]`. */
export const NOT_RUN = [
  ['README.md', 'npm ci\n', 'installs what the tests run with'],
  ['README.md', 'npx wrangler login\n', ACCOUNT],
  ['README.md', 'npx wrangler kv namespace create REPLAY', ACCOUNT],
  ['README.md', 'npm install ../edge402', TARBALL],
  ['README.md', 'npx edge402 init', COMMANDS],
  ['README.md', 'npx edge402 dev', COMMANDS],
  ['README.md', 'npx edge402 check', COMMANDS],
  ['README.md', 'npx wrangler login && npx edge402 deploy', ACCOUNT],
  ['README.md', 'npx edge402 keys --store', ACCOUNT],
  ['README.md', 'npm run package', 'is what the tests of the package are made of'],
  ['README.md', 'node cli/edge402.mjs keys --store', ACCOUNT],
  ['README.md', 'npx wrangler tail', ACCOUNT],
  ['docs/sales.md', 'curl -H "Authorization: Bearer $TOKEN" \'https', 'is what tests/e2e/sums.test.mjs asks'],
  ['docs/sales.md', '{\n  "from"', 'tests/e2e/desk-data.test.mjs holds it to docs/sales-openapi.json'],
  ['docs/sales.md', 'curl -H "Authorization: Bearer $TOKEN" -o', 'is what tests/e2e/desk-data.test.mjs asks'],
  ['docs/sales.md', '{ "network": "eip155:84532", "time": 1764191424, "payment": "eip155:84532/0x…", "transaction"', 'is what tests/e2e/refunds.test.mjs sends'],
  ['docs/sales.md', '{ "network": "eip155:84532", "time": 1764191424, "payment": "eip155:84532/0x…", "amount"', 'is what tests/e2e/refunds.test.mjs sends'],
  ['docs/sales.md', '{\n  "keys"', 'tests/e2e/desk-data.test.mjs holds it to docs/sales-openapi.json'],
  ['docs/sales.md', '[[analytics_engine_datasets]]', 'is what tests/e2e/analytics.test.mjs binds'],
  ['docs/sales.md', 'SELECT blob1', ACCOUNT],
  ['docs/cli.md', 'npm install ./edge402', TARBALL],
  ['docs/cli.md', 'npx wrangler login', ACCOUNT],
  ['docs/cli.md', 'npx edge402 deploy', ACCOUNT],
  ['docs/cli.md', 'npx edge402 keys --store', ACCOUNT],
  ['docs/cli.md', 'npx edge402 check --live', ACCOUNT],
  ['docs/cli.md', 'BUYER_KEY=0x… npx edge402 buy', 'needs money of a real network'],
  ['docs/facilitator.md', 'npx wrangler secret put FACILITATOR_TOKENS', ACCOUNT],
  ['docs/operations.md', 'npx wrangler secret put DESK_TOKENS', ACCOUNT],
  ['docs/operations.md', '{ "route": "/premium/*"', 'is what the tests of overrides send'],
  ['docs/origin.md', 'openssl rand -hex 32 | npx wrangler secret put ORIGIN_KEY', ACCOUNT],
  ['docs/origin.md', 'openssl rand -hex 32 | npx wrangler secret put ORIGIN_SECRET', ACCOUNT],
  ['docs/prices.md', 'npx wrangler secret put PASSES', ACCOUNT],
  ['docs/testing.md', 'node dev/fuzz.mjs  ', LONG],
  ['docs/testing.md', 'node dev/fuzz.mjs --inputs', LONG],
  ['docs/testing.md', 'cargo install cargo-mutants', 'installs a tool'],
  ['docs/testing.md', 'cargo mutants', LONG],
  ['docs/webhooks.md', 'npx wrangler secret put WEBHOOK_SECRET', ACCOUNT],
  ['docs/webhooks.md', 'echo "whsec_', 'makes a secret'],
  ['docs/webhooks.md', '[[vars.WEBHOOKS]]', 'is what the tests of webhooks configure'],
  ['docs/webhooks.md', 'curl -H', 'is what the tests of webhooks ask'],
  ['docs/webhooks.md', '{\n  "webhooks"', 'is what the tests of webhooks are answered'],
  ['docs/remote-facilitator.md', 'npx wrangler secret put FACILITATOR_HEADERS', ACCOUNT],
];

/** The documents that sellers and buyers read. */
export const READ_BY_USERS = execFileSync('git', ['ls-files', 'README.md', 'docs/*.md'], { cwd: ROOT, encoding: 'utf8' }).trim().split('\n');

/** The code blocks of a document: their language, and what stands in them. */
export function blocks(path) {
  const found = readFileSync(join(ROOT, path), 'utf8').matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm);
  return [...found].map(([, language, text]) => ({ language, text }));
}

/** The snippets of a document: the commands of its shell blocks, and its other blocks. */
export function snippets(path) {
  return blocks(path).flatMap(({ language, text }) => (language === 'sh' ? commands(text) : [text]));
}

/** The commands of a shell block, each with the text that it reads. */
const commands = (text) => text.match(/^.*<<'(\w+)'\n[\s\S]*?\n\1\n|^.+\n/gm);

/** The one snippet of a document that begins so. */
export function snippet(path, begins) {
  const found = snippets(path).filter((text) => text.startsWith(begins));
  if (found.length !== 1) throw new Error(`${path} has ${found.length} snippets that begin with ${JSON.stringify(begins)}`);
  return found[0];
}

/** What the tests run, each once: `[document, how it begins]`, as their sources say it. */
export function run() {
  const inFolder = (folder, pattern) => readdirSync(join(ROOT, folder)).filter((name) => pattern.test(name)).map((name) => join(ROOT, folder, name));
  const files = [...inFolder('tests/e2e', /^snippets.*\.test\.mjs$/), ...inFolder('tests/cli', /\.test\.mjs$/)];
  const sources = files.map((path) => readFileSync(path, 'utf8')).join('\n');
  const found = [...sources.matchAll(/\bsnippet\('([^']+)', (?:'([^'\n]+)'|"([^"\n]+)")\)/g)];
  const named = found.map(([call, path, single, double]) => [call, [path, unescaped(single ?? double)]]);
  return [...new Map(named).values()];
}

const unescaped = (text) => text.replaceAll('\\n', '\n');
