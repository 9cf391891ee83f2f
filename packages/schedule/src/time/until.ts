import { Temporal } from 'temporal-polyfill';
import { shown } from '../check.ts';
import { ScheduleValueError } from '../errors.ts';
import { type DurationInput, epochOf, type InstantInput, type PlainInput, toInstantIn } from './instant.ts';
import type { Zone } from './zone.ts';

/** A time of day: `Temporal.PlainTime`. */
export interface PlainTimeInput {
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
}

/**
 * A point in time (Date, Temporal, text), a duration from now (ms, `{ hours: 1 }`, `Temporal.Duration`), or a time of today
 * (`'18:30'`, `Temporal.PlainTime`).
 */
export type UntilInput = Exclude<InstantInput, number> | number | PlainInput | PlainTimeInput | DurationInput | string;

const FORMATS =
  "'YYYY-MM-DD HH:MM:SS', 'YYYY-MM-DD HH:MM', 'YYYY-MM-DD', 'HH:MM:SS', 'HH:MM', or ISO 8601, a duration too ('PT2H')";

/**
 * @param now for durations and times of day.
 * @throws {@link ScheduleValueError} if it is in the past or in no known format.
 */
export function parseUntil(value: unknown, zone: Zone, now: number): number {
  const deadline = read(value, zone, now);
  if (Number.isNaN(deadline)) throw new ScheduleValueError(`until() must be given a valid time, got ${shown(value)}`);
  if (deadline < now) {
    throw new ScheduleValueError(
      `until() must be given a time in the future, got ${shown(value)}: ${new Date(deadline).toISOString()} has passed`,
    );
  }
  return deadline;
}

function read(value: unknown, zone: Zone, now: number): number {
  if (typeof value === 'number') return now + value;
  if (typeof value === 'string') return readText(value.trim(), zone, now);
  const epoch = epochOf(value);
  if (epoch !== null) return epoch;
  if (typeof value === 'object' && value !== null) {
    if ('day' in value && 'month' in value) return toInstantIn(zone, value as PlainInput, 'until()');
    if ('hour' in value && 'minute' in value) return today(String(value), zone, now);
    if (DURATION_PARTS.some((part) => part in value)) return later(value as DurationInput, zone, now);
  }
  throw new TypeError(
    `until() must be given a Date, a Temporal object, a duration ({ hours: 2 }, or ms) or a string, got ${shown(value)}`,
  );
}

const DURATION_PARTS = ['years', 'months', 'weeks', 'days', 'hours', 'minutes', 'seconds', 'milliseconds'];

function readText(text: string, zone: Zone, now: number): number {
  if (/^\d\d:\d\d(:\d\d)?$/.test(text)) return today(text, zone, now);
  try {
    return /^P/i.test(text) ? later(text, zone, now) : toInstantIn(zone, text, 'until()');
  } catch (cause) {
    throw new ScheduleValueError(`until() must be given ${FORMATS}, got ${shown(text)}`, { cause });
  }
}

function today(time: string, zone: Zone, now: number): number {
  try {
    const date = Temporal.Instant.fromEpochMilliseconds(now).toZonedDateTimeISO(zone.id).toPlainDate();
    return date.toZonedDateTime({ timeZone: zone.id, plainTime: Temporal.PlainTime.from(time) }).epochMilliseconds;
  } catch (cause) {
    throw new ScheduleValueError(`until() must be given ${FORMATS}, got ${shown(time)}`, { cause });
  }
}

function later(duration: DurationInput | string, zone: Zone, now: number): number {
  // A Temporal.Duration of another copy is read through its text.
  const input = typeof duration === 'string' || isDuration(duration) ? String(duration) : duration;
  return Temporal.Instant.fromEpochMilliseconds(now)
    .toZonedDateTimeISO(zone.id)
    .add(Temporal.Duration.from(input as string)).epochMilliseconds;
}

function isDuration(value: object): boolean {
  return (value as { [Symbol.toStringTag]?: string })[Symbol.toStringTag] === 'Temporal.Duration';
}
