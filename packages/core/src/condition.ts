import { checkFunction, checkInteger, shown } from './check.ts';
import { InvalidStateError } from './errors.ts';
import type { Guard } from './guard.ts';
import { Line } from './line.ts';
import { Lock } from './lock.ts';

/** What `statistics()` of a condition tells. */
export interface ConditionStatistics {
  /** Whether somebody holds its lock. */
  readonly held: boolean;
  /** How many tasks wait to be notified. */
  readonly waiting: number;
}

/**
 * Waiting, under a lock, for a state of things that others change and notify of.
 *
 * A cancelled `wait()` has its lock back when it throws, and passes on a notification that it had already received.
 *
 * @see https://docs.python.org/3/library/asyncio-sync.html#asyncio.Condition
 */
export class Condition {
  private readonly lock: Lock;
  private readonly line = new Line<true>();

  constructor(lock: Lock = new Lock()) {
    if (!(lock instanceof Lock)) throw new TypeError(`lock must be a Lock, got ${shown(lock)}`);
    this.lock = lock;
  }

  locked(): boolean {
    return this.lock.locked();
  }

  acquire(): Promise<Guard> {
    return this.lock.acquire();
  }

  release(): void {
    this.lock.release();
  }

  /**
   * Releases the lock, waits for a notification, and takes the lock again.
   *
   * @throws {@link InvalidStateError} if the lock is free.
   */
  async wait(): Promise<true> {
    this.requireLock('wait');
    const place = this.line.join(undefined, 'Condition.wait');
    this.release();
    try {
      try {
        return await place;
      } finally {
        await this.takeBack();
      }
    } catch (error) {
      this.notify(1);
      throw error;
    }
  }

  /** Waits until `predicate()` is true; it is looked at after every notification. Resolves to what it returned. */
  async waitFor<T>(predicate: () => T): Promise<T> {
    checkFunction(predicate, 'predicate');
    let value = predicate();
    while (!value) {
      await this.wait();
      value = predicate();
    }
    return value;
  }

  /**
   * Wakes the first `n` that wait.
   *
   * @throws {@link InvalidStateError} if the lock is free.
   */
  notify(n = 1): void {
    checkInteger(n, 'n', 0);
    this.requireLock('notify');
    for (let left = n; left > 0; left--) {
      const place = this.line.shift();
      if (place === null) return;
      place.serve(true);
    }
  }

  /** Wakes everybody. */
  notifyAll(): void {
    this.notify(Infinity);
  }

  statistics(): ConditionStatistics {
    return Object.freeze({ held: this.lock.locked(), waiting: this.line.length });
  }

  private requireLock(method: string): void {
    if (!this.locked()) throw new InvalidStateError(`${method}() of a condition whose lock is free: acquire it first`);
  }

  /** Cancels that come meanwhile wait until the lock is held: whoever leaves `wait()` holds it. */
  private async takeBack(): Promise<void> {
    let cancel: { error: unknown } | null = null;
    for (;;) {
      try {
        await this.acquire();
        break;
      } catch (error) {
        cancel = { error };
      }
    }
    if (cancel !== null) throw cancel.error;
  }
}
