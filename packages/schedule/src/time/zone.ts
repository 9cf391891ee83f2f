import { Temporal } from 'temporal-polyfill';
import { shown } from '../check.ts';
import { ScheduleValueError } from '../errors.ts';

/** A stretch of time in which a zone's offset from UTC does not change. Instants and offsets in ms; wall = instant + offset. */
export interface Segment {
  /** Its first instant; `-Infinity` if nothing was before. */
  readonly start: number;
  /** The first instant after it; `Infinity` if it never ends. */
  readonly end: number;
  readonly offset: number;
  readonly offsetBefore: number;
  readonly offsetAfter: number;
}

/**
 * A time zone as stretches of constant offset. Temporal knows where they end; asking it costs (the polyfill searches with
 * Intl), so what it said is kept.
 */
export class Zone {
  readonly id: string;
  private segments: Segment[] = [];
  private latest: Segment | null = null;

  private constructor(id: string) {
    this.id = id;
  }

  /** @throws {@link ScheduleValueError} for a name that the IANA database does not have. */
  static of(id: unknown, parameter = 'timeZone'): Zone {
    if (typeof id !== 'string') {
      throw new TypeError(`${parameter} must be the name of a time zone, such as 'Europe/Berlin', got ${shown(id)}`);
    }
    const known = zones.get(id);
    if (known !== undefined) return known;
    const zone = new Zone(id);
    try {
      zone.segmentAt(0);
    } catch (cause) {
      const rule = `must be a time zone of the IANA database, such as 'Europe/Berlin' or 'UTC'`;
      throw new ScheduleValueError(`${parameter} ${rule}, got ${shown(id)}`, { cause });
    }
    zones.set(id, zone);
    return zone;
  }

  /** The machine's own. */
  static local(): Zone {
    return Zone.of(Temporal.Now.timeZoneId());
  }

  segmentAt(instant: number): Segment {
    if (this.latest !== null && contains(this.latest, instant)) return this.latest;
    let segment = this.segments.find((candidate) => contains(candidate, instant));
    if (segment === undefined) {
      segment = this.ask(instant);
      this.segments.push(segment);
      if (this.segments.length > MOST_SEGMENTS) this.segments.shift();
    }
    this.latest = segment;
    return segment;
  }

  /** What a clock on the wall shows, as ms since 1970 in which a day has 24 hours. */
  wall(instant: number): number {
    return instant + this.segmentAt(instant).offset;
  }

  /** The instant at which the wall shows this; as Temporal's 'compatible': a gap is shifted, a fold is its first time. */
  instant(wall: number): number {
    const { id } = this;
    return Temporal.Instant.fromEpochMilliseconds(wall).toZonedDateTimeISO('UTC').toPlainDateTime().toZonedDateTime(id)
      .epochMilliseconds;
  }

  private ask(instant: number): Segment {
    const here = at(instant, this.id);
    const next = here.getTimeZoneTransition('next');
    // `previous` is strictly before: from one ms later it finds a transition at this very instant, too.
    const start = here.add({ milliseconds: 1 }).getTimeZoneTransition('previous');
    return {
      start: start?.epochMilliseconds ?? -Infinity,
      end: next?.epochMilliseconds ?? Infinity,
      offset: offsetOf(here),
      offsetBefore: offsetOf(start?.subtract({ milliseconds: 1 }) ?? here),
      offsetAfter: offsetOf(next ?? here),
    };
  }
}

const zones = new Map<string, Zone>();

/** Two changes a year: enough for a preview of decades, and little enough to look through. */
const MOST_SEGMENTS = 64;

function contains(segment: Segment, instant: number): boolean {
  return instant >= segment.start && instant < segment.end;
}

function at(instant: number, id: string): Temporal.ZonedDateTime {
  return Temporal.Instant.fromEpochMilliseconds(instant).toZonedDateTimeISO(id);
}

function offsetOf(time: Temporal.ZonedDateTime): number {
  return time.offsetNanoseconds / 1e6;
}
