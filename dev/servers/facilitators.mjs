/** Facilitators beside the Worker's own. */
import { fileURLToPath } from 'node:url';
import { finalError, startProcess, waitFor } from '../util.mjs';
import { EVM_NETWORK, SOLANA_NETWORK } from '../world.mjs';

/**
 * Starts the reference's facilitator.
 *
 * @param {object} options
 * @param {{ url: string, relayer: { privateKey: string } }} options.evm
 * @param {{ url: string, feePayer: { secretKey: Uint8Array } }} options.solana
 * @returns {Promise<{ url: string, log(): string, stop(): Promise<void> }>}
 */
export async function startReferenceFacilitator({ evm, solana }) {
  const options = {
    evm: { network: EVM_NETWORK, v1Name: 'base-sepolia', url: evm.url, key: evm.relayer.privateKey },
    solana: { network: SOLANA_NETWORK, v1Name: 'solana-devnet', url: solana.url, key: Buffer.from(solana.feePayer.secretKey).toString('base64') },
  };
  const script = fileURLToPath(new URL('./reference-facilitator.mjs', import.meta.url));
  const child = startProcess(process.execPath, [script], { env: { ...process.env, FACILITATOR: JSON.stringify(options) } });
  const port = await waitFor(
    () => {
      if (!child.alive()) throw finalError(`the facilitator ended at once:\n${child.log()}`);
      return /listening on (\d+)/.exec(child.log())?.[1];
    },
    { what: 'the facilitator to start' },
  );
  return { url: `http://127.0.0.1:${port}`, log: child.log, stop: child.stop };
}
