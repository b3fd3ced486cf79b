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
 * @param {object[]} sales as `/.edge402/sales` has them
 * @returns {Promise<{ rowsWritten: number, bytes: number }>} what the storage has counted, and how large it is
 */
export async function writeSales(persist, name, sales) {
  const main = join(ROOT, 'dev/servers/ledger-writer.mjs');
  const writer = await startMiniflare({ persist, main });
  try {
    const result = { rowsWritten: 0, bytes: 0 };
    for (let at = 0; at < sales.length; at += PAGE) {
      const body = JSON.stringify({ schema: at === 0 && schema(), sales: sales.slice(at, at + PAGE) });
      const answer = await fetch(`${writer.url}/?name=${encodeURIComponent(name)}`, { method: 'POST', body });
      if (!answer.ok) throw new Error(await answer.text());
      const { rowsWritten, bytes } = await answer.json();
      result.rowsWritten += rowsWritten;
      result.bytes = bytes;
    }
    return result;
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
