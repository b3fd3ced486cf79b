/**
 * The built Worker, watched: how many other objects each invocation asks, as
 * Cloudflare bounds that, and how many rows each statement reads and writes. All of
 * it is told at `/watched`, and begins anew then.
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DEV_DIR, WORKER_MAIN } from './util.mjs';

/** How many other objects one invocation of the free plan may ask, taken strictly. */
const LIMIT = 50;

const WATCH = `
let asked = [];
let statements = [];
const bound = (target, value) => (typeof value === 'function' ? value.bind(target) : value);
const over = (target, changes) => new Proxy(target, {
  get: (it, name) => (Object.hasOwn(changes, name) ? changes[name](it) : bound(it, Reflect.get(it, name))),
});
const watchStub = (stub, count) => over(stub, {
  fetch: () => async (...request) => {
    count.asked += 1;
    if (count.asked > LIMIT) throw new Error('Too many subrequests by single Worker invocation.');
    return stub.fetch(...request);
  },
});
const watchEnv = (env, count) => over(env, {
  SETTLER: () => over(env.SETTLER, {
    // worker-rs looks at what it is called.
    constructor: () => env.SETTLER.constructor,
    getByName: () => (...name) => watchStub(env.SETTLER.getByName(...name), count),
    get: () => (...id) => watchStub(env.SETTLER.get(...id), count),
  }),
});
const watchState = (state) => over(state, {
  storage: () => over(state.storage, {
    sql: () => over(state.storage.sql, {
      exec: () => (query, ...values) => {
        const cursor = state.storage.sql.exec(query, ...values);
        statements.push({ name: state.id.name, query, cursor });
        return cursor;
      },
    }),
  }),
});

class WatchedSettler {
  constructor(state, env) {
    this.state = state;
    this.count = { asked: 0 };
    this.inner = new BuiltSettler(watchState(state), watchEnv(env, this.count));
  }
  fetch(request) {
    return this.invoke(request.url, () => this.inner.fetch(request));
  }
  alarm(info) {
    return this.invoke('alarm', () => this.inner.alarm(info));
  }
  async invoke(what, work) {
    this.count.asked = 0;
    try {
      return await work();
    } finally {
      asked.push({ name: this.state.id.name, what, asked: this.count.asked });
    }
  }
}

const WatchedWorker = {
  async fetch(request, env, context) {
    const { pathname } = new URL(request.url);
    if (pathname === '/watched') {
      const told = { asked, statements: statements.map(({ name, query, cursor: { rowsRead: read, rowsWritten: written } }) => ({ name, query, read, written })) };
      asked = [];
      statements = [];
      return Response.json(told);
    }
    const count = { asked: 0 };
    try {
      return await BuiltWorker.fetch(request, watchEnv(env, count), context);
    } finally {
      asked.push({ name: null, what: pathname, asked: count.asked });
    }
  },
};
`;

/** Writes it, and says where its main module is. */
export function watchedWorker(name = `watched-${process.pid}`) {
  const folder = join(DEV_DIR, name);
  mkdirSync(folder, { recursive: true });
  const built = readFileSync(WORKER_MAIN, 'utf8');
  const [exported] = /export\{[^}]*\};?\s*$/.exec(built) ?? [];
  const [, settler] = /([\w$]+) as Settler/.exec(exported) ?? [];
  const [, worker] = /([\w$]+) as default/.exec(exported) ?? [];
  if (!settler || !worker) throw new Error('the built Worker has no such exports');
  const watch = WATCH
    .replaceAll('BuiltSettler', () => settler)
    .replaceAll('BuiltWorker', () => worker)
    .replaceAll('LIMIT', String(LIMIT));
  const main = join(folder, 'index.js');
  writeFileSync(main, `${built.replace(exported, '')}\n${watch}\nexport { WatchedSettler as Settler, WatchedWorker as default };\n`);
  copyFileSync(join(dirname(WORKER_MAIN), 'index_bg.wasm'), join(folder, 'index_bg.wasm'));
  return main;
}
