/**
 * The one seam for time. Everything in aiokit that waits asks its loop's clock, so virtual time needs no patched globals.
 */
import type { EventLoop } from './loop.ts';

/** A source of time and timers, in ms. */
export interface Clock {
  /** Whether it runs by itself. A deadline on a clock that does not is sent to no server. */
  readonly real: boolean;
  /** Monotonic time in ms, from an arbitrary origin. */
  now(): number;
  /** Wall-clock time in ms since 1970, as `Date.now()`. */
  wallTime(): number;
  /** Calls back once, when `now()` has reached `when`. */
  setTimer(when: number, callback: () => void): ClockTimer;
  /** A loop begins to use this clock; the function returned is called when the loop closes. */
  attach?(loop: EventLoop): () => void;
  /** Chooses among things that may legally happen in any order; absent, the first one is taken. */
  pick?(ready: readonly unknown[], what: 'start' | 'timer' | 'yield' | 'deliver'): number;
}

/** A timer that is set. */
export interface ClockTimer {
  cancel(): void;
  /** Never the reason for the process to stay alive, nor for a virtual clock to jump. */
  unref(): this;
}

/** The machine's clock: `performance.now()`, and one `setTimeout` for all timers. */
export class RealClock implements Clock {
  readonly real = true;
  private readonly heap = new TimerHeap();
  private armed: NodeJS.Timeout | undefined;
  private armedFor = Infinity;
  private referenced = 0;

  now(): number {
    return performance.now();
  }

  wallTime(): number {
    return Date.now();
  }

  setTimer(when: number, callback: () => void): ClockTimer {
    const timer = new RealTimer(this, when, callback);
    this.heap.push(timer);
    this.reference(1);
    if (when < this.armedFor) this.arm();
    return timer;
  }

  /** @internal */
  drop(timer: RealTimer): void {
    if (timer.index < 0) return;
    this.heap.remove(timer);
    if (timer.referenced) this.reference(-1);
  }

  /** @internal */
  reference(change: 1 | -1): void {
    const before = this.referenced;
    this.referenced += change;
    if (before === 0) this.armed?.ref();
    else if (this.referenced === 0) this.armed?.unref();
  }

  private arm(): void {
    clearTimeout(this.armed);
    this.armed = undefined;
    const first = this.heap.first;
    this.armedFor = first === undefined ? Infinity : first.when;
    if (first === undefined) return;
    const delay = Math.min(Math.max(1, Math.ceil(first.when - this.now())), LONGEST_DELAY);
    this.armed = setTimeout(this.fire, delay);
    if (this.referenced === 0) this.armed.unref();
  }

  private readonly fire = (): void => {
    const now = this.now();
    try {
      for (let timer = this.heap.first; timer !== undefined && timer.when <= now; timer = this.heap.first) {
        this.drop(timer);
        timer.callback();
      }
    } finally {
      this.arm();
    }
  };
}

/** A longer delay fires at once in Node: waits are cut into pieces. */
const LONGEST_DELAY = 2 ** 31 - 1;

class RealTimer implements ClockTimer {
  readonly when: number;
  readonly callback: () => void;
  readonly order: number;
  /** Its place in the heap; -1 when it is not there. */
  index = -1;
  referenced = true;
  private readonly clock: RealClock;

  constructor(clock: RealClock, when: number, callback: () => void) {
    this.clock = clock;
    this.when = when;
    this.callback = callback;
    this.order = nextOrder++;
  }

  cancel(): void {
    this.clock.drop(this);
  }

  unref(): this {
    if (this.referenced) {
      this.referenced = false;
      if (this.index >= 0) this.clock.reference(-1);
    }
    return this;
  }
}

let nextOrder = 0;

export interface HeapEntry {
  readonly when: number;
  /** Breaks ties: first set, first fired. */
  readonly order: number;
  index: number;
}

/**
 * A binary heap whose entries know their place, so that a timer that is cancelled (nearly all timeouts are) leaves at once
 * instead of staying as garbage until its time.
 */
export class TimerHeap<E extends HeapEntry = RealTimer> {
  private readonly entries: E[] = [];

  get size(): number {
    return this.entries.length;
  }

  get first(): E | undefined {
    return this.entries[0];
  }

  push(entry: E): void {
    this.entries.push(entry);
    this.up(entry, this.entries.length - 1);
  }

  remove(entry: E): void {
    const { index } = entry;
    entry.index = -1;
    const last = this.entries.pop() as E;
    if (last === entry) return;
    this.up(last, index);
    this.down(last, last.index);
  }

  [Symbol.iterator](): Iterator<E> {
    return this.entries[Symbol.iterator]();
  }

  private up(entry: E, from: number): void {
    const { entries } = this;
    let index = from;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = entries[parent] as E;
      if (!isBefore(entry, above)) break;
      entries[index] = above;
      above.index = index;
      index = parent;
    }
    entries[index] = entry;
    entry.index = index;
  }

  private down(entry: E, from: number): void {
    const { entries } = this;
    let index = from;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= entries.length) break;
      const right = child + 1;
      if (right < entries.length && isBefore(entries[right] as E, entries[child] as E)) child = right;
      const below = entries[child] as E;
      if (!isBefore(below, entry)) break;
      entries[index] = below;
      below.index = index;
      index = child;
    }
    entries[index] = entry;
    entry.index = index;
  }
}

function isBefore(a: HeapEntry, b: HeapEntry): boolean {
  return a.when < b.when || (a.when === b.when && a.order < b.order);
}
