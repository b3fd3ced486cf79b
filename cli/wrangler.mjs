/** The seller's own wrangler: it has the account, and it stores and deploys. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Mistake } from '../dev/cli.mjs';

/**
 * Runs wrangler in this folder.
 *
 * @param {string[]} args
 * @param {{ input?: string }} [options] what it reads in place of the terminal
 * @returns {Promise<number>} what it ended with
 */
export async function wrangler(args, { input } = {}) {
  const child = spawn(process.execPath, ['--no-warnings', wranglerProgram(), ...args], { stdio: [input === undefined ? 'inherit' : 'pipe', 'inherit', 'inherit'] });
  child.stdin?.end(input);
  return new Promise((done, fail) => {
    child.once('error', fail);
    child.once('close', (code) => done(code ?? 1));
  });
}

function wranglerProgram() {
  const places = [join(process.cwd(), 'package.json'), import.meta.url].flatMap((from) => createRequire(from).resolve.paths('wrangler') ?? []);
  const program = places.map((place) => join(place, 'wrangler/bin/wrangler.js')).find(existsSync);
  if (!program) throw new Mistake('wrangler is not installed here: npm install --save-dev wrangler');
  return program;
}
