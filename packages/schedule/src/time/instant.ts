/** Points in time as users write them: Date, Temporal, ISO 8601. Inside the package an instant is ms since 1970. */
import { Temporal } from 'temporal-polyfill';
import { shown } from '../check.ts';
import { ScheduleValueError } from '../errors.ts';
import type { Zone } from './zone.ts';

/** A Date, a `Temporal.Instant` or `ZonedDateTime` (native or a polyfill's), or ms since 1970. */
export type InstantInput = Date | number | { readonly epochMilliseconds: number };

/** A time without a zone: `Temporal.PlainDateTime` or `PlainDate`. It is meant in the job's zone. */
export interface PlainInput {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  toString(): string;
}

/** How long, as Temporal says it: `{ hours: 1, minutes: 30 }`, or a `Temporal.Duration`. */
export interface DurationInput {
  readonly years?: number;
  readonly months?: number;
  readonly weeks?: number;
  readonly days?: number;
  readonly hours?: number;
  readonly minutes?: number;
  readonly seconds?: number;
  readonly milliseconds?: number;
}

export function toInstant(value: InstantInput, name: string): number {
  const instant = epochOf(value) ?? value;
  if (typeof instant !== 'number') {
    throw new TypeError(`${name} must be a Date, a Temporal.Instant or ms since 1970, got ${shown(value)}`);
  }
  if (!Number.isFinite(instant)) throw new RangeError(`${name} must be a valid time, got ${shown(value)}`);
  return instant;
}

/** As {@link toInstant}; a text or a plain time without offset is meant in the zone. */
export function toInstantIn(zone: Zone, value: InstantInput | PlainInput | string, name: string): number {
  if (typeof value !== 'string' && !isPlain(value)) return toInstant(value, name);
  const text = String(value)
    .trim()
    .replace(/^(\d{4}-\d\d-\d\d) (?=\d)/, '$1T');
  try {
    if (/(Z|[+-]\d\d(:?\d\d)?)(\[.*\])?$/i.test(text.slice(10))) return Temporal.Instant.from(text).epochMilliseconds;
    return Temporal.PlainDateTime.from(text).toZonedDateTime(zone.id).epochMilliseconds;
  } catch (cause) {
    throw new ScheduleValueError(`${name} must be a date and time such as '2030-12-31 18:30', got ${shown(value)}`, {
      cause,
    });
  }
}

/** The ms since 1970 of what has them: Date, Instant, ZonedDateTime. */
export function epochOf(value: unknown): number | null {
  if (value instanceof Date) return value.getTime();
  const epoch = (value as { epochMilliseconds?: unknown } | null | undefined)?.epochMilliseconds;
  return typeof epoch === 'number' ? epoch : null;
}

function isPlain(value: object | number): value is PlainInput {
  return typeof value === 'object' && 'day' in value && 'month' in value;
}
