/**
 * Wake-ups under a clock that chooses their order (`Clock.pick`): they wait until the running step has ended, then go out one
 * per microtask. Any order of them is legal: who is first in a line was decided before.
 */
import type { Clock } from './clock.ts';
import { Fifo } from './fifo.ts';
import type { Waiter } from './waiter.ts';

/** A wake-up on its way. */
export interface Delivery {
  readonly waiter: Waiter;
  readonly value: never;
  /** The task that is woken; null outside of any. */
  readonly task: object | null;
}

export class Deliveries {
  private readonly clock: Clock;
  private readonly ready = new Fifo<Delivery>();
  private count = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  get waiting(): number {
    return this.ready.length;
  }

  push(waiter: Waiter, value: never): void {
    this.ready.push({ waiter, value, task: waiter.scope?.task ?? null });
    if (this.ready.length === 1) this.hop();
  }

  private readonly deliver = (): void => {
    const delivery = this.ready.take(this.clock, 'deliver');
    delivery?.waiter.resolve(delivery.value);
    if (this.ready.length > 0) this.hop();
  };

  /** Nobody starves the loop; by count, not by time, so that an order can be had again. */
  private hop(): void {
    if (++this.count % 1_000 === 0) setImmediate(this.deliver);
    else queueMicrotask(this.deliver);
  }
}
