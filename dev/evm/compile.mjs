/** Compiles TestUSDC.sol, once per content of the file. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { devPath } from '../util.mjs';

const SOURCE = new URL('./TestUSDC.sol', import.meta.url);
// Compiler settings belong to the cache key, like the source.
const SETTINGS = {
  optimizer: { enabled: true, runs: 10_000 },
  evmVersion: 'shanghai',
  outputSelection: { '*': { '*': ['abi', 'evm.deployedBytecode.object'] } },
};

/**
 * The test token.
 *
 * @param {string} [name] its EIP-712 name: USDC is "USDC" on some networks and "USD Coin" on others
 * @returns {{ abi: any[], runtimeCode: `0x${string}` }} what `anvil_setCode` takes
 */
export function compileTestUsdc(name = 'USDC') {
  const source = readFileSync(SOURCE, 'utf8').replace('name = "USDC"', `name = "${name}"`);
  const key = createHash('sha256').update(source).update(JSON.stringify(SETTINGS)).digest('hex').slice(0, 16);
  const cached = devPath('solc', `TestUSDC-${key}.json`);
  if (existsSync(cached)) return JSON.parse(readFileSync(cached, 'utf8'));
  const result = compile(source);
  // Test files run side by side: written whole, then named.
  const partial = `${cached}.${process.pid}`;
  writeFileSync(partial, JSON.stringify(result));
  renameSync(partial, cached);
  return result;
}

function compile(source) {
  // Loaded only when needed: the compiler takes a second to start.
  const solc = createRequire(import.meta.url)('solc');
  const input = { language: 'Solidity', sources: { 'TestUSDC.sol': { content: source } }, settings: SETTINGS };
  const output = JSON.parse(solc.compile(JSON.stringify(input)));
  const faults = (output.errors ?? []).filter((fault) => fault.severity === 'error');
  if (faults.length > 0) throw new Error(faults.map((fault) => fault.formattedMessage).join('\n'));
  const { abi, evm } = output.contracts['TestUSDC.sol'].TestUSDC;
  return { abi, runtimeCode: `0x${evm.deployedBytecode.object}` };
}
