// Writes solana/*.json: what @solana/kit and the @solana-program packages,
// which share no code with this crate, make of the same inputs. Every input
// is fixed, so running it again changes nothing:
//
//   node tests/data/make-solana-vectors.mjs

import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';

import {
  AccountRole,
  address,
  appendTransactionMessageInstructions,
  createKeyPairSignerFromPrivateKeyBytes,
  createTransactionMessage,
  getAddressEncoder,
  getAddressDecoder,
  getBase58Decoder,
  getBase64EncodedWireTransaction,
  getProgramDerivedAddress,
  getShortU16Encoder,
  getSignatureFromTransaction,
  isOffCurveAddress,
  partiallySignTransaction,
  partiallySignTransactionMessageWithSigners,
  pipe,
  setTransactionMessageFeePayer,
  setTransactionMessageLifetimeUsingBlockhash,
} from '@solana/kit';
import {
  getSetComputeUnitLimitInstruction,
  getSetComputeUnitPriceInstruction,
} from '@solana-program/compute-budget';
import * as token from '@solana-program/token';
import * as token2022 from '@solana-program/token-2022';

const MEMO = address('MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr');
const LIGHTHOUSE = address('L2TExMFKdjpN9kozasaurPirfHy9P8sbXoAN1qA3S95');
const USDC = address('EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v');
const USDC_DEVNET = address('4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU');

const sha256 = (data) => createHash('sha256').update(data).digest();
const hex = (bytes) => Buffer.from(bytes).toString('hex');
const base58 = (bytes) => getBase58Decoder().decode(bytes);
const randomAddress = (name) => getAddressDecoder().decode(sha256(name));

const out = new URL('./solana/', import.meta.url);
mkdirSync(out, { recursive: true });
const write = (name, value) =>
  writeFileSync(new URL(name, out), `${JSON.stringify(value, null, 1)}\n`);

async function addresses() {
  const pdas = [];
  for (const [program, seeds] of [
    [MEMO, []],
    [MEMO, ['']],
    [token.TOKEN_PROGRAM_ADDRESS, ['seed']],
    [token.TOKEN_PROGRAM_ADDRESS, ['se', 'ed']],
    [LIGHTHOUSE, Array(15).fill('x'.repeat(32))],
    ...Array.from({ length: 24 }, (_, n) => [MEMO, [`number ${n}`]]),
  ]) {
    const [found, bump] = await getProgramDerivedAddress({ programAddress: program, seeds });
    const bytes = seeds.map((seed) => hex(Buffer.from(seed)));
    pdas.push({ program, seeds: bytes, address: found, bump });
  }
  const atas = [];
  for (const programs of [token, token2022]) {
    const tokenProgram = programs.TOKEN_PROGRAM_ADDRESS ?? programs.TOKEN_2022_PROGRAM_ADDRESS;
    for (const mint of [USDC, USDC_DEVNET]) {
      for (const owner of ['alice', 'bob', 'carol', 'dave'].map(randomAddress)) {
        const [ata] = await programs.findAssociatedTokenPda({ mint, owner, tokenProgram });
        atas.push({ owner, mint, tokenProgram, address: ata });
      }
    }
  }
  const curve = Array.from({ length: 40 }, (_, n) => randomAddress(`curve ${n}`)).map((it) => ({
    address: it,
    onCurve: !isOffCurveAddress(it),
  }));
  write('addresses.json', { pdas, atas, curve });
}

function compactU16() {
  const values = new Set([0, 1, 0x7f, 0x80, 0xff, 0x100, 0x3fff, 0x4000, 0x7fff, 0x8000, 0xffff]);
  for (let n = 0; n < 200; n++) values.add((n * 7919) % 65536);
  const encoder = getShortU16Encoder();
  const sorted = [...values].sort((a, b) => a - b);
  write('compact-u16.json', sorted.map((value) => [value, hex(encoder.encode(value))]));
}

async function keyOf(name) {
  const secret = sha256(`secret of ${name}`);
  const signer = await createKeyPairSignerFromPrivateKeyBytes(secret);
  const both = Buffer.concat([secret, getAddressEncoder().encode(signer.address)]);
  return { signer, text: base58(both) };
}

