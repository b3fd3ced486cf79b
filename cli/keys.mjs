/** `edge402 keys`: the keys that pay the fees: makes, shows, converts and stores them. */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Mistake, readArguments } from '../dev/cli.mjs';
import { ignoreLine, isPublishedByGit } from './git.mjs';
import { KINDS, addressesOf, grantSecret } from './new-keys.mjs';
import { KINDS_OF_SECRETS, newSecret, secretsInWords } from './new-secrets.mjs';
import { convert } from './other-keys.mjs';
import { SECRETS_FILE, configFileIn, readConfig, readSecrets, report, secretsFileIn } from './reader.mjs';
import { wrangler } from './wrangler.mjs';

const USAGE = `Usage: edge402 keys [options]

Shows the accounts whose keys are in ${SECRETS_FILE}: send each a little of its chain's coin.

  --new <evm|solana>    makes a key and adds it to ${SECRETS_FILE}
  --new <what>          makes another secret: desk (a token that opens the desk),
                        pass:<name> (for free_for), client:<name> (a token for your
                        facilitator), webhook or webhook:<NAME_OF_THE_SECRET>, origin
  --store               stores the secrets of ${SECRETS_FILE} in the Worker, by wrangler
  --convert <file>      a key as another tool wrote it, as edge402 takes it: a private key,
                        solana-keygen's id.json, a base58 keypair, a seed phrase, or an
                        Ethereum keystore (its password in KEY_PASSWORD). "-" reads it
                        from the standard input
  --env <name>          for an environment of the configuration: its ${SECRETS_FILE}.<name>,
                        if there is one, and with --store its Worker
  --secrets <file>      default ${SECRETS_FILE}`;

const OPTIONS = {
  new: { type: 'string' },
  store: { type: 'boolean', default: false },
  convert: { type: 'string' },
  env: { type: 'string' },
  secrets: { type: 'string' },
};

/** What people call the kinds of chains. */
const NAMES = Object.assign(Object.create(null), { evm: 'eip155', solana: 'solana' });
/** Secrets of which only hashes are held: their faults show in themselves. */
const HASHES = ['DESK_TOKENS', 'PASSES', 'FACILITATOR_TOKENS'];

export async function main(args) {
  const { values } = readArguments(USAGE, { options: OPTIONS, args });
  const { new: kind, store, convert: file, env } = values;
  const secrets = values.secrets ?? secretsFileIn('', env);
  if ([kind, store || undefined, file].filter((it) => it !== undefined).length > 1) throw new Mistake(`--new, --store and --convert exclude each other\n\n${USAGE}`);
  if (file !== undefined) return showConverted(file);
  if (kind !== undefined) {
    if (!await add(kind, secrets)) return;
  } else if (!existsSync(secrets)) throw new Mistake(`There is no file ${secrets}. \`edge402 init\` writes one, and \`edge402 keys --new evm\` begins one.`);
  if (store) return storeAll(secrets, env);
  await showAccounts(secrets);
}

async function showAccounts(path) {
  const secrets = readSecrets(path);
  const show = (name, words) => console.log(`${name.padEnd(22)} ${words}`);
  for (const [kind, { secret, role }] of Object.entries(KINDS)) {
    if (!secrets[secret]) continue;
    const { addresses, problems } = await addressesOf(kind, secrets[secret]);
    for (const address of addresses) show(secret, `${role} ${address}`);
    for (const problem of problems) show(secret, problem);
    if (problems.length > 0) process.exitCode = 1;
  }
  for (const [name, words] of secretsInWords(secrets)) show(name, words);
  const { faults } = await report({ secrets });
  for (const { key, problem } of faults.filter(({ key }) => HASHES.includes(key) && key in secrets)) {
    show(key, problem);
    process.exitCode = 1;
  }
  console.log('\nWhat each account holds, and whether that is enough: npx edge402 check');
}

