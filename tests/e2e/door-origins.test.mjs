/** Origins that are not there, or are the Worker itself, and routes that can't be read. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { listen } from '../../dev/util.mjs';
import { startWorld } from '../../dev/world.mjs';
import { startSite } from './site.mjs';
import { assertPaid, payment, send, unchanged } from './support.mjs';

let world;
before(async () => {
  world = await startWorld({ worker: false });
});
after(() => world?.stop());

describe('a site that is not there', () => {
  const sentence = async (answer, status) => {
    assert.equal(answer.status, status, answer.text);
    assert.match(answer.headers.get('content-type'), /json/);
    assert.equal(typeof answer.json.error, 'string');
  };

  test('answers free and granted requests with a sentence', async () => {
    const gone = await startSite();
    const { url } = await world.startWorker({ vars: { ORIGIN: gone.url, ROUTES: [{ pattern: '/hour/*', price: '$0.01', access: '1h' }] } });
    const bought = await send(`${url}/hour/a`, await payment(world, `${url}/hour/a`));
    assertPaid(bought);
    await gone.stop();
    await sentence(await send(`${url}/free`), 502);
    await sentence(await send(`${url}/hour/a`, { 'payment-grant': bought.headers.get('payment-grant') }), 502);
    const headers = await payment(world, `${url}/hour/b`);
    await sentence(await unchanged(world, () => send(`${url}/hour/b`, headers)), 502);
  });

  test('without its binding answers with a sentence', async () => {
    const { url } = await world.startWorker({ bindings: { assets: { binding: 'OTHER' } } });
    await sentence(await send(`${url}/about`), 503);
    await sentence(await send(`${url}/premium/`), 503);
  });

  test('and that is the Worker itself is found', async () => {
    const server = createServer();
    const port = await listen(server);
    await new Promise((done) => server.close(done));
    const { url } = await world.startWorker({ port, vars: { ORIGIN: `http://127.0.0.1:${port}`, ROUTES: [{ pattern: '/premium/*', price: '$0.01' }] } });
    await sentence(await send(`${url}/free`), 508);
    const headers = await payment(world, `${url}/premium/a`);
    await sentence(await unchanged(world, () => send(`${url}/premium/a`, headers)), 508);
  });

});

describe('routes with placeholders', () => {
  test('close the shop, and open nothing', async () => {
    const routes = ['/api/chapters/:id', '/api/users/%7Bid%7D'].map((pattern) => ({ pattern, price: '$0.01' }));
    const { url } = await world.startWorker({ vars: { ORIGIN: 'http://127.0.0.1:9', ROUTES: routes } });
    assert.equal((await send(`${url}/api/users/1`)).status, 503);
    assert.equal((await send(`${url}/api/chapters/1`)).status, 503);
  });
});
