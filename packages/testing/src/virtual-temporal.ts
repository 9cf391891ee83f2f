import { replaceProperty } from './replace-property.ts';
import type { VirtualClock } from './virtual-clock.ts';

interface ZonedDateTime {
  toPlainDateTime(): unknown;
  toPlainDate(): unknown;
  toPlainTime(): unknown;
}
interface Instant {
  toZonedDateTimeISO(zone: unknown): ZonedDateTime;
}
interface Temporal {
  Instant: { fromEpochMilliseconds(ms: number): Instant };
  Now: Record<string, (zone?: unknown) => unknown>;
}

/** Replaces the members of `Temporal.Now` that tell the time. Node has had it since 26; before, there is nothing to do. */
export function virtualTemporalNow(ambientClock: () => VirtualClock | null): (() => void)[] {
  const { Temporal: temporal } = globalThis as { Temporal?: Temporal };
  if (temporal === undefined) return [];
  const { Instant, Now } = temporal;
  const instant = (clock: VirtualClock) => Instant.fromEpochMilliseconds(Math.floor(clock.wallTime()));
  const zoned = (clock: VirtualClock, zone: unknown) => instant(clock).toZonedDateTimeISO(zone ?? Now.timeZoneId?.());
  const members: Record<string, (clock: VirtualClock, zone: unknown) => unknown> = {
    instant,
    zonedDateTimeISO: zoned,
    plainDateTimeISO: (clock, zone) => zoned(clock, zone).toPlainDateTime(),
    plainDateISO: (clock, zone) => zoned(clock, zone).toPlainDate(),
    plainTimeISO: (clock, zone) => zoned(clock, zone).toPlainTime(),
  };
  return Object.entries(members).map(([name, virtual]) => {
    const real = Now[name] as (zone?: unknown) => unknown;
    return replaceProperty(Now, name, (zone?: unknown) => {
      const clock = ambientClock();
      return clock === null ? real.call(Now, zone) : virtual(clock, zone);
    });
  });
}
