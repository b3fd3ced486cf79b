/** A local EVM chain: anvil with test USDC and Multicall3 where the real ones are. */
import { createRequire } from 'node:module';
import {
  createTestClient, defineChain, encodeAbiParameters, getAddress, http, keccak256, numberToHex, parseAbi, parseAbiItem,
  parseEther, publicActions, walletActions,
} from 'viem';
// Not among what viem offers to others.
import { multicall3Bytecode } from '../../node_modules/viem/_esm/constants/contracts.js';
import { finalError, startProcess, waitFor } from '../util.mjs';
import { compileTestUsdc } from './compile.mjs';

/** USDC of Base Sepolia, `eip155:84532`. */
export const USDC_ADDRESS = '0x036CbD53842c5426634e7929541eC2318f3dCF7e';
/** Multicall3: the same address on every chain. */
export const MULTICALL3_ADDRESS = '0xcA11bde05977b3631167028862bE2a173976CA11';

const IDLE_BLOCK_SECONDS = 2;

/** Base fees of chains where anvil's own, 1 gwei, would be more than a cent for a payment: by chain id, in wei. */
const BASE_FEES = { 8453: 5_000_000 };

const USDC_ABI = parseAbi([
  'function balanceOf(address owner) view returns (uint256)',
  'function authorizationState(address authorizer, bytes32 nonce) view returns (bool)',
]);
// Where TestUSDC.sol keeps `totalSupply` and the mapping `balanceOf`.
const TOTAL_SUPPLY_SLOT = numberToHex(0, { size: 32 });
const BALANCES_SLOT = 1n;
const TRANSFER = parseAbiItem('event Transfer(address indexed from, address indexed to, uint256 value)');

/**
 * Starts anvil on 127.0.0.1 and waits until it answers.
 *
 * @param {object} [options]
 * @param {number} [options.chainId] decimal chain id
 * @param {{ address?: string, name?: string }} [options.token] where USDC is on that chain, and its EIP-712 name
 * @param {number | 'manual'} [options.blockTime] seconds between blocks; 'manual': only `client.mine` makes
 *   one; without it every transaction gets a block at once, and the clock an empty one every other second
 * @param {number} [options.port] where it listens, unless somebody else does; default: any free one
 * @param {string[]} [options.args] more arguments for anvil
 * @returns {Promise<Anvil>}
 *
 * @typedef {object} Anvil
 * @property {string} url
 * @property {number} port
 * @property {number} chainId
 * @property {number} pid
 * @property {any} client viem client with test, public and wallet actions
 * @property {any[]} abi of the test USDC
 * @property {() => string} log
 * @property {() => Promise<void>} stop
 * @property {(address: string, name: string) => Promise<any>} addToken puts the code of the test USDC at one more
 *   address, under another EIP-712 name: `mintUsdc`, `usdcBalance`, `authorizationState` and `transferLogs` of that
 * @property {(to: string, amount: bigint) => Promise<void>} mintUsdc amount in atomic units
 * @property {(owner: string) => Promise<bigint>} usdcBalance
 * @property {(authorizer: string, nonce: string) => Promise<boolean>} authorizationState true: used or canceled
 * @property {(filter?: { from?: string, to?: string }) => Promise<any[]>} transferLogs Transfer events since the start
 * @property {(address: string, amount?: bigint) => Promise<void>} fund sets an account's ether, in wei
 */
export async function startAnvil(options = {}) {
  try {
    return await startAt(options.port ?? 0, options);
  } catch (error) {
    if (!options.port || !ADDRESS_TAKEN.test(error.message)) throw error;
    return startAt(0, options);
  }
}

const ADDRESS_TAKEN = /Address already in use|AddrInUse/;

async function startAt(port, { chainId = 84532, token = {}, blockTime, args = [] }) {
  const { address: usdc = USDC_ADDRESS, name } = token;
  const { abi, runtimeCode } = compileTestUsdc(name);
  const process = startProcess(anvilBinary(), [
    '--host', '127.0.0.1', '--port', String(port), '--chain-id', String(chainId),
    ...miningArguments(blockTime),
    ...feeArguments(chainId),
    ...args,
  ]);
  try {
    const listening = await waitFor(() => listeningPort(process), { what: 'anvil to start' });
    const url = `http://127.0.0.1:${listening}`;
    const client = chainClient(url, chainId);
    // Calls at the genesis block see the time 1; from the first block on they see that block's.
    await client.mine({ blocks: 1 });
    await client.setCode({ address: usdc, bytecode: runtimeCode });
    await client.setCode({ address: MULTICALL3_ADDRESS, bytecode: await multicall3Code(client) });
    const addToken = async (address, tokenName) => {
      await client.setCode({ address, bytecode: compileTestUsdc(tokenName).runtimeCode });
      return helpers(client, address);
    };
    return { url, port: listening, chainId, pid: process.pid, client, abi, log: process.log, stop: process.stop, addToken, ...helpers(client, usdc) };
  } catch (error) {
    await process.kill();
    throw error;
  }
}

