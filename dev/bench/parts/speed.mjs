/** Requests per second on the paths that cost nobody anything: free pages, and the 402 itself. */
import { readFileSync } from 'node:fs';
import { startWorld } from '../../world.mjs';
import { startOrigin } from '../origin.mjs';
import { byTurns, ratio, withStops } from '../rounds.mjs';
import { FREE_PATH, PAID_PATH, startEdge402, startReference, startScript } from '../systems.mjs';
import { median, ms, perSecond, times } from '../table.mjs';

const FREE_BAR = 0.8;
const FREE_DIRECT_BAR = 0.9;
const PAID_BAR = 1;

/** Free pages, beside a bare proxy and the reference. */
export function free(options) {
  return withSystems(async ({ edge402, reference, bare }) => {
    const targets = (address) => [edge402, bare, reference].map((system) => ({ ...system, url: system[address] + FREE_PATH }));
    const entry = await byTurns(targets('url'), pace(options));
    const direct = await byTurns(targets('directUrl'), pace(options));
    const passes = (results, bar) => ({
      bar: `≥ ${bar} × bare proxy`,
      passes: ratio(results.edge402.perSecond, results.bare.perSecond) >= bar,
    });
    const speedRow = (results) => ({
      ours: perSecond(median(results.edge402.perSecond)),
      reference: perSecond(median(results.reference.perSecond)),
      how: `${times(ratio(results.edge402.perSecond, results.bare.perSecond))} a bare proxy's ${perSecond(median(results.bare.perSecond))}`,
    });
    return {
      title: 'Free path',
      rows: [
        { what: 'behind Miniflare', ...speedRow(entry), ...passes(entry, FREE_BAR) },
        { what: 'nothing but the Worker', ...speedRow(direct), ...passes(direct, FREE_DIRECT_BAR) },
        cpuRow(direct, ` (bare proxy ${ms(median(direct.bare.cpuMs), 3)})`),
      ],
    };
  });
}

/** The 402 answer, beside the reference. */
export function challenge(options) {
  return withSystems(async ({ edge402, reference }) => {
    const targets = (address) => [edge402, reference].map((system) => ({ ...system, url: system[address] + PAID_PATH, status: 402 }));
    const entry = await byTurns(targets('url'), pace(options));
    const direct = await byTurns(targets('directUrl'), pace(options));
    const speedRow = (results) => ({
      ours: perSecond(median(results.edge402.perSecond)),
      reference: perSecond(median(results.reference.perSecond)),
      how: `${times(ratio(results.edge402.perSecond, results.reference.perSecond))} the reference`,
    });
    const ofReference = ratio(entry.edge402.perSecond, entry.reference.perSecond);
    return {
      title: '402 path',
      rows: [
        { what: 'behind Miniflare', ...speedRow(entry), bar: '≥ reference', passes: ofReference >= PAID_BAR },
        { what: 'nothing but the Worker', ...speedRow(direct) },
        cpuRow(direct),
      ],
    };
  });
}

function cpuRow(results, how = '') {
  const cpu = (name) => ms(median(results[name].cpuMs), 3);
  return { what: 'CPU per request', ours: cpu('edge402'), reference: cpu('reference'), how: `of workerd, nothing but the Worker${how}` };
}

function pace({ quick, note }) {
  return { rounds: quick ? 2 : 5, seconds: quick ? 0.8 : 1.2, warmUp: quick ? 1 : 2, note };
}

function withSystems(measure) {
  return withStops(async (keep) => {
    const world = keep(await startWorld({ worker: false, relayers: 2, feePayers: 2 }));
    const origin = keep(await startOrigin());
    return measure({
      edge402: keep(await startEdge402(world, { origin: origin.url })),
      reference: keep(await startReference(world, { origin: origin.url })),
      bare: keep(await startScript('bare', readFileSync(new URL('../workers/bare-proxy.mjs', import.meta.url), 'utf8'), { ORIGIN: origin.url })),
    });
  });
}
