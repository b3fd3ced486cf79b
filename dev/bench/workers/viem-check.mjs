/** One EVM payment check as JavaScript does it: viem's EIP-712 and secp256k1. */
import { getAddress, recoverTypedDataAddress } from 'viem';

const TYPES = {
  TransferWithAuthorization: [
    { name: 'from', type: 'address' },
    { name: 'to', type: 'address' },
    { name: 'value', type: 'uint256' },
    { name: 'validAfter', type: 'uint256' },
    { name: 'validBefore', type: 'uint256' },
    { name: 'nonce', type: 'bytes32' },
  ],
};

export default {
  async fetch(request) {
    const header = request.headers.get('PAYMENT-SIGNATURE');
    return Response.json({ error: header ? await check(header) : 'payment_required' }, { status: 402 });
  },
};

async function check(header) {
  const { accepted, payload } = JSON.parse(atob(header));
  const { signature, authorization } = payload;
  const signer = await recoverTypedDataAddress({
    domain: { name: accepted.extra.name, version: accepted.extra.version, chainId: 84532, verifyingContract: getAddress(accepted.asset) },
    types: TYPES,
    primaryType: 'TransferWithAuthorization',
    message: {
      ...authorization,
      value: BigInt(authorization.value),
      validAfter: BigInt(authorization.validAfter),
      validBefore: BigInt(authorization.validBefore),
    },
    signature,
  });
  if (signer !== getAddress(authorization.from)) return 'invalid_exact_evm_payload_signature';
  if (getAddress(authorization.to) !== getAddress(accepted.payTo)) return 'invalid_exact_evm_payload_recipient_mismatch';
  return 'the payment should have been refused';
}
