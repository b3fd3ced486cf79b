/** Whether those who are told of sales can be told. */
import { warning } from './findings.mjs';
import { isLocalHost } from './config.mjs';

const TIMEOUT_MS = 10_000;
/** What no receiver answers that is there. */
const NOT_THERE = [404, 405, 410];

/**
 * Sends each receiver a message that nobody has signed, of a type that nobody knows: one that is
 * there refuses it, or passes over it.
 *
 * @param {any} config
 * @param {typeof fetch} [send]
 * @returns {Promise<import('./findings.mjs').Finding[]>}
 */
export async function checkWebhooks({ vars }, send = fetch) {
  const webhooks = [vars?.WEBHOOKS ?? []].flat();
  return (await Promise.all(webhooks.map((it, number) => checkOne(it?.url, `WEBHOOKS[${number}].url`, send)))).flat();
}

async function checkOne(url, key, send) {
  // What is no URL says the Worker's reader.
  if (typeof url !== 'string' || !URL.canParse(url)) return [];
  const { host } = new URL(url);
  if (isLocalHost(host)) return [warning(key, `${host} can't be reached from Cloudflare: put a public URL, or a tunnel in front of it`)];
  try {
    const body = JSON.stringify({ type: 'edge402.check', timestamp: new Date().toISOString(), data: {} });
    const headers = { 'content-type': 'application/json', 'webhook-id': 'edge402-check', 'user-agent': 'edge402 check' };
    const { status } = await send(url, { method: 'POST', redirect: 'manual', headers, body, signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (status >= 300 && status < 400) return [warning(key, `${host} answers ${status}, and the Worker follows no redirects: put the URL that it leads to`)];
    if (NOT_THERE.includes(status)) return [warning(key, `${host} answers a POST with ${status}: is the path right?`)];
    return status >= 500 ? [warning(key, `${host} answers a POST with ${status}: it is tried again for a day, and then given up`)] : [];
  } catch (error) {
    const why = error.name === 'TimeoutError' ? `has not answered for ${TIMEOUT_MS / 1_000} seconds` : `can't be reached: ${error.cause?.code ?? error.cause?.message ?? error.message}`;
    return [warning(key, `${host} ${why}`)];
  }
}
