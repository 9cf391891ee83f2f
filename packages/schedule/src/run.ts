import { currentTask, getRunningLoop, isCancelled, sleep, type Task, timeout } from '@aiokit/core';
import type { Due } from './due.ts';
import type { Job } from './job.ts';
import { type JobContext, RunContext } from './job-context.ts';
import type { Runs } from './job-runner.ts';
import { isTraced, tracedRun } from './trace.ts';

export type Outcome = 'done' | 'failed' | 'cancelled';

/** One run of a job, with its retries. */
export class Run {
  readonly job: Job;
  readonly due: Due;
  attempt = 0;
  /** When this attempt began, by the wall clock. */
  begunAt: number;
  /** The task it runs in, or in which it waits for its predecessor to end. */
  task: Task<unknown> | null = null;

  constructor(job: Job, due: Due) {
    this.job = job;
    this.due = due;
    this.begunAt = due.scheduledFor;
  }

  /** Its first attempt begins, in the current task. */
  begin(): void {
    this.begunAt = this.job.now();
    this.task = currentTask();
  }

  /** It goes on in the current task, or waits there. */
  enter(runs: Runs | null): void {
    this.task = currentTask();
    if (this.task !== null) runs?.enter(this.task, this.job.name);
  }

  leave(runs: Runs | null): void {
    if (this.task !== null) runs?.leave(this.task);
  }

  /**
   * Attempt after attempt, until one succeeds or none is left.
   *
   * @throws the last attempt's error; the cancel.
   */
  execute(): unknown {
    return this.job.policy.retry.limit === 0 ? this.attemptOnce() : this.withRetries();
  }

  context(): JobContext {
    return new RunContext(this);
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
export function wasCancelled(error: unknown): boolean {
  return isCancelled(error) && (currentTask()?.cancelling() ?? 0) > 0;
}

/** Errors never pass in silence: `onError`, or the loop's exception handler. */
export async function report(run: Run, error: unknown): Promise<void> {
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
