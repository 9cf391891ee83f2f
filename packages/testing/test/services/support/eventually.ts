import { expect } from 'vitest';

/** Asks until the expectation holds. The limit is for a loaded machine; what is asked for holds at once, or in milliseconds. */
export function eventually<T>(read: () => T) {
  return expect.poll(read, { timeout: 15_000, interval: 10 });
}
