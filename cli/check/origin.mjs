/** Whether the goods can be had past the shop, at the origin itself. */
import { warning } from './findings.mjs';

const TIMEOUT_MS = 8_000;

/**
 * Asks an origin at a URL for what is sold, without a payment.
 *
 * @param {any} config
 * @param {any} report see `src/check.rs`
 * @returns {Promise<import('./findings.mjs').Finding[]>}
 */
export async function checkOrigin({ vars }, { routes }) {
  const origin = vars?.ORIGIN;
  const number = routes.findIndex((_, index) => isRead([vars.ROUTES].flat()[index]));
  if (typeof origin !== 'string' || !URL.canParse(origin) || number < 0) return [];
  const url = `${origin.replace(/\/$/, '')}${routes[number].path}`;
  const status = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) }).then((response) => response.status, () => undefined);
  if (status === undefined || status >= 300) return [];
  return [warning('ORIGIN', `${url} answers ${status} to anybody, so whoever knows that URL pays nothing: let only the Worker in, by a header of ORIGIN_HEADERS that is asked for there or a firewall, or put a binding in place of the URL`)];
}

const isRead = ({ methods } = {}) => !Array.isArray(methods) || methods.includes('GET');
