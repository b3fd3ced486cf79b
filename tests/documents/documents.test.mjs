/** What the documents say: links that lead somewhere, snippets that can be read, every key of the configuration. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { parse as parseToml } from 'smol-toml';
import { ROOT } from '../../dev/util.mjs';
import { NOT_RUN, READ_BY_USERS, run, snippets } from './snippets.mjs';

const README_LINES = 180;
const documents = execFileSync('git', ['ls-files', '*.md'], { cwd: ROOT, encoding: 'utf8' }).trim().split('\n');
const textOf = (path) => readFileSync(join(ROOT, path), 'utf8');
const withoutCode = (text) => text.replace(/```[\s\S]*?```/g, '').replace(/`[^`\n]*`/g, (code) => code.replace(/[[\]()]/g, ' '));

/** The blocks of a document in one language. */
const blocks = (path, language) => [...textOf(path).matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))].map(([, block]) => block);

/** The anchors of a document's headings, as they are made of Markdown on the web. */
function anchorsOf(path) {
  const headings = [...textOf(path).replace(/```[\s\S]*?```/g, '').matchAll(/^#+ (.+)$/gm)];
  return headings.map(([, title]) => title.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-'));
}

for (const path of documents) {
  test(`${path}: every link leads somewhere`, () => {
    for (const [, target] of withoutCode(textOf(path)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [file, anchor] = target.split('#');
      const to = file === '' ? path : relative(ROOT, join(ROOT, dirname(path), file));
      assert.ok(existsSync(join(ROOT, to)), target);
      if (anchor) assert.ok(anchorsOf(to).includes(anchor), `${target}: ${anchorsOf(to).join(' ')}`);
    }
  });

  test(`${path}: every snippet can be read`, () => {
    for (const block of blocks(path, 'toml')) assert.ok(parseToml(block));
    for (const block of blocks(path, 'json')) assert.ok(JSON.parse(block));
    for (const block of blocks(path, 'js')) execFileSync(process.execPath, ['--input-type=module', '--check'], { input: block });
  });

  test(`${path}: every command is there`, () => {
    const { scripts } = JSON.parse(textOf('package.json'));
    for (const line of blocks(path, 'sh').join('\n').split('\n')) {
      for (const [, name] of line.matchAll(/npm run ([\w-]+)/g)) assert.ok(name in scripts, line);
      for (const [, file] of line.matchAll(/node (dev\/[\w./-]+)/g)) assert.ok(existsSync(join(ROOT, file)), line);
    }
  });
}

for (const path of READ_BY_USERS) {
  test(`${path}: every snippet is run by a test, or says why not`, () => {
    const known = [...run(), ...NOT_RUN].filter(([document]) => document === path).map(([, begins]) => begins);
    const found = snippets(path);
    for (const text of found) assert.equal(known.filter((begins) => text.startsWith(begins)).length, 1, text);
    for (const begins of known) assert.equal(found.filter((text) => text.startsWith(begins)).length, 1, begins);
  });
}

test(`README.md has at most ${README_LINES} lines`, () => {
  assert.ok(textOf('README.md').trimEnd().split('\n').length <= README_LINES);
});

test('every key of the configuration is documented', () => {
  const documented = textOf('docs/configuration.md');
  const keys = ['network.rs', 'read_route.rs', 'facilitator.rs', 'page.rs', 'desk.rs', 'webhooks.rs'].flatMap((file) => {
    const lists = [...textOf(`src/config/${file}`).matchAll(/const KNOWN\w*: &\[&str\] =\s*&\[([^\]]*)\]/g)];
    assert.ok(lists.length > 0, file);
    return lists.flatMap(([, list]) => [...list.matchAll(/"(\w+)"/g)].map(([, key]) => key));
  });
  const variables = [...textOf('src/config/settings.rs').matchAll(/from\.(?:variable|secret)\("(\w+)"\)/g)].map(([, name]) => name);
  assert.ok(variables.length >= 10);
  for (const key of new Set([...keys, ...variables])) assert.match(documented, new RegExp(`\\b${key}\\b`), key);
});
