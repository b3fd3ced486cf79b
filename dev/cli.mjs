/** What the commands share: arguments, and errors without a stack trace. */
import { parseArgs } from 'node:util';

/** What stops a command: its message is all that the person needs. */
export class Mistake extends Error {}

/**
 * The arguments of a command. `--help` prints the usage and ends; anything that
 * the command doesn't know is a `Mistake` that ends with the usage.
 *
 * @param {string} usage
 * @param {{ options?: Record<string, object>, arguments?: number[], args?: string[] }} [expected] options as
 *   `parseArgs` takes them, how many other arguments there may be (least and most), and what was given
 */
export function readArguments(usage, { options = {}, arguments: [least, most] = [0, 0], args = process.argv.slice(2) } = {}) {
  const help = { type: 'boolean', short: 'h', default: false };
  let read;
  try {
    read = parseArgs({ args, allowPositionals: true, options: { ...options, help } });
  } catch (error) {
    throw new Mistake(`${error.message.split('. ')[0]}\n\n${usage}`);
  }
  const { values, positionals } = read;
  if (values.help) {
    console.log(usage);
    process.exit(0);
  }
  if (positionals.length > most) throw new Mistake(`Unknown argument '${positionals[most]}'\n\n${usage}`);
  if (positionals.length < least) throw new Mistake(usage);
  return { values, positionals };
}

/** Runs a command to its end. What goes wrong is one message, and the exit code. */
export async function command(main) {
  try {
    await main();
  } catch (error) {
    console.error(error.message);
    process.exitCode = error instanceof Mistake ? 2 : 1;
  }
}
