/**
 * Makes sure of what builds the Worker: the wasm32 target, worker-build and a
 * wasm-bindgen equal to the one in Cargo.lock. Installs what is missing into
 * `.tools/`, once.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { ROOT, isMain, run } from './util.mjs';

const WORKER_BUILD_VERSION = '0.8.7';
const TARGET = 'wasm32-unknown-unknown';
const TOOLS = join(ROOT, '.tools');

/**
 * Installs what is missing and says so; quick when nothing is.
 *
 * @returns {Promise<{ workerBuild: string, wasmBindgen: string, wasmOpt: string, esbuild: string }>} paths of the programs
 */
export async function ensureTools() {
  await ensureTarget();
  return {
    workerBuild: await ensureCargoTool('worker-build', 'worker-build', WORKER_BUILD_VERSION, ['--locked']),
    // Its own lock file pins crates that newer compilers reject.
    wasmBindgen: await ensureCargoTool('wasm-bindgen', 'wasm-bindgen-cli', lockedVersion('wasm-bindgen'), []),
    wasmOpt: npmBinary('binaryen', 'bin/wasm-opt'),
    esbuild: npmBinary('esbuild', 'bin/esbuild'),
  };
}

/** The version of a crate in Cargo.lock. */
export function lockedVersion(crate) {
  const lock = readFileSync(join(ROOT, 'Cargo.lock'), 'utf8');
  const found = new RegExp(`name = "${crate}"\\r?\\nversion = "([^"]+)"`).exec(lock);
  if (!found) throw new Error(`Cargo.lock has no ${crate}`);
  return found[1];
}

async function ensureTarget() {
  const sysroot = output('rustc', ['--print', 'sysroot']);
  if (sysroot === null) throw new Error('rustc is not installed: get Rust from https://rustup.rs');
  if (existsSync(join(sysroot, 'lib/rustlib', TARGET))) return;
  console.log(`Installing the Rust target ${TARGET}`);
  await run('rustup', ['target', 'add', TARGET]);
}

async function ensureCargoTool(name, crate, version, flags) {
  const own = join(TOOLS, 'bin', name);
  for (const candidate of [own, name]) {
    if (output(candidate, ['--version'])?.split(' ').includes(version)) return candidate;
  }
  console.log(`Installing ${crate} ${version} into .tools/ (a few minutes, once)`);
  await run('cargo', ['install', crate, '--version', version, '--root', TOOLS, '--force', ...flags]);
  return own;
}

function npmBinary(name, path) {
  // wasm-opt and esbuild come with npm packages that are here anyway.
  const root = dirname(findPackageJson(name));
  return join(root, path);
}

function findPackageJson(name) {
  const require = createRequire(import.meta.url);
  for (const folder of require.resolve.paths(name)) {
    const path = join(folder, name, 'package.json');
    if (existsSync(path)) return path;
  }
  throw new Error(`the npm package ${name} is not installed: run npm ci`);
}

function output(command, args) {
  try {
    return execFileSync(command, args, { encoding: 'utf8', cwd: ROOT, stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return null;
  }
}

if (isMain(import.meta.url)) console.log(await ensureTools());
