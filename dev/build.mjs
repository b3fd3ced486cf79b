/** `npm run build`: the Worker, into `build/`. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { buildSync } from 'esbuild';
import { command, readArguments } from './cli.mjs';
import { writePage } from './pay-page.mjs';
import { orderedByLikeness } from './likeness.mjs';
import { TARGET, ensureTools } from './tools.mjs';
import { ROOT, WORKER_MAIN, devPath, isMain, run } from './util.mjs';

const [MAIN, WASM] = ['index.js', 'index_bg.wasm'];
const WORKER_WASM = join(dirname(WORKER_MAIN), WASM);
/** What the runtime calls. */
const ENTRY = join(ROOT, 'src/runtime/entry.js');

/** What the Worker is made of: a change of any of these makes a new build. */
const SOURCES = ['src', 'Cargo.toml', 'Cargo.lock', '.cargo', 'rust-toolchain.toml', 'build.rs', 'www/pay', 'www/desk', 'dev/build.mjs', 'dev/worker-rustc.mjs', 'dev/likeness.mjs', 'dev/locals.mjs', 'dev/wasm.mjs', 'dev/bundle.mjs', 'dev/pay-page.mjs', 'dev/desk-page.mjs', 'dev/tools.mjs'];

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
    await compile(quiet);
    const folder = mkdtempSync(devPath('build-'));
    try {
      await bindgen(tools, folder, quiet);
      bundle(folder);
      if (!QUICK) await shrink(tools, folder, quiet);
      shortenImports(folder);
      mkdirSync(dirname(WORKER_MAIN), { recursive: true });
      for (const [name, path] of [[WASM, WORKER_WASM], [MAIN, WORKER_MAIN]]) renameSync(join(folder, name), path);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    // Hashed before the build: a file changed meanwhile makes the next call build again.
    writeFileSync(stamp, hash);
  }
  return { main: WORKER_MAIN, wasm: WORKER_WASM, fresh, ...size() };
}

/** While one works on the Worker: `EDGE402_QUICK_BUILD=1` compiles a third as long, into three times the bytes. */
const QUICK = process.env.EDGE402_QUICK_BUILD === '1';
const QUICK_PROFILE = { LTO: 'off', CODEGEN_UNITS: '16', INCREMENTAL: 'true', OPT_LEVEL: '1' };

/** What cargo compiles the Worker's own crate with: rustc, with what makes it small. */
const COMPILER = join(ROOT, 'dev/worker-rustc.mjs');

async function compile(quiet) {
  const quick = Object.fromEntries(Object.entries(QUICK_PROFILE).map(([key, value]) => [`CARGO_PROFILE_RELEASE_${key}`, value]));
  const how = QUICK ? quick : { RUSTC_WORKSPACE_WRAPPER: COMPILER };
  await run('cargo', ['build', '--release', '--lib', '--target', TARGET], { quiet, cwd: ROOT, env: { ...process.env, ...how, ...BINDGEN } });
}

/** Futures are those of `js-sys`: there is no second runtime of them. */
const BINDGEN = { WASM_BINDGEN_USE_JS_SYS: '1' };

/** WebAssembly that was trapped can begin anew, and says when it was (`src/runtime/entry.js`). */
const RECOVERY = ['--experimental-reset-state-function', '--force-enable-abort-handler'];

async function bindgen({ wasmBindgen }, folder, quiet) {
  const compiled = join(ROOT, 'target', TARGET, 'release/edge402.wasm');
  await run(wasmBindgen, [compiled, '--target', 'module', '--no-typescript', '--out-dir', folder, '--out-name', 'index', ...RECOVERY], { quiet, cwd: ROOT });
}

/** The Worker's JavaScript: the entry with all that wasm-bindgen has written for it. */
function bundle(folder) {
  buildSync({
    stdin: { contents: readFileSync(ENTRY, 'utf8'), sourcefile: 'entry.js', resolveDir: folder },
    absWorkingDir: folder,
    bundle: true,
    minify: true,
    format: 'esm',
    external: [`./${WASM}`],
    outfile: MAIN,
    allowOverwrite: true,
    // wasm-bindgen names a module of ours once for each function that it imports from it.
    logOverride: { 'duplicate-object-key': 'silent' },
  });
  const main = join(folder, MAIN);
  // A Worker's own WebAssembly is a module without being asked for as one.
  writeFileSync(main, readFileSync(main, 'utf8').replace(/\bimport source /g, 'import '));
}

/** What workerd understands. */
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

async function shrink({ wasmOpt }, folder, quiet) {
  const wasm = join(folder, WASM);
  const features = WASM_FEATURES.map((feature) => `--enable-${feature}`);
  const unused = `--remove-exports=${UNUSED_CLASSES.map((name) => `*${name}*`).join(',')}`;
  await run(wasmOpt, [unused, ...SHRINKING, ...features, wasm, '-o', wasm], { quiet, cwd: ROOT });
  writeFileSync(wasm, orderedByLikeness(readFileSync(wasm)));
}

/**
 * What the Worker imports from its JavaScript has long names that end in hashes,
 * the worst there is to compress. Short names take their place, filled up to the
 * same length, so that nothing else in the files changes.
 */
function shortenImports(folder) {
  const paths = [MAIN, WASM].map((name) => join(folder, name));
  const names = [...new Set(readFileSync(paths[0], 'latin1').match(/\b__wb\w+_[0-9a-f]{16}\b/g))];
  const short = new Map(names.map((name, index) => [name, `_${index.toString(36)}`.padEnd(name.length, '_')]));
  for (const path of paths) {
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
