/** Asking the nodes of a chain, as the Worker does: many questions at once, and none of them trusted to be the right chain's. */

const TIMEOUT_MS = 8_000;

/**
 * What a node said.
 *
 * @typedef {object} NodeAnswer
 * @property {string} host never the URL, which may hold a key
 * @property {string} [failure] why it can't be used, in words
 * @property {string} [otherChain] what it says it serves, if that is another chain
 * @property {boolean} [takesBatches]
 * @property {any[]} [results] in the order of the questions; `undefined` where the node refused one
 * @property {string[]} [errors] its words where it refused one
 */

/**
 * Asks one node.
 *
 * @param {string} url
 * @param {{ method: string, expected: string }} chainCheck
 * @param {[string, any[]][]} questions methods and parameters
 * @returns {Promise<NodeAnswer>}
 */
export async function askNode(url, { method, expected }, questions) {
  const { host } = new URL(url);
  const calls = [[method, []], ...questions].map(([name, params], id) => ({ jsonrpc: '2.0', id, method: name, params }));
  try {
    const { answers, takesBatches } = await askAll(url, calls);
    const [chain, ...others] = answers;
    if (chain?.result === undefined) return { host, failure: `does not say which chain it serves: ${wordsOf(chain)}` };
    if (!isSameChain(chain.result, expected)) return { host, otherChain: String(chain.result) };
    return { host, takesBatches, results: others.map((it) => it?.result), errors: others.map(wordsOf) };
  } catch (error) {
    return { host, failure: error.name === 'TimeoutError' ? `has not answered for ${TIMEOUT_MS / 1_000} seconds` : reasonOf(error) };
  }
}

/** An EVM chain by its number, a cluster by the first letters of its genesis hash. */
function isSameChain(said, expected) {
  return expected.startsWith('0x') ? BigInt(said) === BigInt(expected) : String(said).startsWith(expected);
}

async function askAll(url, calls) {
  const together = await post(url, calls).catch((error) => error);
  if (Array.isArray(together)) {
    const inOrder = calls.map(({ id }) => together.find((it) => it.id === id));
    if (inOrder.every((it) => it !== undefined)) return { answers: inOrder, takesBatches: true };
  }
  if (together instanceof Error && together.isFinal) throw together;
  const answers = [];
  for (const call of calls) answers.push(await post(url, call));
  return { answers, takesBatches: false };
}

async function post(url, body) {
  let response;
  try {
    response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body), signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch (error) {
    throw Object.assign(error, { isFinal: true });
  }
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`answers HTTP ${response.status} and no JSON`);
  }
}

const wordsOf = (answer) => String(answer?.error?.message ?? answer?.error ?? 'nothing').slice(0, 200).replace(/\s+/g, ' ');

function reasonOf(error) {
  const code = error.cause?.code;
  return { ECONNREFUSED: 'refuses connections', ENOTFOUND: 'has no address: there is no such host', EAI_AGAIN: 'has no address: there is no such host, or no network here' }[code] ?? error.cause?.message ?? error.message;
}
