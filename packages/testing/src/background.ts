import { AsyncLocalStorage } from 'node:async_hooks';

/** Whether the code that runs belongs to a background task: its timers are no reason for `runUntilIdle()` to go on. */
const background = new AsyncLocalStorage<boolean>();

export function isBackground(): boolean {
  return background.getStore() === true;
}

/** @internal */
export function inBackground<R>(fn: () => R): R {
  return background.run(true, fn);
}
