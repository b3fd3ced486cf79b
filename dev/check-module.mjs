/** The Worker's reader of the configuration as a module for Node, into `build/check/`. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hashOf } from './build.mjs';
import { ensureTools } from './tools.mjs';
import { ROOT, devPath, run } from './util.mjs';

const FOLDER = join(ROOT, 'build/check');
const SOURCES = ['src', 'Cargo.toml', 'Cargo.lock', '.cargo', 'dev/check-module.mjs'];
const TARGET = 'wasm32-unknown-unknown';

/**
 * Builds the module, unless nothing changed since the last time.
 *
 * @returns {Promise<{ fresh: boolean }>} whether it was built now
 */
export async function buildCheckModule({ quiet = false } = {}) {
  const stamp = devPath('check-module.stamp');
  const hash = hashOf(SOURCES);
  const fresh = ![stamp, join(FOLDER, 'check.js'), join(FOLDER, 'check_bg.wasm')].every(existsSync) || readFileSync(stamp, 'utf8') !== hash;
  if (fresh) {
    const { wasmBindgen } = await ensureTools();
    // The crates below are those of the Worker, compiled already. Cargo writes to the Worker's file.
    await run('cargo', ['build', '--release', '--lib', '--target', TARGET, '--features', 'check'], { quiet, cwd: ROOT });
    mkdirSync(FOLDER, { recursive: true });
    await run(wasmBindgen, [join(ROOT, 'target', TARGET, 'release/edge402.wasm'), '--target', 'experimental-nodejs-module', '--no-typescript', '--out-dir', FOLDER, '--out-name', 'check'], { quiet });
    writeFileSync(stamp, hash);
  }
  return { fresh };
}
