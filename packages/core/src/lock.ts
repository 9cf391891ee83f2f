import { InvalidStateError } from './errors.ts';
import { Guard } from './guard.ts';
import { afterTurn, Line, mayAnswer } from './line.ts';

/** What `statistics()` of a lock tells. */
export interface LockStatistics {
  /** Whether somebody holds it. */
  readonly held: boolean;
  /** How many tasks wait for it. */
  readonly waiting: number;
}

/**
 * Mutual exclusion between tasks. A released lock goes to the first in line. It is not re-entrant.
 *
 * Cancelling an `acquire()` loses the place in line and nothing else.
 *
 * @example
 * ```ts
 * const lock = new Lock();
 * {
 *   using guard = await lock.acquire();
 *   await updateTheFile();
 * }
 * ```
 *
 * @see https://docs.python.org/3/library/asyncio-sync.html#asyncio.Lock
 */
export class Lock {
  private held = false;
  private readonly line = new Line<Guard>();

  /** Whether somebody holds it. */
  locked(): boolean {
    return this.held;
  }

  /** Waits for the lock. The guard that it resolves to releases it. */
  acquire(): Promise<Guard> {
    if (this.held) return this.line.join(undefined, 'Lock.acquire');
    if (!mayAnswer()) return afterTurn(() => this.acquire());
    this.held = true;
    return Promise.resolve(new Guard(this));
  }

  /**
   * Gives the lock to the first in line, or frees it. It need not be the task that acquired it.
   *
   * @throws {@link InvalidStateError} if it is free.
   */
  release(): void {
    if (!this.held) throw new InvalidStateError('release() of a lock that is free');
    const place = this.line.shift();
    if (place === null) this.held = false;
    else place.serve(new Guard(this));
  }

  statistics(): LockStatistics {
    return Object.freeze({ held: this.held, waiting: this.line.length });
  }
}
