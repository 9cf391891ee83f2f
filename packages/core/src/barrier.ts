import { checkInteger } from './check.ts';
import { BrokenBarrierError } from './errors.ts';
import { Line } from './line.ts';

/** What `statistics()` of a barrier tells. */
export interface BarrierStatistics {
  readonly parties: number;
  /** How many have arrived. */
  readonly waiting: number;
  readonly broken: boolean;
}

/**
 * A meeting point: `wait()` resolves for everybody when as many as `parties` have arrived.
 *
 * A cancelled `wait()` takes its arrival back.
 *
 * @see https://docs.python.org/3/library/asyncio-sync.html#asyncio.Barrier
 */
export class Barrier {
  readonly parties: number;
  private arrived = 0;
  private state: 'filling' | 'draining' | 'resetting' | 'broken' = 'filling';
  private line = new Line<number>();

  constructor(parties: number) {
    checkInteger(parties, 'parties', 1);
    this.parties = parties;
  }

  /** How many have arrived and wait. */
  get nWaiting(): number {
    return this.state === 'filling' ? this.arrived : 0;
  }

  get broken(): boolean {
    return this.state === 'broken';
  }

  /**
   * Waits for the others. Resolves to a number from 0 to `parties - 1`, another one for each.
   *
   * @throws {@link BrokenBarrierError} if the barrier is reset or aborted meanwhile, or is broken.
   */
  async wait(): Promise<number> {
    while (this.state === 'draining' || this.state === 'resetting') await this.pause();
    if (this.state === 'broken') throw new BrokenBarrierError('the barrier is broken: reset() mends it');
    this.arrived++;
    try {
      if (this.arrived < this.parties) return await this.untilDrained();
      this.state = 'draining';
      this.wakeAll();
      return this.parties - 1;
    } finally {
      if (--this.arrived === 0) {
        if (!this.broken) this.state = 'filling';
        this.wakeAll();
      }
    }
  }

  /** Back to empty. Who waits gets a {@link BrokenBarrierError}. */
  async reset(): Promise<void> {
    this.state = this.arrived > 0 ? 'resetting' : 'filling';
    this.wakeAll();
  }

  /** Breaks the barrier: who waits, and whoever comes, gets a {@link BrokenBarrierError}. */
  async abort(): Promise<void> {
    this.state = 'broken';
    this.wakeAll();
  }

  statistics(): BarrierStatistics {
    return Object.freeze({ parties: this.parties, waiting: this.nWaiting, broken: this.broken });
  }

  /** Resolves to its place among those that are there when the barrier opens: a cancelled one leaves no gap. */
  private async untilDrained(): Promise<number> {
    let place = 0;
    while (this.state === 'filling') place = await this.pause();
    if (this.state !== 'draining') throw new BrokenBarrierError('the barrier was reset or aborted while waiting');
    return place;
  }

  private pause() {
    return this.line.join(undefined, 'Barrier.wait');
  }

  private wakeAll(): void {
    const { line } = this;
    this.line = new Line();
    let number = 0;
    for (let place = line.shift(); place !== null; place = line.shift()) place.serve(number++);
  }
}
