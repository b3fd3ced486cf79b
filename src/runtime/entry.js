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
      const answer = exports.fetch(request, env, context);
      return answer instanceof Response ? answer : answer.then(undefined, fail);
    } catch (error) {
      return fail(error);
    }
  },
};

function fail(error) {
  handleMaybeCritical(error);
  throw error;
}
