#!/usr/bin/env node
/**
 * What worker-build runs in place of esbuild, in the folder where it bundles the
 * Worker: puts `src/runtime/entry.js` where worker-build's own entry stands, and
 * runs esbuild. To be run by `dev/build.mjs`, which says where esbuild is.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './util.mjs';

const SHIM = 'shim.js';
/** worker-build's entry: the class, its handlers, of which it makes one of each function that we export, and what it exports. */
const THEIRS = [
  /^import \{ WorkerEntrypoint \} from "cloudflare:workers";$/m,
  /^class Entrypoint extends WorkerEntrypoint \{\}$/m,
  /^Entrypoint\.prototype\.fetch = function[^]*?^\};?$/m,
  /^Entrypoint\.prototype\.\w+ = exports\.\w+;$/gm,
  /^export default new Proxy\(Entrypoint, classProxyHooks\);$/m,
];

if (existsSync(SHIM)) {
  let shim = readFileSync(SHIM, 'utf8');
  for (const pattern of THEIRS) {
    if (shim.search(pattern) < 0) throw new Error(`worker-build's entry is another one now: it has no ${pattern}`);
    shim = shim.replace(pattern, '');
  }
  writeFileSync(SHIM, `${shim}\n${readFileSync(join(ROOT, 'src/runtime/entry.js'), 'utf8')}`);
}

/** wasm-bindgen names a module of ours once for each function that it imports from it. */
const QUIET = '--log-override:duplicate-object-key=silent';

const { status, error } = spawnSync(process.env.EDGE402_ESBUILD, [...process.argv.slice(2), QUIET], { stdio: 'inherit' });
if (error) throw error;
process.exitCode = status ?? 1;
