/**
 * A line of waiters, first come, first served: what every queue and lock stands on.
 *
 * What is handed over goes to the first in line, so nobody overtakes, and a place that is cancelled leaves in O(1). asyncio
 * wakes a waiter and lets whoever runs next take the thing; that is neither fair nor safe against a cancel in between.
 *
 * What need not wait is answered with a native promise: awaiting one costs a quarter of awaiting a Future, and it is no
 * cancellation point either way.
 */
import { currentLoop } from './current-loop.ts';
import type { CancelledError } from './errors.ts';
import { CANCELLED, FAILED, Future, RESOLVED } from './future.ts';
import { sleep } from './sleep.ts';
import { append, remove } from './waiter.ts';

export class Line<T, D = undefined> {
  /** @internal */ first: Place<T, D> | null = null;
  length = 0;

  /** Joins the line. The place resolves when it is served; a cancel leaves the line. */
  join(data: D, what: string): Place<T, D> {
    const place = new Place(this, data, what);
    this.first = append(this.first, place);
    this.length++;
    return place;
  }

  /** Takes the first in line out, to be served. */
  shift(): Place<T, D> | null {
    const place = this.first;
    if (place !== null) this.leave(place);
    return place;
  }

  /** @internal */
  leave(place: Place<T, D>): void {
    this.first = remove(this.first, place);
    this.length--;
  }
}

export class Place<T, D> extends Future<T> {
  next: Place<T, D> = this;
  previous: Place<T, D> = this;
  /** What it brought along: the item of a put, say. */
  readonly data: D;
  private readonly line: Line<T, D>;
  private readonly what: string;

  constructor(line: Line<T, D>, data: D, what: string) {
    super();
    this.line = line;
    this.data = data;
    this.what = what;
  }

  serve(value: T): void {
    this._finish(RESOLVED, value);
  }

  override _cancel(error: CancelledError): boolean {
    if (this.done()) return false;
    this.line.leave(this);
    return this._finish(CANCELLED, error);
  }

  override get [Symbol.toStringTag](): string {
    return this.what;
  }
}

/**
 * Whether a call that need not wait may be answered at once. It counts as a wake-up: two tasks that always find an answer
 * never wait, and would starve the loop and their own cancel. If not, {@link afterTurn}.
 */
export function mayAnswer(): boolean {
  return currentLoop()._mayWake();
}

/** Asks again after a turn of the loop, with nothing taken yet: a cancel that is pending is delivered here. */
export async function afterTurn<T>(ask: () => Promise<T>): Promise<T> {
  await sleep(0);
  return ask();
}

/** A Future that has failed already. */
export function failed<T>(error: unknown): Future<T> {
  const future = new Future<T>();
  future._finish(FAILED, error);
  return future;
}
