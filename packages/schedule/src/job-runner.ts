/**
 * What goes on with one job: which occurrence comes next, which runs go on, and what becomes of one that is due meanwhile.
 */
import { type Task, wait } from '@aiokit/core';
import { CancelJob } from './cancel-job.ts';
import { chooseDue, type Due } from './due.ts';
import type { Job } from './job.ts';
import type { JobStatus } from './job-status.ts';
import { type Outcome, Run } from './run.ts';
import { traceMissed } from './trace.ts';

/** Where runs go on. */
export interface Runs {
  /** Starts a task, at once: its first step is over when this returns. Returns whether more may be started. */
  start(fn: () => unknown, name: string): boolean;
  /** A task goes on beyond its first step. */
  enter(task: Task<unknown>, name: string): void;
  /** The last that it does: a done callback would cost as much as the rest of a small run. */
  leave(task: Task<unknown>): void;
}

const NOBODY: readonly Task<unknown>[] = [];

export class JobRunner {
  /** The next occurrence, in ms since 1970. */
  next: number | null = null;
  /** For which time a timer is set. */
  armedFor: number | null = null;
  readonly runs: Run[] = [];
  lastRun: number | null = null;
  private readonly job: Job;
  /** What comes after `next`, once that is known. */
  private following: number | null | undefined;
  private readonly queue: { due: Due; runs: Runs }[] = [];
  private isTakingFromQueue = false;
  /** Occurrences without a run since the last one that had one. */
  private missed = 0;
  private lastOutcome: Outcome | null = null;
  private lastDuration: number | null = null;
  private runCount = 0;
  private failureCount = 0;
  private missedCount = 0;

  constructor(job: Job) {
    this.job = job;
  }

  /** The next occurrence; one after the deadline is none. */
  moveTo(next: number | null): void {
    const { deadline } = this.job;
    this.next = next !== null && deadline !== null && next > deadline ? null : next;
    this.following = undefined;
  }

  /** What comes after an instant by the job's rule. */
  after(instant: number): number | null {
    if (instant !== this.next) return this.job.plan?.recurrence.after(instant) ?? null;
    this.lookAhead();
    return this.following ?? null;
  }

  /** A cron expression takes a while to say what comes next: not when a run, or one of another job, is due. */
  lookAhead(): void {
    if (this.next !== null) this.following ??= this.job.plan?.recurrence.after(this.next) ?? null;
  }

  /** Runs what is due, and plans what comes after. Returns whether the job stays on the schedule. */
  runDue(now: number, runs: Runs): boolean {
    if (this.next === null || this.next > now) return true;
    const { due, missed, leftOut, last } = chooseDue(this.job, this.next, now, this.missed);
    this.countMissed(leftOut);
    this.missed = missed;
    this.plan(last, due.length > 0);
    for (const occurrence of due) this.start(occurrence, runs);
    return this.next !== null || this.isWaitingForEnd();
  }

  /** The overlap policy. */
  start(due: Due, runs: Runs): void {
    if (this.runs.length === 0) return this.launch(due, runs);
    const { overlap, queueLimit } = this.job.policy;
    switch (overlap) {
      case 'concurrent':
        return this.launch(due, runs);
      case 'queue':
        if (this.queue.length < queueLimit) {
          this.queue.push({ due, runs });
          return;
        }
        break;
      case 'cancel':
        return this.launch(due, runs, this.cancelForNext());
      case 'skip':
        break;
    }
    this.skip(due);
  }

  /** Runs it in the current task, beside whatever else of it goes on. */
  async runNow(now: number): Promise<unknown> {
    if (this.isOver(now)) return CancelJob;
    const value = await this.outOfTurn(now, (run) => run.track());
    return this.next === null && this.job.deadline !== null ? CancelJob : value;
  }

  /** As {@link runNow}; a failure is reported, and `CancelJob` obeyed. */
  async runReported(now: number): Promise<void> {
    if (this.isOver(now)) this.job.owner.cancelJob(this.job);
    else await this.outOfTurn(now, (run) => run.finish(null));
  }

  /** One occurrence that an engine has handed out, in the current task. Resolves to how it ended; a cancel is thrown. */
  async runHandedOut(due: Due): Promise<Outcome> {
    const run = new Run(this.job, due);
    this.runs.push(run);
    return await run.finish(null);
  }

