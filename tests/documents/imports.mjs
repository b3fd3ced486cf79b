/** Which source file uses which, read from `use` and from paths in the text. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../dev/util.mjs';

/** The text of a source file without its tests and whole-line comments. */
export function codeOf(path) {
  const text = readFileSync(join(ROOT, path), 'utf8');
  return text.split(/#\[cfg\(test\)\]\s*mod \w+ \{/)[0].replace(/^ *\/\/.*$/gm, '');
}

/** `src/a/b.rs` and `src/a/b/mod.rs` are the module `a::b`. */
const moduleOf = (path) => path.replace(/^src\//, '').replace(/\.rs$/, '').replace(/\/mod$/, '').split('/');

/** The paths of one `use`, with its braces written out. */
function pathsOf(tree) {
  const brace = tree.indexOf('{');
  if (brace < 0) return [tree.split(/ as /)[0].replaceAll(' ', '')];
  const parts = [];
  let depth = 0;
  let part = '';
  for (const letter of tree.slice(brace + 1, tree.lastIndexOf('}'))) {
    depth += { '{': 1, '}': -1 }[letter] ?? 0;
    if (letter === ',' && depth === 0) {
      parts.push(part);
      part = '';
    } else {
      part += letter;
    }
  }
  return [...parts, part].filter((it) => it.trim()).flatMap((it) => pathsOf(it.trim())).map((it) => tree.slice(0, brace).replaceAll(' ', '') + it);
}

/**
 * For each source file the others that it uses. A name that a folder hands on
 * (`pub use`) counts as used in the file that has it.
 */
export function usesOf(paths) {
  const files = new Map(paths.map((path) => [moduleOf(path).join('::'), path]));
  const absolute = (module, path) => {
    const names = path.split('::');
    if (names[0] === 'crate') return names.slice(1);
    if (names[0] === 'self') return [...module, ...names.slice(1)];
    const up = names.findIndex((name) => name !== 'super');
    if (up > 0) return [...module.slice(0, -up), ...names.slice(up)];
    return files.has([...module, names[0]].join('::')) ? [...module, ...names] : undefined;
  };

  const named = new Map();
  const handedOn = new Map();
  for (const path of paths) {
    const module = moduleOf(path);
    const found = [];
    const rest = codeOf(path).replace(/^\s*(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);/gm, (_, isPublic, tree) => {
      for (const it of pathsOf(tree.replace(/\s+/g, ' '))) {
        const names = absolute(module, it);
        if (!names) continue;
        if (isPublic) handedOn.set([...module, names.at(-1)].join('::'), names);
        else found.push(names);
      }
      return '';
    });
    for (const [it] of rest.matchAll(/\b(?:crate|super)(?:::\w+)+/g)) found.push(absolute(module, it));
    named.set(path, found);
  }

  const fileOf = (names, depth = 0) => {
    for (let length = names.length; length > 0; length -= 1) {
      const module = names.slice(0, length).join('::');
      const further = length < names.length && handedOn.get(`${module}::${names[length]}`);
      if (files.has(module) && further && depth < 8) return fileOf([...further, ...names.slice(length + 1)], depth + 1);
      if (files.has(module)) return files.get(module);
    }
    return undefined;
  };
  return new Map([...named].map(([path, list]) => [path, new Set(list.map((names) => fileOf(names)).filter((it) => it && it !== path))]));
}

/** The groups of units that use one another, each in order (Tarjan). */
export function circlesIn(uses) {
  const index = new Map();
  const low = new Map();
  const stack = [];
  const circles = [];
  const visit = (unit) => {
    index.set(unit, index.size);
    low.set(unit, index.get(unit));
    stack.push(unit);
    for (const other of uses.get(unit) ?? []) {
      if (!index.has(other)) visit(other);
      if (stack.includes(other)) low.set(unit, Math.min(low.get(unit), low.get(other)));
    }
    if (low.get(unit) !== index.get(unit)) return;
    const circle = stack.splice(stack.indexOf(unit));
    if (circle.length > 1) circles.push(circle.sort());
  };
  for (const unit of uses.keys()) if (!index.has(unit)) visit(unit);
  return circles;
}
