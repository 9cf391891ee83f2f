import { checkInteger, checkOptions, shown } from './check.ts';
import type { CancelledError } from './errors.ts';
import { CANCELLED, FAILED, Future, RESOLVED } from './future.ts';
import { type Joinable, type Joined, toFuture } from './joinable.ts';
import { mapLimited } from './limited.ts';
import type { Scope } from './scope.ts';
import { createTask, currentTask, type Task } from './task.ts';
import type { Joiner, Watcher } from './waiter.ts';

export interface GatherOptions {
  /** Errors become values instead of ending the gather. Default: false. */
  returnExceptions?: boolean | undefined;
  /**
   * How many may run at once. Then items may be any iterable or async iterable, pulled as slots come free; the first failure
   * starts no more and cancels those that run.
   */
  limit?: number | undefined;
}

/** The results of a tuple of joinables. */
export type Gathered<I extends readonly unknown[]> = { -readonly [K in keyof I]: Joined<I[K]> };
type OrError<T> = T extends readonly unknown[] ? { [K in keyof T]: T[K] | Error } : never;

/**
 * Runs everything side by side and gives the results in the order of the arguments.
 *
 * Without a limit the first exception (or cancelled child) is thrown at once and the others go on, as in asyncio; where
 * that is not wanted, use `taskGroup`. A cancel of the gather cancels every child and waits for them.
 *
 * @example
 * ```ts
 * const [user, orders] = await gather([() => loadUser(1), () => loadOrders(1)]);
 * const pages = await gather(urls.map((url) => () => load(url)), { limit: 10 });
 * ```
 *
 * @see https://docs.python.org/3/library/asyncio-task.html#asyncio.gather
 */
export function gather<const I extends readonly Joinable<unknown>[]>(
  items: I,
  options: GatherOptions & { returnExceptions: true },
): Future<OrError<Gathered<I>>>;
export function gather<const I extends readonly Joinable<unknown>[]>(
  items: I,
  options?: GatherOptions & { returnExceptions?: false | undefined },
): Future<Gathered<I>>;
export function gather<J extends Joinable<unknown>>(
  items: Iterable<J> | AsyncIterable<J>,
  options: GatherOptions & { returnExceptions: true },
): Future<(Joined<J> | Error)[]>;
export function gather<J extends Joinable<unknown>>(
  items: Iterable<J> | AsyncIterable<J>,
  options?: GatherOptions & { returnExceptions?: false | undefined },
): Future<Joined<J>[]>;
export function gather(
  items: Iterable<Joinable<unknown>> | AsyncIterable<Joinable<unknown>>,
  options?: GatherOptions,
): Future<unknown[]>;
export function gather(
  items: Iterable<Joinable<unknown>> | AsyncIterable<Joinable<unknown>>,
  options: GatherOptions = {},
): Future<unknown> {
  checkOptions(options, 'options');
  const { returnExceptions = false, limit } = options;
  if (limit !== undefined) checkInteger(limit, 'options.limit', 1);
  if (isIterable(items) && (limit === undefined || limit === Infinity)) {
    return new Gather(futuresOf(items), returnExceptions);
  }
  if (!isIterable(items) && !isAsyncIterable(items)) {
    throw new TypeError(`items must be an array or another iterable, got ${shown(items)}`);
  }
  return createTask(() => mapLimited(items, limit ?? Infinity, returnExceptions), { name: 'gather' });
}

/** A loop: `Array.from` with a callback costs a tenth of a gather. */
function futuresOf(items: Iterable<Joinable<unknown>>): Future<unknown>[] {
  const futures: Future<unknown>[] = [];
  for (const item of items) futures.push(toFuture(item, futures.length));
  return futures;
}

class Gather extends Future<unknown[]> implements Joiner {
  readonly owner: Task<unknown> | null = currentTask();
  private readonly children: readonly Future<unknown>[];
  private readonly returnExceptions: boolean;
  private left: number;
  private cancelRequest: CancelledError | null = null;

  constructor(children: readonly Future<unknown>[], returnExceptions: boolean) {
    super();
    this.children = children;
    this.returnExceptions = returnExceptions;
    this.left = children.length;
    if (children.length === 0) this._finish(RESOLVED, []);
    for (const child of children) whenDone(child, this.childEnded, this);
  }

  /** Cancels the children; the gather itself ends when they have. */
  override _cancel(error: CancelledError): boolean {
    if (this.done()) return false;
    const open = this.children.some((child) => !child.done());
    if (open) this.cancelRequest = error; // First: a plain Future ends at once.
    for (const child of this.children) child._cancel(error, null);
    return open || this.cancelRequest !== null; // About to end with an earlier cancel: the two are one.
  }

  override _recount(error: CancelledError, passed: Set<Scope>): boolean {
    if (this.cancelRequest !== error) return false;
    return this.children.filter((child) => child._recount(error, passed)).length > 0;
  }

  override get [Symbol.toStringTag](): string {
    return 'gather';
  }

  private readonly childEnded = (child: Future<unknown>): void => {
    this.left--;
    if (this.done()) {
      if (!child.cancelled()) child._take();
      return;
    }
    if (!this.returnExceptions && child._state !== RESOLVED) {
      child._take();
      const cancelled = child._state === CANCELLED;
      this._finish(FAILED, cancelled && this.cancelRequest !== null ? this.cancelRequest : child._value);
    } else if (this.left === 0) {
      for (const each of this.children) each._take();
      if (this.cancelRequest !== null) this._finish(FAILED, this.cancelRequest);
      else
        this._finish(
          RESOLVED,
          this.children.map((each) => each._value),
        );
    }
  };
}

/**
 * Calls back when the future is done. `gather`, `wait` and `asCompleted` suspend even when everything is done already, as
 * in asyncio: a pending cancel is delivered there. Two microtasks, as `await` calls `then` after one.
 */
export function whenDone(
  future: Future<unknown>,
  callback: (future: Future<unknown>) => void,
  joiner: Joiner,
): Watcher | undefined {
  if (!future.done()) return future._watch(callback, joiner);
  queueMicrotask(() => queueMicrotask(() => callback(future)));
  return undefined;
}

function isIterable(value: unknown): value is Iterable<Joinable<unknown>> {
  return typeof (value as Iterable<unknown> | null)?.[Symbol.iterator] === 'function';
}

function isAsyncIterable(value: unknown): value is AsyncIterable<Joinable<unknown>> {
  return typeof (value as AsyncIterable<unknown> | null)?.[Symbol.asyncIterator] === 'function';
}
