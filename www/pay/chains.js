/** What a page may know of networks: nodes and explorers that are open to everybody. The Worker's own nodes are never named here: their URLs may hold keys. */

const ETHER = ['Ether', 'ETH'];
const coin = ([name, symbol]) => ({ name, symbol, decimals: 18 });
const evm = (title, rpc, explorer, money = ETHER, test = false) => ({ title, rpc, explorer, coin: coin(money), test });

const SOLANA = 'solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp';
const DEVNET = 'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1';

/** By CAIP-2 name. The nodes and explorers are those of viem's chain definitions and of chainid.network (ethereum-lists/chains). */
const CHAINS = {
  'eip155:1': evm('Ethereum', 'https://ethereum-rpc.publicnode.com', 'https://etherscan.io'),
  'eip155:8453': evm('Base', 'https://mainnet.base.org', 'https://basescan.org'),
  'eip155:84532': evm('Base Sepolia', 'https://sepolia.base.org', 'https://sepolia.basescan.org', ETHER, true),
  'eip155:43114': evm('Avalanche', 'https://api.avax.network/ext/bc/C/rpc', 'https://snowtrace.io', ['Avalanche', 'AVAX']),
  'eip155:43113': evm('Avalanche Fuji', 'https://api.avax-test.network/ext/bc/C/rpc', 'https://testnet.snowtrace.io', ['Avalanche', 'AVAX'], true),
  'eip155:137': evm('Polygon', 'https://polygon.drpc.org', 'https://polygonscan.com', ['POL', 'POL']),
  'eip155:80002': evm('Polygon Amoy', 'https://polygon-amoy.drpc.org', 'https://amoy.polygonscan.com', ['POL', 'POL'], true),
  'eip155:42161': evm('Arbitrum One', 'https://arb1.arbitrum.io/rpc', 'https://arbiscan.io'),
  'eip155:1329': evm('Sei', 'https://evm-rpc.sei-apis.com', 'https://seiscan.io', ['Sei', 'SEI']),
  'eip155:42220': evm('Celo', 'https://forno.celo.org', 'https://celoscan.io', ['Celo', 'CELO']),
  'eip155:143': evm('Monad', 'https://rpc.monad.xyz', 'https://monadscan.com', ['Monad', 'MON']),
  [SOLANA]: { explorer: 'https://explorer.solana.com', standard: 'solana:mainnet' },
  [DEVNET]: { explorer: 'https://explorer.solana.com', query: '?cluster=devnet', standard: 'solana:devnet', test: true },
};

export const chainOf = (network) => CHAINS[network] ?? {};
export const isEvm = (network) => network.startsWith('eip155:');

/** Where people see a transaction; undefined for a network without a known explorer. */
export function explorerUrl(network, transaction) {
  const { explorer, query = '' } = chainOf(network);
  return explorer && transaction ? `${explorer}/tx/${encodeURIComponent(transaction)}${query}` : undefined;
}

export const FAUCET = 'https://faucet.circle.com/';
