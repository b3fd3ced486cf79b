/** What else is in the Worker: licences that its own allows, one version of each crate, and no other source than the registry. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { ROOT } from '../../dev/util.mjs';

const LICENCES = ['MIT', 'Apache-2.0', 'BSD-3-Clause', 'Unicode-3.0', 'Zlib', 'Unlicense', 'BSL-1.0', 'Apache-2.0 WITH LLVM-exception'];
/** Crates of which two versions are built in, and why. */
const TWICE = {
  syn: 'macros at build time: some have not gone over to the new one',
};

const metadata = JSON.parse(execFileSync('cargo', ['metadata', '--format-version', '1', '--locked', '--filter-platform', 'wasm32-unknown-unknown'], {
  cwd: ROOT, encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'ignore'],
}));
const nodes = new Map(metadata.resolve.nodes.map((node) => [node.id, node]));

/** The packages that are built into the Worker, or help to build it. */
function packages() {
  const found = new Set();
  const visit = (id) => {
    if (found.has(id)) return;
    found.add(id);
    const used = nodes.get(id).deps.filter(({ dep_kinds: kinds }) => kinds.some(({ kind }) => kind !== 'dev'));
    used.forEach(({ pkg }) => visit(pkg));
  };
  visit(metadata.resolve.root);
  found.delete(metadata.resolve.root);
  return metadata.packages.filter(({ id }) => found.has(id));
}

const isAllowed = (expression) => expression.split(/\s+OR\s+|\//).some((choice) =>
  choice.replace(/[()]/g, '').split(/\s+AND\s+/).every((licence) => LICENCES.includes(licence.trim())));

test('every licence allows it', () => {
  for (const { name, license } of packages()) assert.ok(license && isAllowed(license), `${name}: ${license}`);
});

test('every crate comes from the registry', () => {
  for (const { name, source } of packages()) assert.ok(source?.startsWith('registry+'), `${name}: ${source}`);
});

test('every crate is there in one version', () => {
  const names = packages().map(({ name }) => name);
  const twice = [...new Set(names.filter((name, index) => names.indexOf(name) !== index))].filter((name) => !(name in TWICE));
  assert.deepEqual(twice, []);
});
