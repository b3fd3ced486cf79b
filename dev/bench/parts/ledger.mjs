/** A large ledger: how long its first page, its sums and its file take, what it weighs, and what the isolate holds meanwhile. */
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { sale, writeSales } from '../../ledger.mjs';
import { DEV_DIR } from '../../util.mjs';
import { EVM_NETWORK, startWorld } from '../../world.mjs';
import { isolateMemory } from '../isolate.mjs';
import { withStops } from '../rounds.mjs';
import { startEdge402 } from '../systems.mjs';
import { median, ms } from '../table.mjs';

const TOKEN = 'the bench';
/** One connection for each: what idles for long may be reset. */
const HEADERS = { authorization: `Bearer ${TOKEN}`, connection: 'close' };
const DAY = 86_400;
const ROUTES = 5;
const ROUNDS = 5;

/** @returns {Promise<import('../table.mjs').Group[]>} */
export async function ledger({ quick, note, sales: wanted }) {
  const count = wanted ?? (quick ? 10_000 : 100_000);
  const persist = join(DEV_DIR, `bench-ledger-${process.pid}`);
  return withStops(async (keep) => {
    keep({ stop: async () => rmSync(persist, { recursive: true, force: true }) });
    const world = keep(await startWorld({ worker: false }));
    note(`writing ${count} sales`);
    const written = await writeLedger(persist, world, count);
    return [await measureLedger(keep, { world, persist, count, written, note })];
  });
}

/** The last sale's time: the others are spread over the year before. */
const end = Math.floor(Date.now() / 1_000 / 3_600 - 1) * 3_600;

function* salesOf(count) {
  for (let n = 0; n < count; n += 1) yield sale(n, { time: end - Math.floor(((count - n) * 365 * DAY) / count), route: `/r${n % ROUTES}/*` });
}

/** Writes so many sales into the ledger of the world's relayer. */
export const writeLedger = (persist, { accounts }, count) => writeSales(persist, `${EVM_NETWORK}/${accounts.evm.relayers[0].address}`, salesOf(count), 'edge402');

/** Measures such a ledger. */
export async function measureLedger(keep, { world, persist, count, written: { rowsWritten, bytes }, note, formats = ['csv', 'json'] }) {
  const DESK_TOKENS = createHash('sha256').update(TOKEN).digest('hex');
  const { url, inspectorUrl } = keep(await startEdge402(world, { origin: 'http://127.0.0.1:9', inspected: true, persist, more: { DESK_TOKENS } }));
  const day = (time) => new Date(time * 1_000).toISOString().slice(0, 10);
  const year = `from=${day(end - 365 * DAY)}&to=${day(end)}`;

  await timed(`${url}/.edge402/sales?limit=1`);
  note('folding');
  const first = await timed(`${url}/.edge402/sales/sums?${year}`);
  if (first.json.sums.reduce((sum, it) => sum + it.count, 0) !== count) throw new Error('the sums are wrong');
  const row = async (what, path, how = () => '') => {
    note(what);
    const rounds = [];
    for (let n = 0; n < ROUNDS; n += 1) rounds.push(await timed(url + path));
    return { what, ours: ms(median(rounds.map((it) => it.ms))), how: how(rounds[0]) };
  };
  const { json: low } = await timed(`${url}/.edge402/sales?limit=1&to=${end - 364 * DAY}`);
  const range = `from=${end - 366 * DAY}&to=${end}`;
  const rows = [
    { what: 'storage', ours: mib(bytes), how: `${Math.round(bytes / count)} bytes a sale` },
    { what: 'rows written a sale', ours: (rowsWritten / count).toFixed(2), how: 'by the storage’s own count, with the indexes; sums are written later' },
    await row('first page of 100', '/.edge402/sales'),
    await row('a page at the end of the year', `/.edge402/sales?${range}&cursor=${low.next}`),
    await row('page by payer', `/.edge402/sales?payer=${sale(7).payer}`),
    { what: 'a year’s sums, the first time', ours: ms(first.ms), how: 'all sales are folded' },
    await row('a year’s sums by day', `/.edge402/sales/sums?${year}`, ({ json: { sums } }) => `${sums.length} lines`),
    await row('a year’s sums by route', `/.edge402/sales/sums?${year}&by=route`),
    await row('a year’s sums by payer', `/.edge402/sales/sums?${year}&by=payer`, ({ json: { cut } }) => (cut ? 'of the newest sales' : 'of all sales')),
  ];
  for (const format of formats) {
    note(format);
    const idle = total(await isolateMemory(inspectorUrl));
    const file = await streamed(`${url}/.edge402/sales/export?format=${format}&${range}`);
    if (file.lines !== count + (format === 'csv' ? 1 : 0)) throw new Error(`the file has ${file.lines} lines`);
    rows.push({ what: `${format.toUpperCase()} of all`, ours: ms(file.ms, 0), how: `${mib(file.bytes)}, first byte after ${ms(file.firstMs, 0)}` });
    const watched = await streamed(`${url}/.edge402/sales/export?format=${format}&${range}`, async () => total(await isolateMemory(inspectorUrl)));
    rows.push({ what: `${format.toUpperCase()}: memory of the isolate`, ours: mib(watched.most), how: `${mib(idle)} before` });
  }
  return { title: `A ledger of ${count.toLocaleString('en')} sales in one Settler`, rows };
}

const total = ({ heap, webAssembly }) => heap + webAssembly;
const mib = (size) => `${(size / 2 ** 20).toFixed(1)} MiB`;

async function timed(url) {
  const start = performance.now();
  const answer = await fetch(url, { headers: HEADERS });
  const json = await answer.json();
  if (answer.status !== 200) throw new Error(`${url}: ${answer.status} ${JSON.stringify(json)}`);
  return { ms: performance.now() - start, json };
}

/** Takes a file, and stops now and then to look at something, if at anything: the most of what that says. */
async function streamed(url, look) {
  const start = performance.now();
  const answer = await fetch(url, { headers: HEADERS });
  const firstMs = performance.now() - start;
  if (answer.status !== 200) throw new Error(`${url}: ${answer.status}`);
  let [lines, bytes, most, lookAt] = [0, 0, 0, 2 ** 20];
  for await (const piece of answer.body) {
    bytes += piece.length;
    for (let at = piece.indexOf(10); at >= 0; at = piece.indexOf(10, at + 1)) lines += 1;
    if (look && bytes >= lookAt) {
      lookAt = Math.max(lookAt * 2, bytes);
      most = Math.max(most, await look());
    }
  }
  return { ms: performance.now() - start, firstMs, lines, bytes, most };
}
