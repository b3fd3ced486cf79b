/**
 * A Worker that asks the runtime for what a paid request asks it for, and does
 * nothing else: Workers KV, a Durable Object with its tables, the origin and a
 * node. What that costs is the runtime's own.
 */
import { DurableObject } from 'cloudflare:workers';

/** As long as what edge402 writes of a payment that is claimed, and of one that is submitted. */
const CLAIMED = 'x'.repeat(500);
const SUBMITTED = 'x'.repeat(2_000);
const SALE = 'x'.repeat(500);
/** How often a row is read in one step. */
const READS = { claim: 1, settle: 5, land: 4, report: 1 };

export class Store extends DurableObject {
  constructor(state, env) {
    super(state, env);
    this.sql = state.storage.sql;
    this.sql.exec('CREATE TABLE IF NOT EXISTS payments (id TEXT PRIMARY KEY, keep_until INTEGER, record TEXT) WITHOUT ROWID');
    this.sql.exec('CREATE TABLE IF NOT EXISTS journal (id TEXT PRIMARY KEY, written_at INTEGER, entry TEXT)');
    this.sql.exec('CREATE TABLE IF NOT EXISTS sales (settled_at INTEGER, payment TEXT, sale TEXT, PRIMARY KEY (settled_at, payment)) WITHOUT ROWID');
  }

  async fetch(request) {
    const verb = request.url.slice(request.url.lastIndexOf('/') + 1);
    const { id } = JSON.parse(await request.text());
    this.read(id, READS[verb]);
    if (verb === 'claim') this.write(id, CLAIMED);
    if (verb === 'settle') {
      await ask(this.env.NODE, 12);
      this.sql.exec('INSERT OR REPLACE INTO journal VALUES (?, ?, ?)', id, Date.now(), SALE);
      this.write(id, SUBMITTED);
      await ask(this.env.NODE, 2);
      this.read(id, READS.land);
      this.write(id, SUBMITTED);
      this.enter(id);
      this.sql.exec('DELETE FROM journal WHERE id = ?', id);
    }
    if (verb === 'report') {
      this.write(id, SUBMITTED);
      this.enter(id);
    }
    return new Response('{"Settled":{}}');
  }

  read(id, times) {
    for (let i = 0; i < times; i += 1) [...this.sql.exec('SELECT record FROM payments WHERE id = ?', id).raw()];
  }

  write(id, record) {
    this.sql.exec('INSERT OR REPLACE INTO payments VALUES (?, ?, ?)', id, Date.now(), record);
  }

  enter(id) {
    this.sql.exec('INSERT OR REPLACE INTO sales VALUES (?, ?, ?)', 1, id, SALE);
  }
}

/** One request with so many questions. */
async function ask(node, questions) {
  const batch = Array.from({ length: questions }, (_, id) => ({ jsonrpc: '2.0', id, method: 'eth_getBlockByNumber', params: ['latest', false] }));
  const answer = await fetch(node, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(batch) });
  return JSON.parse(await answer.text());
}

export default {
  async fetch(request, env, context) {
    const id = crypto.randomUUID();
    const store = env.STORE.get(env.STORE.idFromName('one'));
    const tell = async (verb, length) => (await store.fetch(`https://store/${verb}`, { method: 'POST', body: JSON.stringify({ id, rest: 'x'.repeat(length) }) })).text();
    await Promise.all([env.KV.get(id), tell('claim', 1_400)]);
    const held = await fetch(env.ORIGIN);
    await tell('settle', 1_200);
    context.waitUntil(env.KV.put(id, SALE, { expirationTtl: 3600 }));
    const { readable, writable } = new IdentityTransformStream();
    context.waitUntil(held.body.pipeTo(writable).then(() => tell('report', 150)));
    return new Response(readable, held);
  },
};
