/** How work with a wallet ends that does not succeed, and how it waits. */

/** What went wrong, as the name of a text that says what to do, and what to fill in. */
export class Stop extends Error {
  constructor(name, values = {}) {
    super(name);
    this.values = values;
  }
}

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));