/** A viem client with test, public and wallet actions for a running local chain. */
export function chainClient(url, chainId = 84532) {
  const chain = defineChain({
    id: chainId,
    name: `local ${chainId}`,
    nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
    rpcUrls: { default: { http: [url] } },
    contracts: { multicall3: { address: MULTICALL3_ADDRESS } },
  });
  return createTestClient({ mode: 'anvil', chain, transport: http(url), pollingInterval: 50 })
    .extend(publicActions)
    .extend(walletActions);
}

/** What a token says, USDC unless another one is named: `usdcBalance(owner)`, `authorizationState(authorizer, nonce)`. */
export function usdcReader(client, address = USDC_ADDRESS) {
  const read = (functionName, args) => client.readContract({ address, abi: USDC_ABI, functionName, args });
  return {
    usdcBalance: (owner) => read('balanceOf', [getAddress(owner)]),
    authorizationState: (authorizer, nonce) => read('authorizationState', [getAddress(authorizer), nonce]),
  };
}

function helpers(client, usdc) {
  return {
    async mintUsdc(to, amount) {
      // Written into storage: needs no block, so it works with any block time.
      await addToStorage(client, usdc, balanceSlot(to), amount);
      await addToStorage(client, usdc, TOTAL_SUPPLY_SLOT, amount);
    },
    ...usdcReader(client, usdc),
    transferLogs: ({ from, to } = {}) =>
      client.getLogs({ address: usdc, event: TRANSFER, args: { from, to }, fromBlock: 0n, toBlock: 'latest', strict: true }),
    fund: (address, value = parseEther('100')) => client.setBalance({ address: getAddress(address), value }),
  };
}

function balanceSlot(owner) {
  return keccak256(encodeAbiParameters([{ type: 'address' }, { type: 'uint256' }], [getAddress(owner), BALANCES_SLOT]));
}

async function addToStorage(client, usdc, index, amount) {
  const before = BigInt((await client.getStorageAt({ address: usdc, slot: index })) ?? 0);
  await client.setStorageAt({ address: usdc, index, value: numberToHex(before + amount, { size: 32 }) });
}

/** The native binary itself, not npm's wrapper script: its pid is anvil's pid. */
function anvilBinary() {
  const arch = process.arch === 'x64' ? 'amd64' : process.arch;
  const name = `@foundry-rs/anvil-${process.platform}-${arch}`;
  const binary = process.platform === 'win32' ? 'bin/anvil.exe' : 'bin/anvil';
  try {
    return createRequire(import.meta.url).resolve(`${name}/${binary}`);
  } catch (cause) {
    throw new Error(`${name} is not installed: run npm ci`, { cause });
  }
}

/**
 * A call at "latest" runs at the time of the latest block. Where blocks come
 * only with transactions, that soon lies before what buyers sign as valid_after.
 */
function miningArguments(blockTime) {
  if (blockTime === undefined) return ['--mixed-mining', '--block-time', String(IDLE_BLOCK_SECONDS)];
  return blockTime === 'manual' ? ['--no-mining'] : ['--block-time', String(blockTime)];
}

function feeArguments(chainId) {
  const baseFee = BASE_FEES[chainId];
  return baseFee === undefined ? [] : ['--block-base-fee-per-gas', String(baseFee)];
}

function listeningPort(process) {
  const found = /Listening on 127\.0\.0\.1:(\d+)/.exec(process.log());
  if (found) return Number(found[1]);
  if (!process.alive()) throw finalError(`anvil ended at once:\n${process.log()}`);
  return 0;
}

/** viem carries Multicall3's creation code; running it as a call answers the code to place. */
async function multicall3Code(client) {
  const { data } = await client.call({ data: multicall3Bytecode });
  return data;
}
