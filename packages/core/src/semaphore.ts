import { checkInteger } from './check.ts';
import { InvalidStateError } from './errors.ts';
import { Guard } from './guard.ts';
import { afterTurn, Line, mayAnswer } from './line.ts';

/** What `statistics()` of a semaphore tells. */
export interface SemaphoreStatistics {
  /** How many tasks wait for a slot. */
  readonly waiting: number;
  /** How many slots are free. */
  readonly free: number;
}

/**
 * A counter of slots. A released slot goes to the first in line.
 *
 * Cancelling an `acquire()` loses the place in line and nothing else; a slot that was already handed over is delivered, and
 * the cancel waits for the next `await`.
 *
 * @example
 * ```ts
 * const slots = new Semaphore(10);
 * using slot = await slots.acquire();
 * ```
 *
 * @see https://docs.python.org/3/library/asyncio-sync.html#asyncio.Semaphore
 */
export class Semaphore {
  protected free: number;
  private readonly line = new Line<Guard>();

  /** @param value how many slots there are. Default: 1. */
  constructor(value = 1) {
    checkInteger(value, 'value', 0);
    this.free = value;
  }

  /** Whether `acquire()` would have to wait. */
  locked(): boolean {
    return this.free === 0 || this.line.length > 0;
  }

  /** Waits for a slot. The guard that it resolves to releases it: `using slot = await semaphore.acquire()`. */
  acquire(): Promise<Guard> {
    if (this.locked()) return this.line.join(undefined, 'Semaphore.acquire');
    if (!mayAnswer()) return afterTurn(() => this.acquire());
    this.free--;
    return Promise.resolve(new Guard(this));
  }

  /** Gives a slot back. It need not be the task that acquired it. */
  release(): void {
    const place = this.line.shift();
    if (place === null) this.free++;
    else place.serve(new Guard(this));
  }

  statistics(): SemaphoreStatistics {
    return Object.freeze({ waiting: this.line.length, free: this.free });
  }
}

/**
 * A semaphore that refuses to be released more often than acquired.
 *
 * @see https://docs.python.org/3/library/asyncio-sync.html#asyncio.BoundedSemaphore
 */
export class BoundedSemaphore extends Semaphore {
  private readonly bound: number;

  constructor(value = 1) {
    super(value);
    this.bound = value;
  }

  /** @throws {@link InvalidStateError} if every slot is free already. */
  override release(): void {
    if (this.free >= this.bound) {
      throw new InvalidStateError(`release() of a BoundedSemaphore(${this.bound}) whose slots are all free`);
    }
    super.release();
  }
}
