/** What a page that the Worker holds is made of: one script, one style, and the policy that names them. */
import { createHash } from 'node:crypto';
import { buildSync } from 'esbuild';

/**
 * A script or a style as one text, with all that it imports.
 *
 * @param {string} path
 */
export function bundle(path) {
  const { outputFiles } = buildSync({
    entryPoints: [path],
    bundle: true,
    minify: true,
    write: false,
    format: path.endsWith('.js') ? 'iife' : undefined,
    // What wallets' own browsers on phones can run.
    target: ['chrome90', 'firefox90', 'safari15'],
    charset: 'utf8',
    legalComments: 'none',
  });
  const text = outputFiles[0].text.trim();
  // The page's gaps are marked so, and a script or a style ends at its tag.
  for (const mark of ['{{', '</script', '</style', '<!--']) {
    if (text.includes(mark)) throw new Error(`${path} holds ${mark}`);
  }
  return text;
}

/**
 * The policy of a page with one script and one style of its own.
 *
 * @param {string} own whose files a page may load besides: nobody's, or those of the shop's own host
 */
export function policyOf(script, style, own = '') {
  const hash = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  return [
    "default-src 'none'", `script-src ${own}${hash(script)}`, `style-src ${own}${hash(style)}`, "img-src 'self' data:",
    ...(own ? [`font-src ${own.trim()}`] : []),
    "connect-src 'self'", "form-action 'none'", "base-uri 'none'", "frame-ancestors 'none'",
  ].join('; ');
}
