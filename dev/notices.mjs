/** The licences of what is in the package and was written by others. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT } from './util.mjs';

const IS_LICENCE = /^(licen[cs]e|copying|notice)/i;

/**
 * Writes one file with all licences; those that many share stand there once.
 *
 * @param {string} path
 * @param {string[]} inputs the files that were bundled, relative to the repository
 */
export function writeNotices(path, inputs) {
  const parts = [...npmPackages(inputs), ...crates()];
  const silent = parts.filter(({ license }) => !license);
  if (silent.length > 0) throw new Error(`no licence is named by ${silent.map(({ name }) => name).join(', ')}`);
  const texts = new Map();
  for (const part of parts) {
    const text = part.texts.join('\n\n').trim() || `${part.license}, of which the package holds no text.`;
    texts.set(text, [...texts.get(text) ?? [], part]);
  }
  const sections = [...texts].map(([text, users]) => `${users.map(({ name, version, license }) => `- ${name} ${version} (${license})`).join('\n')}\n\n${text.replace(/^/gm, '    ')}`);
  writeFileSync(path, `What others have written, and this package holds: JavaScript in \`lib/\`, Rust in \`build/\`.\n\n${sections.join('\n\n')}\n`);
}

/** The npm packages that files belong to. */
function npmPackages(inputs) {
  const found = new Map();
  const folders = new Set(inputs.map((input) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1]).filter(Boolean));
  for (const folder of [...folders].sort()) {
    const { name, version, license } = JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8'));
    // One version may lie in several folders.
    found.set(`${name} ${version}`, { name, version, license, texts: licencesIn(join(ROOT, folder)) });
  }
  return [...found.values()];
}

/** The crates that are compiled into the Worker; not those that only help to compile it. */
function crates() {
  const { packages, resolve } = JSON.parse(execFileSync('cargo', ['metadata', '--format-version', '1', '--locked', '--filter-platform', 'wasm32-unknown-unknown'], {
    cwd: ROOT, encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'ignore'],
  }));
  const byId = new Map(packages.map((it) => [it.id, it]));
  const isMacro = ({ targets }) => targets.some(({ kind }) => kind.includes('proc-macro'));
  const found = new Set();
  const visit = (id) => {
    if (found.has(id) || isMacro(byId.get(id))) return;
    found.add(id);
    const { deps } = resolve.nodes.find((node) => node.id === id);
    deps.filter(({ dep_kinds: kinds }) => kinds.some(({ kind }) => kind === null)).forEach(({ pkg }) => visit(pkg));
  };
  visit(resolve.root);
  found.delete(resolve.root);
  return [...found].map((id) => byId.get(id)).map(({ name, version, license, manifest_path: manifest }) => ({ name, version, license, texts: licencesIn(dirname(manifest)) }));
}

function licencesIn(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).filter((it) => it.isFile() && IS_LICENCE.test(it.name)).map(({ name }) => readFileSync(join(folder, name), 'utf8'));
}
