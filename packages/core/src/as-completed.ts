import { checkInteger, checkMs, checkOptions, shown } from './check.ts';
import type { ClockTimer } from './clock.ts';
import { currentLoop } from './current-loop.ts';
import { InvalidStateError, TimeoutError } from './errors.ts';
import { FAILED, Future, PENDING, RESOLVED } from './future.ts';
import { whenDone } from './gather.ts';
import { type Joinable, type Joined, toFuture } from './joinable.ts';
import { forEachLimited } from './limited.ts';
import { createTask, currentTask, type Task } from './task.ts';
import { wait } from './wait.ts';
import type { Joiner } from './waiter.ts';

export interface AsCompletedOptions {
  /** At most this many ms for all of it; then the loop throws a TimeoutError. */
  timeout?: number | undefined;
  /** How many may run at once. Then items may be any iterable or async iterable, pulled as slots come free. */
  limit?: number | undefined;
  /** Give every outcome as `{ index, status, value | reason }` instead of throwing the failures. */
  settled?: boolean | undefined;
}

/** An outcome with the place of its item. */
export type Settled<T> =
  | { index: number; status: 'fulfilled'; value: T }
  | { index: number; status: 'rejected'; reason: unknown };

/** What {@link asCompleted} returns: `for await` gives values, plain `for` gives Futures, as asyncio's. */
export interface Completed<T, V> extends AsyncIterableIterator<V>, Iterable<Future<T>> {
  return(): Promise<IteratorResult<V>>;
}

/**
 * Gives results in the order in which they come.
 *
 * An item's failure is thrown out of `for await` at its turn. Leaving the loop, by `break`, an error or a cancel, cancels the
 * tasks that were made for functions and starts no more; Tasks and promises that were given go on.
 *
 * @example
 * ```ts
 * for await (const page of asCompleted(urls.map((url) => () => load(url)), { limit: 10 })) show(page);
 * ```
 *
 * @see https://docs.python.org/3/library/asyncio-task.html#asyncio.as_completed
 */
export function asCompleted<J extends Joinable<unknown>>(
  items: Iterable<J> | AsyncIterable<J>,
  options: AsCompletedOptions & { settled: true },
): Completed<Joined<J>, Settled<Joined<J>>>;
export function asCompleted<J extends Joinable<unknown>>(
  items: Iterable<J> | AsyncIterable<J>,
  options?: AsCompletedOptions,
): Completed<Joined<J>, Joined<J>>;
export function asCompleted<J extends Joinable<unknown>>(
  items: Iterable<J> | AsyncIterable<J>,
  options: AsCompletedOptions = {},
): Completed<Joined<J>, unknown> {
  checkOptions(options, 'options');
  if (options.timeout !== undefined && options.timeout !== null) checkMs(options.timeout, 'options.timeout');
  if (options.limit !== undefined) checkInteger(options.limit, 'options.limit', 1);
  return new CompletedIterator(items, options) as unknown as Completed<Joined<J>, unknown>;
}

interface Ended {
  readonly future: Future<unknown>;
  readonly index: number;
}

class CompletedIterator implements Joiner {
  readonly owner: Task<unknown> | null = currentTask();
  private readonly settled: boolean;
  private readonly ended: Ended[] = [];
  private readonly made: Task<unknown>[] = [];
  private readonly timer: ClockTimer | undefined;
  private unwatch: (() => unknown)[] = [];
  private readonly driver: Task<void> | null = null;
  /** How many results are still to be given; null while the source has not ended. */
  private left: number | null;
  private over = false;
  private late = false;
  private arrival: Future<void> | null = null;

  constructor(items: Iterable<Joinable<unknown>> | AsyncIterable<Joinable<unknown>>, options: AsCompletedOptions) {
    this.settled = options.settled ?? false;
    const isSync = typeof (items as Iterable<unknown> | null)?.[Symbol.iterator] === 'function';
    if (!isSync && typeof (items as AsyncIterable<unknown> | null)?.[Symbol.asyncIterator] !== 'function') {
      throw new TypeError(`items must be an array or another iterable, got ${shown(items)}`);
    }
    if (isSync && (options.limit === undefined || options.limit === Infinity)) {
      const futures = Array.from(items as Iterable<Joinable<unknown>>, (item, i) => {
        const future = toFuture(item, i);
        if (typeof item === 'function') this.made.push(future as Task<unknown>);
        return future;
      });
      this.left = futures.length;
      this.unwatch = futures.map((future, index) => {
        const watcher = whenDone(future, () => this.push({ future, index }), this);
        return () => watcher !== undefined && future._unwatch(watcher);
      });
    } else {
      this.left = null;
      this.driver = this.drive(items, options.limit ?? Infinity);
    }
    if (options.timeout !== undefined && options.timeout !== null) {
      const { clock } = currentLoop();
      this.timer = clock.setTimer(clock.now() + options.timeout, () => {
        this.late = true;
        this.arrived();
      });
    }
  }

