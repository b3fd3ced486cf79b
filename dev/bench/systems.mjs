/** What is compared: each Worker in a workerd of its own, all behind the same Miniflare. */
import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Miniflare } from 'miniflare';
import { unstable_getMiniflareWorkerOptions as miniflareOptions } from 'wrangler';
import { startReferenceFacilitator } from '../servers/facilitators.mjs';
import { writeConfig } from '../worker-config.mjs';
import { EVM_NETWORK, GRANT_SECRET, SOLANA_NETWORK } from '../world.mjs';
import { bundle } from './bundle.mjs';
import { workerdPids } from './cpu.mjs';

export const PRICE = '$0.01';
/** Sold by edge402 and by the reference. */
export const PAID_PATH = '/paid/page';
export const FREE_PATH = '/free/page';

const ROUTES = [{ pattern: '/paid/*', price: PRICE, description: 'Premium pages', mime_type: 'text/html' }];

/**
 * A Worker under test.
 *
 * @typedef {object} System
 * @property {string} name
 * @property {string} url through Miniflare's own entry Worker
 * @property {string} directUrl past it: nothing but this Worker
 * @property {number} pid of its workerd
 * @property {string} [inspectorUrl] of its isolate, if it is inspected
 * @property {() => string} log
 * @property {() => Promise<void>} stop
 */

/**
 * edge402 before a URL origin.
 *
 * @param {any} world
 * @param {{ origin: string, evmUrl?: string, solanaUrl?: string, inspected?: boolean, vars?: Record<string, any>, more?: Record<string, string>, persist?: string }} options
 *   the nodes that it is told of, whether its isolate can be looked into, what else it sells, for what, more secrets, and a folder that keeps its objects
 * @returns {Promise<System>}
 */
export function startEdge402(world, { origin, evmUrl = world.evm.url, solanaUrl = world.solana.url, inspected = false, vars = {}, more = {}, persist }) {
  const { seller: evmSeller, relayers } = world.accounts.evm;
  const { seller: solanaSeller, feePayers } = world.accounts.solana;
  const { folder, persistTo, configs: [config], config: { main }, secrets } = writeConfig({
    vars: {
      ORIGIN: origin,
      ROUTES,
      NETWORKS: {
        [EVM_NETWORK]: { rpc: [evmUrl], pay_to: evmSeller.address },
        [SOLANA_NETWORK]: { rpc: [solanaUrl], pay_to: solanaSeller.address },
      },
      ...vars,
    },
    secrets: { EVM_RELAYER_KEYS: relayers[0].privateKey, SOLANA_FEE_PAYER_KEYS: feePayers[0].secretBase58, GRANT_SECRET, ...more },
    persist,
    // With them every request would go through Miniflare's asset server first.
    bindings: { assets: undefined },
  });
  const { workerOptions } = miniflareOptions(config);
  return startInMiniflare('edge402', {
    ...workerOptions,
    inspected,
    defaultPersistRoot: persistTo,
    bindings: { ...workerOptions.bindings, ...secrets },
    modulesRoot: dirname(main),
    modules: [{ type: 'ESModule', path: main }, { type: 'CompiledWasm', path: join(dirname(main), 'index_bg.wasm') }],
  }, () => rmSync(folder, { recursive: true, force: true }));
}

/**
 * `@x402/hono` and its facilitator, with a relayer and a fee payer of its own.
 *
 * @returns {Promise<System>}
 */
export async function startReference(world, { origin, evmUrl = world.evm.url, solanaUrl = world.solana.url, warm = true }) {
  const { seller: evmSeller, relayers } = world.accounts.evm;
  const { seller: solanaSeller, feePayers } = world.accounts.solana;
  const facilitator = await startReferenceFacilitator({
    evm: { url: evmUrl, relayer: relayers[1] },
    solana: { url: solanaUrl, feePayer: feePayers[1] },
  });
  const OFFERS = [
    { network: EVM_NETWORK, payTo: evmSeller.address, price: PRICE },
    { network: SOLANA_NETWORK, payTo: solanaSeller.address, price: PRICE },
  ];
  const worker = await startScript('reference', await bundle('reference/worker.mjs'), { ORIGIN: origin, FACILITATOR: facilitator.url, OFFERS });
  // It asks its facilitator within the first request, and waits forever if that one was for something free.
  if (warm) await (await fetch(worker.url + PAID_PATH)).text();
  return {
    ...worker,
    log: () => worker.log() + facilitator.log(),
    async stop() {
      await worker.stop();
      await facilitator.stop();
    },
  };
}

/**
 * A JavaScript Worker.
 *
 * @param {string} name
 * @param {string} script one module
 * @param {Record<string, any>} [bindings]
 * @param {Record<string, any>} [options] more of Miniflare's
 * @returns {Promise<System>}
 */
export function startScript(name, script, bindings = {}, options = {}) {
  return startInMiniflare(name, {
    ...options,
    modules: [{ type: 'ESModule', path: 'worker.mjs', contents: script }],
    compatibilityDate: '2026-04-01',
    compatibilityFlags: ['nodejs_compat'],
    bindings,
  });
}

async function startInMiniflare(name, { inspected = false, ...options }, cleanUp = () => {}) {
  // Ctrl-C ends the process without stopping anything in turn.
  process.once('exit', cleanUp);
  const before = workerdPids();
  const output = [];
  const miniflare = new Miniflare({
    name,
    host: '127.0.0.1',
    port: 0,
    cf: false,
    // A Worker of Miniflare's own, through which each request to a node would go.
    stripCfConnectingIp: false,
    inspectorHost: '127.0.0.1',
    inspectorPort: inspected ? 0 : undefined,
    unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
    handleRuntimeStdio: (...streams) => streams.forEach((stream) => stream.on('data', (data) => output.push(data.toString()))),
    ...options,
  });
  const { origin: url } = await miniflare.ready;
  const { origin: directUrl } = await miniflare.unsafeGetDirectURL();
  const [pid] = workerdPids().filter((candidate) => !before.includes(candidate));
  return {
    name,
    url,
    directUrl,
    pid,
    inspectorUrl: inspected ? `${await miniflare.getInspectorURL()}core:user:${name}` : undefined,
    log: () => output.join(''),
    async stop() {
      await miniflare.dispose();
      process.off('exit', cleanUp);
      cleanUp();
    },
  };
}
