/** A large ledger: how long its first page, its sums and its file take, and what it weighs. */
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { sale, writeSales } from '../../ledger.mjs';
import { DEV_DIR } from '../../util.mjs';
import { EVM_NETWORK, startWorld } from '../../world.mjs';
import { withStops } from '../rounds.mjs';
import { median, ms } from '../table.mjs';

const TOKEN = 'the bench';
const DAY = 86_400;
const ROUTES = 5;
const ROUNDS = 5;

/** @returns {Promise<import('../table.mjs').Group[]>} */
export async function ledger({ quick, note }) {
  const count = quick ? 10_000 : 100_000;
  const persist = join(DEV_DIR, `bench-ledger-${process.pid}`);
  return withStops(async (keep) => {
    keep({ stop: async () => rmSync(persist, { recursive: true, force: true }) });
    const world = keep(await startWorld({ worker: false }));
    const name = `${EVM_NETWORK}/${world.accounts.evm.relayers[0].address}`;
    const end = Math.floor(Date.now() / 1_000) - 3_600;
    const timeOf = (n) => end - Math.floor(((count - n) * 365 * DAY) / count);
    note(`${count} sales`);
    const sales = Array.from({ length: count }, (_, n) => sale(n, { time: timeOf(n), route: `/r${n % ROUTES}/*` }));
    const { rowsWritten, bytes } = await writeSales(persist, name, sales);
    const DESK_TOKENS = createHash('sha256').update(TOKEN).digest('hex');
    const { url } = await world.startWorker({ persist, secrets: { DESK_TOKENS } });
    const day = (time) => new Date(time * 1_000).toISOString().slice(0, 10);
    const year = `from=${day(end - 365 * DAY)}&to=${day(end)}`;

    await timed(`${url}/.edge402/sales?limit=1`);
    const first = await timed(`${url}/.edge402/sales/sums?${year}`);
    if (first.json.sums.reduce((sum, it) => sum + it.count, 0) !== count) throw new Error('the sums are wrong');
    const row = async (what, path, how = () => '') => {
      note(what);
      const rounds = [];
      for (let n = 0; n < ROUNDS; n += 1) rounds.push(await timed(url + path));
      return { what, ours: ms(median(rounds.map((it) => it.ms))), how: how(rounds[0]) };
    };
    const csv = await timed(`${url}/.edge402/sales/export?format=csv`);
    const json = await timed(`${url}/.edge402/sales/export?format=json`);
    const lines = csv.text.split('\r\n').length - 2;
    if (lines !== count || json.json.length !== count) throw new Error('the file is not whole');
    return [{
      title: `A ledger of ${count.toLocaleString('en')} sales in one Settler`,
      rows: [
        { what: 'storage', ours: `${(bytes / 2 ** 20).toFixed(1)} MiB`, how: `${Math.round(bytes / count)} bytes a sale` },
        { what: 'rows written a sale', ours: (rowsWritten / count).toFixed(2), how: 'by the storage’s own count, with the indexes; sums are written later' },
        await row('first page of 100', '/.edge402/sales'),
        await row('page by payer', `/.edge402/sales?payer=${sales[7].payer}`),
        { what: 'a year’s sums, the first time', ours: ms(first.ms), how: 'all sales are folded' },
        await row('a year’s sums by day', `/.edge402/sales/sums?${year}`, ({ json: { sums } }) => `${sums.length} lines`),
        await row('a year’s sums by route', `/.edge402/sales/sums?${year}&by=route`),
        await row('a year’s sums by payer', `/.edge402/sales/sums?${year}&by=payer`, ({ json: { cut } }) => (cut ? 'of the newest sales' : 'of all sales')),
        { what: 'CSV of all', ours: ms(csv.ms, 0), how: `${(csv.text.length / 2 ** 20).toFixed(1)} MiB, first byte after ${ms(csv.firstMs, 0)}` },
        { what: 'JSON of all', ours: ms(json.ms, 0), how: `${(json.text.length / 2 ** 20).toFixed(1)} MiB` },
      ],
    }];
  });
}

async function timed(url) {
  const start = performance.now();
  const answer = await fetch(url, { headers: { authorization: `Bearer ${TOKEN}` } });
  const firstMs = performance.now() - start;
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`${url}: ${answer.status} ${text.slice(0, 200)}`);
  const isJson = answer.headers.get('content-type').startsWith('application/json');
  return { ms: performance.now() - start, firstMs, text, json: isJson ? JSON.parse(text) : undefined };
}
