/** Sales that nobody made, in the tables of a Settler on this machine. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startMiniflare } from './miniflare.mjs';
import { ROOT } from './util.mjs';

/** Half a year ago: sales that are much older are forgotten. */
const LATELY = Math.floor(Date.now() / 1_000) - 180 * 86_400;

/** How many sales go into one message. */
const PAGE = 5_000;

/** The tables of a Settler, as the Worker makes them. */
function schema() {
  const text = readFileSync(join(ROOT, 'src/runtime/sql.rs'), 'utf8');
  return /const SCHEMA: &str = "([^"]*)"/.exec(text)[1];
}

/**
 * Writes sales into a Settler's tables, below a folder that a Worker is then
 * started with (`persist`).
 *
 * @param {string} persist
 * @param {string} name of the Settler
 * @param {Iterable<object>} sales as `/.edge402/sales` has them; `raw` is what is kept in place of one
 * @param {string} [worker] what that Worker is called, if not as the demo shop's
 * @returns {Promise<{ rowsWritten: number, bytes: number }>} what the storage has counted, and how large it is
 */
export async function writeSales(persist, name, sales, worker) {
  return withWriter({ persist, name, worker }, async (write) => {
    let { bytes } = await write({ schema: schema(), sales: [] });
    let [rowsWritten, page] = [0, []];
    const flush = async () => {
      const written = await write({ sales: page });
      rowsWritten += written.rowsWritten;
      ({ bytes } = written);
      page = [];
    };
    for (const sale of sales) {
      page.push(sale);
      if (page.length === PAGE) await flush();
    }
    if (page.length > 0) await flush();
    return { rowsWritten, bytes };
  });
}

/** Runs some SQL in an object's storage, below such a folder. */
export async function runSql(persist, name, sql) {
  await withWriter({ persist, name }, (write) => write({ schema: sql, sales: [] }));
}

async function withWriter({ persist, name, worker }, work) {
  const writer = await startMiniflare({ persist, main: join(ROOT, 'dev/servers/ledger-writer.mjs'), bindings: worker ? { name: worker } : {} });
  try {
    return await work(async (message) => {
      const answer = await fetch(`${writer.url}/?name=${encodeURIComponent(name)}`, { method: 'POST', headers: { connection: 'close' }, body: JSON.stringify(message) });
      if (!answer.ok) throw new Error(await answer.text());
      return answer.json();
    });
  } finally {
    await writer.stop();
  }
}

/** Changes a Settler's tables by one SQL statement, while no Worker runs on them. */
export async function changeTables(persist, name, statement) {
  const writer = await startMiniflare({ persist, main: join(ROOT, 'dev/servers/ledger-writer.mjs') });
  try {
    const answer = await fetch(`${writer.url}/?name=${encodeURIComponent(name)}`, { method: 'POST', body: JSON.stringify({ statement }) });
    if (!answer.ok) throw new Error(await answer.text());
  } finally {
    await writer.stop();
  }
}

/**
 * Some sale: as a payment by EIP-3009 leaves one.
 *
 * @param {number} number tells it from others
 * @param {object} changes
 */
export function sale(number, changes = {}) {
  const digits = number.toString(16);
  const payer = `0x${(number % 3_000).toString(16).padStart(40, '5')}`;
  const nonce = `0x${digits.padStart(64, '7')}`;
  return {
    time: LATELY + number, route: '/premium/*', path: `/premium/${number}`, method: 'GET', amount: '10000',
    asset: '0x036CbD53842c5426634e7929541eC2318f3dCF7e', network: 'eip155:84532', payer,
    transaction: `0x${digits.padStart(64, 'a')}`, payment: `eip155:84532/0x036cbd53842c5426634e7929541ec2318f3dcf7e/${payer}/${nonce}`,
    way: 'gate', x402_version: 2, fee: '512000000000', delivered: true, redeliveries: 0,
    ...changes,
  };
}
