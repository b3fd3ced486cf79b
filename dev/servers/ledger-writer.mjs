/** A Worker in place of the built one: its Durable Objects of the same name write sales as they are told, and count rows. */

export class Settler {
  constructor({ storage }) {
    this.storage = storage;
  }

  async fetch(request) {
    const { schema, sales = [], statement } = await request.json();
    const { sql } = this.storage;
    if (statement) sql.exec(statement).toArray();
    if (schema) sql.exec(schema).toArray();
    let rowsWritten = 0;
    this.storage.transactionSync(() => {
      for (const it of sales) {
        rowsWritten += sql.exec(
          'INSERT INTO sales (settled_at, payment, route, payer, transaction_id, sale) VALUES (?, ?, ?, ?, ?, ?)',
          it.time, it.payment, it.route ?? null, it.payer.toLowerCase(), it.transaction.toLowerCase(), it.raw ?? JSON.stringify(it),
        ).rowsWritten;
      }
    });
    return Response.json({ rowsWritten, bytes: sql.databaseSize });
  }
}

export default {
  fetch(request, { SETTLER }) {
    const name = new URL(request.url).searchParams.get('name');
    return SETTLER.get(SETTLER.idFromName(name)).fetch(request);
  },
};
