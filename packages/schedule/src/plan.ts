/**
 * From what was said about a job to when it happens: the recurrence, and the first run.
 *
 * On a fleet no instance knows when another began, so grids are laid through 1970-01-01 instead of through now.
 */
import { IntervalError, ScheduleValueError } from './errors.ts';
import { everyPlan } from './every-plan.ts';
import type { Job } from './job.ts';
import type { JobOptions, Policy } from './job-options.ts';
import type { Unit } from './job-units.ts';
import { elapsedPlan, UNIT_MS, wallPlan } from './simple-plans.ts';
import type { CronPattern } from './time/cron-pattern.ts';
import { Jitter, seededDraw } from './time/random.ts';
import { Delay, Once, type Recurrence } from './time/recurrence.ts';
import type { Zone } from './time/zone.ts';

export interface Plan {
  readonly recurrence: Recurrence;
  /** The first occurrence; `null` if there will be none. */
  readonly first: number | null;
  /** Whether it counts elapsed time, and no clock on a wall matters to it. */
  readonly isElapsed: boolean;
}

/** How a job's times are made, before it is known what else was said about it. */
export type Trigger =
  | { readonly kind: 'every' }
  | { readonly kind: 'cron'; readonly pattern: CronPattern; readonly text: string }
  | { readonly kind: 'once'; readonly at: number }
  | { readonly kind: 'interval'; readonly ms: number };

export interface Circumstances {
  readonly now: number;
  readonly zone: Zone;
  /** Whether the job itself, not its scheduler, says which zone. */
  readonly hasOwnZone: boolean;
  readonly own: JobOptions;
  readonly policy: Policy;
  readonly isFleet: boolean;
}

export function planOf(job: Job, trigger: Trigger, circumstances: Circumstances): Plan {
  requireReachable(job, circumstances.now);
  const base = basePlan(job, trigger, circumstances);
  const { policy } = circumstances;
  if (base.isElapsed) refuseWallSettings(job, circumstances);
  const jittered = policy.jitter > 0 ? withJitter(job, base, circumstances) : base;
  if (policy.mode === 'fixedRate') return jittered;
  return withFixedDelay(job, trigger, jittered);
}

function basePlan(job: Job, trigger: Trigger, circumstances: Circumstances): Plan {
  const { now, isFleet } = circumstances;
  switch (trigger.kind) {
    case 'once':
      return {
        recurrence: new Once(trigger.at),
        first: trigger.at > now || !isFleet ? trigger.at : null,
        isElapsed: false,
      };
    case 'interval':
      return elapsedPlan(isFleet ? 0 : now, trigger.ms, now);
    case 'cron':
      return cronPlan(trigger.pattern, trigger.text, circumstances);
    case 'every':
      return everyPlan(job, circumstances);
  }
}

function cronPlan(pattern: CronPattern, text: string, circumstances: Circumstances): Plan {
  const plan = wallPlan(pattern, pattern.isEveryHour, circumstances);
  if (plan.first !== null || circumstances.isFleet) return plan;
  throw new ScheduleValueError(`cron('${text}') never happens again`);
}

/** Where Dates end, ms since 1970. */
const END_OF_TIME = 8.64e15;

function requireReachable(job: Job, now: number): void {
  const { period } = job;
  if (period === null || now + (period / job.interval) * (job.latest ?? job.interval) <= END_OF_TIME) return;
  throw new IntervalError(`'${job.rule()}': its first run would be after the end of time that a Date can hold`);
}

function withJitter(job: Job, plan: Plan, { policy, now, isFleet }: Circumstances): Plan {
  const seed = policy.seed ?? (isFleet ? job.name : Math.random());
  const recurrence = new Jitter(plan.recurrence, policy.jitter, seededDraw(seed));
  const from = isFleet || plan.first === null ? now : plan.first - 1;
  return { ...plan, recurrence, first: plan.first === null ? null : recurrence.after(from) };
}

function withFixedDelay(job: Job, trigger: Trigger, plan: Plan): Plan {
  const period = trigger.kind === 'interval' ? trigger.ms : job.interval * UNIT_MS[job.unit as Unit];
  const isPlain =
    trigger.kind === 'interval' || (trigger.kind === 'every' && job.time === null && job.weekday === null);
  if (!isPlain || job.latest !== null || !plan.isElapsed) {
    throw new ScheduleValueError(
      `mode: 'fixedDelay' of '${job.rule()}': only every(n) seconds, minutes or hours and interval(ms) have a delay between runs`,
    );
  }
  return { ...plan, recurrence: new Delay(period) };
}

function refuseWallSettings(job: Job, { own, policy }: Circumstances): void {
  for (const key of ['gap', 'fold', 'timeZone'] as const) {
    if (own[key] === undefined) continue;
    throw new ScheduleValueError(
      `${key} of '${job.rule()}': it counts elapsed time, which no change of the clocks can touch`,
    );
  }
  const period = job.latest === null ? job.period : null;
  if (period !== null && policy.jitter >= period) {
    throw new ScheduleValueError(
      `jitter of '${job.rule()}' must be shorter than its interval, ${period} ms, got ${policy.jitter}`,
    );
  }
}
