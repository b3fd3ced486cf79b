/** `edge402 check` and the routes of wrangler.toml: what Cloudflare never sends to the Worker is given away. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkRoutes } from '../../cli/check/routes.mjs';

const SOLD = ['/premium/*', '/report'];
const said = (config, sold = SOLD) => checkRoutes({ vars: { ROUTES: sold.map((pattern) => ({ pattern, price: '$0.01' })) }, ...config }).map(({ kind, key, problem }) => `${kind} ${key}: ${problem}`);

test('nothing is said of routes that give the Worker all of a host', () => {
  for (const routes of [
    ['shop.example/*'],
    ['*shop.example/*'],
    ['*/*'],
    [{ pattern: 'shop.example/*', zone_name: 'shop.example' }],
    [{ pattern: 'shop.example', custom_domain: true }],
    ['shop.example/*', 'shop.example/premium/*'],
    ['*.shop.example/*', 'www.shop.example/premium/*'],
    ['http://shop.example/*', 'https://shop.example/*'],
    ['Shop.Example/*', 'shop.example/premium/*'],
  ]) assert.deepEqual(said({ routes }), [], JSON.stringify(routes));
  assert.deepEqual(said({ route: 'shop.example/*' }), []);
  assert.deepEqual(said({}), []);
});

test('what is sold and passes by the Worker is a fault, under the key that says so', () => {
  assert.deepEqual(said({ route: 'shop.example/premium/*' }), ['fault route: "/report" is sold, and requests for that pass by the Worker: take "shop.example/*"']);
  assert.deepEqual(said({ routes: ['shop.example/Premium/*', 'shop.example/report'] }).slice(1), ['fault routes: "/premium/*" is sold, and requests for that pass by the Worker: take "shop.example/*"']);
  assert.deepEqual(said({ route: { pattern: 'shop.example/a*', zone_name: 'shop.example' } }), ['fault route: "/premium/*", "/report" are sold, and requests for that pass by the Worker: take "shop.example/*"']);
});

test('a host without a path is its one page', () => {
  const [one, passing] = said({ routes: ['shop.example'] });
  assert.match(one, /^warning routes: "shop\.example" covers this one URL.*To cover all: "shop\.example\/\*"$/);
  assert.match(passing, /^fault routes: "\/premium\/\*", "\/report" are sold/);
});

test('each host counts for itself', () => {
  assert.deepEqual(said({ routes: ['docs.example/*', 'shop.example/premium/*'] }), ['warning routes: "shop.example/premium/*" gives the Worker a part of shop.example, and "/report", which is sold, passes by it there: take "shop.example/*"']);
  // What is sold on one host each reaches the Worker; its other spellings don't.
  const two = said({ routes: ['docs.example/premium/*', 'api.example/report*'] });
  assert.equal(two.length, 2);
  assert.match(two[0], /^warning routes: "docs\.example\/premium\/\*" gives the Worker a part of docs\.example.*"\/report".*take "docs\.example\/\*"/);
  assert.match(two[1], /^warning routes: "api\.example\/report\*" gives the Worker a part of api\.example.*"\/premium\/\*".*take "api\.example\/\*"/);
});

test('other spellings of what is sold pass by a route with a path', () => {
  const [found, ...others] = said({ routes: ['shop.example/premium*', 'shop.example/report*'] });
  assert.match(found, /^warning routes: "shop\.example\/premium\*", "shop\.example\/report\*" let other spellings of what is sold .* pass by the Worker.*take "shop\.example\/\*"$/);
  assert.deepEqual(others, []);
});

test('a route of one scheme leaves the other to the server', () => {
  assert.deepEqual(said({ routes: ['https://shop.example/*'] }), ['warning routes: "https://shop.example/*" leaves requests over http to your server, past the Worker: take "shop.example/*"']);
  assert.match(said({ routes: ['https://shop.example/premium/*'] }, ['/premium/*']).join('\n'), /lets other spellings.*take "shop\.example\/\*"/);
});
