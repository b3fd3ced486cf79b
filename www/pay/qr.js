/** QR codes (ISO/IEC 18004): bytes, error correction L, versions 1 to 10, always the same mask. */

/** By version: all codewords, those that correct errors in each block, and blocks. */
const SIZES = [[26, 7, 1], [44, 10, 1], [70, 15, 1], [100, 20, 1], [134, 26, 1], [172, 18, 2], [196, 20, 2], [242, 24, 2], [292, 30, 2], [346, 18, 4]];

const EXP = new Uint8Array(255);
const LOG = new Uint8Array(256);
for (let i = 0, x = 1; i < 255; i += 1, x = (x << 1) ^ (x > 127 ? 0x11d : 0)) {
  EXP[i] = x;
  LOG[x] = i;
}
const times = (a, b) => (a && b ? EXP[(LOG[a] + LOG[b]) % 255] : 0);

/** What corrects the errors of a block: the rest of a division of polynomials. */
function correction(block, count) {
  let divisor = [1];
  for (let i = 0; i < count; i += 1) divisor = [...divisor, 0].map((factor, j) => factor ^ (j ? times(divisor[j - 1], EXP[i]) : 0));
  const rest = [...block, ...new Array(count).fill(0)];
  for (let i = 0; i < block.length; i += 1) {
    const factor = rest[i];
    divisor.forEach((it, j) => { rest[i + j] ^= times(it, factor); });
  }
  return rest.slice(-count);
}

function codewords(bytes, version) {
  const [total, corrections, blocks] = SIZES[version - 1];
  const room = total - corrections * blocks;
  let bits = `0100${bytes.length.toString(2).padStart(version < 10 ? 8 : 16, '0')}`;
  for (const byte of bytes) bits += byte.toString(2).padStart(8, '0');
  bits += '0000'.slice(0, room * 8 - bits.length);
  const all = [];
  for (let i = 0; i < bits.length; i += 8) all.push(parseInt(bits.slice(i, i + 8).padEnd(8, '0'), 2));
  for (let pad = 0xec; all.length < room; pad ^= 0xec ^ 0x11) all.push(pad);
  const short = Math.floor(room / blocks);
  const parts = [];
  for (let i = 0, at = 0; i < blocks; i += 1) {
    const size = short + (i >= blocks - (room % blocks) ? 1 : 0);
    parts.push(all.slice(at, at + size));
    at += size;
  }
  const woven = [];
  for (let i = 0; i <= short; i += 1) for (const part of parts) if (i < part.length) woven.push(part[i]);
  const checks = parts.map((part) => correction(part, corrections));
  for (let i = 0; i < corrections; i += 1) for (const check of checks) woven.push(check[i]);
  return woven;
}

/** A number followed by the rest of its division, as formats and versions are written. */
function withRest(value, divisor, length) {
  let rest = value << length;
  for (let i = 31 - Math.clz32(rest); i >= length; i = 31 - Math.clz32(rest)) rest ^= divisor << (i - length);
  return (value << length) | rest;
}

function modules(bytes, version) {
  const size = 17 + 4 * version;
  const dark = Array.from({ length: size }, () => new Array(size));
  // What is set first stays.
  const set = (row, column, isDark) => { if (row in dark && column >= 0 && column < size) dark[row][column] ??= Boolean(isDark); };
  const square = (row, column, radius, rings) => {
    for (let r = -radius; r <= radius; r += 1) for (let c = -radius; c <= radius; c += 1) set(row + r, column + c, rings.includes(Math.max(Math.abs(r), Math.abs(c))));
  };
  for (const [row, column] of [[3, 3], [3, size - 4], [size - 4, 3]]) square(row, column, 4, [0, 1, 3]);
  const last = size - 7;
  const places = version === 1 ? [] : version < 7 ? [6, last] : [6, (6 + last) / 2, last];
  for (const row of places) for (const column of places) {
    const isTaken = (row === 6 && column === last) || (row === last && column === 6) || (row === 6 && column === 6);
    if (!isTaken) square(row, column, 2, [0, 2]);
  }
  for (let i = 8; i < size - 8; i += 1) {
    set(6, i, i % 2 === 0);
    set(i, 6, i % 2 === 0);
  }
  // Level L and mask 0.
  const format = withRest(0b01000, 0x537, 10) ^ 0x5412;
  for (let i = 0; i < 15; i += 1) {
    const bit = (format >> i) & 1;
    set(i < 6 ? i : i < 8 ? i + 1 : size - 15 + i, 8, bit);
    set(8, i < 8 ? size - 1 - i : i < 9 ? 7 : 14 - i, bit);
  }
  set(size - 8, 8, true);
  if (version > 6) {
    const named = withRest(version, 0x1f25, 12);
    for (let i = 0; i < 18; i += 1) {
      const bit = (named >> i) & 1;
      set(Math.floor(i / 3), size - 11 + (i % 3), bit);
      set(size - 11 + (i % 3), Math.floor(i / 3), bit);
    }
  }
  const words = codewords(bytes, version);
  let at = 0;
  for (let right = size - 1; right > 0; right -= 2) {
    if (right === 6) right = 5;
    const isUp = ((right + 1) & 2) === 0;
    for (let i = 0; i < size; i += 1) {
      const row = isUp ? size - 1 - i : i;
      for (const column of [right, right - 1]) {
        if (dark[row][column] !== undefined) continue;
        const bit = (words[at >> 3] >> (7 - (at & 7))) & 1;
        at += 1;
        dark[row][column] = Boolean(bit) !== ((row + column) % 2 === 0);
      }
    }
  }
  return dark;
}

/** The rows of a QR code, true for dark; undefined for a text that is too long. */
export function qrRows(text) {
  const bytes = new TextEncoder().encode(text);
  const version = SIZES.findIndex(([total, corrections, blocks], i) => total - corrections * blocks >= bytes.length + (i < 9 ? 2 : 3)) + 1;
  return version > 0 ? modules(bytes, version) : undefined;
}

/** A text as a picture with a quiet border; undefined if it is too long. */
export function qrCode(text) {
  const rows = qrRows(text);
  if (!rows) return undefined;
  const svg = (tag, attributes, ...children) => {
    const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const path = rows.flatMap((row, y) => row.flatMap((isDark, x) => (isDark ? `M${x + 4} ${y + 4}h1v1h-1z` : []))).join('');
  const size = rows.length + 8;
  return svg('svg', { viewBox: `0 0 ${size} ${size}`, class: 'qr', 'shape-rendering': 'crispEdges' }, svg('path', { fill: '#fff', d: `M0 0h${size}v${size}H0z` }), svg('path', { d: path }));
}
