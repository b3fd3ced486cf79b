/** The result: rows of what was measured, ours beside the reference, with the bar. */

const HEADINGS = ['', 'edge402', 'reference', 'bar', '', 'how'];

/**
 * One line of the result.
 *
 * @typedef {object} Row
 * @property {string} what
 * @property {string} ours
 * @property {string} [reference]
 * @property {string} [bar] in words
 * @property {boolean} [passes] only where there is a bar
 * @property {string} [how] what the numbers were taken from
 *
 * @typedef {{ title: string, rows: Row[] }} Group
 */

/**
 * The rows as an aligned table, a line per group.
 *
 * @param {Group[]} groups
 */
export function table(groups) {
  const cells = ({ what, ours, reference = '', bar = '', passes, how = '' }) =>
    [`  ${what}`, ours, reference, bar, passes === undefined ? '' : passes ? '✔' : '✘ miss', how];
  const lines = groups.flatMap(({ title, rows }) => [[title], ...rows.map(cells)]);
  const all = [HEADINGS, ...lines];
  const widths = HEADINGS.map((_, column) => Math.max(...all.filter((line) => line.length > 1).map((line) => line[column].length)));
  const text = all.map((line) => line.map((cell, column) => (line.length > 1 ? cell.padEnd(widths[column]) : cell)).join('  ').trimEnd());
  return text.join('\n');
}

/** How many rows are held to a bar, and how many of them are below it. */
export function score(groups) {
  const judged = groups.flatMap(({ rows }) => rows).filter(({ passes }) => passes !== undefined);
  return { bars: judged.length, missed: judged.filter(({ passes }) => !passes).length };
}

export function median(numbers) {
  if (numbers.length === 0) return NaN;
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export const kib = (bytes) => `${(bytes / 1024).toFixed(0)} KiB`;
export const ms = (value, digits = 2) => (Number.isNaN(value) ? '–' : `${value.toFixed(digits)} ms`);
export const perSecond = (value) => `${Math.round(value).toLocaleString('en')}/s`;
export const times = (value) => `${value.toFixed(2)} ×`;
