import type { Job } from '../job.ts';
import type { Occurrence } from './engine.ts';

/** When a job runs, as text: two versions of the code mean the same if it is equal. */
export function ruleOf(job: Job): string {
  const { gap, fold, jitter, seed } = job.policy;
  return [job.rule(), gap, fold, jitter, seed, job.deadline].map((part) => part ?? '').join('|');
}

/** Whether the job's own rule has it run then. */
export function isOccurrence(job: Job, at: number): boolean {
  return job.plan?.recurrence.after(at - 1) === at;
}

export function occurrencesOf(job: Job, times: readonly number[]): Occurrence[] {
  return times.map((at) => ({ job: job.name, at, rule: ruleOf(job) }));
}

/** What comes after an instant by the job's rule and before its end: one or none. */
export function occurrenceAfter(job: Job, instant: number): number[] {
  const next = job.runner.after(instant);
  return next === null || (job.deadline !== null && next > job.deadline) ? [] : [next];
}
