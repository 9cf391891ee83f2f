/** Running many with a limit: the source is pulled by one task, as slots come free. */

import { cancelIn } from './cancelled.ts';
import type { CancelledError } from './errors.ts';
import { type Future, makeCancel, RESOLVED } from './future.ts';
import { type Joinable, toFuture } from './joinable.ts';
import { Semaphore } from './semaphore.ts';
import { throwIfCancelled } from './signal.ts';
import { createTask, currentTask } from './task.ts';
import { wait } from './wait.ts';
import type { Joiner } from './waiter.ts';

export type Source<T> = Iterable<Joinable<T>> | AsyncIterable<Joinable<T>>;

/** The results in the order of the source. The first failure starts no more, cancels those that run and is thrown. */
export async function mapLimited(
  source: Source<unknown>,
  limit: number,
  returnExceptions: boolean,
): Promise<unknown[]> {
  const results: unknown[] = [];
  let failure: Future<unknown> | null = null;
  await forEachLimited(source, limit, (future, index) => {
    results[index] = future._value;
    future._take();
    if (future._state === RESOLVED || returnExceptions) return true;
    failure ??= future;
    return false;
  });
  if (failure !== null) throw (failure as Future<unknown>)._value;
  return results;
}

/**
 * Starts the items of a source, at most `limit` at once, and tells of each as it ends. When `ended` returns false nothing
 * more is started and what runs is cancelled. In any case it returns only when everything that was started has ended.
 *
 * An item is pulled when there is a slot for it, by one task: a source may be an async generator, which must not be driven
 * by several, and a pull that waits for ever must end when something has failed.
 */
export async function forEachLimited(
  source: Source<unknown>,
  limit: number,
  ended: (future: Future<unknown>, index: number) => boolean,
): Promise<void> {
  const slots = limit === Infinity ? null : new Semaphore(limit);
  const running = new Set<Future<unknown>>();
  const joiner: Joiner = { owner: currentTask(), done: () => pulling.done() && running.size === 0 };
  const stopped = makeCancel(undefined);

  let isStopped = false;

  const stop = (error: CancelledError) => {
    if (isStopped) return; // Once: a second cancel would interrupt the cleanup.
    isStopped = true;
    pulling._cancel(stopped, null);
    for (const future of running) future._cancel(error, null);
  };
  const start = (item: Joinable<unknown>, index: number) => {
    const future = toFuture(item, index);
    running.add(future);
    future._watch(() => {
      running.delete(future);
      if (ended(future, index)) slots?.release();
      else stop(stopped);
    }, joiner);
  };
  const pull = async () => {
    let index = 0;
    await slots?.acquire();
    for await (const item of itemsOf(source)) {
      start(item(), index++);
      await slots?.acquire();
    }
  };

  const pulling = createTask(pull, { name: 'pull' });
  let failure: { error: unknown } | null = null;
  while (!pulling.done() || running.size > 0) {
    try {
      await (pulling.done() ? wait(running) : pulling);
    } catch (error) {
      if (error === stopped) continue;
      failure ??= { error };
      stop(cancelIn(error, null) ?? stopped);
    }
  }
  if (failure !== null) throw failure.error;
  throwIfCancelled(); // A cancel that came together with the stop was merged with it.
}

/** Each item in a function: neither `for await` nor `yield` of an async generator may await an item that is a promise. */
async function* itemsOf<T>(source: Iterable<T> | AsyncIterable<T>): AsyncGenerator<() => T> {
  if (Symbol.iterator in source) for (const item of source) yield () => item;
  else for await (const item of source) yield () => item;
}
