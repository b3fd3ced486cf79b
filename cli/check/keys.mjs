/** Keys and recipients that can be used and should not be. */
import { fault, warning } from './findings.mjs';

/**
 * Accounts whose keys are published: the ten that anvil and Hardhat unlock (the
 * mnemonic "test test … junk"), and those of the local world in `dev/accounts.mjs`.
 */
export const PUBLISHED = new Set([
  '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266',
  '0x70997970C51812dc3A010C7d01b50e0d17dc79C8',
  '0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC',
  '0x90F79bf6EB2c4f870365E785982E1f101E93b906',
  '0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65',
  '0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc',
  '0x976EA74026E726554dB657fA54763abd0C3a0aa9',
  '0x14dC79964da2C08b23698B3D3cc7Ca32193d9955',
  '0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f',
  '0xa0Ee7A142d267C1f36714E4a8F75612F20a79720',
  '0x09DB0a93B389bEF724429898f539AEB7ac2Dd55f',
  '0x02484cb50AAC86Eae85610D6f4Bf026f30f6627D',
  'GfKSYdWto8otyUNuw4zvi7B14B55cubRpLqdUQRnbQww',
  'GXpQ5TUc7YAw8qAJKpe8YFTupWxvwHYRPhDMR9dv1WoU',
  '5cWT7GqXM1D5EoPr3qpNjEuqNbVqjHF8GzBDs84ogrj5',
]);

/**
 * Looks at who signs and who is paid.
 *
 * @param {any} report see `src/check.rs`
 * @returns {import('./findings.mjs').Finding[]}
 */
export function checkKeys({ networks, signers }) {
  const found = [];
  const secrets = { eip155: 'EVM_RELAYER_KEYS', solana: 'SOLANA_FEE_PAYER_KEYS' };
  for (const [kind, addresses] of Object.entries(signers)) {
    for (const address of addresses.filter((it) => PUBLISHED.has(it))) {
      found.push(fault(secrets[kind], `the key of ${address} is published with a development tool: whatever it gets is taken at once. Make another: edge402 keys --new`));
    }
    for (const address of new Set(addresses.filter((it, index) => addresses.indexOf(it) !== index))) {
      found.push(fault(secrets[kind], `holds the key of ${address} twice: two senders with one key spoil each other's transactions`));
    }
  }
  for (const { id, payTo, signers: own, signerSecret, tokens } of networks) {
    const key = `NETWORKS.${JSON.stringify(id)}.pay_to`;
    if (payTo === null) continue;
    if (PUBLISHED.has(payTo)) found.push(fault(key, `${payTo} is an account of a development tool, whose key everybody knows; put yours`));
    else if (tokens.some(({ asset }) => asset === payTo)) found.push(fault(key, 'is the token itself, which would keep what it is paid; put your own address'));
    else if (own.includes(payTo)) found.push(warning(key, `is an account of ${signerSecret}: whoever gets that key gets the income. Let another account be paid`));
  }
  return found;
}
