import { checkMs } from './check.ts';
import type { ClockTimer } from './clock.ts';
import type { CancelledError } from './errors.ts';
import { CANCELLED, Future, RESOLVED } from './future.ts';

/**
 * Waits `ms` milliseconds of the loop's clock. `sleep(0)` lets everything else that can run have its turn, I/O included.
 * A cancel ends it at once.
 *
 * @param ms any number, also above 2^31-1; zero and less yield. `Infinity` waits until it is cancelled.
 * @param result what it resolves to.
 *
 * @see https://docs.python.org/3/library/asyncio-task.html#asyncio.sleep
 */
export function sleep(ms: number): Future<void>;
export function sleep<T>(ms: number, result: T): Future<T>;
export function sleep<T>(ms: number, result?: T): Future<T | undefined> {
  checkMs(ms, 'ms');
  return ms > 0 ? new Sleep(ms, result) : new Turn(result);
}

class Sleep<T> extends Future<T> {
  private readonly timer: ClockTimer;

  constructor(ms: number, result: T) {
    super();
    this._value = result;
    const { clock } = this._loop;
    this.timer = clock.setTimer(clock.now() + ms, () => this._finish(RESOLVED, result));
  }

  override _cancel(error: CancelledError): boolean {
    if (!this._finish(CANCELLED, error)) return false;
    this.timer.cancel();
    return true;
  }

  override get [Symbol.toStringTag](): string {
    return 'sleep';
  }
}

class Turn<T> extends Future<T> {
  constructor(result: T) {
    super();
    this._value = result;
    this._loop._yield(this);
  }

  override get [Symbol.toStringTag](): string {
    return 'sleep(0)';
  }
}
