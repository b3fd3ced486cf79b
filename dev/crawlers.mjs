/**
 * `node dev/crawlers.mjs`: what operators publish of their crawlers' networks now,
 * beside what `src/gate/agents.rs` has of it. Changes nothing.
 *
 * With `--from <folder>` it reads their files from there, by their last names.
 */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Mistake, command, readArguments } from './cli.mjs';
import { isMain, ROOT } from './util.mjs';

const TABLE = join(ROOT, 'src/gate/agents.rs');
const USAGE = 'Usage: node dev/crawlers.mjs [--from <folder>]';
const LIST = /<(https:\/\/\S+\.json)>\nconst (\w+): &\[&str\] =\s*&\[([^\]]*)\]/g;

/** The lists of the table: each with its name, where it is published, and its networks. */
export function listsOf(source) {
  return [...source.matchAll(LIST)].map(([, url, name, inside]) => ({ url, name, networks: [...inside.matchAll(/"([^"]+)"/g)].map(([, it]) => it) }));
}

/** The first address of a network as a number, and how many bits are its own; IPv4 as in IPv6. */
function parse(network) {
  const [address, length] = network.split('/');
  if (address.includes(':')) {
    const [head, tail = ''] = address.split('::');
    const parts = (text) => text.split(':').filter(Boolean);
    const missing = address.includes('::') ? Array(8 - parts(head).length - parts(tail).length).fill('0') : [];
    const number = [...parts(head), ...missing, ...parts(tail)].reduce((sum, it) => (sum << 16n) | BigInt(`0x${it}`), 0n);
    return { first: number, bits: Number(length ?? 128) };
  }
  const number = address.split('.').reduce((sum, it) => (sum << 8n) | BigInt(it), 0n);
  return { first: (0xffffn << 32n) | number, bits: 96 + Number(length ?? 32) };
}

const start = (number, bits) => number >> BigInt(128 - bits);
const holds = (outer, inner) => outer.bits <= inner.bits && start(outer.first, outer.bits) === start(inner.first, outer.bits);
const touches = (one, other) => holds(one, other) || holds(other, one);

/** What of a published list the table's networks don't hold, and which of these hold nothing of it. */
export function compare(networks, published) {
  const [own, theirs] = [networks, published].map((list) => list.map((text) => ({ text, ...parse(text) })));
  return {
    missing: theirs.filter((it) => !own.some((other) => holds(other, it))).map(({ text }) => text),
    gone: own.filter((it) => !theirs.some((other) => touches(it, other))).map(({ text }) => text),
  };
}

async function run() {
  const { values } = readArguments(USAGE, { options: { from: { type: 'string' } } });
  const lists = listsOf(readFileSync(TABLE, 'utf8'));
  if (lists.length === 0) throw new Mistake(`${TABLE} has no lists`);
  for (const { url, name, networks } of lists) {
    const { prefixes } = values.from ? JSON.parse(readFileSync(join(values.from, basename(url)), 'utf8')) : await (await fetch(url)).json();
    const { missing, gone } = compare(networks, prefixes.map(({ ipv4Prefix, ipv6Prefix }) => ipv4Prefix ?? ipv6Prefix));
    console.log(`${name}: ${url}`);
    if (missing.length > 0) console.log(`  not in the table: ${missing.join(' ')}`);
    if (gone.length > 0) console.log(`  not published any more: ${gone.join(' ')}`);
  }
}

if (isMain(import.meta.url)) await command(run);
