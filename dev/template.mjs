/** `node dev/template.mjs`: the shop of `template/`, which a Deploy to Cloudflare button copies, made as `edge402 init` makes one. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { filesOf } from '../cli/init-files.mjs';
import { command, readArguments } from './cli.mjs';
import { ROOT, isMain } from './util.mjs';

export const TEMPLATE = join(ROOT, 'template');

/** What the button asks for: each secret, with what it says of it (`cloudflare.bindings` of package.json). */
const SECRETS = {
  EVM_RELAYER_KEYS: 'The private key of a fresh account that pays the fees: 0x and 64 hex digits, from `npx edge402 keys --new evm`. It needs a little ETH on Base Sepolia and holds no income.',
  GRANT_SECRET: '64 hex digits, from `openssl rand -hex 32`. Signs the cookies by which browsers fetch what they bought.',
};

/** The template's files: name → text. */
export function templateFiles() {
  const { '.gitignore': ignored, 'package.json': manifest, ...files } = filesOf({
    name: 'edge402-shop',
    origin: { kind: 'assets', folder: './site' },
    sell: '/premium/*',
    price: '$0.01',
    description: 'Premium pages',
    networks: [{ id: 'eip155:84532', title: 'Base Sepolia' }],
    payTo: { eip155: '0x0000000000000000000000000000000000000000' },
  });
  const { devDependencies: _ours, ...shop } = JSON.parse(manifest);
  const { devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const bindings = Object.fromEntries(Object.entries(SECRETS).map(([name, description]) => [name, { description }]));
  const own = { ...shop, devDependencies: { wrangler: `^${devDependencies.wrangler}` }, cloudflare: { bindings } };
  return {
    ...files,
    'wrangler.toml': files['wrangler.toml'].replace(/pay_to = .*/, (line) => `${line}  # yours`),
    '.gitignore': ignored,
    'package.json': `${JSON.stringify(own, null, 2)}\n`,
    '.dev.vars.example': Object.keys(SECRETS).map((name) => `${name}=\n`).join(''),
    'README.md': README,
  };
}

const README = `# A shop on Cloudflare

Sells \`/premium/*\` of the folder \`site\` for $0.01 a request, paid by [x402](https://www.x402.org/) in test USDC on Base Sepolia. The Worker, edge402, checks each payment and sends it to the chain itself.

Put this folder into a repository of yours, with a button in its README that leads to it:

\`\`\`md
[![Deploy to Cloudflare](https://deploy.workers.cloudflare.com/button)](https://deploy.workers.cloudflare.com/?url=https://github.com/you/your-shop)
\`\`\`

The button copies the repository, makes the KV namespace, asks for the secrets and deploys. Until \`pay_to\` in \`wrangler.toml\` is an address of yours nothing is sold: its pages answer 503, and \`npx wrangler tail\` says why.

The package \`edge402\` comes from the registry, or from a tarball beside this file: \`npm install ./edge402-0.1.0.tgz\`.

\`\`\`sh
npm install
npx edge402 keys --new evm    # makes the account that pays the fees
npx edge402 check             # says what is wrong or missing
npx edge402 dev               # opens the shop on this machine, for test money
\`\`\`
`;

/** Names of the template's files that are not what this makes. */
export function staleTemplateFiles() {
  return Object.entries(templateFiles()).filter(([name, text]) => !existsSync(join(TEMPLATE, name)) || readFileSync(join(TEMPLATE, name), 'utf8') !== text).map(([name]) => name);
}

if (isMain(import.meta.url)) {
  await command(() => {
    readArguments('Usage: node dev/template.mjs');
    const files = templateFiles();
    for (const name of staleTemplateFiles()) {
      mkdirSync(dirname(join(TEMPLATE, name)), { recursive: true });
      writeFileSync(join(TEMPLATE, name), files[name]);
      console.log(`written: template/${name}`);
    }
  });
}
