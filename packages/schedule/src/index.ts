/**
 * Jobs that run on time and can be cancelled.
 *
 *   saying when      scheduler.ts, job.ts, plan.ts          every(10).minutes, cron, once, interval
 *   computing when   time/                                  recurrences on instants, and on the clock on the wall
 *   running          live.ts, job-runner.ts, due.ts, run.ts timers, overlap, misfire, one run with its retries
 *   many machines    fleet/, bullmq.ts, pg-boss.ts          the engine hands each occurrence out once
 *   looking in       job-status.ts, status-page.ts, trace.ts, clock-watch.ts
 */

export { CancelJob } from './cancel-job.ts';
export type { ClockStep } from './clock-watch.ts';
export {
  cancelJob,
  clear,
  cron,
  defaultScheduler,
  describe,
  every,
  getJobs,
  idle,
  interval,
  nextRun,
  once,
  repeat,
  runAll,
  runForever,
  runPending,
  start,
  stop,
} from './default-scheduler.ts';
export { IntervalError, ScheduleError, ScheduleValueError } from './errors.ts';
export type { Backend } from './fleet/engine.ts';
export { Job, type JobArgs, type Tag } from './job.ts';
export type { JobContext } from './job-context.ts';
export type { JobOptions, Misfire, Overlap, RetryOptions } from './job-options.ts';
export type { JobStatus } from './job-status.ts';
export type { Unit, Weekday } from './job-units.ts';
export type { Outcome } from './run.ts';
export { Scheduler, type SchedulerOptions } from './scheduler.ts';
export { statusPage } from './status-page.ts';
export type { StopOptions, StopReport } from './stopping.ts';
export type { DurationInput, InstantInput, PlainInput } from './time/instant.ts';
export type { PlainTimeInput, UntilInput } from './time/until.ts';
export type { FoldChoice, GapChoice } from './time/wall-recurrence.ts';