  cancelRuns(reason: unknown): number {
    const runs = [...this.runs];
    for (const run of runs) run.task?.cancel(reason);
    return runs.length;
  }

  /** An occurrence that does not run since another run goes on. */
  skip(due: Due): void {
    this.missed += 1 + due.missedCount;
    this.countMissed(1);
  }

  /** A run begins, at this instant by the wall clock. */
  countRun(at: number): void {
    this.lastRun = at;
    this.runCount++;
  }

  /** A run has ended, after `duration` ms. What waits for its end is planned. */
  countEnd(outcome: Outcome, duration: number): void {
    this.lastOutcome = outcome;
    this.lastDuration = duration;
    if (outcome === 'failed') this.failureCount++;
    if (this.job.policy.mode === 'fixedDelay') this.planAfterEnd(this.job.now());
  }

  countMissed(count: number): void {
    if (count === 0) return;
    this.missedCount += count;
    traceMissed(this.job, count);
  }

  /** It is over: its place is free. */
  remove(run: Run): void {
    const last = this.runs.pop() as Run;
    if (last !== run) this.runs[this.runs.indexOf(run)] = last;
    if (this.queue.length > 0) this.takeFromQueue();
  }

  /** Nothing that waits in line will run. */
  clearQueue(): void {
    this.queue.length = 0;
  }

  describe(): JobStatus {
    const { job } = this;
    return {
      job: job.name,
      rule: job.rule(),
      tags: [...job.tags].map(String).join(', '),
      nextRun: job.nextRun,
      lastRun: job.lastRun,
      lastOutcome: this.lastOutcome,
      lastDuration: this.lastDuration === null ? null : Math.round(this.lastDuration),
      running: this.runs.length,
      queued: this.queue.length,
      runs: this.runCount,
      failures: this.failureCount,
      missed: this.missedCount,
    };
  }

  private isOver(now: number): boolean {
    return this.job.deadline !== null && now > this.job.deadline;
  }

  private async outOfTurn<R>(now: number, body: (run: Run) => R): Promise<Awaited<R>> {
    const run = new Run(this.job, { scheduledFor: now, missedCount: this.missed });
    this.missed = 0;
    if (this.next !== null && this.next <= now) this.plan(now, true);
    this.runs.push(run);
    try {
      return await body(run);
    } finally {
      this.job._planAnew();
    }
  }

  private plan(last: number, isRunning: boolean): void {
    const waitsForEnd = this.job.policy.mode === 'fixedDelay' && isRunning;
    this.moveTo(waitsForEnd ? null : this.after(last));
  }

  private isWaitingForEnd(): boolean {
    return this.job.policy.mode === 'fixedDelay' && this.runs.length > 0;
  }

  private launch(due: Due, runs: Runs, predecessors = NOBODY): void {
    const run = new Run(this.job, due);
    this.runs.push(run);
    const go = () => (predecessors.length > 0 ? this.goAfter(predecessors, run, due, runs) : run.finish(runs));
    if (!runs.start(go, this.job.name)) this.remove(run);
  }

  private async goAfter(predecessors: readonly Task<unknown>[], run: Run, due: Due, runs: Runs): Promise<void> {
    run.enter(runs);
    try {
      await wait(predecessors);
    } catch (error) {
      this.skip(due);
      this.remove(run);
      throw error;
    } finally {
      run.leave(runs);
    }
    await run.finish(runs);
  }

  /** A run that is not async is over when this sees it again. */
  private takeFromQueue(): void {
    if (this.isTakingFromQueue) return;
    this.isTakingFromQueue = true;
    while (this.runs.length === 0) {
      const first = this.queue.shift();
      if (first === undefined) break;
      this.launch(first.due, first.runs);
    }
    this.isTakingFromQueue = false;
  }

  /** A fixed delay begins when the run has ended. */
  private planAfterEnd(now: number): void {
    const { plan, owner } = this.job;
    if (this.next !== null) return;
    this.moveTo(plan?.recurrence.after(now) ?? null);
    if (this.next === null) owner.cancelJob(this.job);
    else owner._rearm(this.job);
  }

  private cancelForNext(): Task<unknown>[] {
    const before = [...this.runs].flatMap(({ task }) => (task === null ? [] : [task]));
    // Once: a second cancel would cut the cleanup short.
    for (const task of before) if (task.cancelling() === 0) task.cancel('its next run is due');
    return before;
  }
}
