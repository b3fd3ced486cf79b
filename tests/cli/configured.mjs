/** What `edge402 check` is given in its tests: chains with money, a good configuration, and folders in which one thing is changed. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { stringify } from 'smol-toml';
import { check } from '../../cli/check.mjs';
import { KINDS, addressesOf } from '../../cli/new-keys.mjs';
import { createAta, fundSol } from '../../dev/solana/setup.mjs';
import { startWorld } from '../../dev/world.mjs';
import { EVM_PAY_TO, SOLANA_PAY_TO } from './support.mjs';

export const BASE = 'eip155:84532';
export const DEVNET = 'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1';
/** Whoever this is, they hold no USDC. */
export const NO_ACCOUNT = '7Np41oeYqPefeNQEHSv1UDhYrehxin3NStELsSKCT4K2';
export const EXAMPLE_KEY = '0123456789abcdef0123456789abcdef';

export const FILES = ['node_modules/edge402/build/index.js', 'site/index.html', 'site/premium/index.html', 'site/premium/two.html', 'site/report.html', 'site/report/part.html'];

export function write(folder, name, text) {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), text);
}

/**
 * Starts the chains.
 *
 * @returns {Promise<{ world: any, secrets: Record<string, string>, addresses: { evm: string, solana: string }, good: () => any, findingsOf: (change: (it: any) => any, options?: object) => Promise<any[]> }>}
 *   `good` makes a good configuration, `findingsOf` says what is found in a folder where it was changed
 */
export async function startConfigured() {
  const world = await startWorld({ worker: false });
  const secrets = { EVM_RELAYER_KEYS: KINDS.eip155.make(), SOLANA_FEE_PAYER_KEYS: KINDS.solana.make(), GRANT_SECRET: 'a7'.repeat(32) };
  const addressOf = async (kind, name) => (await addressesOf(kind, secrets[name])).addresses[0];
  const addresses = { evm: await addressOf('eip155', 'EVM_RELAYER_KEYS'), solana: await addressOf('solana', 'SOLANA_FEE_PAYER_KEYS') };
  await world.evm.fund(addresses.evm);
  fundSol(world.solana, addresses.solana);
  await createAta(world.solana, SOLANA_PAY_TO);

  const good = () => ({
    name: 'my-shop',
    main: 'node_modules/edge402/build/index.js',
    compatibility_date: '2026-04-01',
    assets: { directory: './site', binding: 'ASSETS', run_worker_first: true },
    kv_namespaces: [{ binding: 'REPLAY' }],
    durable_objects: { bindings: [{ name: 'SETTLER', class_name: 'Settler' }] },
    migrations: [{ tag: 'v1', new_sqlite_classes: ['Settler'] }],
    vars: {
      ORIGIN: 'assets',
      ROUTES: [{ pattern: '/premium/*', price: '$0.01' }],
      NETWORKS: { [BASE]: { rpc: [world.evm.url], pay_to: EVM_PAY_TO }, [DEVNET]: { rpc: [world.solana.url], pay_to: SOLANA_PAY_TO } },
    },
  });

  async function findingsOf(change, options = {}) {
    const folder = mkdtempSync(join(tmpdir(), 'edge402-check-'));
    const config = good();
    const own = { ...secrets };
    try {
      for (const name of FILES) write(folder, name, name);
      await change({ config, vars: config.vars, route: config.vars.ROUTES[0], evm: config.vars.NETWORKS[BASE], solana: config.vars.NETWORKS[DEVNET], secrets: own, folder });
      write(folder, 'wrangler.toml', stringify(config));
      write(folder, '.dev.vars', Object.entries(own).map(([name, value]) => `${name}='${value}'\n`).join(''));
      const { findings } = await check({ config: join(folder, 'wrangler.toml'), ...options });
      return findings;
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
  return { world, secrets, addresses, good, findingsOf };
}

/** One network less: what is left of it must not be asked for. */
export const onlyEvm = ({ vars, secrets: own }) => {
  delete vars.NETWORKS[DEVNET];
  delete own.SOLANA_FEE_PAYER_KEYS;
};

export const asService = ({ config, vars }) => {
  delete config.assets;
  vars.ORIGIN = 'service';
  config.services = [{ binding: 'ORIGIN_SERVICE', service: 'my-site' }];
};

export const asZone = ({ config, vars }) => {
  delete config.assets;
  vars.ORIGIN = 'zone';
  config.workers_dev = false;
  config.routes = [{ pattern: 'example.com/*', zone_name: 'example.com' }];
};

export const asUrl = ({ config, vars }) => {
  delete config.assets;
  vars.ORIGIN = 'https://origin.example.com/site';
};
