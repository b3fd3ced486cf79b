/** What wallets do, well and badly. Where nothing may be charged, the chains are looked at. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import jsQR from 'jsqr';
import { concatHex, encodeAbiParameters } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { solanaAccount } from '../../dev/accounts.mjs';
import { createAta } from '../../dev/solana/setup.mjs';
import { unchanged } from '../e2e/support.mjs';
import { alertOf, answering, arrived, assertClean, choose, evmWallet, open, servedAs, solanaWallet, useShop, walletError } from './support.mjs';

const shop = useShop();


/** Opens the shop with wallets, presses one, and asserts what the page says then; nothing is charged. */
async function saysTo(wallets, pattern, name = wallets[0].name) {
  await unchanged(shop.world, async () => {
    const opened = await open(shop.page, { wallets });
    await choose(opened.page, name);
    assert.match(await alertOf(opened.page), pattern);
    assert.ok(await opened.page.getByRole('button', { name: new RegExp(`^${name}`) }).isEnabled(), 'the buyer can try again');
    assertClean(opened);
    await opened.close();
  });
}

/** Opens the shop with wallets, buys by one of them, and asserts that one price was charged. */
async function buys(wallets, { chain = 'evm', name = wallets[0].name, act = async () => {} } = {}) {
  const opened = await open(shop.page, { wallets });
  await act(opened.page);
  await shop.charged(async () => {
    await choose(opened.page, name);
    await arrived(opened.page);
  }, { chain });
  assertClean(opened);
  await opened.close();
}

/** What a phone's camera reads of an element. */
async function read(element) {
  const picture = (await element.screenshot()).toString('base64');
  const { page, close } = await open('about:blank');
  const { pixels, width, height } = await page.evaluate(async (base64) => {
    const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${base64}`)).blob());
    const paper = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
    paper.drawImage(bitmap, 0, 0);
    return { pixels: [...paper.getImageData(0, 0, bitmap.width, bitmap.height).data], width: bitmap.width, height: bitmap.height };
  }, picture);
  await close();
  return jsQR(Uint8ClampedArray.from(pixels), width, height)?.data;
}

describe('wallets are found', () => {
  test('that announce themselves late', () => buys([shop.evm({ after: 1_500 })]));

  test('that are window.ethereum only', () => buys([shop.evm({ announce: false })], { name: 'MetaMask' }));

  test('that are for both kinds of chains: one button, and the buyer chooses the network', async () => {
    const both = () => [shop.evm({ name: 'Both' }), shop.solana({ name: 'Both' })];
    await buys(both());
    await buys(both(), {
      chain: 'solana',
      act: async (page) => {
        assert.equal(await page.getByRole('button', { name: /^Both/ }).count(), 1);
        await page.getByLabel('Solana Devnet').check();
        await page.getByText('0.01 USDC on Solana Devnet').first().waitFor();
      },
    });
  });

  test('none: the page says so, and shows how to pay with a phone', async () => {
    const opened = await open('https://shop.example/premium/', { before: servedAs('https://shop.example', shop.url) });
    await opened.page.getByText('No wallet was found in this browser').waitFor();
    assert.equal(await read(opened.page.getByRole('img', { name: /QR/ })), 'https://shop.example/premium/');
    assertClean(opened);
    await opened.close();
  });

  test('none, at an address that a phone can’t reach: the page says that in place of a code', async () => {
    const opened = await open(shop.page);
    await opened.page.getByText('A phone can’t open this address').waitFor();
    assert.equal(await opened.page.getByRole('img', { name: /QR/ }).count(), 0);
    assertClean(opened);
    await opened.close();
  });

  test('one that knows none of the networks', async () => {
    const opened = await open(shop.page, { wallets: [shop.solana({ chains: ['solana:mainnet'] })] });
    await opened.page.getByText('No wallet was found here that can pay on Base Sepolia, Solana Devnet').waitFor();
    await opened.close();
  });

  test('on a phone the page leads into wallets’ own browsers', async () => {
    const { page, close } = await open(shop.page, { options: { hasTouch: true, isMobile: true, viewport: { width: 390, height: 844 } } });
    const bare = shop.page.replace('http://', '');
    const links = {
      MetaMask: `https://link.metamask.io/dapp/${bare}`,
      Phantom: `https://phantom.app/ul/browse/${encodeURIComponent(shop.page)}?ref=${encodeURIComponent(shop.url)}`,
      Base: `https://go.cb-w.com/dapp?cb_url=${encodeURIComponent(shop.page)}`,
      'Trust Wallet': `https://link.trustwallet.com/open_url?coin_id=60&url=${encodeURIComponent(shop.page)}`,
      'OKX Wallet': `https://web3.okx.com/download?deeplink=${encodeURIComponent(`okx://wallet/dapp/url?dappUrl=${encodeURIComponent(shop.page)}`)}`,
      Solflare: `https://solflare.com/ul/v1/browse/${encodeURIComponent(shop.page)}?ref=${encodeURIComponent(shop.url)}`,
    };
    for (const [name, href] of Object.entries(links)) assert.equal(await page.getByRole('link', { name, exact: true }).getAttribute('href'), href);
    await close();
  });
});

