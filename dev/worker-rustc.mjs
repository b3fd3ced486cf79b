#!/usr/bin/env node
/**
 * What cargo runs in place of rustc for the Worker's own crate: the same with what
 * makes the upload smaller, and cargo has no setting for. To be run by `dev/build.mjs`.
 *
 * Cargo doesn't see a change of this file: `touch src/lib.rs` after one.
 */
import { spawnSync } from 'node:child_process';

/**
 * The crate is a library, too, for the tests. Of two kinds at once rustc optimises
 * none as a whole, and cargo drops `lto = true` without a word.
 */
const BOTH = '--crate-type cdylib --crate-type rlib';
const WORKER = '--crate-type cdylib -C lto';

/**
 * Half of what Rust gives: an address of data is a byte shorter below 1 MiB. The
 * deepest JSON that is read needs less than a fifth of it, and what needed more would be
 * trapped, as the stack is what memory begins with.
 */
const STACK = '-C link-arg=-zstack-size=524288';

const LLVM = [
  // A function stands once, and is called. What stands in several compresses worse.
  '-inline-threshold=0',
  // Nor goes one into its only caller that needs memory for itself: there each of its
  // addresses is another one, and the bytes are none that gzip knows.
  '-inline-max-stacksize=16',
  // What is worked out twice stays so: a value that is kept is code to keep it, in
  // each of the ways that lead there, and another local in all that use it.
  '-enable-pre=false',
  '-enable-load-pre=false',
  '-disable-machine-cse',
  '-disable-machine-licm',
  // Several words are moved, copied or cleared by one instruction for all their bytes.
  '-max-store-memcpy=1',
  '-max-store-memmove=1',
  '-max-store-memset=1',
];

const [rustc, ...given] = process.argv.slice(2);
const start = given.findIndex((_, index) => given.slice(index, index + 4).join(' ') === BOTH);
// Cargo also asks it what rustc is.
const changed = start < 0 ? given : [...given.toSpliced(start, 4, ...`${WORKER} ${STACK}`.split(' ')), '-C', `llvm-args=${LLVM.join(' ')}`];
// The pipes by which cargo counts its jobs don't reach what is run from here; nothing of it runs in several.
const { CARGO_MAKEFLAGS: _counted, MAKEFLAGS: _too, ...env } = process.env;
const { status, error } = spawnSync(rustc, changed, { stdio: 'inherit', env });
if (error) throw error;
process.exitCode = status ?? 1;
