import { vi } from 'vitest';

/** Waits until the assertion holds, however loaded the machine is. */
export function eventually<T>(assertion: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(assertion, { timeout: 30_000, interval: 10 });
}

/** Within how many turns of the event loop the promise is settled: what "at once" means on a machine of any speed. */
export async function turnsUntil(promise: PromiseLike<unknown>): Promise<number> {
  let settled = false;
  const settle = () => {
    settled = true;
  };
  promise.then(settle, settle);
  let turns = 0;
  for (; !settled; turns++) await new Promise(setImmediate);
  return turns;
}

/** Waits until a count has stopped growing, and is not 0. */
export async function settled(count: () => number): Promise<void> {
  const stands = async () => {
    const before = count();
    await new Promise((resolve) => setTimeout(resolve, 100));
    return before > 0 && count() === before;
  };
  await vi.waitUntil(stands, { timeout: 15_000, interval: 1 });
}

/**
 * Tells whether this much time has passed by when it is asked. Blocked time delays all timers alike: that a shorter one ran
 * first is true on a loaded machine, too.
 */
export function lateAfter(ms: number): () => boolean {
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
  }, ms);
  return () => {
    clearTimeout(timer);
    return isLate;
  };
}
