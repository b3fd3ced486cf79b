/**
 * `npm run page`: the pay page's sources in `www/pay`, made into the parts that
 * the Worker holds, and the policies that let a browser run nothing else. The
 * desk's page is made beside it.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { bundle, policyOf } from './bundle.mjs';
import { command, readArguments } from './cli.mjs';
import { DESK_PAGE, deskFiles } from './desk-page.mjs';
import { ROOT, isMain } from './util.mjs';

const SOURCE = join(ROOT, 'www/pay');
const MADE = 'src/gate/page';

/** What is made: names of files in `src/gate/page`, and their contents. */
export function makePage() {
  const script = bundle(join(SOURCE, 'main.js'));
  const style = bundle(join(SOURCE, 'style.css'));
  const read = (name) => readFileSync(join(SOURCE, name), 'utf8').trimEnd();
  return {
    'page.html': `${read('index.html')}\n`,
    'style.html': `<style>${style}</style>`,
    'pay.html': read('pay.html').replace('<script></script>', () => `<script>${script}</script>`),
    'program.html': read('program.html'),
    'policy.txt': policyOf(script, style),
    'template-policy.txt': policyOf(script, style, "'self' "),
  };
}

/** The parts as one page; what differs from route to route is still to be filled in. */
export function wholePage() {
  const made = makePage();
  return made['page.html'].replace(/{{(style|pay|program)}}/g, (_, name) => made[`${name}.html`]);
}

/** All that is made: paths of files in the repository, and their contents. */
function allFiles() {
  const own = Object.entries(makePage()).map(([name, text]) => [`${MADE}/${name}`, text]);
  return [...own, ...Object.entries(deskFiles())];
}

const isStale = ([path, text]) => !existsSync(join(ROOT, path)) || readFileSync(join(ROOT, path), 'utf8') !== text;

/** Paths of the files that are not what the sources make. */
export const stalePageFiles = () => allFiles().filter(isStale).map(([path]) => path);

/** Writes what is stale, and answers its paths. */
export function writePage() {
  const stale = allFiles().filter(isStale);
  for (const [path, text] of stale) writeFileSync(join(ROOT, path), text);
  return stale.map(([path]) => path);
}

async function main() {
  readArguments('Usage: npm run page');
  const stale = writePage();
  console.log(stale.length > 0 ? `written: ${stale.join(', ')}` : 'up to date');
  const sizeOf = (page) => gzipSync(page, { level: 9 }).length;
  console.log(`${sizeOf(wholePage())} bytes compressed, without texts; the desk ${sizeOf(deskFiles()[DESK_PAGE])}`);
}

if (isMain(import.meta.url)) await command(main);
