/** What the chains say of a configuration: nodes, balances, tokens, recipients. */
import { askNode } from './nodes.mjs';
import { checkEvm, questionsOfEvm } from './evm.mjs';
import { fault, warning } from './findings.mjs';
import { checkSolana, questionsOfSolana } from './solana.mjs';

const KINDS = {
  eip155: { questions: questionsOfEvm, check: checkEvm },
  solana: { questions: questionsOfSolana, check: checkSolana },
};
const FACILITATOR_TIMEOUT_MS = 8_000;

/**
 * Asks every node of every network.
 *
 * @param {any} report see `src/check.rs`
 * @returns {Promise<{ findings: import('./findings.mjs').Finding[], lines: string[] }>} `lines`: what is good to know, for people
 */
export async function checkChains({ networks, routes, contracts, known }) {
  const namesOf = (id) => [id, known.find((it) => it.id === id)?.v1Name];
  const all = await Promise.all(networks.map((network) => checkNetwork(network, { contracts, names: namesOf(network.id), routes: routesOn(routes, network.id) })));
  return { findings: all.flatMap(({ findings }) => findings), lines: all.flatMap(({ lines }) => lines) };
}

/** The routes that are sold on a network, with their numbers. */
const routesOn = (routes, id) => routes.map((route, number) => ({ ...route, number })).filter(({ networks }) => networks.includes(id));

async function checkNetwork(network, { contracts, names, routes }) {
  const { id, title, rpc, chainCheck, namespace } = network;
  const key = (name) => `NETWORKS.${JSON.stringify(id)}.${name}`;
  const facilitators = { facilitator: [network.facilitator, fault], fallback_facilitator: [network.fallback, fault], former_facilitator: [network.formerFacilitator, ofFormer] };
  const checked = Object.entries(facilitators).map(([name, [url, finding]]) => checkFacilitator(url, names, (problem) => finding(key(name), problem)));
  const findings = (await Promise.all(checked)).flat();
  if (rpc.length === 0) return { findings, lines: [`${title} (${id}): ${network.facilitator === null ? 'its nodes are not known here' : `settled by ${new URL(network.facilitator).host}`}`] };
  const { questions, check } = KINDS[namespace];
  const asked = questions(network, contracts);
  const answers = await Promise.all(rpc.map((url) => askNode(url, chainCheck, asked.map(([, method, params]) => [method, params]))));
  const good = answers.find(({ results }) => results !== undefined);
  findings.push(...answers.flatMap((answer) => checkNode(answer, network, key('rpc'), good !== undefined)));
  if (!good) return { findings, lines: [`${title} (${id}): no node can be asked`] };
  const known = Object.fromEntries(asked.map(([name], index) => [name, { result: good.results[index], error: good.errors[index] }]));
  // The first token is the network's own; the others have tables of their own.
  const keyOfToken = (index) => (name) => key(index === 0 ? name : `tokens[${index - 1}].${name}`);
  const onChain = check(network, known, { key, keyOfToken, routes });
  return { findings: [...findings, ...onChain.findings], lines: [`${title} (${id}), by ${good.host}`, ...onChain.lines.map((line) => `  ${line}`)] };
}

function checkNode({ host, failure, otherChain, takesBatches }, { chainCheck, title }, key, others) {
  if (otherChain !== undefined) return [fault(key, `${host} serves another chain, ${otherChain.slice(0, 44)}; ${title} is ${chainCheck.expected}: take it out`)];
  if (failure !== undefined) return [others ? warning(key, `${host} ${failure}; the others are asked meanwhile`) : fault(key, `${host} ${failure}, and no other node can be asked: nothing can be sold`)];
  return takesBatches ? [] : [warning(key, `${host} takes no batches, so that each sale takes some tenths of a second longer; another node may`)];
}

/** Nothing new is sold through it. */
const ofFormer = (key, problem) => warning(key, `${problem}: what is open there can't end, and nobody collects what was bought through it`);

async function checkFacilitator(url, names, finding) {
  if (url === null) return [];
  const { host } = new URL(url);
  try {
    const response = await fetch(`${url.replace(/\/$/, '')}/supported`, { signal: AbortSignal.timeout(FACILITATOR_TIMEOUT_MS) });
    const { kinds } = await response.json();
    if (!Array.isArray(kinds)) throw new Error(`answers ${response.status} without a list of kinds`);
    if (kinds.some(({ network }) => names.includes(network))) return [];
    const others = [...new Set(kinds.map(({ network }) => network))].join(', ');
    return [finding(`${host} does not settle on ${names[0]}; it names ${others || 'no network'}`)];
  } catch (error) {
    return [finding(`${host} can't be asked what it supports: ${error.cause?.message ?? error.message}`)];
  }
}
