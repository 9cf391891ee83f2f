import { Bridge, type ClockTimer, getRunningLoop } from '@aiokit/core';
import type { TimeoutPhase } from './errors.ts';

/**
 * A Bridge that is limited in time: as a whole, and in its phases. Each phase has one timer at most, which is set when the
 * phase begins and cancelled when it ends; most calls have none but that of the whole.
 */
export abstract class TimedBridge<T> extends Bridge<T> {
  protected readonly clock = getRunningLoop().clock;
  /** The instant it began. */
  protected readonly started = this.clock.now();
  private totalTimer: ClockTimer | null = null;
  private timers: Map<TimeoutPhase | 'retry', ClockTimer> | null = null;

  /** A limit was exceeded. */
  protected abstract expire(phase: TimeoutPhase, ms: number): void;

  protected limitTotal(ms: number): void {
    this.totalTimer = this.clock.setTimer(this.started + ms, () => this.expire('total', ms));
  }

  /** The phase begins now. */
  protected limit(phase: TimeoutPhase, ms: number | null): void {
    if (ms !== null)
      this.setTimer(
        phase,
        this.clock.setTimer(this.clock.now() + ms, () => this.expire(phase, ms)),
      );
  }

  /** The phase has ended. */
  protected unlimit(phase: TimeoutPhase): void {
    this.timers?.get(phase)?.cancel();
  }

  /** Instead of the phase's timer before. */
  protected setTimer(what: TimeoutPhase | 'retry', timer: ClockTimer): void {
    this.timers ??= new Map();
    this.timers.get(what)?.cancel();
    this.timers.set(what, timer);
  }

  /** Ends all phases; the limit on the whole stays. */
  protected clearTimers(): void {
    if (this.timers === null) return;
    for (const timer of this.timers.values()) timer.cancel();
  }

  protected clearAllTimers(): void {
    this.totalTimer?.cancel();
    this.clearTimers();
  }
}