const memo = (text) => ({ programAddress: MEMO, accounts: [], data: Buffer.from(text) });

// What a wallet adds: an assertion about the payer's own account.
const lighthouse = (account, data) => ({
  programAddress: LIGHTHOUSE,
  accounts: [{ address: account, role: AccountRole.READONLY }],
  data: Uint8Array.from(data),
});

async function payment(name, { version, programs, mint, amount, extra, units, price }) {
  const payer = await keyOf(`payer of ${name}`);
  const feePayer = await keyOf(`fee payer of ${name}`);
  const payTo = (await keyOf('seller')).signer.address;
  const tokenProgram = programs.TOKEN_PROGRAM_ADDRESS ?? programs.TOKEN_2022_PROGRAM_ADDRESS;
  const ata = async (owner) =>
    (await programs.findAssociatedTokenPda({ mint, owner, tokenProgram }))[0];
  const source = await ata(payer.signer.address);
  const destination = await ata(payTo);
  const blockhash = base58(sha256(`blockhash of ${name}`));
  const decimals = 6;
  const message = pipe(
    createTransactionMessage({ version }),
    (tx) => setTransactionMessageFeePayer(feePayer.signer.address, tx),
    (tx) =>
      setTransactionMessageLifetimeUsingBlockhash({ blockhash, lastValidBlockHeight: 1n }, tx),
    (tx) =>
      appendTransactionMessageInstructions(
        [
          getSetComputeUnitLimitInstruction({ units }),
          getSetComputeUnitPriceInstruction({ microLamports: price }),
          programs.getTransferCheckedInstruction(
            { source, mint, destination, authority: payer.signer, amount, decimals },
            { programAddress: tokenProgram },
          ),
          ...extra({ payer: payer.signer.address, source }),
        ],
        tx,
      ),
  );
  const partial = await partiallySignTransactionMessageWithSigners(message);
  const signed = await partiallySignTransaction([feePayer.signer.keyPair], partial);
  return {
    name,
    feePayer: feePayer.signer.address,
    feePayerKey: feePayer.text,
    payer: payer.signer.address,
    payTo,
    mint,
    tokenProgram,
    decimals,
    amount: amount.toString(),
    source,
    destination,
    blockhash,
    messageSha256: base58(sha256(partial.messageBytes)),
    transaction: getBase64EncodedWireTransaction(partial),
    signedTransaction: getBase64EncodedWireTransaction(signed),
    signature: getSignatureFromTransaction(signed),
  };
}

async function payments() {
  const usual = { version: 0, programs: token, mint: USDC, amount: 10_000n, units: 20_000, price: 1n };
  const write64 = (n) => [n, 0, 0xff, 1, 2, 3, 4, 5, 6, 7, 8];
  const cases = {
    'v0 with a memo': { extra: () => [memo('0123456789abcdef0123456789abcdef')] },
    'legacy with a memo': { version: 'legacy', extra: () => [memo('order 7')] },
    'v0 without a memo': { extra: () => [] },
    'legacy without a memo': { version: 'legacy', extra: () => [] },
    'Token-2022': { programs: token2022, mint: USDC_DEVNET, extra: () => [memo('é')] },
    'legacy Token-2022': { version: 'legacy', programs: token2022, extra: () => [memo('2022')] },
    'one Lighthouse instruction': {
      extra: ({ payer }) => [memo('phantom'), lighthouse(payer, write64(5))],
    },
    'two Lighthouse instructions, the first before the memo': {
      extra: ({ payer, source }) => [
        lighthouse(source, write64(9)),
        memo('solflare'),
        lighthouse(payer, write64(5)),
      ],
    },
    'seven instructions': {
      extra: ({ payer }) => [memo('a'), memo('b'), memo('c'), lighthouse(payer, write64(1))],
    },
    'a memo of 256 bytes': { extra: () => [memo('m'.repeat(256))] },
    'the dearest that is allowed': { units: 400_000, price: 250_000n, extra: () => [] },
    'the largest amount': { amount: 18446744073709551615n, extra: () => [] },
  };
  const list = [];
  for (const [name, it] of Object.entries(cases)) {
    list.push(await payment(name, { ...usual, ...it }));
  }
  write('payments.json', list);
}

await addresses();
compactU16();
await payments();
