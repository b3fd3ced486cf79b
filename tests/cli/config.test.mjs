/** What `edge402 check` says of wrangler.toml and the files beside it, without a chain or a world. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkConfig } from '../../cli/check/config.mjs';
import { folderOf } from './support.mjs';

const NAMES = { variables: [], secrets: [], bindings: [] };

/** What is said of the assets' folder, if `.assetsignore` in it holds these lines. */
function saidOfAssets(t, lines, { secrets = '.dev.vars', directory = '.' } = {}) {
  const folder = folderOf(t);
  mkdirSync(join(folder, 'site'));
  if (lines) writeFileSync(join(folder, directory, '.assetsignore'), lines.join('\n'));
  const config = { assets: { directory, run_worker_first: true }, vars: { ORIGIN: 'assets' } };
  return checkConfig(config, folder, { names: NAMES }, { path: join(folder, secrets), values: {} }).filter(({ key }) => key === 'assets.directory').map(({ problem }) => problem);
}

for (const line of ['.dev.vars', '.dev.vars*', '/.dev.vars*', '/.dev.vars', '.*', '*']) {
  test(`the line ${line} in .assetsignore keeps the keys from being published`, (t) => {
    assert.deepEqual(saidOfAssets(t, ['node_modules', line]), []);
  });
}

for (const lines of [undefined, [], ['node_modules'], ['# .dev.vars'], ['.dev.vars.*'], ['/site/.dev.vars'], ['.dev.vars', '!.dev.vars'], ['dev.vars']]) {
  test(`with ${lines ? `the lines ${JSON.stringify(lines)} in` : 'no'} .assetsignore the keys would be published`, (t) => {
    const [problem, ...others] = saidOfAssets(t, lines);
    assert.match(problem, /would publish them: .* \.dev\.vars into its \.assetsignore/);
    assert.deepEqual(others, []);
  });
}

test('the file of secrets in use must be covered too, wherever it lies', (t) => {
  assert.match(saidOfAssets(t, ['.dev.vars'], { secrets: 'keys.env' })[0], /or keys\.env into its/);
  assert.deepEqual(saidOfAssets(t, ['.dev.vars', 'keys.env'], { secrets: 'keys.env' }), []);
  assert.match(saidOfAssets(t, undefined, { secrets: 'site/keys.env', directory: 'site' })[0], /or keys\.env into its/);
  assert.deepEqual(saidOfAssets(t, undefined, { directory: 'site' }), []);
});
