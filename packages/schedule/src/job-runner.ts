/**
 * What goes on with one job: which occurrence comes next, which runs go on, and what becomes of one that is due meanwhile.
 */
import { currentTask, getRunningLoop, type Task, wait } from '@aiokit/core';
import { CancelJob } from './cancel-job.ts';
import { chooseDue, type Due } from './due.ts';
import type { Job } from './job.ts';
import type { JobStatus } from './job-status.ts';
import { type Outcome, Run, report, wasCancelled } from './run.ts';
import { traceMissed } from './trace.ts';

/** Where runs go on. */
export interface Runs {
  /** Starts a task, at once: its first step is over when this returns. `null` if no more may be started. */
  start(fn: () => Promise<void>, name: string): Task<void> | null;
  /** The last that a task does: a done callback would cost as much as the rest of a small run. */
  leave(task: Task<unknown>): void;
}

const NOBODY: readonly Task<unknown>[] = [];

export class JobRunner {
  /** The next occurrence, in ms since 1970. */
  next: number | null = null;
  readonly runs = new Set<Run>();
  lastRun: number | null = null;
  private readonly job: Job;
  private readonly queue: Due[] = [];
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
  }

  /** Runs what is due, and plans what comes after. Returns whether the job stays on the schedule. */
  runDue(now: number, runs: Runs): boolean {
    if (this.next === null || this.next > now) return true;
    const { due, missed, last } = chooseDue(this.job, this.next, now, this.missed);
    this.countMissed(missed + due.reduce((sum, { missedCount }) => sum + missedCount, -this.missed));
    this.missed = missed;
    this.plan(last, due.length > 0);
    for (const occurrence of due) this.start(occurrence, runs);
    return this.next !== null || this.isWaitingForEnd();
  }

  /** The overlap policy. */
  start(due: Due, runs: Runs): void {
    if (this.runs.size === 0) return this.launch(due, runs);
    const { overlap, queueLimit } = this.job.policy;
    switch (overlap) {
      case 'concurrent':
        return this.launch(due, runs);
      case 'queue':
        if (this.queue.length < queueLimit) {
          this.queue.push(due);
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
    const value = await this.outOfTurn(now, (run) => this.track(run));
    return this.next === null && this.job.deadline !== null ? CancelJob : value;
  }

  /** As {@link runNow}; a failure is reported, and `CancelJob` obeyed. */
  async runReported(now: number): Promise<void> {
    if (this.isOver(now)) this.job.owner.cancelJob(this.job);
    else await this.outOfTurn(now, (run) => this.finish(run));
  }

  /** One occurrence that an engine has handed out, in the current task. Resolves to how it ended; a cancel is thrown. */
  async runHandedOut(due: Due): Promise<Outcome> {
    return await this.inCurrentTask(new Run(this.job, due), (run) => this.finish(run));
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
      lastDuration: this.lastDuration,
      running: this.runs.size,
      queued: this.queue.length,
      runs: this.runCount,
      failures: this.failureCount,
      missed: this.missedCount,
    };
  }

  private isOver(now: number): boolean {
    return this.job.deadline !== null && now > this.job.deadline;
  }

  private async outOfTurn<R>(now: number, body: (run: Run) => Promise<R>): Promise<R> {
    const run = new Run(this.job, { scheduledFor: now, missedCount: this.missed });
    this.missed = 0;
    if (this.next !== null && this.next <= now) this.plan(now, true);
    try {
      return await this.inCurrentTask(run, body);
    } finally {
      this.job._planAnew();
    }
  }

  private async inCurrentTask<R>(run: Run, body: (run: Run) => Promise<R>): Promise<R> {
    run.task = currentTask();
    this.runs.add(run);
    try {
      return await body(run);
    } finally {
      this.runs.delete(run);
    }
  }

  private plan(last: number, isRunning: boolean): void {
    const { plan, policy } = this.job;
    if (policy.mode === 'fixedDelay' && isRunning) this.next = null;
    else this.moveTo(plan?.recurrence.after(last) ?? null);
  }

  private isWaitingForEnd(): boolean {
    return this.job.policy.mode === 'fixedDelay' && this.runs.size > 0;
  }

  private launch(due: Due, runs: Runs, predecessors = NOBODY): void {
    const run = new Run(this.job, due);
    this.runs.add(run);
    const task = runs.start(() => this.go(run, due, predecessors, runs), this.job.name);
    if (task === null) this.runs.delete(run);
  }

  private async go(run: Run, due: Due, predecessors: readonly Task<unknown>[], runs: Runs): Promise<void> {
    const task = currentTask() as Task<unknown>;
    run.task = task;
    try {
      if (predecessors.length > 0) await wait(predecessors);
      await this.finish(run);
    } finally {
      this.runs.delete(run);
      runs.leave(task);
      if (run.startedAt === null) this.skip(due);
      this.takeFromQueue(runs);
    }
  }

  private takeFromQueue(runs: Runs): void {
    if (this.queue.length === 0 || this.runs.size > 0) return;
    this.launch(this.queue.shift() as Due, runs);
  }

  /** Runs to the end and sees to what came of it: a failure is reported, `CancelJob` obeyed. Only a cancel is thrown. */
  private async finish(run: Run): Promise<Outcome> {
    const startedAt = this.begin();
    let value: unknown;
    try {
      value = await run.execute();
    } catch (error) {
      const isCancel = this.endWith(error, startedAt);
      if (isCancel) throw error;
      await report(run, error);
      return 'failed';
    }
    this.end('done', startedAt);
    if (CancelJob.is(value)) this.job.owner._retire(this.job);
    return 'done';
  }

  /** Runs to the end, and leaves what comes of it to the caller. */
  private async track(run: Run): Promise<unknown> {
    const startedAt = this.begin();
    try {
      const value = await run.execute();
      this.end('done', startedAt);
      return value;
    } catch (error) {
      this.endWith(error, startedAt);
      throw error;
    }
  }

  private begin(): number {
    const { clock } = getRunningLoop();
    this.lastRun = clock.wallTime();
    this.runCount++;
    return clock.now();
  }

  /** Returns whether the error is the cancel of this very task. */
  private endWith(error: unknown, startedAt: number): boolean {
    const isCancel = wasCancelled(error);
    if (!isCancel) this.failureCount++;
    this.end(isCancel ? 'cancelled' : 'failed', startedAt);
    return isCancel;
  }

  private end(outcome: Outcome, startedAt: number): void {
    const { clock } = getRunningLoop();
    this.lastOutcome = outcome;
    this.lastDuration = clock.now() - startedAt;
    if (this.job.policy.mode === 'fixedDelay') this.planAfterEnd(clock.wallTime());
  }

  /** A fixed delay begins when the run has ended. */
  private planAfterEnd(now: number): void {
    const { plan, owner } = this.job;
    if (this.next !== null) return;
    this.moveTo(plan?.recurrence.after(now) ?? null);
    owner._rearm(this.job);
  }

  private cancelForNext(): Task<unknown>[] {
    const before = [...this.runs].flatMap(({ task }) => (task === null ? [] : [task]));
    // Once: a second cancel would cut the cleanup short.
    for (const task of before) if (task.cancelling() === 0) task.cancel('its next run is due');
    return before;
  }

  countMissed(count: number): void {
    if (count === 0) return;
    this.missedCount += count;
    traceMissed(this.job, count);
  }
}
