/** What `edge402 check` says of wrangler.toml and the files beside it, without a chain or a world. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkConfig } from '../../cli/check/config.mjs';
import { parseJsonc } from '../../cli/jsonc.mjs';
import { configFileIn, readConfig } from '../../cli/reader.mjs';
import { edge402, folderOf } from './support.mjs';

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

const JSONC = `\uFEFF{
  // The shop: "https://shop.example" is no comment.
  "$schema": "node_modules/wrangler/config-schema.json",
  "name": "shop", /* and
  this */
  "vars": {
    "ORIGIN": "https://origin.example.com//a", // the site
    "ROUTES": [{ "pattern": "/premium/*", "price": "$0.01", "description": "a \\"quoted\\" text, /* kept */", },],
  },
  "kv_namespaces": [{ "binding": "REPLAY" },],
  "env": { "live": { "vars": { "ORIGIN": "zone" } } },
}
`;

test('wrangler.jsonc is read as wrangler reads it: comments, commas at the end, texts that look like either', (t) => {
  const folder = folderOf(t);
  writeFileSync(join(folder, 'wrangler.jsonc'), JSONC);
  const config = readConfig(join(folder, 'wrangler.jsonc'));
  assert.equal(config.vars.ORIGIN, 'https://origin.example.com//a');
  assert.equal(config.vars.ROUTES[0].description, 'a "quoted" text, /* kept */');
  assert.equal(config.env, undefined);
  assert.deepEqual(readConfig(join(folder, 'wrangler.jsonc'), 'live').vars, { ORIGIN: 'zone' });
  assert.deepEqual(parseJsonc('["a,]", 1, // 2\n 3,]'), ['a,]', 1, 3]);
});

test('of two configurations that counts which wrangler takes', (t) => {
  const folder = folderOf(t);
  const found = ['wrangler.toml', 'wrangler.jsonc', 'wrangler.json'].map((name) => {
    writeFileSync(join(folder, name), '');
    return configFileIn(folder);
  });
  assert.deepEqual(found, ['wrangler.toml', 'wrangler.jsonc', 'wrangler.json']);
});

test('the commands find wrangler.jsonc by themselves, and speak of it by its name', async (t) => {
  const folder = folderOf(t);
  writeFileSync(join(folder, 'wrangler.jsonc'), JSONC);
  const { status, stdout } = await edge402(folder, ['check', '--offline']);
  assert.equal(status, 1, stdout);
  assert.match(stdout, /^✘ SETTLER: .*binding that wrangler\.jsonc must have/m);
  writeFileSync(join(folder, 'wrangler.toml'), '');
  const both = await edge402(folder, ['check', '--offline']);
  assert.match(both.stdout, /^! wrangler\.toml: .*wrangler takes wrangler\.jsonc/m);
});

test('a file that can’t be read is a sentence with its name', async (t) => {
  const folder = folderOf(t);
  writeFileSync(join(folder, 'wrangler.json'), '{"name": }');
  const { status, stderr } = await edge402(folder, ['check', '--offline']);
  assert.equal(status, 2);
  assert.match(stderr, /wrangler\.json can't be read: /);
  assert.doesNotMatch(stderr, /\n\s+at /);
});

test('an environment has a Worker of its own, and what it doesn’t inherit is named', (t) => {
  const folder = folderOf(t);
  const file = join(folder, 'wrangler.toml');
  writeFileSync(file, 'name = "shop"\nmain = "a.js"\n[vars]\nORIGIN = "service"\n[[kv_namespaces]]\nbinding = "REPLAY"\n[env.live.vars]\nORIGIN = "service"\n[[env.live.services]]\nbinding = "ORIGIN_SERVICE"\nservice = "shop"\n[env.named]\nname = "other"\n');
  const live = readConfig(file, 'live');
  assert.equal(live.name, 'shop-live');
  assert.equal(live.main, 'a.js');
  assert.deepEqual([live.kv_namespaces, live.notInherited], [undefined, ['kv_namespaces']]);
  assert.equal(readConfig(file, 'named').name, 'other');
  const said = checkConfig(live, folder, { names: NAMES }, { path: join(folder, '.dev.vars'), values: {} });
  assert.deepEqual(said.filter(({ key }) => key === 'services'), []);
  const [found] = said.filter(({ key }) => key === 'kv_namespaces');
  assert.equal(found.kind, 'fault');
  assert.match(found.problem, /environments don't inherit it: repeat it in \[\[env\.live\.kv_namespaces\]\]/);
});
