/** Measuring on a machine that does other things too: short rounds by turns, ratios within a round, medians. */
import { cpuMs } from './cpu.mjs';
import { loadUrl } from './http-load.mjs';
import { median } from './table.mjs';

/**
 * Loads several targets by turns.
 *
 * @param {{ name: string, pid: number, url: string, headers?: Record<string, string>, status?: number }[]} targets
 * @param {{ rounds: number, seconds: number, warmUp: number, note: (text: string) => void }} options seconds of each round, and of the first that isn't counted
 * @returns {Promise<Record<string, { perSecond: number[], cpuMs: number[] }>>} by name: requests per second and CPU per request, of each round
 */
export async function byTurns(targets, { rounds, seconds, warmUp, note }) {
  const results = Object.fromEntries(targets.map(({ name }) => [name, { perSecond: [], cpuMs: [] }]));
  for (const target of targets) await loadUrl(target.url, { ...target, seconds: warmUp });
  for (let round = 0; round < rounds; round += 1) {
    // Nobody is always the first: what ran before leaves its mark.
    const first = round % targets.length;
    for (const target of [...targets.slice(first), ...targets.slice(0, first)]) {
      note(`round ${round + 1} of ${rounds}: ${target.name}`);
      const before = cpuMs(target.pid);
      const { requests, perSecond } = await loadUrl(target.url, { ...target, seconds });
      results[target.name].perSecond.push(perSecond);
      results[target.name].cpuMs.push((cpuMs(target.pid) - before) / requests);
    }
  }
  return results;
}

/** The median of what one is times the other, round by round. */
export function ratio(ours, others) {
  return median(ours.map((value, round) => value / others[round]));
}

/** The median of how much more one is than the other, round by round. */
export function difference(more, less) {
  return median(more.map((value, round) => value - less[round]));
}

/** Runs `work` and then stops, last first, all that it wanted kept until its end. */
export async function withStops(work) {
  const stops = [];
  const keep = (started) => {
    stops.push(started.stop);
    return started;
  };
  try {
    return await work(keep);
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}
