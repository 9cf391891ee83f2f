/**
 * Schedules by what the clock on the wall shows: `at('02:30')`, cron.
 *
 * The pattern is laid over wall time as if it were UTC, where every day has 24 hours. A zone's stretches of constant offset
 * map it to instants one to one; only where two stretches meet is there a choice, and the job makes it. (croner's own time
 * zones shift a gap differently from Temporal, and leave no choice.)
 */
import type { Recurrence } from './recurrence.ts';
import type { Segment, Zone } from './zone.ts';

/** Wall times that match, in ms since 1970 on a wall whose days all have 24 hours. */
export interface WallPattern {
  /** The first strictly after. */
  next(wall: number): number | null;
}

/**
 * A wall time that a change of the clocks leaves out (02:30 when 02:00 becomes 03:00): `'shift'` moves it by the length of
 * the gap (03:30, as Temporal and `schedule` do), `'firstValid'` to the end of the gap (03:00, as croner does), `'skip'` drops it.
 */
export type GapChoice = 'shift' | 'firstValid' | 'skip';

/** A wall time that happens twice (02:30 when 03:00 becomes 02:00): the first time, the last time, or both. */
export type FoldChoice = 'first' | 'last' | 'both';

export class WallRecurrence implements Recurrence {
  private readonly pattern: WallPattern;
  private readonly zone: Zone;
  private readonly gap: GapChoice;
  private readonly fold: FoldChoice;

  constructor(pattern: WallPattern, zone: Zone, gap: GapChoice, fold: FoldChoice) {
    this.pattern = pattern;
    this.zone = zone;
    this.gap = gap;
    this.fold = fold;
  }

  after(instant: number): number | null {
    let segment = this.zone.segmentAt(instant + 1);
    for (;;) {
      const from = Math.max(instant, segment.start - 1);
      const regular = this.regular(segment, from);
      const fromGap = this.fromGap(segment, from);
      if (regular !== null && regular < segment.end) return Math.min(regular, fromGap ?? Infinity);
      if (fromGap !== null) return fromGap;
      if (regular === null || segment.end === Infinity) return null;
      segment = this.zone.segmentAt(segment.end);
    }
  }

  /** The first match in the segment, or one at or after its end, or `null` if the pattern has no more. */
  private regular(segment: Segment, from: number): number | null {
    const { offset, offsetBefore, offsetAfter } = segment;
    let wall = from + offset;
    // The wall shows these for the second time.
    if (this.fold === 'first' && offsetBefore > offset) wall = Math.max(wall, segment.start + offsetBefore - 1);
    const match = this.pattern.next(wall);
    if (match === null) return null;
    // The wall will show it again in the next segment.
    if (this.fold === 'last' && offsetAfter < offset && match >= segment.end + offsetAfter) return Infinity;
    return match - offset;
  }

  /** What the gap at the segment's start has left out. */
  private fromGap(segment: Segment, from: number): number | null {
    const { start, offset, offsetBefore } = segment;
    if (this.gap === 'skip' || offsetBefore >= offset) return null;
    const gapStart = start + offsetBefore;
    const gapEnd = start + offset;
    if (from >= start + (gapEnd - gapStart)) return null;
    if (this.gap === 'firstValid') {
      const match = from < start ? this.pattern.next(gapStart - 1) : null;
      return match !== null && match < gapEnd ? start : null;
    }
    const match = this.pattern.next(Math.max(gapStart - 1, from + offsetBefore));
    return match !== null && match < gapEnd ? match - offsetBefore : null;
  }
}

/** Every `period` ms on the wall: days, weeks, or each hour at a minute. */
export class WallGrid implements WallPattern {
  private readonly anchor: number;
  private readonly period: number;

  constructor(anchor: number, period: number) {
    this.anchor = anchor;
    this.period = period;
  }

  next(wall: number): number {
    return this.anchor + (Math.floor((wall - this.anchor) / this.period) + 1) * this.period;
  }
}
