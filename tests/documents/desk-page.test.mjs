/** The desk's page: small, with nothing in it that its policy would hold back, and exact about money. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { DESK_PAGE, deskFiles } from '../../dev/desk-page.mjs';
import { dayOf, shift, startOf, timeOf } from '../../www/desk/days.js';
import { decimal, roughly, shown, totals, unitsOf } from '../../www/desk/money.js';

const MAX_BYTES = 15 * 1_024;

test(`the page is at most ${MAX_BYTES} bytes, compressed`, (t) => {
  const { length } = gzipSync(deskFiles()[DESK_PAGE], { level: 9 });
  t.diagnostic(`${length} bytes`);
  assert.ok(length <= MAX_BYTES, String(length));
});

test('the policy names its one script and its one style', () => {
  const { [DESK_PAGE]: page, 'src/desk/policy.txt': policy } = deskFiles();
  const contents = [...page.matchAll(/<(script|style)>([\s\S]*?)<\/\1>/g)];
  assert.equal(contents.length, 2);
  for (const [, tag, text] of contents) {
    assert.ok(policy.includes(`${tag}-src 'sha256-${createHash('sha256').update(text).digest('base64')}';`), tag);
  }
  assert.ok(!/ style=| on\w+="| src=|@import|url\(/.test(page), 'nothing that the policy would hold back');
});

test('amounts are written to the last digit', () => {
  for (const [units, decimals, text] of [
    ['0', 6, '0'], ['1', 6, '0.000001'], ['10000', 6, '0.01'], ['500000', 6, '0.50'], ['1000000', 6, '1'], ['1234567890123', 6, '1,234,567.890123'],
    ['7', 0, '7'], ['123456789012345678901234567890', 18, '123,456,789,012.34567890123456789'], ['9007199254740993', 0, '9,007,199,254,740,993'],
  ]) assert.equal(decimal(units, decimals), text, `${units} / 10^${decimals}`);
});

test('what people write is an amount to the last digit, or none', () => {
  for (const [text, decimals, units] of [
    ['0.01', 6, 10_000n], [' 1234.5 ', 6, 1_234_500_000n], ['7', 0, 7n], ['0.000001', 6, 1n], ['1.', 6, 1_000_000n], ['0.0100000', 6, 10_000n], ['0', 6, 0n],
    ['123456789012.34567890123456789', 18, 123456789012345678901234567890n],
    ['', 6], ['.5', 6], ['-1', 6], ['1e3', 6], ['0.0000001', 6], ['1.5', 0], ['0x10', 6], ['1 2', 6], ['1,5', 6], ['1,234.5', 6],
  ]) assert.equal(unitsOf(text, decimals), units, text);
});

test('what is in a purse is written with four digits that count, and rounded down', () => {
  for (const [units, decimals, text] of [
    ['0', 18, '0'], ['12345678901234567', 18, '0.01234'], ['999999999999999999', 18, '0.9999'], ['1999999999', 9, '1.9999'], ['5', 18, '0.000000000000000005'], ['42', 0, '42'],
  ]) assert.equal(roughly(units, decimals), text, units);
});

test('totals add up what has one symbol, whatever its decimals', () => {
  const sums = [
    { symbol: 'USDC', decimals: 6, amount: '10000', count: 1 }, { symbol: 'USDC', decimals: 18, amount: '10000000000000001', count: 2 },
    { symbol: 'EURC', decimals: 6, amount: '9007199254740993', count: 5 }, { symbol: null, decimals: null, asset: '0x1234567890abcdef1234', amount: '7', count: 1 },
  ];
  assert.deepEqual(totals(sums).map(shown), ['9,007,199,254.740993 EURC', '0.020000000000000001 USDC', '7 units of 0x1234…1234']);
  assert.deepEqual(totals([]), []);
});

test('days are those of UTC, over the ends of months and years', () => {
  assert.equal(dayOf(1_798_761_599), '2026-12-31');
  assert.equal(shift('2026-12-31', 1), '2027-01-01');
  assert.equal(shift('2028-03-01', -1), '2028-02-29');
  assert.equal(startOf('2027-01-01'), 1_798_761_600);
  assert.equal(timeOf(1_798_761_599), '2026-12-31 23:59');
});
