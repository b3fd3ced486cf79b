/** One Solana payment check as JavaScript does it: @solana/kit's decoders, PDA and the runtime's ed25519. */
import {
  address, decompileTransactionMessage, getAddressEncoder, getCompiledTransactionMessageDecoder,
  getProgramDerivedAddress, getPublicKeyFromAddress, getTransactionDecoder, verifySignature,
} from '@solana/kit';

const ATA_PROGRAM = address('ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL');

export default {
  async fetch(request) {
    const header = request.headers.get('PAYMENT-SIGNATURE');
    return Response.json({ error: header ? await check(header) : 'payment_required' }, { status: 402 });
  },
};

async function check(header) {
  const { accepted, payload } = JSON.parse(atob(header));
  const bytes = Uint8Array.from(atob(payload.transaction), (char) => char.charCodeAt(0));
  const { messageBytes, signatures } = getTransactionDecoder().decode(bytes);
  const { instructions, feePayer } = decompileTransactionMessage(getCompiledTransactionMessageDecoder().decode(messageBytes));
  if (feePayer.address !== accepted.extra.feePayer) return 'invalid_exact_svm_payload_fee_payer_mismatch';
  for (const [signer, signature] of Object.entries(signatures)) {
    if (signer === feePayer.address) continue;
    const key = await getPublicKeyFromAddress(address(signer));
    if (!(await verifySignature(key, signature, messageBytes))) return 'invalid_exact_svm_payload_signature_invalid';
  }
  const [, mint, destination] = instructions[2].accounts;
  const seeds = [accepted.payTo, instructions[2].programAddress, mint.address].map((part) => getAddressEncoder().encode(address(part)));
  const [expected] = await getProgramDerivedAddress({ programAddress: ATA_PROGRAM, seeds });
  if (destination.address !== expected) return 'invalid_exact_svm_payload_recipient_mismatch';
  return 'the payment should have been refused';
}
