/** `template/`: what a Deploy to Cloudflare button copies. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { check } from '../../cli/check.mjs';
import { TEMPLATE, staleTemplateFiles, templateFiles } from '../../dev/template.mjs';
import { ROOT } from '../../dev/util.mjs';
import { folderOf, install, lend, runIn } from './support.mjs';

test('it is what `edge402 init` writes: else run node dev/template.mjs', () => assert.deepEqual(staleTemplateFiles(), []));

test('git has all of it', () => {
  const files = execFileSync('git', ['ls-files', 'template'], { cwd: ROOT, encoding: 'utf8' }).trim().split('\n');
  assert.deepEqual(files.map((name) => name.replace('template/', '')).sort(), Object.keys(templateFiles()).sort());
});

test('wrangler would deploy it, and what is missing is the seller’s own', async (t) => {
  const folder = folderOf(t);
  install(folder);
  cpSync(TEMPLATE, folder, { recursive: true });
  lend(folder, ['wrangler']);
  const { status, stderr, stdout } = await runIn(folder, process.execPath, ['node_modules/wrangler/bin/wrangler.js', 'deploy', '--dry-run']);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /env\.SETTLER/);
  const { findings } = await check({ config: join(folder, 'wrangler.toml'), offline: true });
  assert.deepEqual(findings.map(({ kind, key }) => [kind, key]), [['fault', 'NETWORKS."eip155:84532".pay_to']]);
});
