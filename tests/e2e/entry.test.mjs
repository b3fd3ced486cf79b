/** The Worker's entry after a trap: WebAssembly that can't go on begins anew, and the Durable Object with it. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { buildSync } from 'esbuild';
import { ROOT } from '../../dev/util.mjs';

const ENTRY = join(ROOT, 'src/runtime/entry.js');
/** In place of what wasm-bindgen writes. */
const STAND_IN = `
export const __worker_init_state = () => globalThis.standIn.state;
export const __wbg_reset_state = () => (globalThis.standIn.resets += 1);
export const straight = () => null;
export const freeFrom = () => 0;
export const look = () => undefined;
export const fetch = () => globalThis.standIn.answer();
export class Settler {
  constructor(state, env) { globalThis.standIn.made.push([state, env]); }
  async fetch() { return globalThis.standIn.answer(); }
  alarm() { return globalThis.standIn.answer(); }
}
`;

let entry;
let standIn;
let heard;
let said;
beforeEach(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'edge402-entry-'));
  writeFileSync(join(folder, 'index.js'), STAND_IN);
  const outfile = join(folder, 'worker.mjs');
  buildSync({ stdin: { contents: readFileSync(ENTRY, 'utf8'), resolveDir: folder }, bundle: true, format: 'esm', outfile });
  standIn = globalThis.standIn = { state: { criticalError: false, instanceId: 0 }, resets: 0, made: [], answer: () => new Response('fine') };
  globalThis.addEventListener = (_event, listener) => (heard = listener);
  said = [];
  for (const level of ['log', 'error']) mock.method(console, level, (text) => said.push(text));
  entry = await import(pathToFileURL(outfile));
  rmSync(folder, { recursive: true });
});
afterEach(() => {
  mock.restoreAll();
  delete globalThis.standIn;
  delete globalThis.addEventListener;
});

const trap = () => {
  throw new WebAssembly.RuntimeError('unreachable');
};
const ask = () => entry.default.fetch(new Request('https://shop.example/'), {}, {});

test('a request after a trap finds WebAssembly begun anew, once', async () => {
  standIn.answer = trap;
  await assert.rejects(async () => ask(), /unreachable/);
  assert.deepEqual(standIn.state, { criticalError: true, instanceId: 0 });
  standIn.answer = () => new Response('fine');
  for (let time = 0; time < 2; time += 1) assert.equal(await (await ask()).text(), 'fine');
  assert.deepEqual([standIn.resets, standIn.state], [1, { criticalError: false, instanceId: 1 }]);
  assert.deepEqual(said, ['WebAssembly was trapped', 'WebAssembly begins anew']);
});

test('a trap in a promise, and one that only the runtime hears of, count too', async () => {
  standIn.answer = async () => trap();
  await assert.rejects(async () => ask(), /unreachable/);
  standIn.answer = () => new Response('fine');
  await ask();
  heard({ error: new WebAssembly.RuntimeError('unreachable') });
  heard({ error: new Error('of a page') });
  await ask();
  assert.equal(standIn.resets, 2);
});

test('what is no trap changes nothing', async () => {
  standIn.answer = () => {
    throw new Error('said by the Worker itself');
  };
  await assert.rejects(async () => ask(), /by the Worker/);
  standIn.answer = () => new Response('fine');
  await ask();
  assert.equal(standIn.resets, 0);
});

test('the Durable Object is made again from what it was given, and answers', async () => {
  const settler = new entry.Settler('its state', 'its env');
  assert.equal(await (await settler.fetch()).text(), 'fine');
  standIn.answer = trap;
  await assert.rejects(async () => settler.alarm(), /unreachable/);
  await assert.rejects(async () => settler.fetch(), /unreachable/);
  standIn.answer = async () => new Response('fine');
  assert.equal(await (await settler.fetch()).text(), 'fine');
  assert.equal(await (await settler.alarm()).text(), 'fine');
  assert.deepEqual([standIn.resets, standIn.made], [2, Array(3).fill(['its state', 'its env'])]);
});
