/** The networks that a seller can name without knowing more of them, and nodes that anybody may ask. */
import { report } from './reader.mjs';

/** Public nodes, for a start: a shop with many buyers needs nodes of its own. By CAIP-2 name. */
const PUBLIC_NODES = {
  'eip155:1': ['https://ethereum-rpc.publicnode.com', 'https://eth.drpc.org'],
  'eip155:137': ['https://polygon-bor-rpc.publicnode.com', 'https://polygon.drpc.org'],
  'eip155:143': ['https://rpc.monad.xyz'],
  'eip155:1329': ['https://evm-rpc.sei-apis.com'],
  'eip155:8453': ['https://mainnet.base.org', 'https://base-rpc.publicnode.com'],
  'eip155:42161': ['https://arb1.arbitrum.io/rpc', 'https://arbitrum-one-rpc.publicnode.com'],
  'eip155:42220': ['https://forno.celo.org'],
  'eip155:43113': ['https://api.avax-test.network/ext/bc/C/rpc'],
  'eip155:43114': ['https://api.avax.network/ext/bc/C/rpc'],
  'eip155:80002': ['https://rpc-amoy.polygon.technology'],
  'eip155:84532': ['https://sepolia.base.org', 'https://base-sepolia-rpc.publicnode.com'],
  'solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp': ['https://api.mainnet-beta.solana.com'],
  'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1': ['https://api.devnet.solana.com'],
};

/** Nodes of a network that anybody may ask. */
export const publicNodes = (id) => PUBLIC_NODES[id] ?? [];

/** Where coin for fees is free, on the test networks. */
const FAUCETS = {
  'eip155:84532': 'https://docs.base.org/base-chain/network-information/network-faucets',
  'eip155:43113': 'https://core.app/tools/testnet-faucet',
  'eip155:80002': 'https://faucet.polygon.technology',
  'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1': 'https://faucet.solana.com',
};

/** Where a test network's coin is free, in words that go behind a sentence; empty for every other network. */
export const freeCoinOf = (id) => (Object.hasOwn(FAUCETS, id) ? `, free at ${FAUCETS[id]}` : '');

/** Every network that needs no more than its name. */
export async function knownNetworks() {
  return (await report({})).known;
}

/** A network by any of its names: CAIP-2, x402's of version 1, or what people call it. */
export function findNetwork(known, name) {
  const plain = (text) => text?.toLowerCase().replace(/[\s_]+/g, '-');
  return known.find(({ id, v1Name, title }) => [id, v1Name, title].map(plain).includes(plain(name)));
}

/** What people can name networks by, for a message. */
export const namesOf = (known) => known.map(({ v1Name, title }) => v1Name ?? title.toLowerCase().replace(/\s+/g, '-')).join(', ');
