/** What the Worker is asked. */

/** What came in place of an answer: the HTTP status, 0 where there was none, and a sentence for the seller. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Asks one of the Worker's own paths; answers its JSON, or undefined where it says nothing. */
export async function ask(path, { method = 'GET', body } = {}) {
  let response;
  try {
    response = await fetch(`/.edge402/${path}`, { method, body: body && JSON.stringify(body), cache: 'no-store', redirect: 'manual' });
  } catch {
    throw new Refusal(0, 'The Worker can’t be reached. Try again.');
  }
  if (response.type === 'opaqueredirect') throw new Refusal(0, 'Something in front of the desk, such as Cloudflare Access, wants you to sign in again: load this page anew.');
  const answer = await response.json().catch(() => undefined);
  if (response.ok) return answer;
  const wait = response.headers.get('retry-after');
  throw new Refusal(response.status, `${answer?.error ?? `The Worker answered ${response.status}`}.${wait ? ` Try again in ${wait} seconds.` : ''}`);
}

/** A query of what is there. */
export const query = (values) => `?${new URLSearchParams(Object.entries(values).filter(([, value]) => value))}`;
