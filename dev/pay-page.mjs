/**
 * `npm run page`: the pay page's parts in `www/pay`, made into the one file that
 * the Worker holds, and the policy that lets a browser run nothing else.
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
  const page = readFileSync(join(SOURCE, 'index.html'), 'utf8')
    .replace('<style></style>', () => `<style>${style}</style>`)
    .replace('<script></script>', () => `<script>${script}</script>`);
  return { 'page.html': page, 'policy.txt': policyOf(script, style) };
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

function policyOf(script, style) {
  const hash = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  return [
    "default-src 'none'", `script-src ${hash(script)}`, `style-src ${hash(style)}`, "img-src 'self' data:", "connect-src 'self'",
    "form-action 'none'", "base-uri 'none'", "frame-ancestors 'none'",
  ].join('; ');
}

async function main() {
  readArguments('Usage: npm run page');
  const stale = writePage();
  const { 'page.html': page } = makePage();
  console.log(stale.length > 0 ? `written: ${stale.join(', ')}` : 'up to date');
  console.log(`${gzipSync(page, { level: 9 }).length} bytes compressed, without texts`);
}

if (isMain(import.meta.url)) await command(main);
