/** The layers of ARCHITECTURE.md, import circles, who asks which chain it is, and how large the files have become. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../dev/util.mjs';
import { circlesIn, codeOf, usesOf } from './imports.mjs';

/** From the ground up; what stands in one list may be used by all lists behind it. */
const LAYERS = [
  ['amount', 'error', 'time', 'encoding', 'incoming', 'json', 'mac', 'path', 'remembered', 'room', 'table', 'together'],
  ['meter', 'protocol', 'rpc'],
  ['evm', 'solana', 'payment', 'facilitator_client'],
  ['config', 'settlement', 'gate', 'purchase', 'facilitator', 'desk', 'check'],
  ['runtime'],
];
/** What connects the core to JavaScript: the Worker, or the module for a seller’s tools. */
const SHELLS = LAYERS.at(-1);
/** Who may use whom within a layer. */
const BESIDE = {
  payment: ['evm', 'solana'],
  facilitator_client: ['evm', 'solana', 'payment'],
  gate: ['config', 'settlement'],
  purchase: ['config', 'settlement', 'gate'],
  facilitator: ['config', 'settlement', 'gate'],
  desk: ['config', 'settlement'],
  check: ['config', 'gate'],
};
/** The aim is 400 lines for a source file, and 350 for one that supports tests. */
const LONGEST_SOURCE = 400;
const LONGEST_SUPPORT = 350;

/** Folders that hold one struct, whose files are free to use each other. */
const ONE_STRUCT = /^src\/settlement\/(evm|solana|remote)\//;

/** Where kinds of chains and lanes are told apart, because it is what the file is for. */
const KNOWS_CHAINS = /^src\/(payment|evm|solana)\/|^src\/protocol\/(chain_id|coin)\.rs$|^src\/settlement\/(evm|solana|remote)\//;
/** In how many other places they may be. */
const MOST_MATCHES = 10;
const KIND = '\\b(?:ChainId|VerifiedPayment|Terms|Asset|PayTo|Lane)::(?:Evm|Solana|Remote)\\b';

const filesBelow = (path) => readdirSync(join(ROOT, path), { recursive: true }).filter((name) => name.endsWith('.rs')).map((name) => `${path}/${name}`);
const linesOf = (path) => readFileSync(join(ROOT, path), 'utf8').split('\n');
const moduleOf = (path) => /^src\/(\w+)/.exec(path)[1];
const isTest = (path) => /\/tests(\.rs|\/)/.test(path);
const layerOf = (module) => LAYERS.findIndex((layer) => layer.includes(module));

/** The modules that a file names outside of its tests. */
function usedBy(path) {
  const text = codeOf(path);
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

test('only the shells name the crates of JavaScript', () => {
  for (const path of filesBelow('src').filter((it) => !SHELLS.includes(moduleOf(it)))) {
    const named = linesOf(path).find((line) => !/^\s*\/\//.test(line) && /\b(worker|wasm_bindgen|js_sys|web_sys)::/.test(line));
    assert.equal(named, undefined, path);
  }
});

test('every module is in the table of ARCHITECTURE.md', () => {
  const text = linesOf('ARCHITECTURE.md').join('\n');
  const table = text.slice(text.indexOf('| layer | module |'), text.indexOf('`evm` and `solana` never import each other'));
  for (const module of LAYERS.flat()) assert.ok(table.includes(`\`${module}\``), module);
});

const without = (path) => path.replace(/(\/mod)?\.rs$/, '');

/**
 * A file may use what its own folder's `mod.rs` defines: to Rust, it is a part
 * of that module.
 */
test('no import leads in a circle', (t) => {
  const units = new Map();
  const unitOf = (path) => ONE_STRUCT.exec(path)?.[0] ?? path;
  for (const [path, used] of usesOf(filesBelow('src').filter((it) => it !== 'src/lib.rs' && !isTest(it)))) {
    const others = [...used].filter((it) => !path.startsWith(`${without(it)}/`)).map(unitOf);
    const unit = unitOf(path);
    units.set(unit, new Set([...units.get(unit) ?? [], ...others.filter((it) => it !== unit)]));
  }
  const circles = circlesIn(units);
  t.diagnostic(`import circles outside one struct's own folder: ${circles.length}`);
  assert.deepEqual(circles, []);
});

/** The lines on which a match begins that tells chains or lanes apart, `matches!` and `let` included. */
function matchesIn(path) {
  const lines = codeOf(path).split('\n');
  const beginOf = (arm) => {
    const depth = (line) => /^ */.exec(line)[0].length;
    return lines.slice(0, arm).findLastIndex((line) => line.trim() && depth(line) < depth(lines[arm]));
  };
  const arm = new RegExp(`${KIND}[^=]*=>`);
  const binding = new RegExp(`\\blet\\b[^=]*${KIND}[^=]*=(?!=)|\\bmatches!\\(.*${KIND}`);
  const found = new Set();
  lines.forEach((line, number) => {
    if (binding.test(line)) found.add(number);
    else if (arm.test(line)) found.add(beginOf(number));
  });
  return [...found].map((number) => `${path}:${number + 1}`);
}

test('few ask which kind of chain it is', (t) => {
  const places = filesBelow('src').filter((path) => !isTest(path) && !KNOWS_CHAINS.test(path)).flatMap(matchesIn);
  t.diagnostic(`matches on a chain or a lane outside their own modules: ${places.length} in ${new Set(places.map((it) => it.split(':')[0])).size} files`);
  assert.ok(places.length <= MOST_MATCHES, places.join('\n'));
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
