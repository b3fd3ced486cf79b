/**
 * A WebAssembly module's functions, read and written: what `locals.mjs` and
 * `likeness.mjs` work on. Of the features that `build.mjs` names it knows all that
 * the compiler makes use of, and refuses a module with anything else.
 */

const [CUSTOM, IMPORTS, FUNCTIONS, GLOBALS, EXPORTS, START, ELEMENTS, CODE] = [0, 2, 3, 6, 7, 8, 9, 10];

/** Opcodes of instructions that name a function or a local. */
const [CALL, REF_FUNC] = [0x10, 0xd2];
export const [LOCAL_GET, LOCAL_SET, LOCAL_TEE] = [0x20, 0x21, 0x22];
/** Loads and stores. Their first operand says how the address is aligned, the second is added to it. */
export const [FIRST_ACCESS, LAST_ACCESS] = [0x28, 0x3e];
/** Opcodes of two bytes: those of memory and tables, and conversions. */
const PREFIX = 0xfc;

const [BRANCH_TABLE, SELECT_TYPED, TRY_TABLE, F32, F64] = [0x0e, 0x1c, 0x1f, 0x43, 0x44];

/** How many numbers stand behind an opcode, if any. */
const OPERANDS = new Map([
  // block, loop, if, throw, br, br_if, call, return_call, and the indirect calls.
  [0x02, 1], [0x03, 1], [0x04, 1], [0x08, 1], [0x0c, 1], [0x0d, 1], [CALL, 1], [0x12, 1], [0x11, 2], [0x13, 2],
  // Locals, globals and tables.
  [LOCAL_GET, 1], [LOCAL_SET, 1], [LOCAL_TEE, 1], [0x23, 1], [0x24, 1], [0x25, 1], [0x26, 1],
  // The memory's size, constants, and references.
  [0x3f, 1], [0x40, 1], [0x41, 1], [0x42, 1], [0xd0, 1], [REF_FUNC, 1],
]);
for (let opcode = FIRST_ACCESS; opcode <= LAST_ACCESS; opcode += 1) OPERANDS.set(opcode, 2);
/** The same behind the prefix. */
const PREFIXED = [0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2, 1, 2, 1, 2, 1, 1, 1];

/** unreachable, nop, else, throw_ref, end, return, drop, select; arithmetic; ref.is_null. */
const isBare = (opcode) => [0x00, 0x01, 0x05, 0x0a, 0x0b, 0x0f, 0x1a, 0x1b, 0xd1].includes(opcode) || (opcode >= 0x45 && opcode <= 0xc4);

/**
 * A module's functions, those that it imports left out.
 *
 * @param {Buffer} wasm
 * @returns {{ parameters: number, locals: number[], instructions: { opcode: number, start: number, operands: number, end: number }[] }[]}
 *   how many parameters each has, the types of its locals, and where in `wasm` each instruction and its operands begin, and where it ends
 */
export function readFunctions(wasm) {
  const parameters = parametersOf(wasm);
  return bodies(wasm).map(({ start, end }, index) => {
    const { locals, at } = readLocals(wasm, start);
    return { parameters: parameters[index], locals, instructions: readInstructions(wasm, at, end) };
  });
}

/**
 * The module with other code for its functions, which then stand in another order.
 *
 * @param {Buffer} wasm
 * @param {Buffer[]} codes of each function of `wasm`: its locals and instructions, which name functions as before
 * @param {number[]} order places of functions in `codes`
 * @returns {Buffer}
 */
export function withFunctions(wasm, codes, order) {
  const imported = importedFunctions(wasm);
  const places = [];
  for (const [place, index] of order.entries()) places[index] = place;
  const moved = (index) => (index < imported ? index : imported + places[index - imported]);
  const list = (items) => Buffer.concat([number(items.length), ...items]);
  const rewritten = {
    [FUNCTIONS]: (at) => {
      const types = readList(wasm, at, readNumber);
      return list(order.map((index) => number(types[index])));
    },
    [EXPORTS]: (at) => list(readList(wasm, at, (_, entry) => {
      const kind = afterText(wasm, entry);
      const { value, end } = readNumber(wasm, kind + 1);
      return { value: Buffer.concat([wasm.subarray(entry, kind + 1), number(wasm[kind] === 0 ? moved(value) : value)]), end };
    })),
    [START]: (at) => number(moved(readNumber(wasm, at).value)),
    [ELEMENTS]: (at) => list(readList(wasm, at, (_, entry) => {
      // A place in the first table, which is a constant, and functions.
      const [ACTIVE, CONSTANT] = [0, 0x41];
      if (wasm[entry] !== ACTIVE || wasm[entry + 1] !== CONSTANT) throw new Error('the module has a table that is filled in another way');
      const functions = readNumber(wasm, entry + 2).end + 1;
      const { end, items } = readItems(wasm, functions, readNumber);
      return { value: Buffer.concat([wasm.subarray(entry, functions), list(items.map((index) => number(moved(index))))]), end };
    })),
    [CODE]: () => list(order.map((index) => {
      const code = renamed(codes[index], moved);
      return Buffer.concat([number(code.length), code]);
    })),
  };
  const made = sections(wasm).map(({ id, start, end }) => {
    if (id === GLOBALS) refuseFunctions(wasm, start);
    const content = rewritten[id]?.(start) ?? wasm.subarray(start, end);
    return Buffer.concat([number(id), number(content.length), content]);
  });
  const HEADER = 8;
  return Buffer.concat([wasm.subarray(0, HEADER), ...made]);
}

