/** JSON with comments and commas at the end, as `wrangler.jsonc` is written. */

/** A text in quotes: nothing in one is a comment, and no comma of one is in the way. */
const TEXT = String.raw`"(?:[^"\\\n]|\\.)*"`;

/** @returns {any} what the text spells; throws a SyntaxError if that is nothing */
export function parseJsonc(text) {
  const isText = (part) => part.startsWith('"');
  const blank = (part) => part.replace(/[^\n]/g, ' ');
  const withoutComments = text.replace(/^\uFEFF/, '').replace(new RegExp(`${TEXT}|//[^\\n]*|/\\*[\\s\\S]*?\\*/`, 'g'), (part) => (isText(part) ? part : blank(part)));
  return JSON.parse(withoutComments.replace(new RegExp(`${TEXT}|,(?=\\s*[\\]}])`, 'g'), (part) => (isText(part) ? part : ' ')));
}
