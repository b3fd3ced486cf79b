/**
 * `npm run bench`: edge402 beside the reference, `@x402/hono` with a facilitator
 * of `@x402/core`, `@x402/evm` and `@x402/svm`: the same workerd, the same
 * chains, the same origin, all on this machine. "Behind Miniflare" is how the
 * bars were set; Miniflare's own entry Worker is then half of every request.
 */
import { build } from '../build.mjs';
import { Mistake, command, readArguments } from '../cli.mjs';
import { isMain, WORKER_MAIN } from '../util.mjs';
import { check } from './parts/check.mjs';
import { coldStart } from './parts/cold-start.mjs';
import { crowd } from './parts/crowd.mjs';
import { distance } from './parts/distance.mjs';
import { gas } from './parts/gas.mjs';
import { ledger } from './parts/ledger.mjs';
import { memory } from './parts/memory.mjs';
import { page } from './parts/page.mjs';
import { paidCpu } from './parts/paid-cpu.mjs';
import { payment } from './parts/payment.mjs';
import { relayers } from './parts/relayers.mjs';
import { rules } from './parts/rules.mjs';
import { size } from './parts/size.mjs';
import { challenge, free } from './parts/speed.mjs';
import { stream } from './parts/stream.mjs';
import { score, table } from './table.mjs';

const PARTS = { size, start: coldStart, page, check, free, rules, 402: challenge, payment, cpu: paidCpu, distance, stream, crowd, relayers, gas, memory, ledger };
const ORDER = ['size', 'start', 'page', 'check', 'free', 'rules', '402', 'payment', 'cpu', 'distance', 'stream', 'crowd', 'relayers', 'gas', 'memory', 'ledger'];

const USAGE = `Usage: npm run bench -- [options]

  --only <parts>   some of ${ORDER.join(',')}
  --quick          fewer and shorter rounds; no crowd of 64, gas at 8 at once in place of 32
  --sales <n>      how many the ledger has, 100000 unless you say so
  --no-build       take build/ as it is`;

const OPTIONS = {
  only: { type: 'string' },
  quick: { type: 'boolean', default: false },
  sales: { type: 'string' },
  'no-build': { type: 'boolean', default: false },
};

async function run() {
  // wrangler, which reads configurations here, would talk in between.
  process.env.WRANGLER_LOG ??= 'error';
  const { values } = readArguments(USAGE, { options: OPTIONS });
  const wanted = values.only?.split(',') ?? ORDER;
  const unknown = wanted.find((part) => !ORDER.includes(part));
  if (unknown !== undefined) throw new Mistake(`There is no part '${unknown}'\n\n${USAGE}`);
  const start = Date.now();
  const main = values['no-build'] ? WORKER_MAIN : (await build({ quiet: true })).main;
  const groups = [];
  for (const part of ORDER.filter((name) => wanted.includes(name))) {
    progress(part, 'starting');
    groups.push(await PARTS[part]({ main, quick: values.quick, sales: values.sales && Number(values.sales), note: (text) => progress(part, text) }));
    progress(part, 'done');
    finishLine();
  }
  const measured = groups.flat();
  const { bars, missed } = score(measured);
  console.log(`\n${table(measured)}\n`);
  const seconds = ((Date.now() - start) / 1_000).toFixed(0);
  console.log(`${bars - missed} of ${bars} bars met, in ${seconds} s. Rounds by turns, medians; reference: @x402/hono and its facilitator.`);
}

/** One line that changes, on a terminal; elsewhere a line for each part. */
function progress(part, text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${part}: ${text}`);
  else if (text === 'starting') process.stderr.write(`${part} …\n`);
}

function finishLine() {
  if (process.stderr.isTTY) process.stderr.write('\n');
}

if (isMain(import.meta.url)) await command(run);
