/**
 * `npm run page`: the pay page's sources in `www/pay`, made into the parts that
 * the Worker holds, and the policies that let a browser run nothing else.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { buildSync } from 'esbuild';
import { command, readArguments } from './cli.mjs';
import { ROOT, isMain } from './util.mjs';

const SOURCE = join(ROOT, 'www/pay');
const MADE = join(ROOT, 'src/gate/page');

/** What is made: names of files in `src/gate/page`, and their contents. */
export function makePage() {
  const script = bundle('main.js');
  const style = bundle('style.css');
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

/** Names of the files that are not what the sources make. */
export function stalePageFiles() {
  const made = Object.entries(makePage());
  return made.filter(([name, text]) => !existsSync(join(MADE, name)) || readFileSync(join(MADE, name), 'utf8') !== text).map(([name]) => name);
}

/** Writes what is stale, and answers its names. */
export function writePage() {
  const stale = stalePageFiles();
  const made = makePage();
  for (const name of stale) writeFileSync(join(MADE, name), made[name]);
  return stale;
}

function bundle(name) {
  const { outputFiles } = buildSync({
    entryPoints: [join(SOURCE, name)],
    bundle: true,
    minify: true,
    write: false,
    format: name.endsWith('.js') ? 'iife' : undefined,
    // What wallets' own browsers on phones can run.
    target: ['chrome90', 'firefox90', 'safari15'],
    charset: 'utf8',
    legalComments: 'none',
  });
  const text = outputFiles[0].text.trim();
  // The page's gaps are marked so, and a script or a style ends at its tag.
  for (const mark of ['{{', '</script', '</style', '<!--']) {
    if (text.includes(mark)) throw new Error(`${name} holds ${mark}`);
  }
  return text;
}

/** @param {string} own whose files a page may load besides: nobody's, or those of the shop's own host */
function policyOf(script, style, own = '') {
  const hash = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  return [
    "default-src 'none'", `script-src ${own}${hash(script)}`, `style-src ${own}${hash(style)}`, "img-src 'self' data:",
    ...(own ? [`font-src ${own.trim()}`] : []),
    "connect-src 'self'", "form-action 'none'", "base-uri 'none'", "frame-ancestors 'none'",
  ].join('; ');
}

async function main() {
  readArguments('Usage: npm run page');
  const stale = writePage();
  console.log(stale.length > 0 ? `written: ${stale.join(', ')}` : 'up to date');
  console.log(`${gzipSync(wholePage(), { level: 9 }).length} bytes compressed, without texts`);
}

if (isMain(import.meta.url)) await command(main);
