/** What rules on what is sold cost a page that is free: with all of them, beside the same shop with none. */
import { startWorld } from '../../world.mjs';
import { startOrigin } from '../origin.mjs';
import { byTurns, ratio, withStops } from '../rounds.mjs';
import { FREE_PATH, PRICE, startEdge402 } from '../systems.mjs';
import { median, ms, perSecond, times } from '../table.mjs';

const BAR = 0.9;
const PEOPLE_PATH = '/people/page';
const BROWSER = {
  'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0',
  'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document',
};

const free_for = ['search', 'bots:preview', 'country:IS', 'asn:64500', 'network:203.0.113.0/24', 'secret:staff', 'signed:agent.example'];
const prices = [
  { when: { class: 'bots:training' }, price: '$0.10' },
  { when: { query: { size: 'large*' } }, price: '$0.05' },
  { when: { header: { 'X-Quality': 'high' } }, price: '$0.05' },
  { when: { body: 'model', is: 'gpt-*' }, price: '$0.05' },
  { when: { method: 'POST' }, price: '$0.02' },
];
const ALL = {
  ROUTES: [
    { pattern: '/paid/*', price: PRICE, free_for, prices, free: '20/day', tell_origin: true, listed: true },
    { pattern: '/people/*', price: PRICE, free_for: ['people', ...free_for], prices, tell_origin: true },
    { pattern: '/wallets', price: PRICE, free_for, free: '3/wallet' },
  ],
  ORIGIN_HEADERS: { 'X-From': 'edge402' },
  TELL_MACHINES: true,
};
const SECRETS = { ORIGIN_SECRET: '5e'.repeat(32), PASSES: `staff:${'ab'.repeat(32)}` };

/** @returns {Promise<import('../table.mjs').Group>} */
export async function rules({ quick, note }) {
  return withStops(async (keep) => {
    const world = keep(await startWorld({ worker: false, relayers: 1, feePayers: 1 }));
    const origin = keep(await startOrigin());
    const none = keep(await startEdge402(world, { origin: origin.url }));
    const all = keep(await startEdge402(world, { origin: origin.url, vars: ALL, more: SECRETS }));
    const pace = { rounds: quick ? 3 : 7, seconds: quick ? 0.8 : 1.2, warmUp: quick ? 1 : 2, note };
    const targets = (address) => [
      { ...none, name: 'none', url: none[address] + FREE_PATH },
      { ...all, name: 'all', url: all[address] + FREE_PATH },
      { ...all, name: 'people', url: all[address] + PEOPLE_PATH, headers: BROWSER },
    ];
    const entry = await byTurns(targets('url'), pace);
    const direct = await byTurns(targets('directUrl'), pace);
    const row = (results, name) => ({
      ours: perSecond(median(results[name].perSecond)),
      reference: perSecond(median(results.none.perSecond)),
      how: `${times(ratio(results[name].perSecond, results.none.perSecond))} of the free path without a rule`,
    });
    const share = ratio(entry.all.perSecond, entry.none.perSecond);
    const cpu = (name) => ms(median(direct[name].cpuMs), 3);
    return {
      title: 'Free path with all rules on',
      rows: [
        { what: 'behind Miniflare', ...row(entry, 'all'), bar: `≥ ${BAR} × without`, passes: share >= BAR },
        { what: 'nothing but the Worker', ...row(direct, 'all') },
        { what: 'CPU per request', ours: cpu('all'), reference: cpu('none'), how: 'of workerd, nothing but the Worker' },
        { what: 'what is sold, and free for people', ...row(entry, 'people') },
      ],
    };
  });
}
