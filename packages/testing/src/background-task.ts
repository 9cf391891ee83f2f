import { InvalidStateError, type Task, type TaskOptions } from '@aiokit/core';
import { currentRun } from './current-run.ts';

/**
 * Runs `fn` as a task that ends with the test: then it is cancelled and awaited. Its timers are no reason for
 * `clock.runUntilIdle()` to go on. If it fails, the test fails.
 *
 * @throws `InvalidStateError` outside of a test; `TypeError` if `fn` is not a function.
 *
 * @example
 * ```ts
 * backgroundTask(() => worker.run());
 * assert.equal(await queue.get(), 'done');
 * ```
 *
 * @see https://kotlinlang.org/api/kotlinx.coroutines/kotlinx-coroutines-test/kotlinx.coroutines.test/-test-scope/background-scope.html
 */
export function backgroundTask<R>(fn: () => R, options?: TaskOptions): Task<Awaited<R>> {
  const run = currentRun();
  if (run === null) throw new InvalidStateError('backgroundTask() outside of a test: use createTask(), and await it');
  return run.backgroundTask(fn, options);
}
