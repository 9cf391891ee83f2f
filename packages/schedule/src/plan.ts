/**
 * From what was said about a job to when it happens: the recurrence, and the first run.
 *
 * The first run follows `schedule`'s rule: from now, to the weekday, to the time; one interval on if it is longer than one
 * unit; then on until it is in the future. So `every(2).days.at('11:30')` said at 11:29 first runs in two days. From there on
 * the grid is even: unlike there, a run that began late does not push the next one back.
 *
 * On a fleet no instance knows when another began, so grids are laid through 1970-01-01 instead of through now.
 */
import { IntervalError, ScheduleValueError } from './errors.ts';
import type { Job, Unit } from './job.ts';
import type { JobOptions, Policy } from './job-options.ts';
import type { AtTime } from './time/at-time.ts';
import type { CronPattern } from './time/cron-pattern.ts';
import { Jitter, RandomInterval, seededDraw } from './time/random.ts';
import { Delay, EveryNth, Interval, Once, type Recurrence } from './time/recurrence.ts';
import { WallGrid, type WallPattern, WallRecurrence } from './time/wall-recurrence.ts';
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

export const UNIT_MS: Record<Unit, number> = {
  seconds: 1_000,
  minutes: 60_000,
  hours: 3_600_000,
  days: 86_400_000,
  weeks: 604_800_000,
};

export function planOf(job: Job, trigger: Trigger, circumstances: Circumstances): Plan {
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
      return elapsed(isFleet ? 0 : now, trigger.ms, now);
    case 'cron':
      return wall(trigger.pattern, trigger.pattern.isEveryHour, circumstances);
    case 'every':
      return job.latest === null ? everyPlan(job, job.unit as Unit, circumstances) : randomPlan(job, circumstances);
  }
}

function everyPlan(job: Job, unit: Unit, circumstances: Circumstances): Plan {
  const { now, isFleet } = circumstances;
  const { interval, time } = job;
  const period = interval * UNIT_MS[unit];
  if (unit === 'days' || unit === 'weeks') return calendarPlan(job, unit, circumstances);
  if (time === null) return elapsed(isFleet ? 0 : now, period, now);
  if (unit === 'minutes') {
    const anchor = isFleet ? time.second * 1_000 : startOf(now, UNIT_MS.minutes) + time.second * 1_000;
    return elapsed(anchor, period, now, !isFleet);
  }
  const minute = time.minute * UNIT_MS.minutes + time.second * UNIT_MS.seconds;
  const hourly = wall(new WallGrid(minute, UNIT_MS.hours), true, circumstances);
  if (interval === 1) return hourly;
  const { zone } = circumstances;
  const here = zone.wall(now);
  const anchor = isFleet ? 0 : zone.instant(startOf(here, UNIT_MS.hours) + minute);
  const recurrence = new EveryNth(hourly.recurrence, UNIT_MS.hours, interval, anchor);
  return { recurrence, first: recurrence.after(isFleet ? now : Math.max(now, anchor + period - 1)), isElapsed: false };
}

/** Days and weeks: the same time of day, whatever the clocks do. */
function calendarPlan(job: Job, unit: 'days' | 'weeks', circumstances: Circumstances): Plan {
  const { now, zone, isFleet } = circumstances;
  const { interval, time, weekday } = job;
  const period = interval * UNIT_MS[unit];
  if (!Number.isInteger(interval)) {
    throw new IntervalError(`every(${interval}).${unit}: days and weeks are whole ones. Take hours, or interval(ms)`);
  }
  if (isFleet && time === null) {
    throw new ScheduleValueError(
      `every(${interval}).${unit} on a fleet needs .at('HH:MM'): instances that began at different times cannot agree on one`,
    );
  }
  const here = zone.wall(now);
  const day = UNIT_MS.days;
  // 1970-01-01 was a Thursday.
  const ahead = weekday === null ? 0 : (weekday - weekdayOf(here) + 7) % 7;
  const base = (time === null ? here : startOf(here, day) + inMs(time)) + ahead * day;
  const anchor = isFleet ? (weekday === null ? 0 : ((weekday + 4) % 7) * day) + inMs(time as AtTime) : base;
  const plan = wall(new WallGrid(anchor, period), false, circumstances);
  if (isFleet || interval === 1) return plan;
  return { ...plan, first: plan.recurrence.after(zone.instant(base + period) - 1) };
}

function randomPlan(job: Job, { now, policy, isFleet }: Circumstances): Plan {
  const latest = job.latest as number;
  const unit = UNIT_MS[job.unit as Unit];
  if (isFleet) {
    throw new ScheduleValueError(
      `every(${job.interval}).to(${latest}) on a fleet: instances cannot agree on random intervals. Take every(n) with jitter`,
    );
  }
  if (job.time !== null) {
    throw new ScheduleValueError(
      `to(${latest}) and at('${job.atTime}') contradict each other: the time is random, or given`,
    );
  }
  const draw = seededDraw(policy.seed ?? Math.random());
  const recurrence = new RandomInterval(now, job.interval, latest, unit, draw);
  return { recurrence, first: recurrence.after(now), isElapsed: true };
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
      `mode: 'fixedDelay' of ${job}: only every(n) seconds, minutes or hours and interval(ms) have a delay between runs`,
    );
  }
  return { ...plan, recurrence: new Delay(period) };
}

function elapsed(anchor: number, period: number, now: number, skipsFirst = false): Plan {
  const recurrence = new Interval(anchor, period);
  const isLonger = skipsFirst && period > UNIT_MS.minutes;
  return { recurrence, first: recurrence.after(isLonger ? anchor : now), isElapsed: true };
}

function wall(
  pattern: WallPattern,
  isEveryHour: boolean,
  { now, zone, policy, hasOwnZone, isFleet }: Circumstances,
): Plan {
  if (isFleet && !hasOwnZone) {
    throw new ScheduleValueError(
      "A job by wall-clock time on a fleet needs a timeZone, such as 'UTC': machines need not have the same one",
    );
  }
  const gap = policy.gap ?? (isEveryHour ? 'skip' : 'shift');
  const fold = policy.fold ?? (isEveryHour ? 'both' : 'first');
  const recurrence = new WallRecurrence(pattern, zone, gap, fold);
  return { recurrence, first: recurrence.after(now), isElapsed: false };
}

function refuseWallSettings(job: Job, { own, policy }: Circumstances): void {
  for (const key of ['gap', 'fold', 'timeZone'] as const) {
    if (own[key] === undefined) continue;
    throw new ScheduleValueError(`${key} of ${job}: it counts elapsed time, which no change of the clocks can touch`);
  }
  const period = job.latest === null ? job.period : null;
  if (period !== null && policy.jitter >= period) {
    throw new ScheduleValueError(
      `jitter of ${job} must be shorter than its interval, ${period} ms, got ${policy.jitter}`,
    );
  }
}

function startOf(time: number, unit: number): number {
  return Math.floor(time / unit) * unit;
}

/** 0 for Monday, 6 for Sunday. */
function weekdayOf(wallTime: number): number {
  return (((Math.floor(wallTime / UNIT_MS.days) + 3) % 7) + 7) % 7;
}

function inMs({ hour, minute, second }: AtTime): number {
  return hour * UNIT_MS.hours + minute * UNIT_MS.minutes + second * UNIT_MS.seconds;
}
