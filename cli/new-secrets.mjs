/** Secrets that are no account's keys: tokens and passes, of which the Worker has hashes, and what it shares with others. */
import { createHash, randomBytes } from 'node:crypto';
import { Mistake } from '../dev/cli.mjs';
import { grantSecret, webhookSecret } from './new-keys.mjs';

/** What `--new` takes besides the kinds of keys. */
export const KINDS_OF_SECRETS = 'desk, pass:<name>, client:<name>, webhook or origin';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const SECRET_NAME = /^[A-Z][A-Z0-9_]*$/;
const DEFAULT_WEBHOOK_SECRET = 'WEBHOOK_SECRET';

/**
 * Makes a secret.
 *
 * @param {string} what `desk`, `pass:staff`, …
 * @param {Record<string, string>} held what is there already
 * @returns {{ secret: string, value: string, words: string } | undefined} the secret's name, all that it then holds, and
 *   what to tell whoever asked; undefined if there is no such kind
 */
export function newSecret(what, held) {
  const [kind, name, ...rest] = what.split(':');
  if (rest.length > 0) return undefined;
  if (kind === 'desk' && name === undefined) return token('DESK_TOKENS', '', held, 'a token that opens the desk');
  if (kind === 'pass' && NAME.test(name ?? '')) return token('PASSES', `${name}:`, held, `the pass of "secret:${name}"`);
  if (kind === 'client' && NAME.test(name ?? '')) return token('FACILITATOR_TOKENS', `${name}:`, held, `the token of ${name}, for your facilitator`);
  if (kind === 'webhook' && SECRET_NAME.test(name ?? DEFAULT_WEBHOOK_SECRET)) return webhook(name ?? DEFAULT_WEBHOOK_SECRET, held);
  if (kind === 'origin' && name === undefined) return origin(held);
  return undefined;
}

const list = (value) => (value ?? '').split(',').map((it) => it.trim()).filter(Boolean);

/** One more, behind those that are there. */
function token(secret, prefix, held, what) {
  const made = randomBytes(32).toString('hex');
  const hash = createHash('sha256').update(made).digest('hex');
  return { secret, value: [...list(held[secret]), prefix + hash].join(','), words: `${what}: ${made}\nIt is shown this once: of it ${secret} holds a hash.` };
}

/** The newest in front: it signs, and the one before it goes on signing until the receiver has the new one. */
function webhook(secret, held) {
  const before = list(held[secret]);
  if (before.length > 1) throw new Mistake(`${secret} holds two already: take out the older one first, behind the comma.`);
  const made = webhookSecret();
  return { secret, value: [made, ...before].join(','), words: `signs webhooks: ${made}\nYour receiver needs it, too.` };
}

function origin(held) {
  const secret = 'ORIGIN_SECRET';
  if (held[secret]) throw new Mistake(`${secret} is there already, and your origin has it, too: to replace it, take its line out first.`);
  const made = grantSecret();
  return { secret, value: made, words: `signs what the origin is told: ${made}\nYour origin needs it, too.` };
}

/** What is held besides keys, in words: name and words of each line. */
export function secretsInWords(held) {
  const names = (secret) => list(held[secret]).map((it) => (it.includes(':') ? it.split(':')[0] : 'an entry without a name')).join(', ');
  const tokens = list(held.DESK_TOKENS).length;
  return [
    ...(held.GRANT_SECRET ? [['GRANT_SECRET', 'signs access grants and delivery cookies']] : []),
    ...(tokens > 0 ? [['DESK_TOKENS', `${tokens} token${tokens === 1 ? ' opens' : 's open'} the desk`]] : []),
    ...(held.PASSES ? [['PASSES', names('PASSES')]] : []),
    ...(held.FACILITATOR_TOKENS ? [['FACILITATOR_TOKENS', names('FACILITATOR_TOKENS')]] : []),
    ...(held.ORIGIN_SECRET ? [['ORIGIN_SECRET', 'signs what the origin is told']] : []),
    ...Object.entries(held).filter(([, value]) => value.startsWith('whsec_')).map(([name]) => [name, 'signs webhooks']),
  ];
}
