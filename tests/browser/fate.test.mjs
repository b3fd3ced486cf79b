/** What becomes of a payment once it is signed: whatever happens, it is charged once at most, and signed once. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { waitFor } from '../../dev/util.mjs';
import { encode, EVM_NETWORK, offerOf, SOLANA_NETWORK, unchanged } from '../e2e/support.mjs';
import { alertOf, arrived, assertClean, choose, open, signaturesOf, useShop } from './support.mjs';

const shop = useShop();

/** Has answers to payments written by `answer(route, number)`, numbered from 1; undefined lets one through. */
async function onPayment(page, answer) {
  let number = 0;
  await page.context().route('**/*', (route) => {
    if (!route.request().headers()['payment-signature']) return route.fallback();
    number += 1;
    return answer(route, number) ?? route.fallback();
  });
}

const challenge = (reason, more = {}) => ({ status: 402, headers: { 'payment-response': encode({ success: false, errorReason: reason, transaction: '', network: EVM_NETWORK, ...more }) } });

/** Buys while answers to payments are as `answer` writes them; one price is charged, for one signature. */
async function chargedOnce(answer, act = async () => {}) {
  const own = shop.evm();
  const opened = await open(shop.page, { wallets: [own] });
  await onPayment(opened.page, answer);
  await shop.charged(async () => {
    await choose(opened.page);
    await act(opened.page);
    await arrived(opened.page);
  });
  assert.equal(signaturesOf(own), 1);
  assertClean(opened);
  await opened.close();
}

describe('a signed payment', () => {
  test('is sent again after 503, and after no connection', async () => {
    const words = [];
    await chargedOnce(
      (route, number) => {
        if (number === 1) return route.fulfill({ status: 503, headers: { 'retry-after': '1' } });
        return number === 2 ? route.abort('internetdisconnected') : undefined;
      },
      async (page) => {
        for (const text of ['The shop can’t answer now', 'No connection']) {
          await page.getByText(text).waitFor();
          words.push(await page.getByRole('status').first().textContent());
        }
      },
    );
    for (const text of words) assert.match(text, /charged once at most/);
  });

  test('is sent again while the chain has not confirmed it', () =>
    chargedOnce(
      (route, number) => (number < 3 ? route.fulfill(challenge('settlement_pending', { transaction: `0x${'ab'.repeat(32)}` })) : undefined),
      (page) => page.getByText('Base Sepolia has not confirmed the payment yet').waitFor(),
    ));

  const resumes = {
    'when the page is loaded again': async (page) => { await page.reload(); },
    'by a new tab, after the first was closed': async (page) => {
      const next = await page.context().newPage();
      await page.close();
      await next.goto(shop.page);
      return next;
    },
    'by a tab that was open before, in place of a second signature': async (page, other) => {
      await choose(other);
      return other;
    },
  };
  for (const [how, act] of Object.entries(resumes)) {
    test(`without an answer is sent again ${how}`, async () => {
      let isUp = false;
      const own = shop.evm();
      const { page, context, close } = await open(shop.page, { wallets: [own] });
      const other = await context.newPage();
      await other.goto(shop.page);
      await onPayment(page, (route) => (isUp ? undefined : route.fulfill({ status: 503 })));
      await shop.charged(async () => {
        await choose(page);
        await page.getByText('The shop can’t answer now').waitFor();
        isUp = true;
        await arrived((await act(page, other)) ?? page);
      });
      assert.equal(signaturesOf(own), 1);
      await close();
    });
  }

  test('offers nothing to sign while it may still land, not even on reload', async () => {
    const own = shop.evm();
    await unchanged(shop.world, async () => {
      const opened = await open(shop.page, { wallets: [own] });
      await onPayment(opened.page, (route) => route.fulfill({ status: 503 }));
      await choose(opened.page);
      await opened.page.getByText('The shop can’t answer now').waitFor();
      assert.equal(await opened.page.getByRole('button').count(), 0);
      await opened.page.reload();
      await opened.page.getByText('The shop can’t answer now').waitFor();
      assert.equal(await opened.page.getByRole('button').count(), 0);
      await opened.close();
    });
    assert.equal(signaturesOf(own), 1);
  });

  test('whose time is over is not sent by itself; the buyer may ask', async () => {
    const own = shop.evm();
    const opened = await open(shop.page, { wallets: [own] });
    let isDown = true;
    await onPayment(opened.page, (route) => (isDown ? route.fulfill({ status: 503 }) : undefined));
    await choose(opened.page);
    await opened.page.getByText('The shop can’t answer now').waitFor();
    await opened.page.evaluate(() => {
      const [[key, value]] = Object.entries(localStorage);
      localStorage.setItem(key, JSON.stringify({ ...JSON.parse(value), ends: 0 }));
    });
    await opened.page.reload();
    assert.match(await alertOf(opened.page), /couldn’t learn whether the payment was made/);
    isDown = false;
    await shop.charged(async () => {
      await opened.page.getByRole('button', { name: 'Ask again' }).click();
      await arrived(opened.page);
    });
    assert.equal(signaturesOf(own), 1);
    await opened.close();
  });

  const refusals = {
    insufficient_funds: /Not enough USDC on Base Sepolia/,
    invalid_exact_evm_payload_authorization_valid_before: /too long.*expired/,
    invalid_exact_evm_transaction_simulation_failed: /Base Sepolia would not take this payment/,
    too_many_failed_settlements: /Too many payments of this account failed.*in an hour/,
    duplicate_settlement: /used before.*Nothing more was charged/,
    invalid_payment_requirements: /offer has changed/,
    something_new: /refused the payment \(something_new\)/,
  };
  for (const [reason, words] of Object.entries(refusals)) {
    test(`that is refused for ${reason} is given up, and the buyer told what to do`, () =>
      unchanged(shop.world, async () => {
        const opened = await open(shop.page, { wallets: [shop.evm()] });
        await onPayment(opened.page, (route) => route.fulfill(challenge(reason)));
        await choose(opened.page);
        assert.match(await alertOf(opened.page), words);
        assert.equal(await opened.page.evaluate(() => localStorage.length), 0);
        await opened.page.getByRole('button', { name: /^Test Wallet/ }).waitFor();
        assertClean(opened);
        await opened.close();
      }));
  }

  test('for which the shop could not deliver, and did not charge', async () => {
    const opened = await open(shop.page, { wallets: [shop.evm()] });
    await onPayment(opened.page, (route) => route.fulfill({ status: 404 }));
    await choose(opened.page);
    assert.match(await alertOf(opened.page), /couldn’t deliver \(404\). Nothing was charged/);
    await opened.close();
  });

  test('for which the shop charged, and could not deliver: the same payment asks again', () =>
    chargedOnce(
      (route, number) => (number === 1 ? route.fulfill({ status: 502, headers: { 'payment-response': encode({ success: true, transaction: '0x1', network: EVM_NETWORK }) } }) : undefined),
      async (page) => {
        assert.match(await alertOf(page), /You have paid, but the shop couldn’t deliver/);
        await page.getByRole('button', { name: 'Ask again' }).click();
      },
    ));
});

