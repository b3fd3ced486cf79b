/** How long a buyer waits where the nodes and the origin are as far away as they are in the world. */
import { EVM_NETWORK, SOLANA_NETWORK, startWorld } from '../../world.mjs';
import { startOrigin } from '../origin.mjs';
import { withStops } from '../rounds.mjs';
import { startRpcCounter } from '../rpc-counter.mjs';
import { PAID_PATH, startEdge402, startReference } from '../systems.mjs';
import { median, ms } from '../table.mjs';
import { payFor, preparePayment } from '../wallet.mjs';

const RPC_MS = 80;
const ORIGIN_MS = 120;
/** The longer of the two, and the sending; and what the machine takes besides. */
const BAR_MS = 215;
const BUYERS = 4;

/**
 * Without Miniflare's own proxy, which is no part of what people deploy.
 *
 * @returns {Promise<import('../table.mjs').Group[]>}
 */
export async function distance({ quick, note }) {
  return withStops(async (keep) => {
    const world = keep(await startWorld({ worker: false, relayers: 2, feePayers: 2, buyers: BUYERS, solana: { slotMs: 400 } }));
    const origin = keep(await startOrigin({ delayMs: ORIGIN_MS }));
    const far = async (url) => keep(await startRpcCounter(url, { delayMs: RPC_MS })).url;
    const options = { origin: origin.url, evmUrl: await far(world.evm.url), solanaUrl: await far(world.solana.url) };
    const systems = [];
    for (const start of [startEdge402, startReference]) systems.push(keep(await start(world, options)));
    const rows = [];
    for (const [chain, network] of [['EVM', EVM_NETWORK], ['Solana', SOLANA_NETWORK]]) {
      const waits = { edge402: [], reference: [] };
      // The first payment is the cold one.
      for (let i = 0; i <= (quick ? 4 : 12); i += 1) {
        note(`${chain} payment ${i}`);
        for (const { name, directUrl } of systems) {
          const headers = await preparePayment(directUrl + PAID_PATH, world.buyer(i % BUYERS), network);
          const result = await payFor(directUrl + PAID_PATH, headers);
          if (!result.paid) throw new Error(`${name} on ${network}: ${result.status} ${result.reason}`);
          if (i > 0) waits[name].push(result.ms);
        }
      }
      const ours = median(waits.edge402);
      const bar = network === EVM_NETWORK ? { bar: `≤ ${BAR_MS} ms`, passes: ours <= BAR_MS } : {};
      rows.push({ what: chain, ours: ms(ours, 0), reference: ms(median(waits.reference), 0), how: 'signed request to page', ...bar });
    }
    return [{ title: `Warm payment, ${RPC_MS} ms to the RPC and ${ORIGIN_MS} ms to the origin`, rows }];
  });
}
