import { shown } from '../check.ts';
import { ScheduleValueError } from '../errors.ts';

/** A time of day, or the part of it that the unit leaves open. */
export interface AtTime {
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
}

/** What `at()` takes, by unit. */
const FORMATS = {
  days: { pattern: /^(?<hour>[01]\d|2[0-3]):(?<minute>[0-5]\d)(:(?<second>[0-5]\d))?$/, rule: 'HH:MM or HH:MM:SS' },
  hours: { pattern: /^(?:(?<minute>[0-5]\d)?:(?<second>[0-5]\d))$/, rule: ':MM or MM:SS' },
  minutes: { pattern: /^:(?<second>[0-5]\d)$/, rule: ':SS' },
};

/** @see https://schedule.readthedocs.io/en/stable/reference.html#schedule.Job.at */
export function parseAtTime(unit: 'days' | 'hours' | 'minutes', text: unknown): AtTime {
  const { pattern, rule } = FORMATS[unit];
  const where = unit === 'days' ? 'days and weekdays' : unit;
  if (typeof text !== 'string')
    throw new TypeError(`at() of ${where} must be given a string, ${rule}, got ${shown(text)}`);
  const parts = pattern.exec(text)?.groups;
  if (parts === undefined) throw new ScheduleValueError(`at() of ${where} must be ${rule}, got ${shown(text)}`);
  // `:MM` of an hour: the only number is the minute.
  if (unit === 'hours' && parts.minute === undefined) return { hour: 0, minute: Number(parts.second), second: 0 };
  return { hour: Number(parts.hour ?? 0), minute: Number(parts.minute ?? 0), second: Number(parts.second ?? 0) };
}
