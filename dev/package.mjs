/** `npm run package`: `edge402-<version>.tgz`, all that a seller needs, who has Node and no Rust. */
import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build as bundle } from 'esbuild';
import { build } from './build.mjs';
import { buildCheckModule } from './check-module.mjs';
import { command, readArguments } from './cli.mjs';
import { compileTestPermit2, compileTestUsdc } from './evm/compile.mjs';
import { writeNotices } from './notices.mjs';
import { ROOT, devPath, isMain, run, step } from './util.mjs';

/** What is packed as it is. */
const COPIED = ['dev/watchdog.mjs', 'dev/evm/TestUSDC.sol', 'dev/evm/TestPermit2.sol', 'build/index.js', 'build/index_bg.wasm', 'build/check/check.js', 'build/check/check_bg.wasm', 'docs', 'LICENSE-APACHE', 'LICENSE-MIT', 'CHANGELOG.md'];

/** What isn't bundled, because it holds programs for one kind of machine: `edge402 dev` gets it when it is needed. */
const EXTERNAL = ['litesvm', '@foundry-rs/anvil', 'miniflare', 'wrangler', 'solc'];

/** What they are, and how large with all they need, for `edge402 dev` to say. */
const PROGRAMS = {
  '@foundry-rs/anvil': { megabytes: 43, what: 'an EVM chain' },
  litesvm: { megabytes: 46, what: 'a Solana cluster' },
};

/**
 * Makes the package.
 *
 * @returns {Promise<{ path: string, bytes: number }>} of the tarball
 */
export async function makePackage() {
  const folder = dirname(devPath('package', 'package.json'));
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await step('Worker', () => build({ quiet: true }));
  await step('Reader of the configuration', () => buildCheckModule({ quiet: true }));
  await step('Commands', () => bundleCommands(folder));
  for (const path of COPIED) cpSync(join(ROOT, path), join(folder, path), { recursive: true });
  compileTestUsdc();
  compileTestPermit2();
  cpSync(devPath('solc'), join(folder, 'dev/evm/compiled'), { recursive: true });
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest(), null, 2)}\n`);
  cpSync(join(ROOT, 'cli/README.md'), join(folder, 'README.md'));
  mkdirSync(join(folder, 'bin'));
  writeFileSync(join(folder, 'bin/edge402'), "#!/usr/bin/env node\nimport '../lib/edge402.mjs';\n");
  chmodSync(join(folder, 'bin/edge402'), 0o755);
  const packed = JSON.parse(await run('npm', ['pack', '--json', '--pack-destination', ROOT], { quiet: true, cwd: folder }));
  const [{ filename }] = [packed].flat();
  const path = join(ROOT, filename);
  return { path, bytes: statSync(path).size };
}

function manifest() {
  const { name, version, license, engines, devDependencies } = own();
  return {
    name,
    version,
    description: 'Sells a site or an API by x402: a Cloudflare Worker that checks and settles payments itself',
    license,
    type: 'module',
    engines,
    bin: { edge402: 'bin/edge402' },
    peerDependencies: { wrangler: `^${devDependencies.wrangler}` },
    devPrograms: Object.fromEntries(Object.entries(PROGRAMS).map(([program, about]) => [program, { version: devDependencies[program], ...about }])),
  };
}

const own = () => JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

/** The commands and every package that they use, in a few files: nothing has to be installed for them. */
async function bundleCommands(folder) {
  const { metafile } = await bundle({
    entryPoints: [join(ROOT, 'cli/edge402.mjs')],
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    outdir: join(folder, 'lib'),
    outExtension: { '.js': '.mjs' },
    chunkNames: '[name]-[hash]',
    external: EXTERNAL,
    minify: true,
    legalComments: 'none',
    metafile: true,
    logLevel: 'error',
    // Some packages were written for `require`.
    banner: { js: "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);" },
  });
  writeNotices(join(folder, 'THIRD-PARTY.md'), Object.keys(metafile.inputs));
}

async function main() {
  readArguments('Usage: npm run package');
  const { path, bytes } = await makePackage();
  console.log(`${path}: ${(bytes / 1024).toFixed(0)} KiB`);
}

if (isMain(import.meta.url)) await command(main);
