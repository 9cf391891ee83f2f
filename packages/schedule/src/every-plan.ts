/**
 * The plan of `every(n)`.
 *
 * The first run follows `schedule`'s rule: from now, to the weekday, to the time; one interval on if it is longer than one
 * unit; then on until it is in the future. So `every(2).days.at('11:30')` said at 11:29 first runs in two days. From there on
 * the grid is even: unlike there, a run that began late does not push the next one back.
 */
import { IntervalError, ScheduleValueError } from './errors.ts';
import type { Job } from './job.ts';
import type { Unit } from './job-units.ts';
import type { Circumstances, Plan } from './plan.ts';
import { elapsedPlan, UNIT_MS, wallPlan } from './simple-plans.ts';
import type { AtTime } from './time/at-time.ts';
import { RandomSteps, type Step, seededDraw } from './time/random.ts';
import { EveryNth, type Recurrence } from './time/recurrence.ts';
import { WallGrid } from './time/wall-recurrence.ts';

export function everyPlan(job: Job, circumstances: Circumstances): Plan {
  return job.latest === null ? evenPlan(job, circumstances) : randomPlan(job, circumstances);
}

function evenPlan(job: Job, circumstances: Circumstances): Plan {
  const { now, isFleet } = circumstances;
  const { interval, time } = job;
  const unit = job.unit as Unit;
  const period = interval * UNIT_MS[unit];
  if (unit === 'days' || unit === 'weeks') return calendarPlan(job, unit, circumstances);
  if (time === null) return elapsedPlan(isFleet ? 0 : now, period, now);
  if (unit === 'minutes') {
    const anchor = isFleet ? time.second * 1_000 : startOf(now, UNIT_MS.minutes) + time.second * 1_000;
    return elapsedPlan(anchor, period, now, !isFleet);
  }
  const hourly = hourlyPlan(time, circumstances);
  if (interval === 1) return hourly;
  const anchor = isFleet ? 0 : timeOfThisHour(time, circumstances);
  const recurrence = new EveryNth(hourly.recurrence, UNIT_MS.hours, interval, anchor);
  return { recurrence, first: recurrence.after(isFleet ? now : Math.max(now, anchor + period - 1)), isElapsed: false };
}

function hourlyPlan(time: AtTime, circumstances: Circumstances): Plan {
  return wallPlan(new WallGrid(inMs(time), UNIT_MS.hours), true, circumstances);
}

function timeOfThisHour(time: AtTime, { zone, now }: Circumstances): number {
  return zone.instant(startOf(zone.wall(now), UNIT_MS.hours) + inMs(time));
}

/** Days and weeks: the same time of day, whatever the clocks do. */
function calendarPlan(job: Job, unit: 'days' | 'weeks', circumstances: Circumstances): Plan {
  const { zone, isFleet } = circumstances;
  const { interval, time, weekday } = job;
  const period = interval * UNIT_MS[unit];
  requireWhole(interval, `every(${interval}).${unit}`);
  if (isFleet && time === null) {
    throw new ScheduleValueError(
      `every(${interval}).${unit} on a fleet needs .at('HH:MM'): instances that began at different times cannot agree on one`,
    );
  }
  const base = timeOfThisDay(job, circumstances);
  // 1970-01-01 was a Thursday.
  const anchor = isFleet ? (weekday === null ? 0 : ((weekday + 4) % 7) * UNIT_MS.days) + inMs(time as AtTime) : base;
  const plan = wallPlan(new WallGrid(anchor, period), false, circumstances);
  if (isFleet || interval === 1) return plan;
  return { ...plan, first: plan.recurrence.after(zone.instant(base + period) - 1) };
}

/** On the wall: the job's time today, or on its weekday from today on. */
function timeOfThisDay({ time, weekday }: Job, { now, zone }: Circumstances): number {
  const here = zone.wall(now);
  const ahead = weekday === null ? 0 : (weekday - weekdayOf(here) + 7) % 7;
  return (time === null ? here : startOf(here, UNIT_MS.days) + inMs(time)) + ahead * UNIT_MS.days;
}

function requireWhole(count: number, what: string): void {
  if (Number.isInteger(count)) return;
  throw new IntervalError(`${what}: days and weeks are whole ones. Take hours, or interval(ms)`);
}

/** `to()`: as everyPlan, and how many units lie between two runs is drawn. */
function randomPlan(job: Job, circumstances: Circumstances): Plan {
  const { now, zone, policy, isFleet } = circumstances;
  const { interval, time } = job;
  const latest = job.latest as number;
  const name = job.unit as Unit;
  const unit = UNIT_MS[name];
  if (isFleet) {
    throw new ScheduleValueError(
      `every(${interval}).to(${latest}) on a fleet: instances cannot agree on random intervals. Take every(n) with jitter`,
    );
  }
  const draw = seededDraw(policy.seed ?? Math.random());
  const steps = (anchor: number, step: Step) => new RandomSteps(anchor, interval, latest, draw, step);
  // One unit on from today's time is today, if that is still to come.
  const firstOf = (recurrence: Recurrence, count: number, anchor: number) =>
    recurrence.after(count === 1 ? now : Math.max(now, anchor));

  if (name === 'days' || name === 'weeks') {
    for (const count of [interval, latest]) requireWhole(count, `every(${interval}).to(${latest}).${name}`);
    const base = timeOfThisDay(job, circumstances);
    const pattern = steps(base, (from, count) => from + count * unit);
    const plan = wallPlan(pattern, false, circumstances);
    return { ...plan, first: firstOf(plan.recurrence, pattern.countAfter(base), zone.instant(base)) };
  }
  if (name === 'hours' && time !== null) {
    const hourly = hourlyPlan(time, circumstances).recurrence;
    const anchor = timeOfThisHour(time, circumstances);
    const recurrence = steps(anchor, (from, count) => nth(hourly, from, count));
    return { recurrence, first: firstOf(recurrence, recurrence.countAfter(anchor), anchor), isElapsed: false };
  }
  const anchor = time === null ? now : startOf(now, UNIT_MS.minutes) + inMs(time);
  const recurrence = steps(anchor, (from, count) => Math.round(from + count * unit));
  return { recurrence, first: firstOf(recurrence, recurrence.countAfter(anchor), anchor), isElapsed: true };
}

function nth(recurrence: Recurrence, from: number, count: number): number {
  let at = from;
  for (let left = Math.round(count); left > 0; left--) at = recurrence.after(at) ?? Infinity;
  return at;
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
