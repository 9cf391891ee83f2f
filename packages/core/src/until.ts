import { isThenable, shown } from './check.ts';
import { FAILED, Future, PENDING, RESOLVED } from './future.ts';

/**
 * Makes any promise a cancellation point: a cancel abandons it. The work behind the promise goes on; to stop it, too, use
 * `abortable`.
 *
 * @param promise any promise or thenable.
 * @throws what the promise rejects with; `CancelledError` when cancelled.
 *
 * @example
 * ```ts
 * const text = await timeout(1_000, () => until(somebodyElsesPromise));
 * ```
 */
export function until<T>(promise: PromiseLike<T>): Future<Awaited<T>> {
  if (!isThenable(promise)) throw new TypeError(`promise must be a promise, got ${shown(promise)}`);
  const future = new Future<Awaited<T>>();
  if (promise instanceof Future) follow(promise, future);
  // The promise may outlive everybody who waited: what comes late is dropped, a rejection, too.
  else
    Promise.resolve(promise).then(
      (value) => void future._finish(RESOLVED, value),
      (error) => void future._finish(FAILED, error),
    );
  return future;
}

/** Watched instead of awaited: the cancel of who awaits a Future alone would take it along. */
function follow(source: Future<unknown>, future: Future<unknown>): void {
  source._watch(() => {
    if (future._state !== PENDING) return; // Abandoned: its failure is still to be taken, or reported.
    source._take();
    future._finish(source._state, source._value);
  }, null);
}
