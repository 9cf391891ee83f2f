import type { Future } from '../future.ts';
import type { Executor } from './executor.ts';
import { ThreadPoolExecutor } from './thread-pool-executor.ts';
import type { WorkerFn } from './worker-fn.ts';

const KEY = Symbol.for('aiokit.threads');

/**
 * Runs `fn(...args)` in a worker thread of a pool that is made at the first call: for work that would hold the loop.
 *
 * It begins at the call. A cancel ends the work for real: a busy loop stops, and the CancelledError comes when the thread
 * has ended. All that {@link ThreadPoolExecutor.submit} says holds here. An AsyncLocalStorage of the caller is not seen there.
 *
 * @param fn a self-contained function (its source text is sent), or `workerFn<typeof f>(import.meta.url, 'f')`.
 * @param args what structured clone can copy, or {@link transfer} moves.
 *
 * @example
 * ```ts
 * const sum = await toThread((n: number) => {
 *   let sum = 0;
 *   for (let i = 1; i <= n; i++) sum += i;
 *   return sum;
 * }, 1_000);
 * console.log(sum); // => 500500
 * ```
 *
 * @see https://docs.python.org/3/library/asyncio-task.html#asyncio.to_thread
 */
export function toThread<A extends unknown[], R>(
  fn: ((...args: A) => R) | WorkerFn<(...args: A) => R>,
  ...args: A
): Future<Awaited<R>> {
  return defaultExecutor().submit(fn, ...args);
}

/** One for all copies of core in this thread. */
function defaultExecutor(): Executor {
  const host = globalThis as { [KEY]?: Executor };
  host[KEY] ??= new ThreadPoolExecutor({ name: 'toThread' });
  return host[KEY];
}
