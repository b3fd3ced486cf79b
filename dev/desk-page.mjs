/** The desk's page: its sources in `www/desk`, made into the one file that the Worker holds. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundle, policyOf } from './bundle.mjs';
import { ROOT } from './util.mjs';

const SOURCE = join(ROOT, 'www/desk');
export const DESK_PAGE = 'src/desk/page.html';

/** What is made: paths of files in the repository, and their contents. */
export function deskFiles() {
  const script = bundle(join(SOURCE, 'main.js'));
  const style = bundle(join(SOURCE, 'style.css'));
  const page = readFileSync(join(SOURCE, 'index.html'), 'utf8');
  return {
    [DESK_PAGE]: page.replace('<script></script>', () => `<script>${script}</script>`).replace('<style></style>', () => `<style>${style}</style>`),
    'src/desk/policy.txt': policyOf(script, style),
  };
}
