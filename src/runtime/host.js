// What would otherwise cross between WebAssembly and the runtime many times for
// each request.

/** Whether any of these headers is there. `names`: a Set, in small letters and with dashes, as CGI takes them. */
export function holdsAny(headers, names) {
  for (const name of headers.keys()) if (names.has(name.replaceAll('_', '-'))) return true;
  return false;
}

/** Takes these headers out. */
export function takeOut(headers, names) {
  for (const name of [...headers.keys()]) if (names.has(name.replaceAll('_', '-'))) headers.delete(name);
}

/** An origin's answer as it is, where it needs no `look`: an error, a redirect or an interim answer does. */
export function passOn(asked, request, look) {
  const pass = (answer) => (answer.ok || answer.status >= 400 ? answer : look(answer, request));
  return asked.then(pass, (error) => look(error, request));
}
