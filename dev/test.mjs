/**
 * `npm test`: everything. `node dev/test.mjs host` runs the Rust tests alone,
 * `node dev/test.mjs e2e [filter]` those against the running Worker,
 * `node dev/test.mjs browser [filter]` those of the pay page in Chromium, and
 * `node dev/test.mjs cli [filter]` those of the seller's commands; the filter
 * is a part of a file's name.
 */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { build } from './build.mjs';
import { findChromium } from './chromium.mjs';
import { Mistake, command as run, readArguments } from './cli.mjs';
import { makePackage } from './package.mjs';
import { ensureTools, requireRust } from './tools.mjs';
import { ROOT } from './util.mjs';

const E2E = join(ROOT, 'tests/e2e');
const BROWSER = join(ROOT, 'tests/browser');
const COMMANDS = join(ROOT, 'tests/cli');
const DOCUMENTS = join(ROOT, 'tests/documents');
// Every file starts a world of its own, which waits for its blocks for half of the time: two cores are busy with three.
const FILES_AT_ONCE = 3;
// Of a whole file, too: the longest takes a minute and a half alone, and more beside two others.
const TEST_TIMEOUT_MS = 300_000;
/** The core is built for the host, too; what only the Worker has, for its own target. */
const LINTS = [
  ['fmt', '--check'],
  ['clippy', '--all-targets', '--', '--deny', 'warnings'],
  ['clippy', '--target', 'wasm32-unknown-unknown', '--', '--deny', 'warnings'],
  ['doc', '--no-deps', '--document-private-items', '--target', 'wasm32-unknown-unknown'],
];

/** Those that run what was built; a filter may go with them. */
const RUNNING = ['e2e', 'browser', 'cli'];

const USAGE = 'Usage: node dev/test.mjs [host | e2e [filter] | browser [filter] | cli [filter]]';

const results = [];
let filter;

async function main() {
  const { positionals } = readArguments(USAGE, { arguments: [0, 2] });
  const [part = 'all'] = positionals;
  const isRunning = RUNNING.includes(part);
  if (!['all', 'host', ...RUNNING].includes(part) || (!isRunning && positionals.length > 1)) {
    throw new Mistake(`Unknown argument '${positionals.at(-1)}'\n\n${USAGE}`);
  }
  filter = positionals[1] ?? '';
  requireRust();
  if (part === 'all') await section('Format, lints and Rust docs (cargo fmt, cargo clippy, cargo doc)', checkStyle);
  if (part === 'all') await section('Documents, layers and licences (node --test)', () => command(process.execPath, ['--test', '--test-reporter=spec', ...testFiles(DOCUMENTS)]));
  if (!isRunning) await section('Rust tests (cargo test)', () => command('cargo', ['test', '--all-targets']));
  if (!isRunning) await section('Rust examples in the docs (cargo test --doc)', () => command('cargo', ['test', '--doc']));
  if (part !== 'host') {
    const built = await section('Build tools and Worker', buildWorker);
    const runs = (kind) => built && ['all', kind].includes(part);
    if (runs('e2e')) await section('End to end (node --test)', () => command(process.execPath, ['--test', ...testFlags(), ...testFiles(E2E, filter)]));
    if (runs('browser')) await section('The pay page in Chromium (node --test)', browser);
    if (runs('cli')) await section('Package and commands (node --test)', commands);
  }
  summary();
}

async function section(title, work) {
  console.log(`\n=== ${title}\n`);
  const start = Date.now();
  const passed = await work().catch((error) => {
    console.error(error.message);
    return false;
  });
  results.push({ title, passed, seconds: (Date.now() - start) / 1_000 });
  return passed;
}

/** All of it, also after a fault: whoever mends one wants to know the others. */
async function checkStyle() {
  await ensureTools();
  let passed = true;
  for (const args of LINTS) passed = (await command('cargo', args, { RUSTDOCFLAGS: '--deny warnings' })) && passed;
  return passed;
}

async function buildWorker() {
  await ensureTools();
  const { fresh } = await build();
  console.log(fresh ? 'built' : 'up to date');
  return true;
}

async function browser() {
  await findChromium();
  return command(process.execPath, ['--test', ...testFlags(), ...testFiles(BROWSER, filter)]);
}

async function commands() {
  await makePackage();
  return command(process.execPath, ['--test', ...testFlags(), ...testFiles(COMMANDS, filter)]);
}

function testFlags() {
  return [`--test-concurrency=${FILES_AT_ONCE}`, `--test-timeout=${TEST_TIMEOUT_MS}`, '--test-reporter=spec'];
}

function testFiles(folder, part = '') {
  const files = readdirSync(folder).filter((name) => name.endsWith('.test.mjs') && name.includes(part)).sort();
  if (files.length === 0) throw new Error(`no test file in ${folder} has "${part}" in its name`);
  return files.map((name) => join(folder, name));
}

async function command(program, args, environment = {}) {
  const child = spawn(program, args, { cwd: ROOT, stdio: 'inherit', env: { ...process.env, ...environment } });
  return new Promise((done, fail) => {
    child.once('error', fail);
    child.once('exit', (code) => done(code === 0));
  });
}

function summary() {
  console.log('\n=== Summary\n');
  for (const { title, passed, seconds } of results) {
    console.log(`${passed ? '\u2714' : '\u2718'} ${title} (${seconds.toFixed(1)} s)`);
  }
  if (results.some(({ passed }) => !passed)) process.exitCode = 1;
}

await run(main);
