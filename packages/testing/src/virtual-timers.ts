import type { ClockTimer } from '@aiokit/core';
import TinyQueue from 'tinyqueue';

/** A timer on a virtual clock. */
export class VirtualTimer implements ClockTimer {
  readonly when: number;
  /** Breaks ties: first set, first fired. */
  readonly order: number;
  readonly callback: () => void;
  /** Set by a background task: no reason for `runUntilIdle()` to go on. */
  readonly background: boolean;
  /** Where it was set, for the report on what a test leaves behind. */
  readonly site: Error | null;
  /** Under `explore()`: the task that set it. */
  readonly task: object | null;
  /** Whether it is a reason to jump. */
  referenced = true;
  /** Fired, or taken back. */
  over = false;
  private readonly timers: VirtualTimers;

  constructor(timers: VirtualTimers, when: number, order: number, callback: () => void, options: TimerOptions) {
    this.timers = timers;
    this.when = when;
    this.order = order;
    this.callback = callback;
    this.background = options.background;
    this.site = options.site;
    this.task = options.task;
  }

  cancel(): void {
    this.timers.drop(this);
  }

  unref(): this {
    this.timers.unref(this);
    return this;
  }
}

export interface TimerOptions {
  readonly background: boolean;
  readonly site: Error | null;
  readonly task: object | null;
}

/** The timers of a virtual clock, in the order of their time. */
export class VirtualTimers {
  /** Timers that keep the clock going. */
  referenced = 0;
  /** Those of them that are not a background task's. */
  foreground = 0;
  private queue = new TinyQueue<VirtualTimer>([], compare);
  private size = 0;
  private order = 0;

  add(when: number, callback: () => void, options: TimerOptions): VirtualTimer {
    const timer = new VirtualTimer(this, when, this.order++, callback, options);
    this.queue.push(timer);
    this.size++;
    this.count(timer, 1);
    return timer;
  }

  /** The earliest timer's time, or `undefined` when there is none. */
  get nextTime(): number | undefined {
    for (let timer = this.queue.peek(); timer !== undefined; timer = this.queue.peek()) {
      if (!timer.over) return timer.when;
      this.queue.pop();
    }
    return undefined;
  }

  /** Takes out the timers that are due, first set first. The caller drops each as it fires it. */
  takeDue(now: number): VirtualTimer[] {
    const due: VirtualTimer[] = [];
    for (let timer = this.queue.peek(); timer !== undefined && timer.when <= now; timer = this.queue.peek()) {
      this.queue.pop();
      if (!timer.over) due.push(timer);
    }
    return due;
  }

  /** A timer that is over stays in the heap until its time, or until most of the heap is such garbage. */
  drop(timer: VirtualTimer): void {
    if (timer.over) return;
    timer.over = true;
    this.size--;
    if (timer.referenced) this.count(timer, -1);
    if (this.queue.length > 64 && this.queue.length > 2 * this.size) {
      this.queue = new TinyQueue(
        this.queue.data.filter((each) => !each.over),
        compare,
      );
    }
  }

  unref(timer: VirtualTimer): void {
    if (!timer.referenced) return;
    timer.referenced = false;
    if (!timer.over) this.count(timer, -1);
  }

  /** The timers that are set, in no order. */
  pending(): VirtualTimer[] {
    return this.queue.data.filter((timer) => !timer.over);
  }

  private count(timer: VirtualTimer, change: 1 | -1): void {
    this.referenced += change;
    if (!timer.background) this.foreground += change;
  }
}

function compare(a: VirtualTimer, b: VirtualTimer): number {
  return a.when - b.when || a.order - b.order;
}
