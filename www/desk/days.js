/** Days, in UTC: `2026-11-27`. */

const DAY = 86_400;

/** The day of a time in seconds. */
export const dayOf = (seconds) => new Date(seconds * 1_000).toISOString().slice(0, 10);

/** When a day begins, in seconds. */
export const startOf = (day) => Date.parse(`${day}T00:00:00Z`) / 1_000;

/** The day so many days later. */
export const shift = (day, days) => dayOf(startOf(day) + days * DAY);

export const today = () => dayOf(Date.now() / 1_000);

/** The last so many days, today included. */
export const lastDays = (count) => Array.from({ length: count }, (_, n) => shift(today(), n + 1 - count));

/** A time in seconds, to the minute. */
export const timeOf = (seconds) => new Date(seconds * 1_000).toISOString().slice(0, 16).replace('T', ' ');