  done(): boolean {
    return this.over || this.late;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /**
   * Nobody calls `return()` after an error: the tasks that were made here are ended before it is thrown. Where there are none,
   * who iterates by hand may go on to the next result.
   */
  async next(): Promise<IteratorResult<unknown>> {
    try {
      return await this.take();
    } catch (error) {
      if (this.made.length > 0 || this.driver !== null) await this.return();
      throw error;
    }
  }

  /** The next result, or the next failure, after which it can be called again. */
  private async take(): Promise<IteratorResult<unknown>> {
    if (this.over || this.left === 0) return this.finish();
    while (this.ended.length === 0 && !this.late && this.left !== 0) {
      this.arrival = new Future();
      await this.arrival;
    }
    if (this.left === 0) return this.finish();
    if (this.ended.length === 0) {
      const lost = this.left;
      this.left = lost === null ? 0 : lost - 1;
      if (this.left === 0) this.finish();
      throw new TimeoutError('timed out');
    }
    const { future, index } = this.ended.shift() as Ended;
    if (this.left !== null) this.left--;
    if (this.left === 0) this.timer?.cancel();
    if (!this.settled || future === this.driver) return { done: false, value: await future };
    future._take();
    const value =
      future._state === RESOLVED
        ? { index, status: 'fulfilled', value: future._value }
        : { index, status: 'rejected', reason: future._value };
    return { done: false, value };
  }

  /** Leaving the loop: no more are started, and the tasks that were made here end first. */
  async return(): Promise<IteratorResult<unknown>> {
    this.finish();
    const open: Future<unknown>[] = this.made.filter((task) => !task.done());
    if (this.driver !== null && !this.driver.done()) open.push(this.driver);
    for (const task of open) task.cancel();
    // A cancel that comes meanwhile must neither interrupt their cleanup nor be lost.
    let cancel: { error: unknown } | null = null;
    while (open.some((task) => !task.done())) {
      try {
        await wait(open);
      } catch (error) {
        cancel = { error };
      }
    }
    for (const task of open) task._take();
    if (cancel !== null) throw cancel.error;
    return { done: true, value: undefined };
  }

  /** The plain `for` of asyncio: as many Futures as items, each of which gives the next result. */
  *[Symbol.iterator](): Iterator<Future<unknown>> {
    if (this.left === null) {
      void this.return();
      throw new InvalidStateError('a plain for cannot know how many items there are with a limit: use for await');
    }
    for (let i = this.left; i > 0; i--) yield createTask(async () => (await this.take()).value);
  }

  private push(ended: Ended): void {
    if (this.over) {
      if (this.made.includes(ended.future as Task<unknown>)) ended.future._take();
      return;
    }
    this.ended.push(ended);
    this.arrived();
  }

  private arrived(): void {
    if (this.arrival?._state === PENDING) this.arrival._finish(RESOLVED, undefined);
  }

  private finish(): IteratorResult<unknown> {
    this.over = true;
    this.timer?.cancel();
    for (const unwatch of this.unwatch.splice(0)) unwatch();
    return { done: true, value: undefined };
  }

  private drive(items: Iterable<Joinable<unknown>> | AsyncIterable<Joinable<unknown>>, limit: number): Task<void> {
    let count = 0;
    const run = () =>
      forEachLimited(items, limit, (future, index) => {
        count++;
        this.push({ future, index });
        return !this.over;
      });
    const task = createTask(run, { name: 'asCompleted' });
    task._watch(() => {
      if (task._state === FAILED) this.ended.push({ future: task, index: count });
      // Only now it is known how many results are still to be given.
      this.left = this.ended.length;
      this.arrived();
    }, null);
    return task;
  }
}
