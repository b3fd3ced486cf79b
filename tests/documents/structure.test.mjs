/** The layers of ARCHITECTURE.md, and how large the files have become. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../dev/util.mjs';

/** From the ground up; what stands in one list may be used by all lists behind it. */
const LAYERS = [
  ['amount', 'time', 'encoding', 'json', 'mac', 'path', 'table', 'together'],
  ['protocol', 'rpc'],
  ['evm', 'solana', 'payment', 'facilitator_client'],
  ['config', 'settlement', 'gate', 'purchase', 'facilitator'],
  ['runtime'],
];
/** Who may use whom within a layer. */
const BESIDE = {
  payment: ['evm', 'solana'],
  facilitator_client: ['evm', 'solana', 'payment'],
  gate: ['config', 'settlement'],
  purchase: ['config', 'settlement', 'gate'],
  facilitator: ['config', 'settlement', 'gate'],
};
/** The aim is 400 lines for a source file, and 350 for one that supports tests. */
const LONGEST_SOURCE = 500;
const LONGEST_SUPPORT = 350;

const filesBelow = (path) => readdirSync(join(ROOT, path), { recursive: true }).filter((name) => name.endsWith('.rs')).map((name) => `${path}/${name}`);
const linesOf = (path) => readFileSync(join(ROOT, path), 'utf8').split('\n');
const moduleOf = (path) => /^src\/(\w+)/.exec(path)[1];
const isTest = (path) => /\/tests(\.rs|\/)/.test(path);
const layerOf = (module) => LAYERS.findIndex((layer) => layer.includes(module));

/** The modules that a file names outside of its tests. */
function usedBy(path) {
  const text = readFileSync(join(ROOT, path), 'utf8').split(/#\[cfg\(test\)\]\s*mod \w+ \{/)[0].replace(/^\s*\/\/.*$/gm, '');
  const single = [...text.matchAll(/\bcrate::(\w+)/g)].map(([, name]) => name);
  const grouped = [...text.matchAll(/\bcrate::\{([^}]*)\}/g)].flatMap(([, list]) => list.split(',').map((name) => name.trim().split('::')[0]));
  return [...single, ...grouped].filter((name) => layerOf(name) >= 0);
}

test('a module uses what lies below it, and nothing else', () => {
  const ground = LAYERS[0];
  for (const path of filesBelow('src').filter((it) => it !== 'src/lib.rs' && !isTest(it))) {
    const module = moduleOf(path);
    assert.ok(layerOf(module) >= 0, `${path} is in no layer: name it here and in ARCHITECTURE.md`);
    for (const used of usedBy(path).filter((it) => it !== module)) {
      const isBelow = layerOf(used) < layerOf(module);
      const isBeside = BESIDE[module]?.includes(used) || (ground.includes(module) && ground.includes(used));
      assert.ok(isBelow || isBeside, `${path} uses ${used}`);
    }
  }
});

test('only the runtime names the crates of the runtime', () => {
  for (const path of filesBelow('src').filter((it) => moduleOf(it) !== 'runtime')) {
    const named = linesOf(path).find((line) => !/^\s*\/\//.test(line) && /\b(worker|wasm_bindgen|js_sys|web_sys)::/.test(line));
    assert.equal(named, undefined, path);
  }
});

test('every module is in the table of ARCHITECTURE.md', () => {
  const text = linesOf('ARCHITECTURE.md').join('\n');
  const table = text.slice(text.indexOf('| layer | module |'), text.indexOf('`evm` and `solana` never import each other'));
  for (const module of LAYERS.flat()) assert.ok(table.includes(`\`${module}\``), module);
});

test('no file is longer than the longest was', (t) => {
  const longest = (paths) => paths.map((path) => [linesOf(path).length, path]).sort(([a], [b]) => b - a)[0];
  const source = longest(filesBelow('src').filter((path) => !isTest(path)));
  const support = longest(filesBelow('tests/host').filter((path) => path.split('/').length > 3));
  t.diagnostic(`the longest source file is ${source[1]}: ${source[0]} lines`);
  t.diagnostic(`the longest file that supports tests is ${support[1]}: ${support[0]} lines`);
  assert.ok(source[0] <= LONGEST_SOURCE, source.join(' '));
  assert.ok(support[0] <= LONGEST_SUPPORT, support.join(' '));
});
