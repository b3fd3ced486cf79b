/**
 * An order of a module's functions in which those that are alike stand together.
 * gzip looks back over 32 KiB: what repeats something from before costs its full length.
 */
import { renumbered } from './locals.mjs';
import { readFunctions, withFunctions } from './wasm.mjs';

/** Functions are alike by runs of so many bytes that stand in both. */
const RUNS = [5, 9];
/** A run that stands in more functions than these makes none of them alike. */
const COMMON = 150;
/** A run counts less the more functions have it: some of those will stand near anyway. */
const RARITY = 0.3;
/** A function of twice the length needs so much more in common: less than twice, or short ones come first and long ones find nothing left. */
const LENGTH = 0.8;
/** How far gzip looks back, in bytes, less what it is about to write. */
const WINDOW = 30_000;

/**
 * The same module, whose bytes compress better: functions that are alike are alike
 * byte by byte, and stand together.
 *
 * @param {Buffer} wasm
 * @returns {Buffer}
 */
export function orderedByLikeness(wasm) {
  const codes = renumbered(wasm, readFunctions(wasm));
  return withFunctions(wasm, codes, byLikeness(codes));
}

/** Each time the one that has most in common with those just before it, for its length. */
function byLikeness(bodies) {
  const kinds = RUNS.map((length) => sharedRuns(bodies, length));
  const shared = new Float64Array(bodies.length);
  const count = (index, step) => {
    for (const { runs, holders, inWindow } of kinds) {
      for (const run of runs[index]) {
        const before = inWindow[run];
        inWindow[run] += step;
        if (before > 0 && before + step > 0) continue;
        const weight = step * holders[run].length ** -RARITY;
        for (const holder of holders[run]) shared[holder] += weight;
      }
    }
  };
  const sizes = bodies.map((body) => (body.length + 20) ** LENGTH);
  const left = new Set(bodies.keys());
  const order = [];
  let [oldest, held] = [0, 0];
  while (left.size > 0) {
    let [next, most] = [undefined, -Infinity];
    for (const index of left) {
      const likeness = shared[index] / sizes[index];
      if (likeness > most) [next, most] = [index, likeness];
    }
    left.delete(next);
    order.push(next);
    count(next, 1);
    held += bodies[next].length;
    for (; held > WINDOW; oldest += 1) {
      count(order[oldest], -1);
      held -= bodies[order[oldest]].length;
    }
  }
  return order;
}

/** The runs of each function that a few others have, too, by number; and the functions that have each run. */
function sharedRuns(bodies, length) {
  const all = new Map();
  const own = bodies.map((body) => runsOf(body, length));
  for (const [index, runs] of own.entries()) {
    for (const run of runs) {
      const holders = all.get(run);
      if (!holders) all.set(run, [index]);
      else if (holders.length <= COMMON) holders.push(index);
    }
  }
  const numbers = new Map();
  const holders = [];
  for (const [run, indices] of all) {
    if (indices.length < 2 || indices.length > COMMON) continue;
    numbers.set(run, holders.length);
    holders.push(indices);
  }
  const runs = own.map((some) => Array.from(some, (run) => numbers.get(run)).filter((it) => it !== undefined));
  return { runs, holders, inWindow: new Int32Array(holders.length) };
}

function runsOf(body, length) {
  const runs = new Set();
  for (let at = 0; at + length <= body.length; at += 1) runs.add(body.toString('latin1', at, at + length));
  return runs;
}
