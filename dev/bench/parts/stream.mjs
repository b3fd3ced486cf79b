/** A model's answer as a stream of events: when the buyer has the first of them, with a meter and without. */
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { ExactEvmScheme } from '@x402/evm/exact/client';
import { UptoEvmScheme } from '@x402/evm/upto/client';
import { placePermit2, TOKEN_ADDRESS, TOKEN_NAME, TOKEN_VERSION } from '../../evm/permit2.mjs';
import { listen } from '../../util.mjs';
import { EVM_NETWORK, startWorld } from '../../world.mjs';
import { withStops } from '../rounds.mjs';
import { startEdge402 } from '../systems.mjs';
import { median, ms } from '../table.mjs';
import { signPayment } from '../wallet.mjs';

/** How long the model thinks before its first event, and between events. */
const THINKS_MS = 200;
const EVENT_MS = 10;
const EVENTS = 20;
const BUYERS = 4;
const FUNDS = 1_000_000_000n;
const BAR = 1.05;

const sold = { price: '$0.05' };
const ROUTES = [
  { ...sold, pattern: '/plain' },
  { ...sold, pattern: '/tokens', scheme: 'upto', meter: { json: 'usage.total_tokens', per: 1000, price: '$0.002' }, unsettled_max: { payer: '$10', route: '$100' } },
  { ...sold, pattern: '/bytes', scheme: 'upto', meter: { bytes: 1000, price: '$0.001' }, unsettled_max: { payer: '$10', route: '$100' } },
];

/** @returns {Promise<import('../table.mjs').Group>} */
export async function stream({ quick, note }) {
  return withStops(async (keep) => {
    const world = keep(await startWorld({ worker: false, buyers: BUYERS }));
    const token = await placePermit2(world.evm);
    for (const buyer of world.accounts.evm.buyers) {
      await token.mint(buyer.address, FUNDS);
      await token.approve(buyer);
    }
    const model = keep(await startModel());
    const NETWORKS = {
      [EVM_NETWORK]: {
        rpc: [world.evm.url], pay_to: world.accounts.evm.seller.address,
        asset: TOKEN_ADDRESS, symbol: 'TUSD', decimals: 6, name: TOKEN_NAME, version: TOKEN_VERSION, asset_transfer_method: 'permit2',
      },
    };
    const edge402 = keep(await startEdge402(world, { origin: model.url, vars: { ROUTES, NETWORKS } }));
    const kinds = [['free', null], ['plain', ExactEvmScheme], ['tokens', UptoEvmScheme], ['bytes', UptoEvmScheme]];
    const waits = Object.fromEntries(kinds.map(([name]) => [name, { first: [], passing: [], last: [] }]));
    const rounds = quick ? 4 : 16;
    // The first round is the cold one.
    for (let round = 0; round <= rounds; round += 1) {
      const buyer = world.accounts.evm.buyers[round % BUYERS];
      // Nobody is always the first: what ran before leaves its mark.
      const from = round % kinds.length;
      for (const [name, Scheme] of [...kinds.slice(from), ...kinds.slice(0, from)]) {
        note(`round ${round} of ${rounds}: ${name}`);
        const url = `${edge402.url}/${name}`;
        const headers = Scheme ? await signPayment(url, [['eip155:*', new Scheme(buyer)]], EVM_NETWORK) : {};
        const times = await watch(url, headers);
        if (round === 0) continue;
        for (const [what, value] of Object.entries(times)) waits[name][what].push(value);
      }
    }
    return {
      title: `Stream of events, the first after ${THINKS_MS} ms`,
      rows: [...['tokens', 'bytes'].map((name) => firstRow(name, waits)), passingRow(waits)],
    };
  });
}

/** A model that says in each event when it was sent, and in the last one how much was used. */
async function startModel() {
  const server = createServer(async (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    await sleep(THINKS_MS);
    for (let i = 0; i < EVENTS; i += 1) {
      response.write(`data: ${JSON.stringify({ sent: performance.now(), choices: [{ delta: { content: 'fjord ' } }], usage: null })}\n\n`);
      await sleep(EVENT_MS);
    }
    response.end(`data: ${JSON.stringify({ sent: performance.now(), choices: [], usage: { total_tokens: EVENTS } })}\n\ndata: [DONE]\n\n`);
  });
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}`,
    stop: () => new Promise((done) => { server.close(done); server.closeAllConnections(); }),
  };
}

/**
 * Milliseconds until the first event, until the last byte, and from the model to the buyer for each event but the
 * first; the model is in this process, and has the same clock.
 */
async function watch(url, headers) {
  const start = performance.now();
  const response = await fetch(url, { headers });
  if (response.status !== 200) throw new Error(`${url}: ${response.status} ${(await response.text()).slice(0, 200)}`);
  let first;
  const passing = [];
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const now = performance.now();
    const sent = [...chunk.matchAll(/"sent":([\d.]+)/g)].map(([, time]) => Number(time));
    if (first !== undefined) passing.push(...sent.map((time) => now - time));
    first ??= now - start;
  }
  return { first, passing: median(passing), last: performance.now() - start };
}

function firstRow(name, waits) {
  const [ours, plain, free] = [name, 'plain', 'free'].map((it) => median(waits[it].first));
  return {
    what: `counted by ${name}: to the first event`,
    ours: ms(ours, 0),
    bar: `≤ ${BAR} × sold without a meter`,
    passes: ours <= BAR * plain,
    how: `sold without a meter, which is settled before: ${ms(plain, 0)}; free: ${ms(free, 0)}`,
  };
}

function passingRow(waits) {
  const of = (name) => ms(median(waits[name].passing), 2);
  return { what: 'an event, from the model to the buyer', ours: of('tokens'), how: `counted by bytes ${of('bytes')}, sold without a meter ${of('plain')}, free ${of('free')}` };
}
