/** Both chains, everybody's money, and the Worker between them. */
import { evmBuyers, evmRelayers, evmSeller, solanaBuyers, solanaFeePayers, solanaSeller } from './accounts.mjs';
import { startAnvil } from './evm/anvil.mjs';
import { startSolana } from './solana/server.mjs';
import { addLighthouse, createAta, createMints, fundSol, mintToken, TOKEN_2022_MINT, USDC_MINT } from './solana/setup.mjs';
import { startWorker } from './worker.mjs';

/** Base Sepolia, which anvil plays. */
export const EVM_NETWORK = 'eip155:84532';
/** Solana devnet, which litesvm plays. */
export const SOLANA_NETWORK = 'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1';
/** What the Worker signs access grants with here: 32 bytes. */
export const GRANT_SECRET = '8f'.repeat(32);

const BUYER_FUNDS = 1_000_000_000n;

/**
 * Starts a world. Without options: anvil and Solana with instant execution,
 * one relayer, one fee payer, two buyers, the Worker by `wrangler dev`.
 *
 * @param {object} [options]
 * @param {object} [options.evm] for `startAnvil`
 * @param {object} [options.solana] for `startSolana`
 * @param {import('./worker-config.mjs').WorkerOptions | false} [options.worker] changes to the Worker's configuration; `false`: chains only
 * @param {'wrangler' | 'miniflare'} [options.engine] `wrangler dev` is what everybody starts, but of many requests at
 *   once its proxy now and then holds some back until the next one comes; it is also slower to start
 * @param {number} [options.relayers]
 * @param {number} [options.feePayers]
 * @param {number} [options.buyers] on each chain, with 1,000 USDC each
 * @returns {Promise<World>}
 *
 * @typedef {object} World
 * @property {string} url of the Worker
 * @property {any} worker
 * @property {import('./evm/anvil.mjs').Anvil} evm
 * @property {import('./solana/server.mjs').Solana} solana
 * @property {{ evm: { seller: any, relayers: any[], buyers: any[] }, solana: { seller: any, feePayers: any[], buyers: any[] } }} accounts
 * @property {(buyer?: number) => import('./clients.mjs').Buyer} buyer what the clients in clients.mjs take
 * @property {(worker?: object) => Promise<any>} startWorker one more Worker on the same chains
 * @property {() => Promise<void>} stop
 */
export async function startWorld({ evm = {}, solana = {}, worker = {}, engine = 'miniflare', relayers = 1, feePayers = 1, buyers = 2 } = {}) {
  const stops = [];
  const stop = async () => {
    const problems = [];
    for (const end of stops.splice(0).reverse()) await end().catch((error) => problems.push(error));
    if (problems.length > 0) throw problems[0];
  };
  try {
    const accounts = await people({ relayers, feePayers, buyers });
    const chains = { evm: await startAnvil(evm), solana: await startSolana(solana) };
    stops.push(chains.evm.stop, chains.solana.stop);
    await fund(chains, accounts);
    const world = { ...chains, accounts, stop, buyer: (index = 0) => buyerOf(chains, accounts, index) };
    world.startWorker = async (changes = {}) => {
      const start = await engineNamed(engine);
      const started = await start(workerOptions(chains, accounts, changes));
      stops.push(async () => {
        await started.stop();
        assertSound(started.log());
      });
      return started;
    };
    if (worker !== false) world.worker = await world.startWorker(worker);
    world.url = world.worker?.url;
    return world;
  } catch (error) {
    await stop();
    throw error;
  }
}

/** What the Worker's log says once WebAssembly has trapped, or an error has reached nobody: the next request begins anew. */
const BREAKDOWN = /^.*(WebAssembly was trapped|Module terminated|panicked at|Uncaught (?!exception)|RuntimeError).*$/m;

/** Fails on a Worker that has broken down, even if all its answers were good. */
function assertSound(log) {
  const line = BREAKDOWN.exec(log)?.[0];
  if (line) throw new Error(`The Worker has broken down: ${line}`);
}

/** Miniflare is loaded only when asked for: its packages are slow to load and take over SIGINT. */
async function engineNamed(engine) {
  if (engine === 'wrangler') return startWorker;
  const { startMiniflare } = await import('./miniflare.mjs');
  return startMiniflare;
}

/** The Worker's options in this world: whatever `changes` names wins. */
function workerOptions({ evm, solana }, { evm: { seller, relayers }, solana: { seller: solanaSellerAccount, feePayers } }, changes) {
  // Base Sepolia, unless anvil plays another chain.
  const evmNetwork = `eip155:${evm.chainId}`;
  const vars = {
    NETWORKS: {
      [evmNetwork]: { rpc: [evm.url], pay_to: seller.address },
      [SOLANA_NETWORK]: { rpc: [solana.url], pay_to: solanaSellerAccount.address },
    },
    ...changes.vars,
  };
  const local = { [evmNetwork]: [evm.url], [SOLANA_NETWORK]: [solana.url] };
  // Of the local nodes, those of the networks that are configured, and not somebody else's task.
  const own = ([network]) => network in vars.NETWORKS && !vars.NETWORKS[network].facilitator;
  const urls = Object.fromEntries(Object.entries(local).filter(own));
  return {
    ...changes,
    vars,
    secrets: {
      EVM_RELAYER_KEYS: relayers.map(({ privateKey }) => privateKey).join(','),
      SOLANA_FEE_PAYER_KEYS: feePayers.map(({ secretBase58 }) => secretBase58).join(','),
      GRANT_SECRET,
      RPC_URLS: JSON.stringify(urls),
      ...changes.secrets,
    },
  };
}

async function people({ relayers, feePayers, buyers }) {
  return {
    evm: { seller: evmSeller(), relayers: evmRelayers(relayers), buyers: evmBuyers(buyers) },
    solana: {
      seller: await solanaSeller(),
      feePayers: await solanaFeePayers(feePayers),
      buyers: await solanaBuyers(buyers),
    },
  };
}

async function fund({ evm, solana }, accounts) {
  for (const { address } of accounts.evm.relayers) await evm.fund(address);
  for (const { address } of accounts.evm.buyers) await evm.mintUsdc(address, BUYER_FUNDS);
  createMints(solana);
  addLighthouse(solana);
  for (const { address } of accounts.solana.feePayers) fundSol(solana, address);
  for (const mint of [USDC_MINT, TOKEN_2022_MINT]) {
    await createAta(solana, accounts.solana.seller.address, mint);
    for (const { address } of accounts.solana.buyers) await mintToken(solana, address, BUYER_FUNDS, mint);
  }
}

function buyerOf({ solana }, accounts, index) {
  return { evm: accounts.evm.buyers[index], solana: accounts.solana.buyers[index], solanaUrl: solana.url };
}
