/** The pay page: made of its sources, small, and with all its texts in every language; its QR codes. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import jsQR from 'jsqr';
import * as viemChains from 'viem/chains';
import { makePage, stalePageFiles, wholePage } from '../../dev/pay-page.mjs';
import { ROOT } from '../../dev/util.mjs';
import { chainOf } from '../../www/pay/chains.js';
import { qrRows } from '../../www/pay/qr.js';

const MAX_BYTES = 24 * 1_024;
const SOURCE = join(ROOT, 'www/pay');
const languages = readdirSync(join(SOURCE, 'texts'));
const textsOf = (file) => JSON.parse(readFileSync(join(SOURCE, 'texts', file), 'utf8'));
const gapsOf = (text) => [...text.matchAll(/{\w+}/g)].map(([gap]) => gap).sort();

test('what the Worker holds is what the sources make: else run npm run page', () => {
  assert.deepEqual(stalePageFiles(), []);
});

test(`the page is at most ${MAX_BYTES} bytes, compressed, in every language`, (t) => {
  const page = wholePage();
  for (const file of languages) {
    const { length } = gzipSync(page.replace('{{texts}}', readFileSync(join(SOURCE, 'texts', file), 'utf8')), { level: 9 });
    t.diagnostic(`${file}: ${length} bytes`);
    assert.ok(length <= MAX_BYTES, file);
  }
});

test('the policies name the one script and the one style of the page', () => {
  const { 'policy.txt': ours, 'template-policy.txt': sellers } = makePage();
  const page = wholePage();
  const contents = [...page.matchAll(/<(script|style)>([\s\S]*?)<\/\1>/g)];
  assert.equal(contents.length, 2);
  for (const [, tag, text] of contents) {
    const hash = `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
    assert.ok(ours.includes(`${tag}-src ${hash}`), tag);
    assert.ok(sellers.includes(`${tag}-src 'self' ${hash}`), tag);
  }
  assert.ok(!/ style=| on\w+=/.test(page), 'nothing that the policy would hold back');
});

test('every text is there in every language, with the same gaps, and can stand in a script', () => {
  const english = textsOf('en.json');
  for (const file of languages) {
    const texts = textsOf(file);
    assert.equal(`${texts.lang}.json`, file);
    assert.deepEqual(Object.keys(texts), Object.keys(english), file);
    for (const [name, text] of Object.entries(texts)) {
      assert.deepEqual(gapsOf(text), gapsOf(english[name]), `${file}: ${name}`);
      assert.ok(text !== '' && !/[<>&]|{{/.test(text), `${file}: ${name}`);
    }
  }
});

test('a text that nothing uses is no text, and one that is used is there', () => {
  const english = textsOf('en.json');
  const files = readdirSync(SOURCE).filter((name) => /\.(js|html)$/.test(name)).map((name) => readFileSync(join(SOURCE, name), 'utf8'));
  const used = [...files, readFileSync(join(ROOT, 'src/gate/page.rs'), 'utf8')].join('\n');
  for (const name of Object.keys(english)) assert.match(used, new RegExp(`['":]${name.replace(/^r_/, '')}['"}]`), name);
  for (const [, name] of used.matchAll(/\btext\('(\w+)'/g)) assert.ok(name in english, name);
  for (const [, name] of used.matchAll(/new Stop\('(\w+)'/g)) assert.ok(name in english, name);
});

/** Open nodes that viem doesn't name: the documents of PublicNode, and chainid.network since Polygon's own node for Amoy was to close (2026). */
const OTHER_NODES = { 'eip155:1': 'https://ethereum-rpc.publicnode.com', 'eip155:80002': 'https://polygon-amoy.drpc.org' };

test('every EVM chain that is known is named to wallets as viem names it', () => {
  const source = readFileSync(join(ROOT, 'src/protocol/chain_id.rs'), 'utf8');
  const known = [...new Set([...source.matchAll(/"(eip155:\d+)"/g)].map(([, id]) => id))].filter((id) => chainOf(id).title);
  assert.ok(known.length >= 11, known.join(' '));
  for (const id of known) {
    const { rpc, explorer, coin, test: isTest } = chainOf(id);
    const chain = Object.values(viemChains).find((it) => `eip155:${it.id}` === id && Boolean(it.testnet) === isTest);
    const explorers = Object.values(chain.blockExplorers).map(({ url }) => url);
    assert.ok(explorers.includes(explorer), `${id}: ${explorer}`);
    const nodes = [...chain.rpcUrls.default.http.map((url) => url.replace(/\/$/, '')), OTHER_NODES[id]];
    assert.ok(nodes.includes(rpc), `${id}: ${rpc}`);
    assert.deepEqual([coin.symbol, coin.decimals], [chain.nativeCurrency.symbol, chain.nativeCurrency.decimals], id);
  }
});

test('a QR code of any version says what it was made of', () => {
  const SCALE = 4;
  const QUIET = 4;
  const seen = new Set();
  for (let length = 1; length <= 271; length += 1) {
    const text = 'https://shop.example/ä?'.padEnd(length, 'xY1/').slice(0, length);
    const rows = qrRows(text);
    if (new TextEncoder().encode(text).length > 271) continue;
    seen.add(rows.length);
    const side = (rows.length + 2 * QUIET) * SCALE;
    const pixels = new Uint8ClampedArray(side * side * 4).fill(255);
    rows.forEach((row, y) => row.forEach((isDark, x) => {
      if (!isDark) return;
      for (let i = 0; i < SCALE * SCALE; i += 1) {
        const at = 4 * (((y + QUIET) * SCALE + Math.floor(i / SCALE)) * side + (x + QUIET) * SCALE + (i % SCALE));
        pixels.fill(0, at, at + 3);
      }
    }));
    assert.equal(jsQR(pixels, side, side)?.data, text, `${length} letters`);
  }
  assert.equal(seen.size, 10, 'all versions');
  assert.equal(qrRows('x'.repeat(272)), undefined);
});
