/** Questions to a person at a terminal; the answers may come from a pipe as well. */
import { createInterface } from 'node:readline/promises';
import { Mistake } from '../dev/cli.mjs';

/** Opens a conversation. `close` ends it. */
export function conversation() {
  const terminal = createInterface({ input: process.stdin, output: process.stdout, terminal: process.stdin.isTTY });
  // Lines that come before their question are kept: a pipe doesn't wait.
  const lines = [];
  const waiting = [];
  let over = false;
  terminal.on('line', (line) => (waiting.shift() ?? { take: (it) => lines.push(it) }).take(line));
  terminal.on('close', () => {
    over = true;
    for (const { end } of waiting.splice(0)) end();
  });
  const nextLine = () => new Promise((take, fail) => {
    if (lines.length > 0) return take(lines.shift());
    const end = () => fail(new Mistake('Nobody answers: give what is asked for as options (--help).'));
    if (over) return end();
    waiting.push({ take, end });
  });

  return {
    /**
     * Asks until the answer will do.
     *
     * @param {string} question
     * @param {{ preset?: string, problem?: (answer: string) => string | undefined | Promise<string | undefined> }} [options]
     *   what an empty answer means, and what is wrong with an answer
     */
    async ask(question, { preset, problem = () => undefined } = {}) {
      for (;;) {
        process.stdout.write(`${question}${preset === undefined ? '' : ` [${preset}]`}: `);
        const answer = (await nextLine()).trim() || preset || '';
        if (!process.stdin.isTTY) process.stdout.write('\n');
        const wrong = answer === '' ? 'An answer is needed.' : await problem(answer);
        if (wrong === undefined) return answer;
        console.log(`  ${wrong}`);
      }
    },
    close: () => terminal.close(),
  };
}
