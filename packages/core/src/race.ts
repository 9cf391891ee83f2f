import { checkIterable } from './check.ts';
import { CANCELLED, FAILED, Future, RESOLVED } from './future.ts';
import { type Joinable, type Joined, toFuture } from './joinable.ts';
import { currentScope } from './scope.ts';
import { createTask, currentTask } from './task.ts';
import type { Joiner, Watcher } from './waiter.ts';

/**
 * The first to finish wins, with its value or its error; the losers are cancelled and awaited before the race ends, so that
 * nothing of it runs on. A cancel of the race cancels everybody. (A given Task that others wait for, too, is left to them.)
 *
 * @param items functions (started as tasks), Tasks, Futures, promises; at least one. A promise that cannot be cancelled is
 * left to itself.
 *
 * @example
 * ```ts
 * const fastest = await race([() => fromCache(key), () => fromDatabase(key)]);
 * ```
 */
export function race<J extends Joinable<unknown>>(items: Iterable<J>): Future<Joined<J>> {
  checkIterable(items, 'items');
  const futures = Array.from(items, toFuture<unknown>);
  if (futures.length === 0) throw new RangeError('items must hold at least one, got none: the race would never end');
  // Eager: a race that is cancelled before its first step would leave the racers running.
  return createTask(() => run(futures), { name: 'race', eager: true }) as Future<Joined<J>>;
}

async function run(futures: Future<unknown>[]): Promise<unknown> {
  const first = new Future<void>();
  const joiner: Joiner = { owner: currentTask(), done: () => first.done() };
  let winner: Future<unknown> | undefined;
  const watchers = futures.map((future) =>
    future._watch(() => {
      winner ??= future;
      first._finish(RESOLVED, undefined);
    }, joiner),
  );
  try {
    await first;
  } finally {
    futures.forEach((future, i) => void future._unwatch(watchers[i] as Watcher));
    const losers = futures.filter((future) => future !== winner && !isAwaitedByOthers(future));
    winner?._take();
    for (const loser of losers) loser.cancel();
    for (const loser of losers) await ended(loser);
  }
  const { _state: state, _value: value } = winner as Future<unknown>;
  if (state === FAILED || state === CANCELLED) throw value;
  return value;
}

/** A Task that somebody else waits for, too, is not ours to cancel. */
function isAwaitedByOthers(future: Future<unknown>): boolean {
  const scope = currentScope();
  return scope !== null && future._isAwaitedOutside(scope);
}

/** Waits for the end of a loser. Its error is of no interest; a cancel that comes meanwhile waits until all have ended. */
function ended(future: Future<unknown>): Promise<void> {
  future._take();
  return new Promise((resolve) => future._watch(() => resolve(), null));
}
