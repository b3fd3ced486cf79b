/** What each way to pay on EVM costs the seller in gas, one payment alone and many at once; by contracts of the project's own. */
import { ExactEvmScheme } from '@x402/evm/exact/client';
import { UptoEvmScheme } from '@x402/evm/upto/client';
import { encodeEventTopics, pad, parseAbiItem } from 'viem';
import { evmBuyer } from '../../accounts.mjs';
import { USDC_ADDRESS } from '../../evm/anvil.mjs';
import { placePermit2, TOKEN_ADDRESS, TOKEN_NAME, TOKEN_VERSION } from '../../evm/permit2.mjs';
import { placeWallets } from '../../evm/wallets.mjs';
import { EVM_NETWORK, startWorld } from '../../world.mjs';
import { startOrigin } from '../origin.mjs';
import { withStops } from '../rounds.mjs';
import { startEdge402 } from '../systems.mjs';
import { payFor, signPayment } from '../wallet.mjs';

const BLOCK_SECONDS = 2;
const ALONE = 3;
const CROWD = 32;
const QUICK_CROWD = 8;
const FUNDS = 1_000_000n;
const PATIENCE_MS = 60_000;
const TRANSFER = parseAbiItem('event Transfer(address indexed from, address indexed to, uint256 value)');

const ROUTES = [
  { pattern: '/usdc/*', price: '$0.01', networks: [EVM_NETWORK] },
  { pattern: '/permit2/*', price: '$0.01', networks: [`${EVM_NETWORK}/TUSD`] },
  // An origin that tells nothing: what is charged is the most.
  { pattern: '/used/*', price: '$0.01', networks: [`${EVM_NETWORK}/TUSD`], scheme: 'upto', without_amount: 'most' },
];

/** @returns {Promise<import('../table.mjs').Group[]>} */
export async function gas({ quick, note }) {
  const size = quick ? QUICK_CROWD : CROWD;
  return withStops(async (keep) => {
    const world = keep(await startWorld({ worker: false }));
    const { evm } = world;
    const origin = keep(await startOrigin());
    const ways = waysToPay(evm, await placePermit2(evm), await placeWallets(evm));
    const token = { asset: TOKEN_ADDRESS, symbol: 'TUSD', decimals: 6, name: TOKEN_NAME, version: TOKEN_VERSION, asset_transfer_method: 'permit2', eip2612: true };
    const NETWORKS = { [EVM_NETWORK]: { rpc: [evm.url], pay_to: world.accounts.evm.seller.address, tokens: [token] } };
    const edge402 = keep(await startEdge402(world, { origin: origin.url, vars: { ROUTES, NETWORKS } }));
    const rows = { alone: [], crowd: [] };
    const crowds = [];
    let owner = 1_000;
    for (const { what, path, payer } of ways) {
      note(`${what}: alone`);
      const url = edge402.url + path;
      const payers = [];
      for (let i = 0; i < 1 + ALONE + size; i += 1) payers.push(await payer(evmBuyer((owner += 1))));
      const payment = (scheme) => signPayment(url, [['eip155:*', scheme]], EVM_NETWORK);
      // What costs more the first time was paid by then: the seller's balance, and what contracts remember of all calls.
      await payFor(url, await payment(payers.pop()));
      const alone = await Promise.all(payers.splice(0, ALONE).map(payment));
      rows.alone.push(gasRow(what, await gasOf(world, url, alone, { atOnce: false })));
      crowds.push({ what, url, prepare: () => Promise.all(payers.map(payment)) });
    }
    // Until here each transaction had a block at once.
    await evm.client.setAutomine(false);
    await evm.client.setIntervalMining({ interval: BLOCK_SECONDS });
    for (const { what, url, prepare } of crowds) {
      note(`${what}: ${size} at once`);
      rows.crowd.push(gasRow(what, await gasOf(world, url, await prepare(), { atOnce: true })));
    }
    return [
      { title: 'Gas of a payment on EVM, alone', rows: rows.alone },
      { title: `Gas of a payment on EVM, ${size} at once`, rows: rows.crowd },
    ];
  });
}