describe('the chain of an EVM wallet', () => {
  test('is switched when it is another one', async () => {
    const wallet = shop.evm({ chainId: 1 });
    await buys([wallet]);
    assert.equal(wallet.chainId, 84532);
  });

  const unknown = { 'with 4902': walletError(4902), 'with -32603, as on phones': walletError(-32603, 'Unrecognized chain ID', { originalError: { code: 4902 } }) };
  for (const [how, error] of Object.entries(unknown)) {
    test(`is added when the wallet doesn’t know it and says so ${how}`, async () => {
      let added;
      const wallet = shop.evm({
        chainId: 1,
        answer(method, params) {
          if (method === 'wallet_switchEthereumChain' && !added) throw error;
          if (method !== 'wallet_addEthereumChain') return undefined;
          [added] = params;
          // Added, and the chain is the one that it was.
          return 'added';
        },
      });
      await buys([wallet]);
      assert.equal(added.chainId, '0x14a34');
      assert.match(added.rpcUrls[0], /^https:/);
      assert.equal(added.nativeCurrency.decimals, 18);
    });
  }

  for (const word of ['yes', null]) {
    test(`stays another one though the wallet answers ${word}`, () =>
      saysTo([shop.evm({ chainId: 1, ...answering('wallet_switchEthereumChain', () => word) })], /not on Base Sepolia.*Nothing was charged.*Switch to Base Sepolia/));
  }

  test('can’t be added', () => {
    const answer = (method) => { if (/^wallet_/.test(method)) throw walletError(4902); };
    return saysTo([shop.evm({ chainId: 1, answer })], /not on Base Sepolia/);
  });

  test('is not switched because the buyer declines', () =>
    saysTo([shop.evm({ chainId: 1, ...answering('wallet_switchEthereumChain', () => { throw walletError(4001); }) })], /You declined in Test Wallet. Nothing was charged/));
});

describe('a wallet', () => {
  const declined = () => { throw walletError(4001, 'User rejected the request.'); };
  for (const method of ['eth_requestAccounts', 'eth_signTypedData_v4']) {
    test(`declines at ${method}`, () => saysTo([shop.evm(answering(method, declined))], /You declined in Test Wallet. Nothing was charged/));
  }

  test('of Solana declines', () => saysTo([shop.solana(answering('signTransaction', () => { throw new Error('User rejected the request'); }))], /You declined in Sol Wallet/));

  test('has a request open', () => saysTo([shop.evm(answering('eth_requestAccounts', () => { throw walletError(-32002); }))], /already has a request open/));

  test('shares no account', () => saysTo([shop.evm({ accounts: [] })], /shared no account/));

  for (const nonsense of ['0x', 'signature', 7, null, { r: '0x' }]) {
    test(`answers ${JSON.stringify(nonsense)} for a signature`, async () => {
      const wallet = shop.evm();
      const { request } = wallet;
      wallet.request = (method, params) => (method === 'eth_signTypedData_v4' ? nonsense : request(method, params));
      await saysTo([wallet], /no signature/);
    });
  }

  test('fails in its own words, which are shown', () =>
    saysTo([shop.evm(answering('eth_signTypedData_v4', () => { throw walletError(-32000, 'Ledger: <b>blind signing</b>'); }))], /“Ledger: <b>blind signing<\/b>” Nothing was charged.*allow blind signing/));

  test('signs for another account than it named', () =>
    saysTo([shop.evm(answering('eth_signTypedData_v4', () => `0x${'11'.repeat(64)}1b`))], /not from the account that was to pay/));

  test('changes its account meanwhile: the new one pays', async () => {
    const [first, second] = shop.world.accounts.evm.buyers;
    const wallet = evmWallet(shop.world, second, { accounts: [first.address], ...answering('eth_chainId', (_, own) => { own.accounts = [second.address]; }) });
    await buys([wallet]);
  });

  test('hangs: the buyer gives up, and what it signs later is not sent', async () => {
    let sign;
    const late = new Promise((done) => { sign = done; });
    const wallet = shop.evm(answering('eth_signTypedData_v4', async () => { await late; }));
    await unchanged(shop.world, async () => {
      const opened = await open(shop.page, { wallets: [wallet] });
      const paying = [];
      opened.page.on('request', (request) => { if (request.headers()['payment-signature']) paying.push(request.url()); });
      await choose(opened.page);
      await opened.page.getByText('Confirm 0.01 USDC in Test Wallet. You have 5 minutes for it.').waitFor();
      await opened.page.getByRole('button', { name: 'Cancel' }).click();
      await opened.page.getByRole('button', { name: /^Test Wallet/ }).waitFor();
      sign();
      // Its answer has come to the page by then.
      await opened.page.evaluate(() => window.__wallet(0, 'eth_chainId'));
      assert.deepEqual(paying, []);
      assertClean(opened);
      await opened.close();
    });
  });

  test('of hardware signs with v = 0 or 1', async () => {
    const wallet = shop.evm();
    const { request } = wallet;
    wallet.request = async (method, params) => {
      const answer = await request(method, params);
      return method === 'eth_signTypedData_v4' ? answer.replace(/1b$/, '00').replace(/1c$/, '01') : answer;
    };
    await buys([wallet]);
  });
});

