/** What the tests of the commands share: folders of their own, commands in them, and the package as a seller installs it. */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ROOT } from '../../dev/util.mjs';

export const EVM_PAY_TO = '0x209693Bc6afc0C5328bA36FaF03C514EF312287C';
export const SOLANA_PAY_TO = '4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi';

/** An empty folder that ends with the test. */
export function folderOf(t) {
  const folder = mkdtempSync(join(tmpdir(), 'edge402-cli-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A PATH on which there is Node and no Rust. */
export const PATH_WITHOUT_RUST = [dirname(process.execPath), '/usr/bin', '/bin'].filter((folder) => !existsSync(join(folder, 'cargo'))).join(':');

/**
 * Runs a program in a folder to its end.
 *
 * @returns {Promise<{ status: number, stdout: string, stderr: string }>}
 */
export async function runIn(folder, program, args, { input = '', env = {} } = {}) {
  const child = spawn(program, args, { cwd: folder, env: { ...process.env, CI: '1', NO_COLOR: '1', WRANGLER_SEND_METRICS: 'false', ...env } });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) child[name].on('data', (data) => (output[name] += data));
  child.stdin.end(input);
  const status = await new Promise((done) => child.once('close', done));
  return { status, ...output };
}

/** Runs a command of this work tree in a folder. */
export const edge402 = (folder, args, options) => runIn(folder, process.execPath, [join(ROOT, 'cli/edge402.mjs'), ...args], options);

/** The tarball that `npm run package` has made. */
export function tarball() {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const path = join(ROOT, `edge402-${version}.tgz`);
  if (!existsSync(path)) throw new Error(`${path} is not there: npm run package`);
  return path;
}

/** Installs the package into a folder by npm, from the tarball alone; nothing is downloaded. */
export function install(folder) {
  execFileSync('npm', ['install', '--offline', '--legacy-peer-deps', '--no-audit', '--no-fund', tarball()], { cwd: folder, stdio: 'pipe', env: { ...process.env, PATH: PATH_WITHOUT_RUST } });
}

/** Puts packages beside an installed one that npm would have to download: links to the repository's own. */
export function lend(folder, names) {
  for (const name of names) {
    const link = join(folder, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules', name), link);
  }
}
