import { ScheduleValueError } from './errors.ts';
import type { Unit } from './job-units.ts';
import type { Circumstances, Plan } from './plan.ts';
import { Interval } from './time/recurrence.ts';
import { type WallPattern, WallRecurrence } from './time/wall-recurrence.ts';

export const UNIT_MS: Record<Unit, number> = {
  seconds: 1_000,
  minutes: 60_000,
  hours: 3_600_000,
  days: 86_400_000,
  weeks: 604_800_000,
};

/** Every `period` ms of elapsed time. */
export function elapsedPlan(anchor: number, period: number, now: number, skipsFirst = false): Plan {
  const recurrence = new Interval(anchor, period);
  const isLonger = skipsFirst && period > UNIT_MS.minutes;
  return { recurrence, first: recurrence.after(isLonger ? anchor : now), isElapsed: true };
}

/** By what the clock on the wall shows. */
export function wallPlan(
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
