import { checkFunction } from './check.ts';
import { detached } from './detached.ts';
import type { CancelledError } from './errors.ts';
import { CANCELLED, Future } from './future.ts';
import { createTask, type Task } from './task.ts';
import type { Watcher } from './waiter.ts';

/**
 * Single flight: while a run is under way, every caller shares it. A cancel of one caller leaves the run to the others; when
 * the last one has left it is cancelled. The next call after its end starts a new run.
 *
 * The run belongs to no caller: it has no ambient task but its own.
 *
 * @param fn what to run, with the arguments of the first caller.
 *
 * @example
 * ```ts
 * const config = shared(() => loadConfig());
 * const [a, b] = await Promise.all([config(), config()]); // one load
 * ```
 */
export function shared<R, A extends unknown[]>(fn: (...args: A) => R): (...args: A) => Future<Awaited<R>> {
  checkFunction(fn, 'fn');
  let flight: Flight<Awaited<R>> | null = null;
  return (...args) => {
    if (flight === null || flight.task.done() || flight.passengers === 0) {
      const task = detached(() => createTask(() => fn(...args), { name: fn.name || 'shared' }));
      flight = { task: task as Task<Awaited<R>>, passengers: 0 };
    }
    return new Seat(flight);
  };
}

interface Flight<T> {
  readonly task: Task<T>;
  passengers: number;
}

/** One caller's Future. */
class Seat<T> extends Future<T> {
  private readonly flight: Flight<T>;
  private readonly watcher: Watcher;

  constructor(flight: Flight<T>) {
    super();
    this.flight = flight;
    flight.passengers++;
    const { task } = flight;
    this.watcher = task._watch(() => {
      task._take();
      this._finish(task._state, task._value);
    }, null);
  }

  override _cancel(error: CancelledError): boolean {
    if (!this._finish(CANCELLED, error)) return false;
    const { flight } = this;
    flight.task._unwatch(this.watcher);
    if (--flight.passengers === 0) flight.task._cancel(error, null);
    return true;
  }
}
