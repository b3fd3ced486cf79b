/**
 * CPU of one payment check in workerd: requests with a payment whose signature
 * is good and whose recipient is not, less requests without a payment. Both
 * are answered 402 and neither asks anybody. Each payment is another one, as
 * the Worker remembers whose signatures it has worked out lately.
 */
import { startWorld, EVM_NETWORK, SOLANA_NETWORK } from '../../world.mjs';
import { bundle } from '../bundle.mjs';
import { startOrigin } from '../origin.mjs';
import { byTurns, difference, withStops } from '../rounds.mjs';
import { PAID_PATH, startEdge402, startScript } from '../systems.mjs';
import { ms } from '../table.mjs';
import { preparePayments } from '../wallet.mjs';

const BAR_MS = 0.6;
/** Three times as many as it remembers. */
const PAYMENTS = 6_000;

/** @returns {Promise<import('../table.mjs').Group>} */
export async function check({ quick, note }) {
  return withStops(async (keep) => {
    const world = keep(await startWorld({ worker: false, relayers: 2, feePayers: 2 }));
    const origin = keep(await startOrigin());
    const edge402 = keep(await startEdge402(world, { origin: origin.url }));
    const viem = keep(await startScript('viem', await bundle('workers/viem-check.mjs')));
    const kit = keep(await startScript('kit', await bundle('workers/kit-check.mjs')));

    const { evm, solana } = world.accounts;
    const toSomebodyElse = {
      [EVM_NETWORK]: (offer) => ({ ...offer, payTo: evm.buyers[1].address }),
      [SOLANA_NETWORK]: (offer) => ({ ...offer, payTo: solana.buyers[1].address }),
    };
    note(`signing ${PAYMENTS} payments on each chain`);
    const payment = (network) => preparePayments(PAYMENTS, edge402.url + PAID_PATH, world.buyer(0), network, toSomebodyElse[network]);
    const evmPayment = await payment(EVM_NETWORK);
    const solanaPayment = await payment(SOLANA_NETWORK);

    const target = (system, kind, headers) => ({ name: `${system.name} ${kind}`, pid: system.pid, url: system.directUrl + PAID_PATH, headers, status: 402 });
    const targets = [
      target(edge402, 'plain'), target(edge402, 'EVM', evmPayment), target(edge402, 'Solana', solanaPayment),
      target(viem, 'plain'), target(viem, 'EVM', evmPayment),
      target(kit, 'plain'), target(kit, 'Solana', solanaPayment),
    ];
    for (const { name, url, headers } of targets) if (headers) await mustRefuseRecipient(name, url, headers[0]);
    const results = await byTurns(targets, { rounds: quick ? 2 : 5, seconds: 0.8, warmUp: quick ? 0.5 : 1, note });

    const cost = (name, kind) => difference(results[`${name} ${kind}`].cpuMs, results[`${name} plain`].cpuMs);
    const ours = cost('edge402', 'EVM');
    return {
      title: 'CPU of one payment check',
      rows: [
        { what: 'EVM', ours: ms(ours), reference: ms(cost('viem', 'EVM')), bar: `≤ ${ms(BAR_MS, 1)}`, passes: ours <= BAR_MS, how: "reference: viem's recoverTypedDataAddress" },
        { what: 'Solana', ours: ms(cost('edge402', 'Solana')), reference: ms(cost('kit', 'Solana')), how: "reference: @solana/kit and the runtime's own ed25519" },
      ],
    };
  });
}

async function mustRefuseRecipient(name, url, headers) {
  const response = await fetch(url, { headers });
  const receipt = response.headers.get('payment-response');
  const { error } = await response.json();
  const reason = receipt ? JSON.parse(Buffer.from(receipt, 'base64').toString()).errorReason : error;
  if (!/recipient_mismatch$/.test(reason)) throw new Error(`${name} should refuse the recipient, but said ${response.status} ${reason}`);
}
