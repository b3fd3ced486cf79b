// What would otherwise cross between WebAssembly and the runtime many times for
// each request.

/** Whether any of these headers is there. `names`: a Set, in small letters and with dashes, as CGI takes them. */
export function holdsAny(headers, names) {
  for (const name of headers.keys()) if (names.has(name.replaceAll('_', '-'))) return true;
  return false;
}

/** The names of headers that have a `_` in them; nothing where there is none, as almost always. */
export function namesWithUnderscores(headers) {
  let names;
  for (const name of headers.keys()) if (name.includes('_')) (names ??= []).push(name);
  return names;
}

/** Takes these headers out. */
export function takeOut(headers, names) {
  for (const name of [...headers.keys()]) if (names.has(name.replaceAll('_', '-'))) headers.delete(name);
}

/** Does all that `work` does in the tables of `storage`, or, if that says that it has failed, nothing; whether it was done. */
export function atomically(storage, work) {
  const failed = {};
  try {
    storage.transactionSync(() => {
      if (!work()) throw failed;
    });
    return true;
  } catch (error) {
    if (error !== failed) throw error;
    return false;
  }
}
