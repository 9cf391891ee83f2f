import type { Job } from './job.ts';

/** One occurrence that is to be run. */
export interface Due {
  readonly scheduledFor: number;
  readonly missedCount: number;
  /** How often others have begun it already: a fleet's engine hands out again what a dead worker held. */
  readonly attemptsBefore?: number;
}

export interface Choice {
  /** What is run, in order. */
  readonly due: Due[];
  /** How many occurrences passed by after the last one that is run. */
  readonly missed: number;
  /** How many of those up to now are not run. */
  readonly leftOut: number;
  /** The last occurrence up to now, run or not. */
  readonly last: number;
}

/** Counting goes no further: a job of every second that slept for a year has missed 31 million. */
const MOST_COUNTED = 1_000;

/**
 * The misfire policy: which of the occurrences from `first` up to `now` are run. One that is late by more than the grace is
 * missed, whatever the policy; of the others `'all'` runs each, `'once'` and `'skip'` the last.
 *
 * @param missed how many were missed or skipped before `first`.
 */
export function chooseDue(job: Job, first: number, now: number, missed: number): Choice {
  const { misfire, grace, mode } = job.policy;
  const isAlone = mode === 'fixedDelay' || (job.runner.after(first) ?? Infinity) > now;
  // On time, as nearly always.
  if (isAlone && now - first <= grace && !isPastDeadline(job, first, now)) {
    return { due: [{ scheduledFor: first, missedCount: missed }], missed: 0, leftOut: 0, last: first };
  }
  const passed = isAlone ? [first] : occurrencesUpTo(job, first, now);
  const last = passed.at(-1) as number;
  const inTime = passed.filter((at) => now - at <= grace && !isPastDeadline(job, at, now));
  const chosen = misfire === 'all' ? inTime : inTime.slice(-1);
  const due: Due[] = [];
  for (const at of passed) {
    if (chosen.includes(at)) {
      due.push({ scheduledFor: at, missedCount: missed });
      missed = 0;
    } else {
      missed++;
    }
  }
  return { due, missed, leftOut: passed.length - due.length, last };
}

function occurrencesUpTo(job: Job, first: number, now: number): number[] {
  const recurrence = job.plan?.recurrence;
  const passed = [first];
  let at = recurrence?.after(first) ?? null;
  while (at !== null && at <= now) {
    if (passed.length >= MOST_COUNTED) return [...passed, latestUpTo(job, at, now)];
    passed.push(at);
    at = recurrence?.after(at) ?? null;
  }
  return passed;
}

/** The last occurrence up to now, without walking through all that lie between: back from now in growing steps. */
function latestUpTo(job: Job, known: number, now: number): number {
  const recurrence = job.plan?.recurrence;
  for (let back = 1_000; now - back > known; back *= 2) {
    let at = recurrence?.after(now - back) ?? null;
    if (at === null || at > now) continue;
    for (let next: number | null = at; next !== null && next <= now; next = recurrence?.after(next) ?? null) at = next;
    return at;
  }
  return known;
}

/** A timer is late by a few ms: a run at the very deadline still happens, one after a long sleep does not. */
const TIMER_SLACK = 1_000;

function isPastDeadline({ deadline }: Job, at: number, now: number): boolean {
  return deadline !== null && (at > deadline || (now > deadline && now - at > TIMER_SLACK));
}
