/** Whether git would publish a file of keys, and the line that keeps it from that. */
import { execFileSync } from 'node:child_process';
import { basename, dirname, resolve } from 'node:path';

/** Whether a file, which need not be there yet, lies in a repository that doesn't ignore it. */
export function isPublishedByGit(file) {
  const path = resolve(file);
  const git = (...args) => {
    try {
      execFileSync('git', args, { cwd: dirname(path), stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  };
  return git('rev-parse', '--is-inside-work-tree') && !git('check-ignore', '-q', path);
}

/** The line of .gitignore that covers a file of keys, and those that are made beside it. */
export const ignoreLine = (file) => `${basename(file)}*`;