describe('the terms are asked for anew', () => {
  test('a price that has changed is shown, and signed only when the buyer asks again', async () => {
    const dear = await shop.world.startWorker({ vars: { ROUTES: [{ pattern: '/premium/*', price: '$0.03' }] } });
    const own = shop.evm();
    const opened = await open(shop.page, { wallets: [own] });
    await opened.page.route('**/*', (route) => route.continue({ url: route.request().url().replace(shop.url, dear.url) }));
    await unchanged(shop.world, async () => {
      await choose(opened.page);
      assert.match(await alertOf(opened.page), /changed from 0.01 USDC to 0.03 USDC. Nothing was charged/);
      assert.equal(signaturesOf(own), 0);
    });
    await opened.page.getByText('0.03 USDC on Base Sepolia').first().waitFor();
    await shop.charged(async () => {
      await choose(opened.page);
      await arrived(opened.page);
    }, { price: 30_000n });
    await opened.close();
  });

  test('a network that is no longer there, and a shop that is closed or away', async () => {
    const opened = await open(shop.page, { wallets: [shop.evm()] });
    const head = { accepts: [], x402Version: 2 };
    const cases = [
      [(route) => route.fulfill({ status: 402, headers: { 'payment-required': encode(head) } }), /no longer takes payments on Base Sepolia/],
      [(route) => route.fulfill({ status: 503 }), /can’t sell this now/],
      [(route) => route.abort(), /can’t be reached/],
    ];
    for (const [answer, words] of cases) {
      await opened.page.route('**/*', answer);
      await choose(opened.page);
      await opened.page.getByRole('alert').filter({ hasText: words }).waitFor();
      await opened.page.unroute('**/*');
    }
    await opened.close();
  });

  test('a clock that is off does no harm', async () => {
    for (const hours of [-2, 2]) {
      const opened = await open(shop.page, {
        wallets: [shop.evm()],
        before: (context) => context.addInitScript((ms) => {
          const { now } = Date;
          Date.now = () => now() + ms;
        }, hours * 3_600_000),
      });
      await shop.charged(async () => {
        await choose(opened.page);
        await arrived(opened.page);
      });
      await opened.close();
    }
  });

  test('a blockhash that is too old by the time it is signed is refused, and the next try works', async () => {
    let tries = 0;
    const own = shop.solana({
      answer(method) {
        if (method !== 'signTransaction') return;
        tries += 1;
        if (tries === 1) shop.world.solana.skipSlots(200);
      },
    });
    const opened = await open(shop.page, { wallets: [own] });
    await unchanged(shop.world, async () => {
      await choose(opened.page, 'Sol Wallet');
      assert.match(await alertOf(opened.page), /Nothing was charged/);
    });
    // Until the gate knows a newer one.
    await waitFor(async () => {
      const { extra } = await offerOf(shop.page, SOLANA_NETWORK);
      return shop.world.solana.chain.isBlockhashValid(extra.recentBlockhash, 'confirmed');
    }, { what: 'a fresh blockhash' });
    await shop.charged(async () => {
      await choose(opened.page, 'Sol Wallet');
      await arrived(opened.page);
    }, { chain: 'solana' });
    await opened.close();
  });

  test('what costs nothing any more is opened', async () => {
    const opened = await open(shop.page, { wallets: [shop.evm()] });
    await opened.page.route('**/*', (route) => route.continue({ url: `${shop.url}/about.html` }));
    await choose(opened.page);
    await opened.page.getByRole('heading', { name: 'How paying works' }).waitFor();
    await opened.close();
  });
});

