/**
 * What the runtime calls, in place of worker-build's own: a class, made anew for
 * each request behind three proxies, costs a tenth of a 402. As there, WebAssembly
 * that was trapped begins anew with the next request. `exports`,
 * `checkReinitialize` and `handleMaybeCritical` are worker-build's, too.
 */
export default {
  fetch(request, env, context) {
    checkReinitialize();
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
  handleMaybeCritical(error);
  throw error;
}
