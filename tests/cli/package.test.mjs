/** The package: from the tarball, in an empty folder with Node alone, to a shop that wrangler would deploy. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { EVM_PAY_TO, PATH_WITHOUT_RUST, SOLANA_PAY_TO, folderOf, install, lend, runIn } from './support.mjs';

const MIB = 1 << 20;
const LARGEST_INSTALLATION = 60 * MIB;

const sizeOf = (folder) => readdirSync(folder, { recursive: true }).map((name) => statSync(join(folder, name))).reduce((sum, it) => sum + (it.isFile() ? it.size : 0), 0);

test('the tarball is all that a seller needs besides wrangler', async (t) => {
  const folder = folderOf(t);
  install(folder);
  const installed = join(folder, 'node_modules');
  t.diagnostic(`installed: ${(sizeOf(installed) / MIB).toFixed(1)} MiB`);
  assert.ok(sizeOf(installed) <= LARGEST_INSTALLATION);
  assert.deepEqual(readdirSync(installed).filter((name) => !name.startsWith('.')), ['edge402']);
  const own = join(installed, 'edge402');
  for (const name of ['LICENSE-MIT', 'LICENSE-APACHE', 'README.md', 'docs/configuration.md', 'build/index_bg.wasm']) assert.ok(existsSync(join(own, name)), name);
  const notices = readFileSync(join(own, 'THIRD-PARTY.md'), 'utf8');
  for (const part of ['smol-toml', 'k256', 'serde_json']) assert.match(notices, new RegExp(`^- ${part} `, 'm'), part);

  const env = { PATH: PATH_WITHOUT_RUST };
  assert.throws(() => execFileSync('cargo', ['--version'], { env, stdio: 'ignore' }), { code: 'ENOENT' });
  const edge402 = (...args) => runIn(folder, join(installed, '.bin/edge402'), args, { env });
  const version = await edge402('--version');
  assert.equal(version.stdout.trim(), JSON.parse(readFileSync(join(own, 'package.json'), 'utf8')).version);

  const shop = await edge402('init', '--sell', '/premium/*', '--price', '$0.01', '--origin', './site', '--network', 'base-sepolia', '--network', 'solana-devnet', '--pay-to', EVM_PAY_TO, '--pay-to', SOLANA_PAY_TO);
  assert.equal(shop.status, 0, shop.stderr);

  lend(folder, ['wrangler']);
  const deployed = await runIn(folder, process.execPath, ['node_modules/wrangler/bin/wrangler.js', 'deploy', '--dry-run', '--outdir', 'out'], { env });
  assert.equal(deployed.status, 0, deployed.stderr);
  for (const binding of ['SETTLER', 'REPLAY', 'ASSETS', 'ORIGIN', 'ROUTES', 'NETWORKS']) assert.match(deployed.stdout, new RegExp(`env\\.${binding}\\b`));
  const wasm = readdirSync(join(folder, 'out')).find((name) => name.endsWith('.wasm'));
  assert.deepEqual(readFileSync(join(folder, 'out', wasm)), readFileSync(join(own, 'build/index_bg.wasm')));
});
