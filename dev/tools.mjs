/**
 * Makes sure of what builds the Worker: the wasm32 target and a wasm-bindgen equal
 * to the one in Cargo.lock. Installs what is missing into `.tools/`, once.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Mistake, command, readArguments } from './cli.mjs';
import { ROOT, isMain, run } from './util.mjs';

export const TARGET = 'wasm32-unknown-unknown';
const TOOLS = join(ROOT, '.tools');

/**
 * Installs what is missing and says so; quick when nothing is.
 *
 * @returns {Promise<{ wasmBindgen: string, wasmOpt: string }>} paths of the programs
 */
export async function ensureTools() {
  await ensureTarget();
  return {
    // Its own lock file pins crates that newer compilers reject. The program alone, without
    // its test runner's HTTPS, and compiled sooner: it runs for a second.
    wasmBindgen: await ensureCargoTool('wasm-bindgen', 'wasm-bindgen-cli', lockedVersion('wasm-bindgen'), ['--bin', 'wasm-bindgen', '--no-default-features']),
    wasmOpt: npmBinary('binaryen', 'bin/wasm-opt'),
  };
}

/** The version of a crate in Cargo.lock. */
export function lockedVersion(crate) {
  const lock = readFileSync(join(ROOT, 'Cargo.lock'), 'utf8');
  const found = new RegExp(`name = "${crate}"\\r?\\nversion = "([^"]+)"`).exec(lock);
  if (!found) throw new Error(`Cargo.lock has no ${crate}`);
  return found[1];
}

/** Makes sure that there is a Rust which is new enough. */
export function requireRust() {
  const version = /^rustc (\d+)\.(\d+)/.exec(output('rustc', ['--version']) ?? '');
  const [, needed] = /rust-version = "1\.(\d+)"/.exec(readFileSync(join(ROOT, 'Cargo.toml'), 'utf8'));
  if (!version) throw new Mistake(`Rust is not installed: get 1.${needed} or later from https://rustup.rs, and open a new terminal.`);
  const [, major, minor] = version.map(Number);
  if (major === 1 && minor < Number(needed)) throw new Mistake(`Rust 1.${needed} or later is needed, and this is ${major}.${minor}: run rustup update.`);
}

async function ensureTarget() {
  requireRust();
  const sysroot = output('rustc', ['--print', 'sysroot']);
  if (existsSync(join(sysroot, 'lib/rustlib', TARGET))) return;
  if (output('rustup', ['--version']) === null) {
    throw new Mistake(`This Rust has no target ${TARGET}, and rustup, which installs it, is not here: get Rust from https://rustup.rs.`);
  }
  console.log(`Installing the Rust target ${TARGET}`);
  await run('rustup', ['target', 'add', TARGET]);
}

async function ensureCargoTool(name, crate, version, flags) {
  const own = join(TOOLS, 'bin', name);
  for (const candidate of [own, name]) {
    if (output(candidate, ['--version'])?.split(' ').includes(version)) return candidate;
  }
  console.log(`Installing ${crate} ${version} into .tools/ (a few minutes, once)`);
  const env = { ...process.env, CARGO_PROFILE_RELEASE_OPT_LEVEL: '1', CARGO_PROFILE_RELEASE_CODEGEN_UNITS: '16' };
  await run('cargo', ['install', crate, '--version', version, '--root', TOOLS, '--force', ...flags], { env });
  return own;
}

function npmBinary(name, path) {
  // It comes with an npm package that is here anyway.
  const root = dirname(findPackageJson(name));
  return join(root, path);
}

function findPackageJson(name) {
  const require = createRequire(import.meta.url);
  for (const folder of require.resolve.paths(name)) {
    const path = join(folder, name, 'package.json');
    if (existsSync(path)) return path;
  }
  throw new Mistake(`The npm package ${name} is not installed: run npm ci.`);
}

function output(command, args) {
  try {
    return execFileSync(command, args, { encoding: 'utf8', cwd: ROOT, stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return null;
  }
}

if (isMain(import.meta.url)) {
  await command(async () => {
    readArguments('Usage: node dev/tools.mjs');
    console.log(await ensureTools());
  });
}