/** The ways, each with a function that gives a new account what it needs for one payment and answers its scheme. */
function waysToPay(evm, token, wallets) {
  const withUsdc = async (signer) => {
    await evm.mintUsdc(signer.address, FUNDS);
    return new ExactEvmScheme(signer);
  };
  const withToken = async (account, { allows }) => {
    await token.mint(account.address, FUNDS);
    if (allows) await token.approve(account);
  };
  const node = { rpcUrl: evm.url };
  return [
    { what: 'EIP-3009, by key', path: '/usdc/a', payer: withUsdc },
    {
      what: 'smart wallet, deployed',
      path: '/usdc/a',
      async payer(owner) {
        await wallets.deploy(owner);
        return withUsdc(await wallets.wallet(owner));
      },
    },
    { what: 'account that delegates (EIP-7702)', path: '/usdc/a', payer: async (account) => withUsdc(await wallets.delegate(account)) },
    { what: 'smart wallet, deployed by it (ERC-6492)', path: '/usdc/a', payer: async (owner) => withUsdc((await wallets.wallet(owner)).undeployed) },
    {
      what: 'Permit2',
      path: '/permit2/a',
      async payer(account) {
        await withToken(account, { allows: true });
        return new ExactEvmScheme(account);
      },
    },
    {
      what: "Permit2, with the token's permit (EIP-2612)",
      path: '/permit2/a',
      async payer(account) {
        await withToken(account, { allows: false });
        return new ExactEvmScheme(account, node);
      },
    },
    {
      what: 'upto',
      path: '/used/a',
      async payer(account) {
        await withToken(account, { allows: true });
        return new UptoEvmScheme(account);
      },
    },
    {
      what: "upto, with the token's permit",
      path: '/used/a',
      async payer(account) {
        await withToken(account, { allows: false });
        return new UptoEvmScheme(account, node);
      },
    },
  ];
}

/** The gas that the relayer's transactions used while these were paid, and how many payments each carried. */
async function gasOf({ evm: { client }, accounts: { evm: { seller, relayers: [relayer] } } }, url, payments, { atOnce }) {
  const first = await client.getBlockNumber({ cacheTime: 0 });
  const pay = (headers) => payFor(url, headers, { timeoutMs: PATIENCE_MS });
  const results = [];
  if (atOnce) results.push(...await Promise.all(payments.map(pay)));
  else for (const headers of payments) results.push(await pay(headers));
  const last = await client.getBlockNumber({ cacheTime: 0 });
  const [transfer] = encodeEventTopics({ abi: [TRANSFER] });
  const isEarned = ({ address, topics }) =>
    [USDC_ADDRESS, TOKEN_ADDRESS].some((token) => token.toLowerCase() === address) && topics[0] === transfer && topics[2] === pad(seller.address).toLowerCase();
  const used = [];
  for (let blockNumber = first + 1n; blockNumber <= last; blockNumber += 1n) {
    const { transactions } = await client.getBlock({ blockNumber, includeTransactions: true });
    for (const { hash, from } of transactions) {
      if (from.toLowerCase() !== relayer.address.toLowerCase()) continue;
      const { gasUsed, logs } = await client.getTransactionReceipt({ hash });
      used.push({ gas: Number(gasUsed), payments: logs.filter(isEarned).length });
    }
  }
  const unpaid = results.find(({ paid }) => !paid);
  return { used, asked: results.length, paid: results.filter(({ paid }) => paid).length, why: unpaid && `${unpaid.status} ${unpaid.reason}` };
}

function gasRow(what, { used, asked, paid, why }) {
  const sum = (name) => used.reduce((total, each) => total + each[name], 0);
  const each = Math.round(sum('gas') / sum('payments'));
  const shares = [...new Set(used.map(({ payments }) => payments))].sort((a, b) => a - b).join(', ');
  return {
    what,
    ours: Number.isFinite(each) ? each.toLocaleString('en') : '–',
    bar: 'all are paid',
    passes: paid === asked,
    how: `${paid} of ${asked}, in ${used.length} transactions of ${shares}${why ? `; ${why.slice(0, 60)}` : ''}`,
  };
}
