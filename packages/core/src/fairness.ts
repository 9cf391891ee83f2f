/**
 * Nobody starves the loop. Tasks that only wake each other run in microtasks, and Node does no I/O and fires no timer
 * before the last microtask: a producer and a consumer on `Queue(1)` would outlive every timeout and SIGINT. So one wake-up
 * in 64 looks whether a turn has ended in the last 10 ms; if none has, wake-ups wait for the end of this one.
 */
import type { Waiter } from './waiter.ts';

const LONGEST_TURN_MS = 10;

export class Fairness {
  /** Settles at the end of the turn, while wake-ups wait for it. */
  endOfTurn: Promise<void> | undefined = undefined;
  private readonly deferred: { readonly waiter: Waiter; readonly value: never }[] = [];
  private settleEndOfTurn: (() => void) | null = null;
  private wakes = 0;
  private starving = false;
  /** Since when this turn is being watched; null when it is not. */
  private watchedSince: number | null = null;
  /** The last look at the clock in the turn that is being watched: at most 64 wake-ups old. */
  seenAt: number | null = null;

  get waiting(): number {
    return this.deferred.length;
  }

  allowsWake(): boolean {
    if (this.starving) return false;
    if ((++this.wakes & 63) !== 0) return true;
    const now = performance.now();
    this.seenAt = now;
    if (this.watchedSince === null) {
      this.watchedSince = now;
      setImmediate(this.turnEnded);
      return true;
    }
    this.starving = now - this.watchedSince > LONGEST_TURN_MS;
    return !this.starving;
  }

  defer(waiter: Waiter, value: never): void {
    this.deferred.push({ waiter, value });
    this.endOfTurn ??= new Promise((resolve) => {
      this.settleEndOfTurn = resolve;
    });
  }

  private readonly turnEnded = (): void => {
    this.starving = false;
    this.watchedSince = this.seenAt = null;
    for (const { waiter, value } of this.deferred.splice(0)) waiter.resolve(value);
    this.endOfTurn = undefined;
    this.settleEndOfTurn?.();
    this.settleEndOfTurn = null;
  };
}
