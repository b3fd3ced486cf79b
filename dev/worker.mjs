/** The Worker in workerd, started by `wrangler dev` as everybody starts it. */
import { rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { finalError, freePort, startProcess, waitFor } from './util.mjs';
import { writeConfig } from './worker-config.mjs';

/**
 * Starts the Worker and waits until it answers.
 *
 * @param {import('./worker-config.mjs').WorkerOptions} [options]
 * @returns {Promise<Worker>}
 *
 * @typedef {object} Worker
 * @property {string} url without a slash at its end
 * @property {number} port
 * @property {number} pid of wrangler; workerd is in the same process group
 * @property {Promise<number>} exited the code that wrangler ended with
 * @property {() => string} log everything printed so far, console output of the Worker included
 * @property {() => Promise<void>} stop
 * @property {() => Promise<void>} kill SIGKILL to wrangler and workerd: a crash; storage stays with `persist`
 */
export async function startWorker(options = {}) {
  const written = writeConfig(options);
  const port = options.port ?? (await freePort());
  const url = `http://127.0.0.1:${port}`;
  const wrangler = startProcess(process.execPath, wranglerArguments(written, port, await freePort()), {
    cwd: written.folder,
    env: environment(),
  });
  const end = async (how) => {
    await how();
    if (!written.keep) rmSync(written.folder, { recursive: true, force: true });
  };
  try {
    await waitFor(() => answers(wrangler, url), { timeout: 60_000, what: 'the Worker to answer' });
  } catch (error) {
    await end(wrangler.kill);
    throw new Error(`${error.message}\n${wrangler.log()}`);
  }
  return { url, port, pid: wrangler.pid, exited: wrangler.exited, log: wrangler.log, stop: () => end(wrangler.stop), kill: () => end(wrangler.kill) };
}

function wranglerArguments({ configs, persistTo }, port, inspectorPort) {
  const wrangler = createRequire(import.meta.url).resolve('wrangler/package.json');
  return [
    '--no-warnings', join(dirname(wrangler), 'bin/wrangler.js'), 'dev',
    ...configs.flatMap((config) => ['-c', config]),
    '--ip', '127.0.0.1', '--port', String(port), '--inspector-port', String(inspectorPort),
    '--persist-to', persistTo, '--show-interactive-dev-session=false',
  ];
}

/** No questions, no statistics, no colours; and no proxy for the chains on this machine. */
function environment() {
  return {
    ...process.env,
    CI: '1', NO_COLOR: '1', FORCE_COLOR: '0',
    WRANGLER_SEND_METRICS: 'false', WRANGLER_HIDE_BANNER: 'true',
    CLOUDFLARE_CF_FETCH_ENABLED: 'false',
  };
}

async function answers(wrangler, url) {
  if (!wrangler.alive()) throw finalError('wrangler dev ended at once');
  if (!wrangler.log().includes('Ready on')) return false;
  // Any status will do: what counts is that the Worker runs.
  const response = await fetch(url, { method: 'HEAD', redirect: 'manual', signal: AbortSignal.timeout(10_000) });
  return response.status > 0;
}
