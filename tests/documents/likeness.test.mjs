/** What is done to the Worker's module after wasm-opt, by `dev/likeness.mjs`: it compresses better, and does the same. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import binaryen from 'binaryen';
import { orderedByLikeness } from '../../dev/likeness.mjs';
import { renumbered } from '../../dev/locals.mjs';
import { readFunctions, withFunctions } from '../../dev/wasm.mjs';

/** What the compiler makes use of that a module's bytes may name a function or a local by. */
const TEXT = `(module
  (import "host" "note" (func $note (param i32)))
  (memory (export "memory") 1)
  (global $stack (mut i32) (i32.const 1024))
  (table 4 funcref)
  (elem (i32.const 1) $double $half $mixed)
  (start $begin)
  (func $begin (i32.store (i32.const 8) (i32.const 7)) (call $note (i32.const 1)))
  (func $double (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
  (func $half (param i32) (result i32) (i32.div_u (local.get 0) (i32.const 2)))
  (func $mixed (param $it i32) (result i32)
    (local $a i32) (local $long i64) (local $b i32) (local $float f64) (local $c i32)
    (local.set $float (f64.convert_i32_u (local.get $it)))
    (local.set $long (i64.const 5000000000))
    (local.set $b (i32.const 3))
    (local.set $a (i32.load16_u offset=6 align=1 (i32.const 2)))
    (local.set $c (i32.add (local.tee $b (i32.add (local.get $b) (local.get $a))) (local.get $b)))
    (i32.add (local.get $c) (i32.add (i32.trunc_sat_f64_u (local.get $float)) (i32.wrap_i64 (local.get $long)))))
  (func $framed (param i32 i32) (result i32) (local $x i32) (local $frame i32)
    (global.set $stack (local.tee $frame (i32.sub (global.get $stack) (i32.const 16))))
    (i32.store offset=4 (local.get $frame) (local.get 0))
    (memory.copy (i32.add (local.get $frame) (i32.const 8)) (i32.add (local.get $frame) (i32.const 4)) (i32.const 4))
    (local.set $x (i32.load offset=8 (local.get $frame)))
    (global.set $stack (i32.add (local.get $frame) (i32.const 16)))
    (i32.add (local.get $x) (local.get 1)))
  (func $pick (param i32 i32) (result i32)
    (block $a (block $b (block $c (br_table $a $b $c (local.get 0))) (return (i32.const 30))) (return (i32.const 20)))
    (call_indirect (param i32) (result i32) (local.get 1) (i32.const 3)))
  (func (export "run") (param i32 i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (call_indirect (param i32) (result i32) (local.get 1) (i32.add (i32.rem_u (local.get 0) (i32.const 3)) (i32.const 1)))))
      (local.set $sum (i32.add (local.get $sum) (call $framed (local.get 1) (local.get $sum))))
      (local.set $sum (i32.add (local.get $sum) (call $pick (local.get 0) (local.get 1))))
      (call $note (local.get $sum))
      (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get $sum))
  REST)`;

/** The features that `dev/build.mjs` has wasm-opt take for granted. */
const { MutableGlobals, SignExt, NontrappingFPToInt, BulkMemory, BulkMemoryOpt, Multivalue, ReferenceTypes, ExceptionHandling } = binaryen.Features;
const FEATURES = MutableGlobals | SignExt | NontrappingFPToInt | BulkMemory | BulkMemoryOpt | Multivalue | ReferenceTypes | ExceptionHandling;

function assemble(text, features = FEATURES) {
  const module = binaryen.parseText(text);
  module.setFeatures(features);
  assert.equal(module.validate(), 1);
  const bytes = Buffer.from(module.emitBinary());
  module.dispose();
  return bytes;
}

/** The same as text, if it is valid. */
function disassemble(bytes) {
  const module = binaryen.readBinary(bytes);
  module.setFeatures(FEATURES);
  assert.equal(module.validate(), 1);
  const text = module.emitText();
  module.dispose();
  return text;
}

const whole = (rest = '') => assemble(TEXT.replace('REST', rest));

/** All that can be seen of what a module does. */
function behaviour(bytes) {
  const notes = [];
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { host: { note: (it) => notes.push(it) } });
  const said = [[1, 9], [2, 9], [7, 1_000_000]].map((pair) => exports.run(...pair));
  return { said, notes, memory: Buffer.from(exports.memory.buffer).toString('base64') };
}

