/** `npm run pay -- <url>`: buys something from a local shop with a real client. */
import { evmBuyer, solanaBuyer } from './accounts.mjs';
import { Mistake, command, readArguments } from './cli.mjs';
import { caip2, x402Fetch, x402FetchV1 } from './clients.mjs';
import { purchase } from './purchase.mjs';
import { isMain } from './util.mjs';
import { findWorld } from './world-file.mjs';

const USAGE = `Usage: npm run pay -- <url> [options]

  --network <name>  eip155:84532 or base-sepolia; solana:EtWT… or solana-devnet
                    default: what the seller offers first
  --v1              protocol version 1 (x402-fetch) instead of 2 (@x402/fetch)
  --buyer <n>       which of the local buyers pays, default 0
  --out <file>      where to write what was bought`;

async function main() {
  const { url, options } = readPurchase();
  const world = findWorld();
  if (!world) throw new Mistake('No local world runs: start one with `npm start` in another terminal.');
  const people = { evm: evmBuyer(options.buyer), solana: await solanaBuyer(options.buyer) };
  const client = options.v1 ? x402FetchV1 : x402Fetch;
  const wasGood = await purchase({
    url,
    out: options.out,
    version: options.v1 ? 1 : 2,
    buyer: { evm: people.evm.address, solana: people.solana.address },
    client: (how) => client({ ...people, solanaUrl: world.solana.url, network: options.network, ...how }),
    idOf: caip2,
    nodeOf: (id) => (id.startsWith('eip155:') ? world.evm.url : world.solana.url),
    onChallenge({ v1 }) {
      if (options.v1 && !Array.isArray(v1?.accepts)) throw new Mistake('The seller offers nothing to clients of version 1.');
    },
  });
  if (!wasGood) process.exitCode = 1;
}

const OPTIONS = {
  network: { type: 'string' },
  v1: { type: 'boolean', default: false },
  buyer: { type: 'string', default: '0' },
  out: { type: 'string' },
};

function readPurchase() {
  const { values, positionals: [url] } = readArguments(USAGE, { options: OPTIONS, arguments: [1, 1] });
  if (!URL.canParse(url)) throw new Mistake(`${url} is not a URL\n\n${USAGE}`);
  if (!/^\d+$/.test(values.buyer)) throw new Mistake(`--buyer ${values.buyer} is not a number\n\n${USAGE}`);
  return { url, options: { ...values, buyer: Number(values.buyer) } };
}

if (isMain(import.meta.url)) {
  await command(() => main().catch((error) => {
    throw error instanceof Mistake ? error : new Error(`The purchase failed: ${error.message}`);
  }));
}
