import { currentSignal } from '@aiokit/core';
import type { Job } from './job.ts';
import type { Run } from './run.ts';

/** What a job's function is given after its own arguments: which of its runs this is. */
export interface JobContext {
  readonly job: Job;
  /** The occurrence that this run is for. */
  readonly scheduledFor: Date;
  /** How many ms after `scheduledFor` this attempt began. */
  readonly lateBy: number;
  /** How many occurrences since the last run had none of their own: they were missed, or skipped as it took too long. */
  readonly missedCount: number;
  /** 1, and one more for each retry. */
  readonly attempt: number;
  /** Aborts when the run is cancelled or its time is up. For APIs that take no task but a signal. */
  readonly signal: AbortSignal;
}

export class RunContext implements JobContext {
  readonly job: Job;
  readonly scheduledFor: Date;
  readonly lateBy: number;
  readonly missedCount: number;
  readonly attempt: number;

  constructor({ job, due, attempt, begunAt }: Run) {
    this.job = job;
    this.scheduledFor = new Date(due.scheduledFor);
    this.lateBy = Math.max(0, begunAt - due.scheduledFor);
    this.missedCount = due.missedCount;
    this.attempt = attempt + (due.attemptsBefore ?? 0);
  }

  /** Made only when somebody reads it. */
  get signal(): AbortSignal {
    return currentSignal();
  }
}
