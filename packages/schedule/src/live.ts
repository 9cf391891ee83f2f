import { AsyncLocalStorage } from 'node:async_hooks';
import {
  type ClockTimer,
  detached,
  type EventLoop,
  Future,
  getRunningLoop,
  InvalidStateError,
  type Task,
  type TaskGroup,
  taskGroup,
} from '@aiokit/core';
import { type ClockStep, ClockWatch } from './clock-watch.ts';
import type { Job } from './job.ts';
import type { Runs } from './job-runner.ts';

/** Jobs whose next occurrence is at the same millisecond, in the order in which they came. */
interface Slot {
  readonly jobs: Set<Job>;
  readonly timer: ClockTimer;
}

/**
 * A schedule while it runs: one timer of the loop's clock per time (which is one `setTimeout` for all of them), and a task
 * group in which the runs are.
 */
export class Live implements Runs {
  private readonly loop: EventLoop = getRunningLoop();
  private readonly slots = new Map<number, Slot>();
  private readonly armed = new Map<Job, number>();
  /** Timers fire in the context of whoever set the first one; jobs run in none of a task. One for all is far cheaper than one each. */
  private readonly outside = detached(() => AsyncLocalStorage.snapshot());
  private readonly watch: ClockWatch;
  private readonly ended = new Future<void>();
  private readonly onDone: (job: Job) => void;
  /** What goes on, by the name of the job; also of jobs that were taken off the schedule meanwhile. */
  readonly tasks = new Map<Task<unknown>, string>();
  private group: TaskGroup | null = null;
  private closing = false;

  /** @param onDone is told of a job that will not run again. */
  constructor(onDone: (job: Job) => void, onClockStep: (step: ClockStep) => void) {
    this.onDone = onDone;
    this.watch = new ClockWatch(this.loop, (step) => {
      onClockStep(step);
      this.rearmAll(step);
    });
  }

  /** Until `close()`, or a cancel, which cancels the runs, too. */
  async run(jobs: Iterable<Job>): Promise<void> {
    try {
      await taskGroup(
        async (group) => {
          this.group = group;
          for (const job of jobs) this.arm(job);
          try {
            await this.ended;
          } finally {
            this.close();
          }
        },
        { name: 'schedule' },
      );
    } finally {
      this.group = null;
    }
  }

  /** Nothing begins any more; what runs goes on. */
  close(): void {
    this.closing = true;
    this.watch.stop();
    this.disarmAll();
    if (!this.ended.done()) this.ended.setResult();
  }

  /** Waits for the job's next occurrence. */
  arm(job: Job): void {
    if (this.closing || this.group === null) return;
    this.disarm(job);
    const { next } = job.runner;
    if (next === null) return;
    this.armed.set(job, next);
    const slot = this.slots.get(next);
    if (slot === undefined) this.slots.set(next, { jobs: new Set([job]), timer: this.timerFor(next) });
    else slot.jobs.add(job);
  }

  disarm(job: Job): void {
    const at = this.armed.get(job);
    if (at === undefined) return;
    this.armed.delete(job);
    const slot = this.slots.get(at);
    if (slot === undefined || !slot.jobs.delete(job) || slot.jobs.size > 0) return;
    slot.timer.cancel();
    this.slots.delete(at);
  }

  private disarmAll(): void {
    for (const { timer } of this.slots.values()) timer.cancel();
    this.slots.clear();
    this.armed.clear();
  }

  private timerFor(at: number): ClockTimer {
    const { clock } = this.loop;
    const wait = Math.max(0, at - clock.wallTime());
    return clock.setTimer(clock.now() + wait, () => this.outside(this.fire, at));
  }

  start(fn: () => Promise<void>, name: string): Task<void> | null {
    if (this.closing || this.group === null) return null;
    try {
      // Eager: it begins on time, whatever else is due at this moment.
      const task = this.group.createTask(fn, { name, eager: true });
      this.tasks.set(task, name);
      return task;
    } catch (error) {
      if (error instanceof InvalidStateError) return null; // The group is being cancelled.
      throw error;
    }
  }

  leave(task: Task<unknown>): void {
    this.tasks.delete(task);
  }

  private readonly fire = (at: number): void => {
    const slot = this.slots.get(at);
    if (slot === undefined) return;
    this.slots.delete(at);
    this.watch.check();
    const now = this.loop.clock.wallTime();
    for (const job of slot.jobs) {
      // The clock was set, or a job before it has moved it or taken it off: it has another time or none.
      if (this.armed.get(job) !== at || this.slots.get(at)?.jobs.has(job)) continue;
      this.armed.delete(job);
      const stays = job.runner.runDue(now, this);
      if (stays) this.arm(job);
      else this.onDone(job);
    }
  };

  /**
   * Set forward: what is due now is late, and the misfire policy knows. Set back: a time of day that was there already does
   * not come again, but what counts elapsed time must not wait until the wall has caught up.
   */
  private rearmAll({ by }: ClockStep): void {
    const now = this.loop.clock.wallTime();
    const jobs = [...this.armed.keys()];
    this.disarmAll();
    for (const job of jobs) {
      const { plan, runner } = job;
      if (by < 0 && plan?.isElapsed) runner.moveTo(plan.recurrence.after(now));
      this.arm(job);
    }
  }
}
