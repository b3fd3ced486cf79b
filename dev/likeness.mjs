/**
 * An order of a module's functions in which those that are alike stand together.
 * gzip looks back over 32 KiB: what repeats something from before costs its full length.
 */

/** Functions are alike by runs of so many bytes that stand in both. */
const RUN = 6;
/** A run that stands in more functions than these makes none of them alike. */
const COMMON = 20;
/** How far gzip looks back, in bytes, less what it is about to write. */
const WINDOW = 24_000;

const IMPORTS = 2;
const CODE = 10;

/**
 * The module with a name for each function. Sorted by these names, like stands next to like.
 *
 * @param {Buffer} wasm without names
 * @returns {Buffer}
 */
export function namedByLikeness(wasm) {
  const imported = importedFunctions(wasm);
  const names = [];
  for (const [place, index] of byLikeness(functions(wasm)).entries()) names[index] = String(place).padStart(6, '0');
  const entries = names.map((name, index) => Buffer.concat([number(imported + index), text(name)]));
  const table = Buffer.concat([number(entries.length), ...entries]);
  const FUNCTIONS = 1;
  const content = Buffer.concat([text('name'), number(FUNCTIONS), number(table.length), table]);
  const CUSTOM = 0;
  return Buffer.concat([wasm, number(CUSTOM), number(content.length), content]);
}

/** Each time the one that has most in common with those just before it, for its length. */
function byLikeness(bodies) {
  const { runs, holders } = sharedRuns(bodies);
  const shared = new Array(bodies.length).fill(0);
  const inWindow = new Map();
  const count = (index, step) => {
    for (const run of runs[index]) {
      const before = inWindow.get(run) ?? 0;
      inWindow.set(run, before + step);
      if (before === 0 || before + step === 0) for (const holder of holders.get(run)) shared[holder] += step;
    }
  };
  const left = new Set(bodies.keys());
  const order = [];
  let [oldest, held] = [0, 0];
  while (left.size > 0) {
    let [next, most] = [undefined, -1];
    for (const index of left) {
      const likeness = shared[index] / (bodies[index].length + 20);
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

/** The runs of each function that a few others have, too, and the functions that have each run. */
function sharedRuns(bodies) {
  const all = new Map();
  for (const [index, body] of bodies.entries()) {
    for (const run of runsOf(body)) all.set(run, (all.get(run) ?? []).concat(index).slice(0, COMMON + 1));
  }
  const holders = new Map([...all].filter(([, indices]) => indices.length > 1 && indices.length <= COMMON));
  return { runs: bodies.map((body) => [...runsOf(body)].filter((run) => holders.has(run))), holders };
}

function runsOf(body) {
  const runs = new Set();
  for (let at = 0; at + RUN <= body.length; at += 1) runs.add(body.toString('latin1', at, at + RUN));
  return runs;
}

/** How many functions the module imports: their numbers are the first. */
function importedFunctions(wasm) {
  let { value: left, end: at } = readNumber(wasm, section(wasm, IMPORTS));
  let count = 0;
  for (; left > 0; left -= 1) {
    for (const _ of ['module', 'name']) {
      const { value: length, end } = readNumber(wasm, at);
      at = end + length;
    }
    const [FUNCTION, TAG] = [0, 4];
    const kind = wasm[at];
    if (kind !== FUNCTION && kind !== TAG) throw new Error(`the module imports something else than functions and tags: ${kind}`);
    if (kind === FUNCTION) count += 1;
    at = readNumber(wasm, at + (kind === TAG ? 2 : 1)).end;
  }
  return count;
}

/** The functions' code. */
function functions(wasm) {
  let { value: left, end: at } = readNumber(wasm, section(wasm, CODE));
  const bodies = [];
  for (; left > 0; left -= 1) {
    const { value: length, end } = readNumber(wasm, at);
    at = end + length;
    bodies.push(wasm.subarray(end, at));
  }
  return bodies;
}

/** Where a section's content begins. */
function section(wasm, wanted) {
  const HEADER = 8;
  for (let at = HEADER; at < wasm.length;) {
    const { value: length, end } = readNumber(wasm, at + 1);
    if (wasm[at] === wanted) return end;
    at = end + length;
  }
  throw new Error(`the module has no section ${wanted}`);
}

/** A number as WebAssembly writes it: seven bits to a byte, the lowest first. */
function readNumber(bytes, at) {
  let [value, factor, end] = [0, 1, at];
  for (; bytes[end] > 127; end += 1, factor *= 128) value += (bytes[end] - 128) * factor;
  return { value: value + bytes[end] * factor, end: end + 1 };
}

function number(value) {
  return value < 128 ? Buffer.of(value) : Buffer.concat([Buffer.of(value % 128 + 128), number(Math.floor(value / 128))]);
}

function text(value) {
  const bytes = Buffer.from(value);
  return Buffer.concat([number(bytes.length), bytes]);
}
