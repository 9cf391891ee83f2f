import type { CancelledError } from './errors.ts';
import { CANCELLED, Future, makeCancel } from './future.ts';
import { type Joinable, type Joined, toFuture } from './joinable.ts';
import { currentTask, Task } from './task.ts';
import type { Joiner, Watcher } from './waiter.ts';

/**
 * Protects work from a cancel of whoever waits for it: the wait is cancelled, the work goes on. Keep a reference to it, or
 * its result is lost. To wait for the end of the work before the cancel is delivered, use `protect`.
 *
 * @param item a function (started as a task), a Task, a Future, or a promise.
 *
 * @example
 * ```ts
 * const saving = createTask(save);
 * await shield(saving);
 * ```
 *
 * @see https://docs.python.org/3/library/asyncio-task.html#asyncio.shield
 */
export function shield<J extends Joinable<unknown>>(item: J): Future<Joined<J>> {
  const inner = toFuture(item) as Future<Joined<J>>;
  if (inner instanceof Task) inner._shielded = true;
  return inner.done() ? inner : new Shield(inner);
}

class Shield<T> extends Future<T> implements Joiner {
  readonly owner: Task<unknown> | null = currentTask();
  private readonly inner: Future<T>;
  private readonly watcher: Watcher;

  constructor(inner: Future<T>) {
    super();
    this.inner = inner;
    this.watcher = inner._watch(() => {
      if (inner._state === CANCELLED) {
        // The reason was the work's, not that of whoever waits here.
        this._finish(CANCELLED, makeCancel(undefined, inner._value));
      } else {
        inner._take();
        this._finish(inner._state, inner._value);
      }
    }, this);
  }

  override _cancel(error: CancelledError): boolean {
    if (!this._finish(CANCELLED, error)) return false;
    this.inner._unwatch(this.watcher);
    return true;
  }

  override get [Symbol.toStringTag](): string {
    return 'shield';
  }
}
