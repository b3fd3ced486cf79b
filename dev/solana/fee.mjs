/** What a transaction costs its fee payer, in lamports. */
const COMPUTE_BUDGET = 'ComputeBudget111111111111111111111111111111';
const LAMPORTS_PER_SIGNATURE = 5_000n;
const DEFAULT_UNITS_PER_INSTRUCTION = 200_000n;
const MAX_UNITS = 1_400_000n;

/** @returns {bigint} signatures, and compute unit limit times price, rounded up */
export function feeOf({ header, staticAccounts, instructions }) {
  let limit;
  let price = 0n;
  let others = 0n;
  for (const { programAddressIndex, data = new Uint8Array() } of instructions) {
    const view = Buffer.from(data);
    if (staticAccounts[programAddressIndex] !== COMPUTE_BUDGET) others += 1n;
    else if (view[0] === 2 && view.length >= 5) limit = BigInt(view.readUInt32LE(1));
    else if (view[0] === 3 && view.length >= 9) price = view.readBigUInt64LE(1);
  }
  const units = min(limit ?? others * DEFAULT_UNITS_PER_INSTRUCTION, MAX_UNITS);
  const priority = (units * price + 999_999n) / 1_000_000n;
  return BigInt(header.numSignerAccounts) * LAMPORTS_PER_SIGNATURE + priority;
}

function min(a, b) {
  return a < b ? a : b;
}