test('the module does the same', () => {
  const before = whole();
  const after = orderedByLikeness(before);
  assert.deepEqual(behaviour(after), behaviour(before));
  assert.equal(readFunctions(after).length, readFunctions(before).length);
});

test('the module does the same in any order', () => {
  const before = whole();
  const codes = renumbered(before, readFunctions(before));
  const places = [...codes.keys()];
  for (const order of [places.toReversed(), [...places.slice(4), ...places.slice(0, 4)]]) {
    const after = withFunctions(before, codes, order);
    assert.notDeepEqual(after, orderedByLikeness(before));
    assert.deepEqual(behaviour(after), behaviour(before));
  }
});

test('it is the same module each time', () => {
  const once = orderedByLikeness(whole());
  assert.deepEqual(orderedByLikeness(whole()), once);
  assert.deepEqual(behaviour(orderedByLikeness(once)), behaviour(once));
});

test('what is alike stands together, and compresses', () => {
  const one = (name, constant) => `(func (export "${name}") (param i32) (result i32) (local $a i32) (local $b i32)
    (local.set $a (i32.mul (local.get 0) (i32.const ${constant})))
    (local.set $b (i32.xor (local.get $a) (i32.const 123456789)))
    ${constant % 2 ? '(local.set $a (i32.rotl (local.get $a) (local.get $a)))' : '(local.set $b (i32.rotl (local.get $b) (local.get $b)))'}
    (i32.store offset=40 (local.get $a) (i32.add (local.get $b) (i32.const 987654321)))
    (i32.add (local.get $a) (local.get $b)))`;
  // Between the halves of them are 50 KiB that don't compress, which is further than gzip looks back.
  let state = 1;
  const random = () => (state = (state * 48271) % 2147483647);
  const noise = Array.from({ length: 8 }, () => `(func (export "noise${random()}") (result i32) (i32.const 0) ${Array.from({ length: 1_000 }, () => `(i32.xor (i32.const ${random()}))`).join(' ')})`);
  const alike = Array.from({ length: 8 }, (_, index) => one(`alike${index}`, 1_000_000 + index));
  const before = whole([...alike.slice(0, 4), ...noise, ...alike.slice(4)].join('\n'));
  const after = orderedByLikeness(before);
  assert.ok(gzipSync(after).length < gzipSync(before).length);
  const places = readFunctions(after).flatMap(({ instructions }, place) => (isAlike(after, instructions) ? [place] : []));
  assert.equal(places.length, alike.length);
  assert.equal(places.at(-1) - places[0], alike.length - 1);
});

const isAlike = (wasm, instructions) => {
  const MARK = 987654321;
  return instructions.some(({ opcode, operands }) => opcode === 0x41 && constant(wasm, operands) === MARK);
};

function constant(bytes, at) {
  let [value, shift, end] = [0, 0, at];
  for (; ; end += 1, shift += 7) {
    value |= (bytes[end] & 127) << shift;
    if (bytes[end] < 128) return value;
  }
}

test('handlers of exceptions are read', () => {
  // Older releases of Node can't run them.
  const before = assemble(`(module
    (import "host" "tag" (tag $tag (param i32)))
    (func (export "caught") (param i32) (result i32) (local $a i32) (local $thrown exnref)
      (block $caught (result i32)
        (block $other
          (local.set $thrown (block $all (result exnref)
            (try_table (catch $tag $caught) (catch_all_ref $all) (throw $tag (local.get 0)))
            (br $other)))
          (throw_ref (local.get $thrown)))
        (local.set $a (i32.const 5))
        (i32.add (local.get $a) (local.get 0)))))`);
  const inOrder = disassemble(orderedByLikeness(before)).replace(/\$\d+/g, '$').replace(/^ *\(local .*\n/gm, '');
  assert.equal(inOrder, disassemble(before).replace(/\$\d+/g, '$').replace(/^ *\(local .*\n/gm, ''));
});

test('what is not known is refused', () => {
  const ordered = (text, features) => () => orderedByLikeness(assemble(text, features));
  const rest = '(import "a" "b" (func)) (export "f" (func $f))';
  assert.throws(ordered(`(module ${rest} (memory 1 1 shared) (func $f (drop (i32.atomic.load (i32.const 0)))))`, FEATURES | binaryen.Features.Atomics), /instruction that is not known/);
  assert.throws(ordered('(module (import "a" "b" (memory 1)) (export "f" (func $f)) (func $f))'), /imports something else/);
  assert.throws(ordered(`(module ${rest} (global (export "g") funcref (ref.func $f)) (func $f))`), /a global holds a function/);
});
