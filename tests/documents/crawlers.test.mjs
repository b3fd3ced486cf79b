/** The command that says what has changed of crawlers' networks: it finds every list, and what one lacks or has too much. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { compare, listsOf } from '../../dev/crawlers.mjs';
import { ROOT } from '../../dev/util.mjs';

test('every list of networks says where it is published', () => {
  const source = readFileSync(join(ROOT, 'src/gate/agents.rs'), 'utf8');
  const lists = listsOf(source);
  const declared = [...source.matchAll(/^const (\w+): &\[&str\]/gm)].map(([, name]) => name).filter((it) => it !== 'PROGRAMS');
  assert.deepEqual(lists.map(({ name }) => name), declared);
  for (const { name, networks } of lists) {
    assert.ok(networks.length > 0, name);
    assert.deepEqual(compare(networks, networks), { missing: [], gone: [] }, name);
  }
});

test('what is published and not in a table is told, and the other way round', () => {
  const table = ['66.249.64.0/20', '10.0.0.0/8', '192.0.2.7', '2001:4860:4801::/48'];
  const published = ['66.249.64.0/27', '66.249.80.0/27', '192.0.2.7/32', '192.0.2.8/32', '2001:4860:4801:10::/64', '2001:4860:4802:10::/64'];
  assert.deepEqual(compare(table, published), { missing: ['66.249.80.0/27', '192.0.2.8/32', '2001:4860:4802:10::/64'], gone: ['10.0.0.0/8'] });
});
