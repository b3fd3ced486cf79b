/** `npm start`: the demo shop on this machine, with both chains behind it. */
import { build } from './build.mjs';
import { ensureTools } from './tools.mjs';
import { preferPort, step } from './util.mjs';
import { startWorld } from './world.mjs';
import { findWorld, forgetWorld, noteWorld } from './world-file.mjs';

const PORT = 8402;

/** What the shop sells: the routes that `npm run pay` is shown with. */
const EXAMPLE = '/premium/';

const stops = [];
let stopping = false;

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => end(0));

const open = findWorld();
if (open) {
  // Two shops would share one folder, and each would take the other's keys for its own.
  console.error(`The shop is open already: ${open.url} (process ${open.pid}). Close it first.`);
  process.exit(1);
}

try {
  await step('Build tools', ensureTools);
  await step('Worker built', () => build({ quiet: false }));
  const world = await step('Local chains, with test money', () => startWorld({ worker: false, solana: { slotMs: 400 } }));
  stops.push(world.stop);
  await step('Worker in workerd', startShop(world));
  noteWorld(world);
  stops.push(forgetWorld);
  console.log(welcome(world));
} catch (error) {
  console.error(`\n${error.message}`);
  await end(1);
}

function startShop(world) {
  return async () => {
    world.worker = await world.startWorker({ name: 'shop', port: await preferPort(PORT) });
    world.url = world.worker.url;
    world.worker.exited?.then(() => !stopping && end(1));
  };
}

function welcome({ url, evm, solana }) {
  return `
The shop is open:  ${url}

  base-sepolia     ${evm.url}  (anvil)
  solana-devnet    ${solana.url}  (litesvm)

Look at it in a browser, or buy something in another terminal:

  curl -i ${url}${EXAMPLE}
  npm run pay -- ${url}${EXAMPLE}
  npm run pay -- ${url}${EXAMPLE} --network solana-devnet

Ctrl-C closes the shop.`;
}

async function end(code) {
  if (stopping) return;
  stopping = true;
  for (const stop of stops.reverse()) await stop();
  process.exit(code);
}
