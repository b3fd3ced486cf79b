/** `npm run build`: the Worker, into `build/`. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { command, readArguments } from './cli.mjs';
import { writePage } from './pay-page.mjs';
import { orderedByLikeness } from './likeness.mjs';
import { ensureTools } from './tools.mjs';
import { ROOT, WORKER_MAIN, devPath, isMain, run } from './util.mjs';

const WORKER_WASM = join(ROOT, 'build/index_bg.wasm');

/** What the Worker is made of: a change of any of these makes a new build. */
const SOURCES = ['src', 'Cargo.toml', 'Cargo.lock', '.cargo', 'rust-toolchain.toml', 'build.rs', 'www/pay', 'www/desk', 'dev/build.mjs', 'dev/worker-bundler.mjs', 'dev/worker-rustc.mjs', 'dev/likeness.mjs', 'dev/locals.mjs', 'dev/wasm.mjs', 'dev/bundle.mjs', 'dev/pay-page.mjs', 'dev/desk-page.mjs', 'dev/tools.mjs'];

/**
 * Builds the Worker in release mode, unless nothing changed since the last time.
 *
 * @param {object} [options]
 * @param {boolean} [options.quiet] show the compiler's output only when it fails
 * @returns {Promise<{ main: string, wasm: string, fresh: boolean, bytes: number, compressed: number }>}
 *   paths, whether it was built now, and the upload's size in bytes
 */
export async function build({ quiet = false } = {}) {
  const tools = await ensureTools();
  writePage();
  const stamp = devPath('build.stamp');
  const hash = hashOf(SOURCES, String(QUICK));
  const fresh = !isBuilt(stamp, hash);
  if (fresh) {
    await run(tools.workerBuild, ['--release', '--no-opt'], { quiet, cwd: ROOT, env: buildEnvironment(tools) });
    if (!QUICK) await shrink(tools, quiet);
    shortenImports();
    // Hashed before the build: a file changed meanwhile makes the next call build again.
    writeFileSync(stamp, hash);
  }
  return { main: WORKER_MAIN, wasm: WORKER_WASM, fresh, ...size() };
}

/** While one works on the Worker: `EDGE402_QUICK_BUILD=1` compiles a third as long, into three times the bytes. */
const QUICK = process.env.EDGE402_QUICK_BUILD === '1';
const QUICK_PROFILE = { LTO: 'off', CODEGEN_UNITS: '16', INCREMENTAL: 'true', OPT_LEVEL: '1' };

/** What worker-build bundles with: esbuild, once it has put our own entry in. */
const BUNDLER = join(ROOT, 'dev/worker-bundler.mjs');

/** What cargo compiles the Worker's own crate with: rustc, with what makes it small. */
const COMPILER = join(ROOT, 'dev/worker-rustc.mjs');

/** worker-build takes these programs instead of downloading its own. */
function buildEnvironment({ wasmBindgen, wasmOpt, esbuild }) {
  const profile = QUICK ? Object.entries(QUICK_PROFILE) : [];
  const quick = Object.fromEntries(profile.map(([key, value]) => [`CARGO_PROFILE_RELEASE_${key}`, value]));
  const how = QUICK ? quick : { RUSTC_WORKSPACE_WRAPPER: COMPILER };
  return { ...process.env, ...how, WASM_BINDGEN_BIN: wasmBindgen, WASM_OPT_BIN: wasmOpt, ESBUILD_BIN: BUNDLER, EDGE402_ESBUILD: esbuild };
}

/** What workerd understands: the same as worker-build enables. */
const WASM_FEATURES = [
  'mutable-globals',
  'sign-ext',
  'nontrapping-float-to-int',
  'bulk-memory',
  'multivalue',
  'reference-types',
  'exception-handling',
];

/**
 * What counts is the size after compression. Functions that are inlined into
 * their one caller save bytes, but compress worse. So do repeated expressions
 * that are kept in a local. The names, a sixth of the upload, go.
 *
 * worker-build's own run of wasm-opt is left out, because it inlines.
 */
const SHRINKING = [
  '-Os',
  '--low-memory-unused',
  '--one-caller-inline-max-function-size=20',
  '--skip-pass=local-cse',
  '--strip-debug',
  '--strip-producers',
];

/**
 * Classes that the crates `worker` and `wasm-streams` offer to JavaScript, and
 * that nothing here makes: without their exports their code goes, too.
 */
const UNUSED_CLASSES = ['containerstartupoptions', 'minifyconfig', 'r2range', 'intounderlying'];

async function shrink({ wasmOpt }, quiet) {
  const features = WASM_FEATURES.map((feature) => `--enable-${feature}`);
  const unused = `--remove-exports=${UNUSED_CLASSES.map((name) => `*${name}*`).join(',')}`;
  await run(wasmOpt, [unused, ...SHRINKING, ...features, WORKER_WASM, '-o', WORKER_WASM], { quiet, cwd: ROOT });
  writeFileSync(WORKER_WASM, orderedByLikeness(readFileSync(WORKER_WASM)));
}

/**
 * What the Worker imports from its JavaScript has long names that end in hashes,
 * the worst there is to compress. Short names take their place, filled up to the
 * same length, so that nothing else in the files changes.
 */
function shortenImports() {
  const names = [...new Set(readFileSync(WORKER_MAIN, 'latin1').match(/\b__wb\w+_[0-9a-f]{16}\b/g))];
  const short = new Map(names.map((name, index) => [name, `_${index.toString(36)}`.padEnd(name.length, '_')]));
  for (const path of [WORKER_MAIN, WORKER_WASM]) {
    const renamed = readFileSync(path, 'latin1').replace(new RegExp(names.join('|'), 'g'), (name) => short.get(name));
    writeFileSync(path, renamed, 'latin1');
  }
}

function isBuilt(stamp, hash) {
  return [stamp, WORKER_MAIN, WORKER_WASM].every(existsSync) && readFileSync(stamp, 'utf8') === hash;
}

/** A hash of files and folders of the repository, and of how they are built. */
export function hashOf(sources, how = '') {
  const hash = createHash('sha256').update(how);
  for (const path of sources.flatMap((source) => filesBelow(join(ROOT, source)))) {
    hash.update(`${relative(ROOT, path)}\0`).update(readFileSync(path)).update('\0');
  }
  return hash.digest('hex');
}

function filesBelow(path) {
  if (!existsSync(path)) return [];
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path).sort().flatMap((name) => filesBelow(join(path, name)));
}

function size() {
  const files = [WORKER_MAIN, WORKER_WASM].map((path) => readFileSync(path));
  const sum = (sizes) => sizes.reduce((total, bytes) => total + bytes, 0);
  return { bytes: sum(files.map((file) => file.length)), compressed: sum(files.map((file) => gzipSync(file).length)) };
}

async function main() {
  readArguments('Usage: npm run build');
  const { fresh, bytes, compressed } = await build();
  const kib = (count) => `${(count / 1024).toFixed(0)} KiB`;
  console.log(`build/ is ${fresh ? 'built' : 'up to date'}: ${kib(bytes)}, ${kib(compressed)} compressed`);
}

if (isMain(import.meta.url)) await command(main);
