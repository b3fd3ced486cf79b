/** What `getTransaction` answers about a landed transaction. */
import { getBase58Decoder } from '@solana/kit';
import { uiAmount } from './parsed.mjs';

const toBase58 = getBase58Decoder();

/** A landed transaction in the encoding asked for. */
export function transactionJson(record, encoding) {
  const { slot, blockTime, transaction } = record;
  return { slot, blockTime, transaction: encodeTransaction(transaction, encoding), meta: metaJson(record) };
}

function encodeTransaction({ bytes, signatures, message }, encoding) {
  if (encoding === 'base64') return [Buffer.from(bytes).toString('base64'), 'base64'];
  if (encoding === 'base58') return [toBase58.decode(bytes), 'base58'];
  const { header, staticAccounts, instructions, lifetimeToken } = message;
  const shown = {
    header: {
      numRequiredSignatures: header.numSignerAccounts,
      numReadonlySignedAccounts: header.numReadonlySignerAccounts,
      numReadonlyUnsignedAccounts: header.numReadonlyNonSignerAccounts,
    },
    accountKeys: staticAccounts,
    recentBlockhash: lifetimeToken,
    instructions: instructions.map((instruction) => ({
      programIdIndex: instruction.programAddressIndex,
      accounts: instruction.accountIndices ?? [],
      data: toBase58.decode(instruction.data ?? new Uint8Array()),
      stackHeight: 1,
    })),
    ...(message.version === 'legacy' ? {} : { addressTableLookups: [] }),
  };
  return { signatures: signatures.map((signature) => toBase58.decode(signature)), message: shown };
}

function metaJson({ err, fee, logs, unitsConsumed, before, after }) {
  return {
    err,
    status: err === null ? { Ok: null } : { Err: err },
    fee,
    preBalances: before.map(({ lamports }) => lamports),
    postBalances: after.map(({ lamports }) => lamports),
    preTokenBalances: tokenBalances(before),
    postTokenBalances: tokenBalances(after),
    logMessages: logs,
    innerInstructions: [],
    computeUnitsConsumed: unitsConsumed,
    loadedAddresses: { writable: [], readonly: [] },
    rewards: [],
  };
}

function tokenBalances(balances) {
  return balances.flatMap(({ token }, accountIndex) =>
    token === null
      ? []
      : [{ accountIndex, mint: token.mint, owner: token.owner, programId: token.program, uiTokenAmount: uiAmount(token.amount, token.decimals) }],
  );
}
