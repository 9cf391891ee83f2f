import { afterTurn, Line, mayAnswer } from './line.ts';

/** What `statistics()` of an event tells. */
export interface EventStatistics {
  readonly set: boolean;
  /** How many tasks wait for it. */
  readonly waiting: number;
}

/**
 * A flag that tasks can wait for.
 *
 * @see https://docs.python.org/3/library/asyncio-sync.html#asyncio.Event
 */
export class Event {
  private flag = false;
  private line = new Line<true>();

  isSet(): boolean {
    return this.flag;
  }

  /** Sets the flag and wakes everybody who waits. */
  set(): void {
    this.flag = true;
    for (let place = this.line.shift(); place !== null; place = this.line.shift()) place.serve(true);
  }

  clear(): void {
    this.flag = false;
  }

  /** Waits until the flag is set. Who was woken goes on even if it is cleared at once. */
  wait(): Promise<true> {
    if (!this.flag) return this.line.join(undefined, 'Event.wait');
    return mayAnswer() ? Promise.resolve(true as const) : afterTurn(() => Promise.resolve(true as const));
  }

  statistics(): EventStatistics {
    return Object.freeze({ set: this.flag, waiting: this.line.length });
  }
}