/** Adds a key or another secret; nothing of the file is changed besides. Answers whether it was an account's key. */
async function add(name, path) {
  const held = readSecrets(path);
  const kind = NAMES[name];
  const made = kind === undefined ? newSecret(name, held) : newKey(KINDS[kind], held);
  if (!made) throw new Mistake(`--new ${name}: must be evm, solana, ${KINDS_OF_SECRETS}`);
  if (isPublishedByGit(path)) throw new Mistake(`git would take ${path}, so no key is written into it: add the line ${ignoreLine(path)} to .gitignore first. If git has the file already: git rm --cached ${path}`);
  const { secret, value } = made;
  const before = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const line = `${secret}='${value}'`;
  const pattern = new RegExp(`^[ \\t]*(?:export[ \\t]+)?${secret}[ \\t]*=.*$`, 'm');
  // Of two lines the last counts, and the first would be the one that is changed.
  if ((before.match(new RegExp(pattern, 'gm')) ?? []).length > 1) throw new Mistake(`${path} names ${secret} twice: put its keys into one line, with a comma between them.`);
  let text = pattern.test(before) ? before.replace(pattern, () => line) : `${before}${before && !before.endsWith('\n') ? '\n' : ''}${line}\n`;
  if (kind !== undefined && !('GRANT_SECRET' in held)) text += `GRANT_SECRET='${grantSecret()}'\n`;
  replaceSecrets(path, text);
  if (kind === undefined) {
    console.log(`${made.words}\n\n${secret} is in ${path}. The Worker gets it by \`npx edge402 keys --store\`, and \`npx edge402 dev\` when it starts anew.`);
    return false;
  }
  const { addresses } = await addressesOf(kind, made.key);
  console.log(`new in ${path}: ${addresses[0]}\n`);
  return true;
}

/** A key behind those that are there. */
function newKey({ secret, make }, held) {
  const key = make();
  return { secret, value: [held[secret], key].filter(Boolean).join(','), key };
}

/** Puts a file of secrets in the place of the old one: at no time is there half of it, or a copy that others can read. */
function replaceSecrets(path, text) {
  const place = existsSync(path) ? realpathSync(path) : path;
  const next = `${place}.new`;
  let file;
  try {
    file = openSync(next, 'wx', 0o600);
  } catch (error) {
    if (error.code !== 'EEXIST') throw new Mistake(`${next} can't be written: ${error.message}`);
    throw new Mistake(`${next} is there already, so another \`edge402 keys --new\` runs or was interrupted. ${path} is unchanged; remove ${next} and begin again.`);
  }
  try {
    try {
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(next, place);
  } catch (error) {
    rmSync(next, { force: true });
    throw error;
  }
}

async function storeAll(path, env) {
  const folder = dirname(path);
  const name = configFileIn(folder);
  const config = name === undefined ? undefined : join(folder, name);
  // It names secrets of the seller's own, for the origin and for webhooks.
  const { vars: variables } = config === undefined ? {} : readConfig(config, env);
  const { names } = await report({ variables });
  const held = Object.entries(readSecrets(path)).filter(([, value]) => value !== '');
  const secrets = held.filter(([name]) => names.secrets.includes(name));
  if (secrets.length === 0) throw new Mistake(`${path} holds none of ${names.secrets.join(', ')}.`);
  // Of itself wrangler looks in this folder.
  const where = config === undefined || folder === '.' ? [] : ['--config', config];
  const code = await wrangler(['secret', 'bulk', ...where, ...(env === undefined ? [] : ['--env', env])], { input: JSON.stringify(Object.fromEntries(secrets)) });
  if (code !== 0) throw new Error(`wrangler secret bulk ended with ${code}. Is the Worker deployed, and are you logged in (npx wrangler login)?`);
  console.log(`stored: ${secrets.map(([it]) => it).join(', ')}`);
  const others = held.filter(([it]) => !names.secrets.includes(it)).map(([it]) => it);
  if (others.length > 0) console.log(`left out, because nothing in ${name ?? 'the configuration'} asks for it: ${others.join(', ')}`);
}

async function showConverted(file) {
  const text = readText(file);
  const { kind, key } = await convert(text);
  const { addresses } = await addressesOf(kind, key);
  console.log(`${KINDS[kind].secret}='${key}'`);
  console.error(`the ${KINDS[kind].role} ${addresses[0]}. The line holds its key: keep it secret`);
}

function readText(file) {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8').trim();
  } catch (error) {
    throw new Mistake(`${file} can't be read: ${error.message}`);
  }
}
