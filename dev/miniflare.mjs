/** The Worker in workerd without wrangler around it: starts faster, adds less to every request. */
import { readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Miniflare } from 'miniflare';
import { unstable_getMiniflareWorkerOptions as miniflareOptions } from 'wrangler';
import { writeConfig } from './worker-config.mjs';

/**
 * Starts the Worker with the same options as `startWorker`.
 *
 * @param {import('./worker-config.mjs').WorkerOptions} [options]
 * @returns {Promise<{ url: string, port: number, miniflare: Miniflare, log(): string, stop(): Promise<void> }>}
 */
export async function startMiniflare(options = {}) {
  const written = writeConfig(options);
  const [own, ...others] = written.configs.map(workerOptions);
  const output = [];
  const miniflare = new Miniflare({
    host: '127.0.0.1',
    port: options.port ?? 0,
    cf: false,
    defaultPersistRoot: written.persistTo,
    handleRuntimeStdio: (stdout, stderr) => {
      for (const stream of [stdout, stderr]) stream.on('data', (data) => output.push(data.toString()));
    },
    workers: [
      { ...own, bindings: { ...own.bindings, ...written.secrets } },
      ...others,
    ],
  });
  const url = await miniflare.ready;
  let stopped;
  return {
    url: url.origin,
    port: Number(url.port),
    miniflare,
    log: () => output.join(''),
    // Whoever has started it may stop it before its world does.
    stop() {
      stopped ??= miniflare.dispose().then(() => written.keep || rmSync(written.folder, { recursive: true, force: true }));
      return stopped;
    },
  };
}

/** What wrangler would tell Miniflare about a configuration, and the modules, already bundled. */
function workerOptions(path) {
  const { name } = JSON.parse(readFileSync(path, 'utf8'));
  const { main, workerOptions: options } = miniflareOptions(path);
  return { ...options, name, ...modulesOf(main) };
}

/** A main module, and the WebAssembly that a built Worker imports next to it. */
function modulesOf(main) {
  const modules = [{ type: 'ESModule', path: main }];
  const wasm = join(dirname(main), 'index_bg.wasm');
  if (readFileSync(main, 'utf8').includes('index_bg.wasm')) modules.push({ type: 'CompiledWasm', path: wasm });
  return { modulesRoot: dirname(main), modules };
}