/** The answer to a payment leaves it open: the buyer may ask again, no receipt is kept, and the payment is. */
const unsold = (answer) => unchanged(shop.world, async () => {
  const opened = await open(shop.page, { wallets: [shop.evm()] });
  await onPayment(opened.page, answer);
  await choose(opened.page);
  await opened.page.getByRole('button', { name: 'Ask again' }).waitFor();
  assert.deepEqual(await opened.page.evaluate(() => Object.keys(localStorage)), [`edge402 payment ${shop.page}`]);
  await opened.close();
});

describe('an answer that is not the gate’s', () => {
  const others = { 'is 403': { status: 403, body: 'blocked' }, 'is 200 without a receipt': { status: 200, body: 'log in first' }, 'is 402 without a reason': { status: 402, body: 'pay for the wireless' } };
  for (const [what, other] of Object.entries(others)) {
    test(`ends no payment after one that was lost: it ${what}`, async () => {
      const words = [];
      await chargedOnce(
        (route, number) => {
          if (number === 1) return route.fetch().then(() => route.abort('connectionreset'));
          return number === 2 ? route.fulfill(other) : undefined;
        },
        async (page) => {
          const again = page.getByRole('button', { name: 'Ask again' });
          await again.waitFor();
          words.push(await alertOf(page));
          await again.click();
        },
      );
      assert.match(words[0], /couldn.t learn whether the payment was made/);
    });
  }

  test('is no sale if it is a redirect', async () => {
    await unsold((route) => route.fulfill({ status: 302, headers: { location: '/premium/index.html' } }));
  });
});

/** The gate's word that nothing was charged, and where it is sold. */
const soldAt = (location, more = { 'preference-applied': 'return=minimal' }) => ({ status: 409, headers: { location, ...more }, body: '{}' });

describe('what is sold at another address', () => {
  test('is bought there by the same payment', () =>
    chargedOnce(
      (route, number) => (number === 1 ? route.fulfill(soldAt('/premium/?from=elsewhere')) : undefined),
      (page) => page.waitForURL('**/premium/?from=elsewhere'),
    ));

  test('loses no payment though the page there dies while it sends', () => {
    let isBack = false;
    return chargedOnce(
      (route, number) => {
        if (number === 1) return route.fulfill(soldAt('/premium/?from=elsewhere'));
        // Not by the browser, which would keep the cookie of what it never heard.
        if (number === 2) return fetch(route.request().url(), { headers: route.request().headers() }).then(() => { isBack = true; });
        return number === 3 ? route.fulfill({ status: 403, body: 'blocked' }) : undefined;
      },
      async (page) => {
        await page.waitForURL('**/premium/?from=elsewhere');
        await waitFor(() => isBack, { what: 'the payment to be made' });
        await page.reload();
        await page.getByRole('button', { name: 'Ask again' }).click();
      },
    );
  });

  test('is believed of the gate only, and of this shop only', async () => {
    for (const answer of [soldAt('/premium/index.html', {}), soldAt('https://elsewhere.example/'), soldAt('https://[')]) {
      const opened = await open(shop.page, { wallets: [shop.evm()] });
      await onPayment(opened.page, (route) => route.fulfill(answer));
      await unchanged(shop.world, async () => {
        await choose(opened.page);
        assert.equal(await alertOf(opened.page), 'The shop couldn’t deliver (409). Nothing was charged.');
      });
      assert.equal(opened.page.url(), shop.page);
      assertClean(opened);
      await opened.close();
    }
  });

  test('is given up where addresses lead in a circle', async () => {
    const opened = await open(shop.page, { wallets: [shop.evm()] });
    let asked = 0;
    await onPayment(opened.page, (route, number) => {
      asked = number;
      return route.fulfill(soldAt(route.request().url().endsWith('?b') ? '/premium/' : '/premium/?b'));
    });
    await choose(opened.page);
    assert.equal(await alertOf(opened.page), 'The shop couldn’t deliver (409). Nothing was charged.');
    assert.ok(asked <= 6, `asked ${asked} times`);
    await opened.close();
  });
});

test('an answer without a receipt is no sale, and a refusal without a reason no refusal', async () => {
  for (const answer of [{ status: 200, body: 'log in first' }, { status: 402, body: 'not enough credit' }]) await unsold((route) => route.fulfill(answer));
});
