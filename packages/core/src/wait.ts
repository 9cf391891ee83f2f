import { checkIterable, checkMs, checkOneOf, checkOptions, shown } from './check.ts';
import { FAILED, Future, RESOLVED } from './future.ts';
import { whenDone } from './gather.ts';
import { currentTask } from './task.ts';
import type { Joiner, Watcher } from './waiter.ts';

export type ReturnWhen = 'ALL_COMPLETED' | 'FIRST_COMPLETED' | 'FIRST_EXCEPTION';

export interface WaitOptions {
  /** At most this many ms; then the sets are returned as they are. Default: no limit. */
  timeout?: number | undefined;
  /** Default: `'ALL_COMPLETED'`. */
  returnWhen?: ReturnWhen | undefined;
}

/**
 * Waits for Tasks and Futures and tells which are done. It never throws their errors, and cancels nothing, not even when
 * time runs out or when it is cancelled itself.
 *
 * @param items Tasks and Futures, at least one. Their types are kept in the sets.
 *
 * @see https://docs.python.org/3/library/asyncio-task.html#asyncio.wait
 */
export function wait<F extends Future<unknown>>(
  items: Iterable<F>,
  options: WaitOptions = {},
): Promise<{ done: Set<F>; pending: Set<F> }> {
  checkOptions(options, 'options');
  const { timeout, returnWhen = 'ALL_COMPLETED' } = options;
  checkOneOf(returnWhen, 'options.returnWhen', ['ALL_COMPLETED', 'FIRST_COMPLETED', 'FIRST_EXCEPTION']);
  if (timeout !== undefined && timeout !== null) checkMs(timeout, 'options.timeout');
  checkIterable(items, 'items');
  const futures = [...new Set(items)];
  if (futures.length === 0) throw new RangeError('items must hold at least one Task or Future, got none');
  futures.forEach((item, i) => {
    if (!(item instanceof Future)) {
      throw new TypeError(`items[${i}] must be a Task or a Future (createTask makes one), got ${shown(item)}`);
    }
  });

  return waitForSome(futures, returnWhen, timeout);
}

async function waitForSome<F extends Future<unknown>>(
  futures: readonly F[],
  returnWhen: ReturnWhen,
  timeout: number | null | undefined,
): Promise<{ done: Set<F>; pending: Set<F> }> {
  const over = new Future<void>();
  const joiner: Joiner = { owner: currentTask(), done: () => over.done() };
  let left = futures.length;
  const ended = (future: Future<unknown>) => {
    left--;
    const enough =
      left <= 0 || returnWhen === 'FIRST_COMPLETED' || (returnWhen === 'FIRST_EXCEPTION' && future._state === FAILED);
    if (enough) over._finish(RESOLVED, undefined);
  };
  const watchers: (Watcher | undefined)[] = futures.map((future) => whenDone(future, ended, joiner));
  const timer =
    timeout === undefined || timeout === null
      ? undefined
      : over._loop.clock.setTimer(over._loop.time() + timeout, () => over._finish(RESOLVED, undefined));
  try {
    await over;
  } finally {
    timer?.cancel();
    futures.forEach((future, i) => {
      const watcher = watchers[i];
      if (watcher !== undefined) future._unwatch(watcher);
    });
  }
  return {
    done: new Set(futures.filter((future) => future.done())),
    pending: new Set(futures.filter((future) => !future.done())),
  };
}
