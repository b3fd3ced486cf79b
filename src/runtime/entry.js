/**
 * What the runtime calls: a plain object and a class, for a class that is made anew for
 * each request, or is behind proxies, costs a tenth of a 402.
 *
 * WebAssembly that was trapped can't go on: the next request begins it anew. `index.js` is
 * what wasm-bindgen writes.
 */
import * as exports from './index.js';

Error.stackTraceLimit = 100;

/** Whether WebAssembly was trapped, and how often it has begun anew: the crate `worker` notes the first, too. */
const state = exports.__worker_init_state();

addEventListener('error', ({ error }) => noteTrap(error));

export default {
  fetch(request, env, context) {
    beginAnew();
    try {
      const passed = pass(request, env);
      if (passed) return passed;
      const answer = exports.fetch(request, env, context);
      return answer instanceof Response ? answer : answer.then(undefined, fail);
    } catch (error) {
      return fail(error);
    }
  },
};

/** The Durable Object: all that it holds in memory goes with WebAssembly. */
export class Settler {
  #given;
  #settler;
  #began;

  constructor(...given) {
    this.#given = given;
    this.#make();
  }

  fetch(request) {
    return this.#run((settler) => settler.fetch(request));
  }

  alarm() {
    return this.#run((settler) => settler.alarm());
  }

  #make() {
    beginAnew();
    this.#began = state.instanceId;
    this.#settler = new exports.Settler(...this.#given);
  }

  #run(work) {
    try {
      beginAnew();
      if (this.#began !== state.instanceId) this.#make();
      return work(this.#settler).then(undefined, fail);
    } catch (error) {
      return fail(error);
    }
  }
}

function beginAnew() {
  if (!state.criticalError) return;
  console.log('WebAssembly begins anew');
  exports.__wbg_reset_state();
  state.criticalError = false;
  state.instanceId += 1;
}

function noteTrap(error) {
  if (!(error instanceof WebAssembly.RuntimeError)) return;
  console.error('WebAssembly was trapped', error);
  state.criticalError = true;
}

/** What `exports.straight` says of the isolate's one configuration. */
let straight;

/** Where the path begins in URLs that were asked for lately and cost nothing: which those are never changes. */
const free = new Map();
const FREE_MAX = 256;
const FREE_LENGTH = 512;

function freeFrom(url, isHead) {
  const known = isHead ? undefined : free.get(url);
  if (known !== undefined) return known;
  const from = exports.freeFrom(url, isHead);
  if (from !== 0 && !isHead && url.length <= FREE_LENGTH) {
    if (free.size >= FREE_MAX) free.clear();
    free.set(url, from);
  }
  return from;
}

/**
 * The promise of an answer to what costs nothing, from an origin with a URL; nothing
 * where there is more to decide. WebAssembly is asked about the URL, and for the rest
 * not entered: each crossing costs more than what is done here.
 */
function pass(request, env) {
  if (straight === undefined) straight = exports.straight(env);
  const { method, url, headers } = request;
  if (straight === null || (method !== 'GET' && method !== 'HEAD')) return undefined;
  const path = freeFrom(url, method === 'HEAD');
  if (path === 0) return undefined;
  const [origin, telling, ownCookies, given] = straight;
  for (const name of headers.keys()) {
    // In the spellings that CGI takes for the same.
    if (telling.has(name.includes('_') ? name.replaceAll('_', '-') : name)) return undefined;
    if (name === 'cookie' && headers.get(name).includes(ownCookies)) return undefined;
  }
  const asked = new Request(origin + url.slice(path), request);
  const host = url.indexOf('://');
  asked.headers.set('X-Forwarded-Host', url.slice(host + 3, path));
  asked.headers.set('X-Forwarded-Proto', url.slice(0, host));
  for (const [name, value] of given) asked.headers.set(name, value);
  return fetch(asked).then(
    (answer) => (answer.ok || answer.status >= 400 ? answer : look(answer, url)),
    (error) => look(error, url),
  );
}

function look(answer, url) {
  try {
    return exports.look(answer, url);
  } catch (error) {
    return fail(error);
  }
}

function fail(error) {
  noteTrap(error);
  throw error;
}
