import { currentTask, getRunningLoop, isCancelled, sleep, type Task, timeout } from '@aiokit/core';
import { CancelJob } from './cancel-job.ts';
import { isThenable } from './check.ts';
import type { Due } from './due.ts';
import type { Job } from './job.ts';
import { type JobContext, RunContext } from './job-context.ts';
import type { Runs } from './job-runner.ts';
import { isTraced, tracedRun } from './trace.ts';

export type Outcome = 'done' | 'failed' | 'cancelled';

/** One run of a job, with its retries, and what comes of it. */
export class Run {
  readonly job: Job;
  readonly due: Due;
  attempt = 0;
  /** When this attempt began, by the wall clock. */
  begunAt: number;
  /** The task it runs in, or in which it waits for its predecessor to end. */
  task: Task<unknown> | null = null;
  /** When its first attempt began, by the loop's clock. */
  private startedAt = 0;

  constructor(job: Job, due: Due) {
    this.job = job;
    this.due = due;
    this.begunAt = due.scheduledFor;
  }

  /**
   * Runs to the end, in the current task, and sees to what came of it: a failure is reported, `CancelJob` obeyed. Only a
   * cancel is thrown. What is not async ends at once: promises for it would cost more than all the rest.
   *
   * @param runs where the task was started for this run alone.
   */
  finish(runs: Runs | null): Outcome | Promise<Outcome> {
    this.begin();
    let value: unknown;
    try {
      value = this.execute();
      if (isThenable(value)) return this.finishLater(runs, value);
    } catch (error) {
      return this.finishLater(runs, Promise.reject(error));
    }
    this.succeed(value);
    this.job.runner.remove(this);
    return 'done';
  }

  /** Runs to the end, in the current task, and leaves what comes of it to the caller. */
  async track(): Promise<unknown> {
    this.begin();
    try {
      const value = await this.execute();
      this.end('done');
      return value;
    } catch (error) {
      this.endWith(error);
      throw error;
    } finally {
      this.job.runner.remove(this);
    }
  }

  /** It goes on in the current task, or waits there. */
  enter(runs: Runs | null): void {
    this.task = currentTask();
    if (this.task !== null) runs?.enter(this.task, this.job.name);
  }

  leave(runs: Runs | null): void {
    if (this.task !== null) runs?.leave(this.task);
  }

  context(): JobContext {
    return new RunContext(this);
  }

  private async finishLater(runs: Runs | null, result: PromiseLike<unknown>): Promise<Outcome> {
    this.enter(runs);
    try {
      this.succeed(await result);
      return 'done';
    } catch (error) {
      if (this.endWith(error)) throw error;
      await report(this, error);
      return 'failed';
    } finally {
      this.leave(runs);
      this.job.runner.remove(this);
    }
  }

  private begin(): void {
    this.begunAt = this.job.now();
    this.startedAt = getRunningLoop().clock.now();
    this.task = currentTask();
    this.job.runner.countRun(this.begunAt);
  }

  private succeed(value: unknown): void {
    this.end('done');
    if (CancelJob.is(value)) this.job.owner._retire(this.job);
  }

  /** Returns whether the error is the cancel of this very task. */
  private endWith(error: unknown): boolean {
    const isCancel = wasCancelled(error);
    this.end(isCancel ? 'cancelled' : 'failed');
    return isCancel;
  }

  private end(outcome: Outcome): void {
    this.job.runner.countEnd(outcome, getRunningLoop().clock.now() - this.startedAt);
  }

  /**
   * Attempt after attempt, until one succeeds or none is left.
   *
   * @throws the last attempt's error; the cancel.
   */
  private execute(): unknown {
    return this.job.policy.retry.limit === 0 ? this.attemptOnce() : this.withRetries();
  }

  private async withRetries(): Promise<unknown> {
    const { retry } = this.job.policy;
    let delay = retry.delay;
    for (let retriesLeft = retry.limit; ; retriesLeft--) {
      try {
        return await this.attemptOnce();
      } catch (error) {
        if (wasCancelled(error) || retriesLeft <= 0) throw error;
      }
      await sleep(Math.min(delay, retry.maxDelay));
      delay *= retry.factor;
      this.begunAt = this.job.now();
    }
  }

  private attemptOnce(): unknown {
    this.attempt++;
    return isTraced() ? tracedRun(this, () => this.call()) : this.call();
  }

  private call(): unknown {
    const { job } = this;
    if (job.policy.timeout === null) return job.call?.(this.context());
    return timeout(job.policy.timeout, () => job.call?.(this.context()));
  }
}

/** Whether this task was asked to end. A CancelledError that nobody sent to it is a failure like any other. */
function wasCancelled(error: unknown): boolean {
  return isCancelled(error) && (currentTask()?.cancelling() ?? 0) > 0;
}

/** Errors never pass in silence: `onError`, or the loop's exception handler. */
async function report(run: Run, error: unknown): Promise<void> {
  const { job } = run;
  const loop = getRunningLoop();
  const when = new Date(run.due.scheduledFor).toISOString();
  const tell = (message: string, exception: unknown) =>
    loop.callExceptionHandler({ message, exception, task: currentTask() ?? undefined });
  if (job.policy.onError === null) return tell(`Job ${job.name}, scheduled for ${when}, failed`, error);
  try {
    await job.policy.onError(error, run.context());
  } catch (thrown) {
    if (wasCancelled(thrown)) throw thrown;
    tell(`Job ${job.name}, scheduled for ${when}, failed`, error);
    tell(`onError of job ${job.name} failed itself`, thrown);
  }
}
