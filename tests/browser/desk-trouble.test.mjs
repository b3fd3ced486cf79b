/** The desk in Chromium when something is not as it should be: a payment that is stuck, a route that is gone, a webhook that fails. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { changeTables } from '../../dev/ledger.mjs';
import { DEV_DIR, waitFor } from '../../dev/util.mjs';
import { EVM_NETWORK } from '../../dev/world.mjs';
import { answering, startSite } from '../e2e/site.mjs';
import { assertPaid, PAGE, payment, send } from '../e2e/support.mjs';
import { assertClean, faults, open, useShop } from './support.mjs';

const TOKEN = 'the token of the seller';
const DESK_TOKENS = createHash('sha256').update(TOKEN).digest('hex');
const ROUTE = { pattern: PAGE, price: '$0.01' };

const shop = useShop({ worker: () => false });
const folders = [];
after(() => folders.forEach((path) => rmSync(path, { recursive: true, force: true })));

/** A folder for what a Worker keeps. */
function folder(name) {
  const path = join(DEV_DIR, `desk-${name}-${process.pid}`);
  folders.push(path);
  return path;
}

async function desk(url, options) {
  const opened = await open(`${url}/.edge402/desk`, { options });
  await opened.page.getByLabel('Token').fill(TOKEN);
  await opened.page.getByRole('button', { name: 'Sign in' }).click();
  await opened.page.getByRole('heading', { name: 'Sales' }).waitFor();
  return opened;
}

const asked = async (url, path) => (await send(`${url}/.edge402/${path}`, { authorization: `Bearer ${TOKEN}` })).json;

test('what is kept of a route that is gone is shown, and removed by its button', async () => {
  const persist = folder('gone');
  const start = (...routes) => shop.world.startWorker({ persist, vars: { ROUTES: [ROUTE, ...routes] }, secrets: { DESK_TOKENS } });
  const before = await start({ pattern: '/old/*', price: '$0.05' });
  const body = JSON.stringify({ route: '/old/*', price: '$0.07', on: false });
  assert.equal((await send(`${before.url}/.edge402/desk/overrides`, { authorization: `Bearer ${TOKEN}` }, { method: 'PUT', body })).status, 200);
  await before.stop();
  const { url } = await start();
  const opened = await desk(url);
  const { page } = opened;
  const row = page.getByRole('table', { name: 'Prices, until they are set back' }).locator('tbody tr', { hasText: '/old/*' });
  assert.match(await row.innerText(), /there is no such route any more\s+\$0.07\s+no/);
  assert.deepEqual(await faults(page), []);
  await row.getByRole('button', { name: 'Remove /old/*' }).click();
  await row.waitFor({ state: 'detached' });
  const { routes, history } = await asked(url, 'desk/overrides');
  assert.deepEqual(routes.map((it) => it.route), [PAGE]);
  assert.deepEqual([history[0].route, history[0].price, history[0].on], ['/old/*', null, true]);
  await page.reload();
  await page.getByRole('button', { name: `Save ${PAGE}`, exact: true }).waitFor();
  assert.equal(await page.getByText('/old/*').locator('visible=true').count(), 0);
  assertClean(opened);
  await opened.close();
});

test('a payment that is stuck stands there with its reason and what to do, and goes when it has landed', async () => {
  const persist = folder('stuck');
  const { world } = shop;
  const { client } = world.evm;
  const options = { persist, vars: { ROUTES: [ROUTE] }, secrets: { DESK_TOKENS } };
  const first = await world.startWorker(options);
  const page402 = `${first.url}${PAGE}`;
  const headers = await payment(world, page402);
  await client.setAutomine(false);
  await client.setIntervalMining({ interval: 0 });
  try {
    const lost = send(page402, headers).catch(() => {});
    const sent = await waitFor(async () => (await asked(first.url, 'desk/state')).waiting.find((it) => it.transaction), { what: 'the payment to be sent' });
    assert.equal(sent.state, 'sent');
    await first.stop();
    await lost;
    // Five minutes go by.
    const place = '$.state.Submitted.order.verified_at';
    const statement = `UPDATE payments SET record = json_set(record, '${place}', json_extract(record, '${place}') - 300)`;
    await changeTables(persist, `${EVM_NETWORK}/${world.accounts.evm.relayers[0].address}`, statement);
    const { url } = await world.startWorker(options);
    const opened = await desk(url);
    const { page } = opened;
    const row = page.getByRole('table', { name: 'Payments that wait or are stuck' }).locator('tbody tr');
    await row.getByText('stuck').waitFor();
    const text = await row.innerText();
    assert.match(text, /it was sent, and the chain has still not said what became of it/);
    assert.match(text, /see to the problems, if there are any; it is followed, and sent again, until it can't land any more/);
    assert.equal(await row.locator('code').first().getAttribute('title'), world.accounts.evm.buyers[0].address);
    assert.equal(await row.locator(`[title="${sent.transaction}"]`).count(), 1);
    assert.deepEqual(await faults(page), []);
    await client.setIntervalMining({ interval: 2 });
    await client.setAutomine(true);
    await client.mine({ blocks: 1 });
    await waitFor(async () => (await asked(url, 'desk/state')).waiting.length === 0, { what: 'the payment to land', timeout: 60_000 });
    await page.getByRole('button', { name: 'Refresh' }).click();
    await page.getByText('No payment waits or is stuck.').waitFor();
    assertClean(opened);
    await opened.close();
  } finally {
    await client.setIntervalMining({ interval: 2 });
    await client.setAutomine(true);
  }
});

test('a webhook that fails stands there with since when and what it has answered', async () => {
  const hook = await startSite();
  try {
    hook.on('/broken', answering(500, 'no'));
    const WEBHOOKS = [{ url: `${hook.url}/broken`, events: ['sale'] }];
    const WEBHOOK_SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
    const { url } = await shop.world.startWorker({ vars: { ROUTES: [ROUTE], WEBHOOKS }, secrets: { DESK_TOKENS, WEBHOOK_SECRET } });
    assertPaid(await send(`${url}${PAGE}`, await payment(shop.world, `${url}${PAGE}`)));
    const told = await waitFor(async () => (await asked(url, 'desk/webhooks')).webhooks.find((it) => it.failing_since), { what: 'the webhook to fail', timeout: 30_000 });
    const opened = await desk(url);
    const row = opened.page.getByRole('table', { name: 'Who hears of what' }).locator('tbody tr');
    const text = await row.innerText();
    const since = new Date(told.failing_since * 1_000).toISOString().slice(0, 16).replace('T', ' ');
    for (const part of [`${hook.url}/broken`, 'sale', `since ${since}`]) assert.ok(text.includes(part), `${part} in ${text}`);
    assert.match(text, /: 500/);
    assert.deepEqual(await faults(opened.page), []);
    assertClean(opened);
    await opened.close();
  } finally {
    await hook.stop();
  }
});
