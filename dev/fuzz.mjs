/**
 * `node dev/fuzz.mjs`: every reader of foreign bytes under libFuzzer, each for
 * so many inputs. It needs a C++ compiler, and nothing of nightly Rust. What
 * was found interesting stays in `.dev/fuzz/`, and is where the next run begins.
 */
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { Mistake, command, readArguments } from './cli.mjs';
import { requireRust } from './tools.mjs';
import { DEV_DIR, ROOT, run } from './util.mjs';

const CRATE = join(ROOT, 'tests/fuzz');
const SEEDS = join(CRATE, 'seeds');
const FOLDER = join(DEV_DIR, 'fuzz');
/** In a folder for the target, as it is with `--target`: the build scripts go without these flags. */
const HOST = /host: (.*)/;
/** What cargo-fuzz gives rustc, without its sanitizers, which only nightly has. */
const FLAGS = [
  '-Cpasses=sancov-module',
  ...['level=4', 'inline-8bit-counters', 'pc-table', 'trace-compares'].map((flag) => `-Cllvm-args=-sanitizer-coverage-${flag}`),
  '--cfg', 'fuzzing',
];
const LONGEST_INPUT = 4_096;
const LONGEST_SECONDS = 5;
const MEMORY_MIB = 1_024;

const USAGE = `Usage: node dev/fuzz.mjs [options] [reader …]

  --inputs <n>    for each reader (default 1000000)
  readers: ${readers().join(', ')}`;

async function main() {
  const { values, positionals } = readArguments(USAGE, { options: { inputs: { type: 'string', default: '1000000' } }, arguments: [0, readers().length] });
  const unknown = positionals.find((name) => !readers().includes(name));
  if (unknown) throw new Mistake(`There is no reader '${unknown}'\n\n${USAGE}`);
  if (!/^[1-9]\d*$/.test(values.inputs)) throw new Mistake(`--inputs must be a number\n\n${USAGE}`);
  requireRust();
  const program = await build();
  const waiting = positionals.length > 0 ? positionals : readers();
  const results = [];
  const work = async () => {
    for (let reader = waiting.shift(); reader; reader = waiting.shift()) {
      console.log(`${reader} …`);
      results.push(await fuzz(program, reader, Number(values.inputs)));
      console.log(results.at(-1).text);
    }
  };
  await Promise.all(Array.from({ length: Math.min(cpus().length, waiting.length) }, work));
  const total = results.reduce((sum, { inputs }) => sum + inputs, 0);
  console.log(`${total.toLocaleString('en')} inputs in all`);
  const failed = results.filter(({ passed }) => !passed);
  if (failed.length > 0) throw new Error(`${failed.length} of the readers failed: what they were given is in ${FOLDER}`);
}

function readers() {
  return readdirSync(SEEDS).sort();
}

async function build() {
  const target = HOST.exec(await run('rustc', ['-vV'], { quiet: true }))[1];
  await run('cargo', ['build', '--release', '--target', target], { cwd: CRATE, env: { ...process.env, CARGO_ENCODED_RUSTFLAGS: FLAGS.join('\x1f') } });
  return join(CRATE, 'target', target, 'release/fuzz');
}

/** Runs one reader. What libFuzzer says is in a file. */
async function fuzz(program, reader, inputs) {
  const folder = join(FOLDER, reader);
  const corpus = join(folder, 'corpus');
  mkdirSync(corpus, { recursive: true });
  cpSync(join(SEEDS, reader), corpus, { recursive: true });
  const limits = [`-runs=${inputs}`, `-max_len=${LONGEST_INPUT}`, `-timeout=${LONGEST_SECONDS}`, `-rss_limit_mb=${MEMORY_MIB}`];
  const start = Date.now();
  const child = spawn(program, [corpus, `-artifact_prefix=${folder}/`, ...limits], { env: { ...process.env, FUZZ_TARGET: reader }, stdio: ['ignore', 'ignore', 'pipe'] });
  const stop = () => child.kill();
  process.once('exit', stop);
  const said = [];
  child.stderr.on('data', (data) => said.push(data));
  const code = await new Promise((done, fail) => child.once('error', fail).once('close', done));
  process.off('exit', stop);
  const log = join(folder, 'log');
  writeFileSync(log, Buffer.concat(said));
  const text = readFileSync(log, 'utf8');
  const done = Number(/Done (\d+) runs/.exec(text)?.[1] ?? 0);
  const found = /panicked at[^\n]*\n[^\n]*|ERROR: [^\n]*/.exec(text)?.[0];
  const seconds = ((Date.now() - start) / 1_000).toFixed(0);
  const passed = code === 0;
  return { passed, inputs: done, text: passed ? `${reader}: ${done.toLocaleString('en')} inputs in ${seconds} s` : `${reader}: failed, see ${log}\n${found}` };
}

await command(main);
