/** Compiles the local chains' contracts, once per content of a file. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { ROOT, devPath } from '../util.mjs';

const SOURCES = join(ROOT, 'dev/evm');
/** In the package: what was compiled when it was made. It has no compiler. */
const COMPILED = join(SOURCES, 'compiled');

// Compiler settings belong to the cache key, like the source.
const SETTINGS = {
  optimizer: { enabled: true, runs: 10_000 },
  evmVersion: 'shanghai',
  outputSelection: { '*': { '*': ['abi', 'evm.deployedBytecode.object'] } },
};

/**
 * A contract of a file: its interface, and what `anvil_setCode` takes.
 *
 * @typedef {{ abi: any[], runtimeCode: `0x${string}` }} Contract
 */

/**
 * The test token.
 *
 * @param {string} [name] its EIP-712 name: USDC is "USDC" on some networks and "USD Coin" on others
 * @returns {Contract}
 */
export function compileTestUsdc(name = 'USDC') {
  return compiled('TestUSDC.sol', (source) => source.replace('name = "USDC"', `name = "${name}"`)).TestUSDC;
}

/**
 * Permit2, x402's contracts in front of it, and a token that knows EIP-2612 and not EIP-3009.
 *
 * @returns {{ TestPermit2: Contract, TestExactPermit2Proxy: Contract, TestUptoPermit2Proxy: Contract, TestToken: Contract }}
 */
export function compileTestPermit2() {
  return compiled('TestPermit2.sol');
}

/**
 * Smart wallets, what deploys them, and what accounts delegate to.
 *
 * @returns {Record<'TestWalletFactory' | 'TestGreedyFactory' | 'TestDelegate' | 'TestStrictDelegate' | 'TestFickleWallet' | 'TestGreedyWallet', Contract>}
 */
export function compileTestWallets() {
  return compiled('TestWallets.sol');
}

/** The contracts of a file, by their names. */
function compiled(file, edit = (source) => source) {
  const source = edit(readFileSync(join(SOURCES, file), 'utf8'));
  const key = createHash('sha256').update(source).update(JSON.stringify(SETTINGS)).digest('hex').slice(0, 16);
  const name = `${file}-${key}.json`;
  const cached = devPath('solc', name);
  const made = [join(COMPILED, name), cached].find(existsSync);
  if (made) return JSON.parse(readFileSync(made, 'utf8'));
  const result = compile(file, source);
  // Test files run side by side: written whole, then named.
  const partial = `${cached}.${process.pid}`;
  writeFileSync(partial, JSON.stringify(result));
  renameSync(partial, cached);
  return result;
}

function compile(file, source) {
  // Loaded only when needed: the compiler takes a second to start.
  const solc = createRequire(import.meta.url)('solc');
  const input = { language: 'Solidity', sources: { [file]: { content: source } }, settings: SETTINGS };
  const output = JSON.parse(solc.compile(JSON.stringify(input)));
  const faults = (output.errors ?? []).filter((fault) => fault.severity === 'error');
  if (faults.length > 0) throw new Error(faults.map((fault) => fault.formattedMessage).join('\n'));
  const contracts = Object.entries(output.contracts[file]).map(([name, { abi, evm }]) =>
    [name, { abi, runtimeCode: `0x${evm.deployedBytecode.object}` }]);
  return Object.fromEntries(contracts);
}
