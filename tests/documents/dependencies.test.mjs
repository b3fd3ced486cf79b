/** What else is in the Worker: licences that its own allows, one version of each crate, and no other source than the registry. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'smol-toml';
import { ROOT } from '../../dev/util.mjs';

/** The lists that cargo-deny reads as well. */
const { licenses, bans } = parse(readFileSync(join(ROOT, 'deny.toml'), 'utf8'));
const TWICE = bans.skip.map(({ crate }) => crate);

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
  choice.replace(/[()]/g, '').split(/\s+AND\s+/).every((licence) => licenses.allow.includes(licence.trim())));

test('every licence allows it', () => {
  for (const { name, license } of packages()) assert.ok(license && isAllowed(license), `${name}: ${license}`);
});

test('every crate comes from the registry', () => {
  for (const { name, source } of packages()) assert.ok(source?.startsWith('registry+'), `${name}: ${source}`);
});

test('every crate is there in one version', () => {
  const names = packages().map(({ name }) => name);
  const twice = [...new Set(names.filter((name, index) => names.indexOf(name) !== index))].filter((name) => !TWICE.includes(name));
  assert.deepEqual(twice, []);
  const idle = TWICE.filter((name) => names.filter((other) => other === name).length < 2);
  assert.deepEqual(idle, [], 'deny.toml skips what is there once');
});
