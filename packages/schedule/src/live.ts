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
  /** Timers fire in the context of whoever set the first one; jobs run in none of a task. One for all is far cheaper than one each. */
  private readonly outside = detached(() => AsyncLocalStorage.snapshot());
  private readonly watch: ClockWatch;
  private readonly ended = new Future<void>();
  private readonly onDone: (job: Job) => void;
  /** What goes on, by the name of the job; also of jobs that were taken off the schedule meanwhile. */
  readonly tasks = new Map<Task<unknown>, string>();
  private group: TaskGroup | null = null;
  private jobs: ReadonlySet<Job> = new Set();
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
  async run(jobs: ReadonlySet<Job>): Promise<void> {
    this.jobs = jobs;
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
    this.place(job);
    job.runner.lookAhead();
  }

  disarm(job: Job): void {
    const { armedFor } = job.runner;
    if (armedFor === null) return;
    job.runner.armedFor = null;
    const slot = this.slots.get(armedFor);
    if (slot === undefined || !slot.jobs.delete(job) || slot.jobs.size > 0) return;
    slot.timer.cancel();
    this.slots.delete(armedFor);
  }

  private place(job: Job): void {
    const { next } = job.runner;
    if (next === null) return;
    job.runner.armedFor = next;
    const slot = this.slots.get(next);
    if (slot === undefined) this.slots.set(next, { jobs: new Set([job]), timer: this.timerFor(next) });
    else slot.jobs.add(job);
  }

  /** Returns those that had a timer. */
  private disarmAll(): Job[] {
    const jobs: Job[] = [];
    for (const slot of this.slots.values()) {
      slot.timer.cancel();
      for (const job of slot.jobs) jobs.push(job);
    }
    this.slots.clear();
    for (const { runner } of jobs) runner.armedFor = null;
    return jobs;
  }

  private timerFor(at: number): ClockTimer {
    return this.loop.clock.setTimer(this.watch.timeOf(at), () => this.outside(this.fire, at));
  }

  start(fn: () => unknown, name: string): boolean {
    if (this.closing || this.group === null) return false;
    try {
      // Eager: it begins on time, whatever else is due at this moment.
      this.group.createTask(fn, { name, eager: true });
      return true;
    } catch (error) {
      if (error instanceof InvalidStateError) return false; // The group is being cancelled.
      throw error;
    }
  }

  enter(task: Task<unknown>, name: string): void {
    this.tasks.set(task, name);
  }

  leave(task: Task<unknown>): void {
    this.tasks.delete(task);
  }

  private readonly fire = (at: number): void => {
    const slot = this.slots.get(at);
    this.watch.check();
    // If the clock was set, all timers are others now.
    if (slot === undefined || this.slots.get(at) !== slot) return;
    this.slots.delete(at);
    const now = this.loop.clock.wallTime();
    for (const job of slot.jobs) {
      // A job before it has moved it or taken it off: it has another time or none.
      if (job.runner.armedFor !== at || this.slots.get(at)?.jobs.has(job)) continue;
      job.runner.armedFor = null;
      if (this.closing) continue; // One before it has stopped the schedule.
      const stays = job.runner.runDue(now, this);
      if (!stays) this.onDone(job);
      else if (!this.closing && this.jobs.has(job)) this.place(job); // Else it has taken itself off, or stopped the schedule.
    }
    // When all have begun.
    for (const job of slot.jobs) job.runner.lookAhead();
  };

  /**
   * Set forward: what is due now is late, and the misfire policy knows. Set back: a time of day that was there already does
   * not come again, but what counts elapsed time must not wait until the wall has caught up.
   */
  private rearmAll({ by }: ClockStep): void {
    const now = this.loop.clock.wallTime();
    for (const job of this.disarmAll()) {
      const { plan, runner } = job;
      if (by < 0 && plan?.isElapsed) runner.moveTo(plan.recurrence.after(now));
      this.arm(job);
    }
  }
}
