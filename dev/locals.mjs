/**
 * Numbers for the locals of functions, so that like code is like bytes: a compiler
 * numbers them by how often a function uses them, and one more use in one of two
 * functions that are alike makes all that follows differ for gzip.
 */
import { FIRST_ACCESS, LAST_ACCESS, LOCAL_GET, LOCAL_TEE, number, readNumber } from './wasm.mjs';

/**
 * Up to so many locals V8 keeps in registers. A function with more begins with a loop
 * that clears their places in memory: none that had no such loop gets one.
 */
const IN_REGISTERS = 6;
/** Numbers below this one are given even if those between stay unused. */
const NUMBERS = 12;
/** Where the place of a function's own memory begins to be looked for. */
const FRAME = 6;
/** Where 64-bit numbers begin, in functions with many locals. */
const LONGS = 20;
/** How often all are numbered, each time by what the time before has come to. */
const ROUNDS = 3;
/** What a number counts that has never stood in a place, next to one that has. */
const UNSEEN = 0.5;

const [I32, I64] = [0x7f, 0x7e];
const [CONSTANT, SUBTRACT, GLOBAL_GET] = [0x41, 0x6b, 0x23];

/**
 * The code of functions with new numbers for their locals. Says of no access to memory
 * how it is aligned, too, which nobody makes use of.
 *
 * @param {Buffer} wasm
 * @param {ReturnType<import('./wasm.mjs').readFunctions>} functions of `wasm`
 * @returns {Buffer[]}
 */
export function renumbered(wasm, functions) {
  const all = functions.map((it) => prepare(wasm, it));
  for (let round = 0; round < ROUNDS; round += 1) {
    const seen = count(all);
    for (const it of all) choose(it, seen);
  }
  return all.map((it) => encode(wasm, it));
}

/** What is around each use of a local, and a first number for each. */
function prepare(wasm, { parameters, locals, instructions }) {
  const places = new Map();
  const opcode = (index) => instructions[index]?.opcode ?? 0;
  const isLocal = (index) => opcode(index) >= LOCAL_GET && opcode(index) <= LOCAL_TEE;
  const ending = (index) => (index >= instructions.length || isLocal(index) ? 0 : wasm[instructions[index].end - 1]);
  for (const [index, { operands }] of instructions.entries()) {
    if (!isLocal(index)) continue;
    const local = readNumber(wasm, operands).value;
    if (local < parameters) continue;
    const place = [opcode(index - 1), opcode(index), opcode(index + 1), ending(index + 1), opcode(index + 2)].join();
    if (!places.has(local)) places.set(local, []);
    places.get(local).push(place);
  }
  const type = (local) => locals[local - parameters];
  const byUse = [...places.keys()].sort((a, b) => places.get(b).length - places.get(a).length);
  const frame = frameOf(wasm, instructions);
  const words = byUse.filter((local) => type(local) === I32).sort((a, b) => (b === frame) - (a === frame));
  const others = byUse.filter((local) => type(local) !== I32).sort((a, b) => type(b) - type(a));
  const isSmall = byUse.length <= IN_REGISTERS;
  const wide = isSmall ? parameters + IN_REGISTERS - others.length : NUMBERS;
  const first = Math.max(parameters, FRAME) + (words[0] === frame ? 0 : 1);
  const numbers = new Map(words.map((local, index) => [local, first + index]));
  return { parameters, instructions, type, places, words, others, isSmall, numbers, end: Math.max(parameters + words.length, wide) };
}

/** The local that says where a function's own memory is: it begins with making room there. */
function frameOf(wasm, instructions) {
  const BEGINNING = 8;
  const shape = [GLOBAL_GET, CONSTANT, SUBTRACT, LOCAL_TEE];
  for (let at = 0; at < BEGINNING; at += 1) {
    if (shape.every((opcode, index) => instructions[at + index]?.opcode === opcode)) {
      return readNumber(wasm, instructions[at + shape.length - 1].operands).value;
    }
  }
  return undefined;
}

/** How often each number stands in each place, and anywhere. */
function count(all) {
  const byPlace = new Map();
  const anywhere = { total: 0, of: [] };
  for (const { words, numbers, places } of all) {
    for (const local of words) {
      const chosen = numbers.get(local);
      for (const place of places.get(local)) {
        if (!byPlace.has(place)) byPlace.set(place, { total: 0, of: [] });
        for (const counted of [byPlace.get(place), anywhere]) {
          counted.total += 1;
          counted.of[chosen] = (counted.of[chosen] ?? 0) + 1;
        }
      }
    }
  }
  return { byPlace, anywhere };
}

/** Gives each local, the most used first, the number that is the most likely one where it stands. */
function choose(it, { byPlace, anywhere }) {
  const before = it.numbers;
  it.numbers = new Map();
  const taken = new Set();
  for (const local of it.words) {
    const likelihoods = new Array(it.end).fill(0);
    for (const place of it.places.get(local)) {
      const { total, of } = byPlace.get(place);
      for (let candidate = it.parameters; candidate < it.end; candidate += 1) {
        const unseen = UNSEEN * ((anywhere.of[candidate] ?? 0) + 1) / anywhere.total;
        // Where it stands itself says nothing.
        const seen = (of[candidate] ?? 0) - (before.get(local) === candidate ? 1 : 0);
        likelihoods[candidate] += Math.log((seen + unseen) / (total - 1 + UNSEEN));
      }
    }
    let [best, most] = [undefined, -Infinity];
    for (let candidate = it.parameters; candidate < it.end; candidate += 1) {
      if (!taken.has(candidate) && likelihoods[candidate] > most) [best, most] = [candidate, likelihoods[candidate]];
    }
    taken.add(best);
    it.numbers.set(local, best);
  }
}

function encode(wasm, { parameters, instructions, type, words, others, isSmall, numbers }) {
  const all = new Map(numbers);
  let next = Math.max(parameters, ...words.map((local) => numbers.get(local) + 1));
  const groups = next > parameters ? [[next - parameters, I32]] : [];
  for (const kind of new Set(others.map(type))) {
    const begin = next;
    if (kind === I64 && !isSmall) next = Math.max(next, LONGS);
    for (const local of others.filter((it) => type(it) === kind)) all.set(local, next++);
    groups.push([next - begin, kind]);
  }
  const parts = [number(groups.length), ...groups.map(([size, kind]) => Buffer.concat([number(size), Buffer.of(kind)]))];
  for (const { opcode, start, operands, end } of instructions) {
    if (opcode >= LOCAL_GET && opcode <= LOCAL_TEE) {
      const local = readNumber(wasm, operands).value;
      parts.push(Buffer.of(opcode), number(local < parameters ? local : all.get(local)));
    } else if (opcode >= FIRST_ACCESS && opcode <= LAST_ACCESS) {
      parts.push(Buffer.of(opcode, 0), wasm.subarray(readNumber(wasm, operands).end, end));
    } else {
      parts.push(wasm.subarray(start, end));
    }
  }
  return Buffer.concat(parts);
}
