/** What can be joined: where joining is all that happens, functions, Tasks, Futures and promises are all taken. */
import { isThenable, shown } from './check.ts';
import { Future } from './future.ts';
import { createTask } from './task.ts';
import { until } from './until.ts';

/** A function to run as a task, or something that runs already. */
export type Joinable<T> = (() => T | PromiseLike<T>) | PromiseLike<T>;
/** What a joinable gives. */
export type Joined<J> = J extends () => infer R ? Awaited<R> : Awaited<J>;

/**
 * A Future for a joinable: a function becomes a task, a foreign promise a Future that a cancel abandons.
 *
 * @param index its place in `items`, for the error message.
 */
export function toFuture<T>(item: Joinable<T>, index?: number): Future<T> {
  if (typeof item === 'function') return createTask(item as () => T) as Future<T>;
  if (item instanceof Future) return item;
  if (isThenable(item)) return until(item);
  const name = index === undefined ? 'item' : `items[${index}]`;
  throw new TypeError(`${name} must be a function, a Task, a Future or a promise, got ${shown(item)}`);
}