/** Globals that hold functions would have to be rewritten, too. */
function refuseFunctions(wasm, start) {
  readList(wasm, start, (_, at) => {
    const value = readInstruction(wasm, at + 2);
    if (value.opcode === REF_FUNC) throw new Error('a global holds a function');
    return { end: value.end + 1 };
  });
}

/** A function's code in which all that it names has its new number. */
function renamed(code, moved) {
  const parts = [];
  let written = 0;
  const { at } = readLocals(code, 0);
  for (const { opcode, operands, end } of readInstructions(code, at, code.length)) {
    if (opcode !== CALL && opcode !== REF_FUNC) continue;
    parts.push(code.subarray(written, operands), number(moved(readNumber(code, operands).value)));
    written = end;
  }
  return Buffer.concat([...parts, code.subarray(written)]);
}

function readInstructions(wasm, start, end) {
  const instructions = [];
  for (let at = start; at < end;) {
    const instruction = readInstruction(wasm, at);
    instructions.push(instruction);
    at = instruction.end;
  }
  return instructions;
}

function readInstruction(wasm, start) {
  const opcode = wasm[start];
  let at = start + 1;
  let count = OPERANDS.get(opcode) ?? 0;
  if (opcode === PREFIX) {
    const { value, end } = readNumber(wasm, at);
    [count, at] = [PREFIXED[value], end];
  } else if (opcode === F32 || opcode === F64) {
    at += opcode === F32 ? 4 : 8;
  } else if (opcode === BRANCH_TABLE) {
    count = readNumber(wasm, at).value + 2;
  } else if (opcode === SELECT_TYPED) {
    count = readNumber(wasm, at).value + 1;
  } else if (opcode === TRY_TABLE) {
    const handlers = readNumber(wasm, afterNumber(wasm, at));
    at = handlers.end;
    // Those of one tag name it.
    for (let left = handlers.value; left > 0; left -= 1) at = afterNumber(wasm, wasm[at] < 2 ? afterNumber(wasm, at + 1) : at + 1);
  } else if (count === 0 && !isBare(opcode)) {
    count = undefined;
  }
  if (count === undefined) throw new Error(`the module has an instruction that is not known here: ${opcode} at ${start}`);
  const operands = at;
  for (; count > 0; count -= 1) at = afterNumber(wasm, at);
  return { opcode, start, operands, end: at };
}

/** The types of a function's locals, without its parameters, and where its code begins. */
function readLocals(wasm, start) {
  const { items, end } = readItems(wasm, start, (_, at) => {
    const { value, end: type } = readNumber(wasm, at);
    return { value: new Array(value).fill(wasm[type]), end: type + 1 };
  });
  return { locals: items.flat(), at: end };
}

/** How many functions the module imports: their numbers are the first. */
export function importedFunctions(wasm) {
  const kinds = readList(wasm, sectionAt(wasm, IMPORTS), (_, entry) => {
    const [FUNCTION, TAG] = [0, 4];
    const at = afterText(wasm, afterText(wasm, entry));
    const kind = wasm[at];
    if (kind !== FUNCTION && kind !== TAG) throw new Error(`the module imports something else than functions and tags: ${kind}`);
    return { value: kind === FUNCTION, end: afterNumber(wasm, at + (kind === TAG ? 2 : 1)) };
  });
  return kinds.filter(Boolean).length;
}

/** How many parameters each function has. */
function parametersOf(wasm) {
  const TYPES = 1;
  const counts = readList(wasm, sectionAt(wasm, TYPES), (_, at) => {
    const parameters = readNumber(wasm, at + 1);
    const results = readNumber(wasm, parameters.end + parameters.value);
    return { value: parameters.value, end: results.end + results.value };
  });
  return readList(wasm, sectionAt(wasm, FUNCTIONS), readNumber).map((type) => counts[type]);
}

/** Where each function's code lies, its locals included. */
function bodies(wasm) {
  return readList(wasm, sectionAt(wasm, CODE), (_, at) => {
    const { value: length, end: start } = readNumber(wasm, at);
    return { value: { start, end: start + length }, end: start + length };
  });
}

function sections(wasm) {
  const HEADER = 8;
  const found = [];
  for (let at = HEADER; at < wasm.length;) {
    const { value: length, end: start } = readNumber(wasm, at + 1);
    found.push({ id: wasm[at], start, end: start + length });
    at = start + length;
  }
  return found;
}

/** Where a section's content begins. */
function sectionAt(wasm, wanted) {
  const section = sections(wasm).find(({ id }) => id === wanted && id !== CUSTOM);
  if (!section) throw new Error(`the module has no section ${wanted}`);
  return section.start;
}

const readList = (bytes, at, read) => readItems(bytes, at, read).items;

/** A list: how many there are, and each of them. */
function readItems(bytes, at, read) {
  const { value: count, end: first } = readNumber(bytes, at);
  const items = [];
  let end = first;
  for (let left = count; left > 0; left -= 1) {
    const item = read(bytes, end);
    items.push(item.value);
    end = item.end;
  }
  return { items, end };
}

/** A number as WebAssembly writes it: seven bits to a byte, the lowest first. */
export function readNumber(bytes, at) {
  let [value, factor, end] = [0, 1, at];
  for (; bytes[end] > 127; end += 1, factor *= 128) value += (bytes[end] - 128) * factor;
  return { value: value + bytes[end] * factor, end: end + 1 };
}

function afterNumber(bytes, at) {
  let end = at;
  while (bytes[end] > 127) end += 1;
  return end + 1;
}

function afterText(bytes, at) {
  const { value: length, end } = readNumber(bytes, at);
  return end + length;
}

export function number(value) {
  return value < 128 ? Buffer.of(value) : Buffer.concat([Buffer.of(value % 128 + 128), number(Math.floor(value / 128))]);
}
