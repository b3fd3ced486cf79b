/**
 * The page that people pay on: its bytes, and when its first button that begins
 * a payment is there, in Chromium with one wallet. All pages come from one
 * server on this machine, so that only the pages differ.
 */
import { createServer } from 'node:http';
import { gzipSync } from 'node:zlib';
import { startChromium } from '../../chromium.mjs';
import { listen } from '../../util.mjs';
import { EVM_NETWORK, startWorld } from '../../world.mjs';
import { startOrigin } from '../origin.mjs';
import { paywallPage } from '../paywall.mjs';
import { withStops } from '../rounds.mjs';
import { PAID_PATH, startEdge402 } from '../systems.mjs';
import { kib, median, ms } from '../table.mjs';

const BAR = 24 * 1024;

/** @returns {Promise<import('../table.mjs').Group>} */
export async function page({ quick, note }) {
  return withStops(async (keep) => {
    const world = keep(await startWorld({ worker: false }));
    const origin = keep(await startOrigin());
    const edge402 = keep(await startEdge402(world, { origin: origin.url }));
    const answer = await fetch(edge402.url + PAID_PATH, { headers: { accept: 'text/html', 'sec-fetch-dest': 'document' } });
    const challenge = JSON.parse(Buffer.from(answer.headers.get('payment-required'), 'base64').toString());
    const offered = (isWanted) => ({ ...challenge, accepts: challenge.accepts.filter(isWanted) });
    const pages = {
      ours: await answer.text(),
      evm: await paywallPage('evm', offered(({ network }) => network === EVM_NETWORK)),
      svm: await paywallPage('svm', offered(({ network }) => network !== EVM_NETWORK)),
    };
    const server = keep(await serve(pages));
    const browser = await startChromium();
    keep({ stop: () => browser.close() });
    const times = { ours: [], evm: [], svm: [] };
    const rounds = quick ? 3 : 9;
    for (let round = 0; round < rounds; round += 1) {
      for (const [name, list] of Object.entries(times)) {
        note(`round ${round + 1} of ${rounds}: ${name}`);
        list.push(await timeToButton(browser, `${server.url}/${name}`));
      }
    }
    const size = (name) => gzipSync(pages[name], { level: 9 }).length;
    const both = (write) => `${write('evm')} EVM, ${write('svm')} Solana`;
    return {
      title: 'Page to pay on',
      rows: [
        { what: 'HTML, gzipped', ours: kib(size('ours')), reference: both((name) => kib(size(name))), bar: `≤ ${kib(BAR)}`, passes: size('ours') <= BAR, how: 'reference: @x402/paywall, a page for each kind of chain; ours is for both' },
        { what: 'until it can be paid on', ours: ms(median(times.ours), 0), reference: both((name) => ms(median(times[name]), 0)), how: 'in Chromium, from this machine: to the first button' },
      ],
    };
  });
}

async function serve(pages) {
  const bodies = Object.fromEntries(Object.entries(pages).map(([name, html]) => [`/${name}`, gzipSync(html)]));
  const server = createServer(({ url }, response) => {
    const body = bodies[url];
    if (!body) return response.writeHead(404).end();
    return response.writeHead(402, { 'content-type': 'text/html; charset=utf-8', 'content-encoding': 'gzip' }).end(body);
  });
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}`,
    stop: () => new Promise((done) => { server.close(done); server.closeAllConnections(); }),
  };
}

/** Milliseconds from the navigation to the first button, in a browser that has seen nothing yet. */
async function timeToButton(browser, url) {
  const context = await browser.newContext();
  try {
    const tab = await context.newPage();
    await tab.addInitScript(() => {
      const provider = { request: async () => [], on() {}, removeListener() {} };
      const detail = Object.freeze({ info: { uuid: 'a', name: 'Wallet', rdns: 'a.wallet', icon: 'data:image/svg+xml,<svg/>' }, provider });
      const tell = () => dispatchEvent(new CustomEvent('eip6963:announceProvider', { detail }));
      addEventListener('eip6963:requestProvider', tell);
      tell();
      new MutationObserver(() => {
        if (window.ready === undefined && [...document.querySelectorAll('button')].some((it) => it.offsetHeight > 0)) window.ready = performance.now();
      }).observe(document, { childList: true, subtree: true });
    });
    await tab.goto(url);
    return await (await tab.waitForFunction(() => window.ready)).jsonValue();
  } finally {
    await context.close();
  }
}