describe('too little money', () => {
  test('is said before anything is signed, with both numbers', async () => {
    const wallet = shop.evm(answering('eth_call', () => `0x${(9_990n).toString(16)}`));
    await saysTo([wallet], /Not enough USDC on Base Sepolia: you have 0.00999, and this costs 0.01 USDC. Nothing was charged/);
    assert.ok(!wallet.calls.includes('eth_signTypedData_v4'));
  });

  test('that the wallet can’t tell is said by the shop', async () => {
    const privateKey = `0x${'77'.repeat(32)}`;
    const account = { ...privateKeyToAccount(privateKey), privateKey };
    await saysTo([evmWallet(shop.world, account, answering('eth_call', () => { throw walletError(-32601); }))], /Not enough USDC on Base Sepolia in this account/);
  });

  test('on Solana is said by the shop', async () => {
    const account = await solanaAccount('poor');
    await createAta(shop.world.solana, account.address);
    await saysTo([solanaWallet(account)], /Not enough USDC on Solana Devnet in this account\. Nothing was charged\./);
  });
});

describe('an account that has handed itself to a contract (EIP-7702)', () => {
  const setCode = (address, bytecode) => shop.world.evm.client.setCode({ address, bytecode });
  /** Any call is answered with these four bytes, ERC-1271's yes and a no. */
  const saying = (answer) => `0x63${answer}60e01b60005260206000f3`;

  for (const [what, address, answer] of [['agrees to its key’s signature', '0x00000000000000000000000000000000000a11ee', '1626ba7e'], ['takes only signatures of its own kind', '0x00000000000000000000000000000000000badee', 'ffffffff']]) {
    test(`and that ${what}`, async () => {
      await setCode(address, saying(answer));
      await setCode(shop.world.accounts.evm.buyers[0].address, `0xef0100${address.slice(2)}`);
      try {
        if (answer === '1626ba7e') await buys([shop.evm()]);
        else await saysTo([shop.evm()], /smart wallet whose signatures the shop can’t take. Nothing was charged/);
      } finally {
        await setCode(shop.world.accounts.evm.buyers[0].address, '0x');
      }
    });
  }
});

describe('a smart wallet', () => {
  /** Any call is answered with ERC-1271's yes. */
  const yes = '0x631626ba7e60e01b60005260206000f3';
  const signing = (signature) => answering('eth_signTypedData_v4', () => signature);
  /** A signature of a wallet that is not there yet (ERC-6492): its factory, what deploys it, what it will take. */
  const undeployed = (factory) => concatHex([
    encodeAbiParameters([{ type: 'address' }, { type: 'bytes' }, { type: 'bytes' }], [factory, '0x', `0x${'ab'.repeat(65)}`]),
    `0x${'6492'.repeat(16)}`,
  ]);

  test('pays by a signature of its own kind, of any length', async () => {
    const address = '0x00000000000000000000000000000000005afe01';
    await shop.world.evm.client.setCode({ address, bytecode: yes });
    await shop.world.evm.mintUsdc(address, 1_000_000n);
    await buys([evmWallet(shop.world, { address }, signing(`0x${'ab'.repeat(700)}`))]);
  });

  test('that a factory is to deploy which the seller doesn’t know is refused, with a sentence', async () => {
    const address = '0x00000000000000000000000000000000005afe02';
    await shop.world.evm.mintUsdc(address, 1_000_000n);
    await saysTo([evmWallet(shop.world, { address }, signing(undeployed('0x000000000000000000000000000000000fac7021')))], /smart wallet whose signatures the shop can’t take\. Nothing was charged/);
  });
});
