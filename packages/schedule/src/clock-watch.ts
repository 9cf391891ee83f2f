/**
 * The wall clock is not the clock that timers follow. It is set by hand and by NTP; and while the machine sleeps it goes on,
 * but timers stand still. Both show as a change in the difference between the two.
 */
import type { EventLoop, TimerHandle } from '@aiokit/core';

/** A change of the wall clock that time does not explain. */
export interface ClockStep {
  /** ms; above 0 it went forward: set, or the machine slept. */
  readonly by: number;
  readonly at: Date;
}

/** How often to look, in ms: after a sleep of the machine, jobs are late by no more than this. */
const EVERY = 5_000;

/** Less than this, in ms, is NTP at work and shows as a timer that is a little late or early. */
const LEAST = 1_000;

export class ClockWatch {
  private readonly loop: EventLoop;
  private readonly onStep: (step: ClockStep) => void;
  private timer: TimerHandle | null = null;
  /** By how many ms the wall clock is ahead of the loop's; of measurements that differ by less than 1, the largest. */
  private difference: number;

  constructor(loop: EventLoop, onStep: (step: ClockStep) => void) {
    this.loop = loop;
    this.onStep = onStep;
    this.difference = this.measure();
    if (loop.clock.real) this.arm();
  }

  /** Looks now. */
  check(): void {
    const difference = this.measure();
    const by = Math.round(difference - this.difference);
    // The wall clock shows whole ms: each look at it is up to 1 ms behind.
    if (difference > this.difference || difference < this.difference - 1) this.difference = difference;
    if (Math.abs(by) < LEAST) return;
    this.onStep({ by, at: new Date(this.loop.clock.wallTime()) });
  }

  /** When the wall clock will show an instant, by the loop's clock; never in the past. */
  timeOf(instant: number): number {
    const { clock } = this.loop;
    const now = clock.now();
    const when = instant - this.difference;
    return when > now ? when : now + Math.max(0, instant - clock.wallTime());
  }

  stop(): void {
    this.timer?.cancel();
  }

  private measure(): number {
    const { clock } = this.loop;
    return clock.wallTime() - clock.now();
  }

  private arm(): void {
    this.timer = this.loop.callLater(EVERY, () => {
      this.arm();
      this.check();
    });
    this.timer.unref();
  }
}
