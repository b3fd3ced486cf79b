/** The JavaScript Workers of the comparison, bundled as wrangler would. */
import { builtinModules, createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const HERE = dirname(fileURLToPath(import.meta.url));
// esbuild comes with wrangler, which bundles with it.
const { build } = createRequire(createRequire(import.meta.url).resolve('wrangler'))('esbuild');

/**
 * @param {string} path of the main module, below `dev/bench/`
 * @param {{ platform?: 'browser' | 'node' }} [options]
 * @returns {Promise<string>} one minified module
 */
export async function bundle(path, { platform = 'browser' } = {}) {
  const { outputFiles } = await build({
    entryPoints: [join(HERE, path)],
    bundle: true,
    write: false,
    minify: true,
    format: 'esm',
    target: 'es2022',
    platform,
    conditions: platform === 'browser' ? ['workerd', 'worker', 'browser'] : [],
    // workerd knows Node's modules by their full names only.
    alias: Object.fromEntries(builtinModules.filter((name) => !name.startsWith('_')).map((name) => [name, `node:${name}`])),
    external: ['node:*', 'cloudflare:*'],
    logLevel: 'error',
  });
  return outputFiles[0].text;
}

/** What wrangler calls the upload's gzipped size: all modules, one after the other. */
export function gzipped(...modules) {
  return gzipSync(Buffer.concat(modules.map((module) => Buffer.from(module)))).length;
}
