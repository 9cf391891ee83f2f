/**
 * Against a walk through real time in steps of a minute, of which each is asked what the wall shows: over every change of
 * the clocks of twenty zones from 1970 to 2040, for every choice at gaps and folds.
 */
import { Temporal } from 'temporal-polyfill';
import { describe, expect, it } from 'vitest';
import { CronPattern } from '../src/time/cron-pattern.ts';
import {
  type FoldChoice,
  type GapChoice,
  WallGrid,
  type WallPattern,
  WallRecurrence,
} from '../src/time/wall-recurrence.ts';
import { Zone } from '../src/time/zone.ts';

const ZONES = [
  'Africa/Cairo',
  'Africa/Casablanca',
  'Africa/Monrovia',
  'America/Caracas',
  'America/Havana',
  'America/New_York',
  'America/Santiago',
  'America/St_Johns',
  'Antarctica/Troll',
  'Asia/Kathmandu',
  'Asia/Pyongyang',
  'Asia/Tehran',
  'Australia/Lord_Howe',
  'Europe/Berlin',
  'Europe/Dublin',
  'Europe/Moscow',
  'Pacific/Apia',
  'Pacific/Chatham',
  'Pacific/Kwajalein',
  'UTC',
];
const CHOICES = (['shift', 'firstValid', 'skip'] as const).flatMap((gap: GapChoice) =>
  (['first', 'last', 'both'] as const).map((fold: FoldChoice) => [gap, fold] as const),
);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** What matches, said a second time and in another way: by the digits on the wall. */
const PATTERNS: { name: string; pattern: WallPattern; matches: (wall: Date) => boolean }[] = [
  {
    name: 'daily at 02:30',
    pattern: new WallGrid(2.5 * HOUR, DAY),
    matches: (wall) => wall.getUTCHours() === 2 && wall.getUTCMinutes() === 30,
  },
  {
    name: 'daily at midnight',
    pattern: new WallGrid(0, DAY),
    matches: (wall) => wall.getUTCHours() === 0 && wall.getUTCMinutes() === 0,
  },
  {
    name: 'cron */20 0-3 * * *',
    pattern: new CronPattern('*/20 0-3 * * *'),
    matches: (wall) => wall.getUTCHours() <= 3 && wall.getUTCMinutes() % 20 === 0,
  },
  {
    name: 'cron 15,45 * * * sun',
    pattern: new CronPattern('15,45 * * * sun'),
    matches: (wall) => wall.getUTCDay() === 0 && [15, 45].includes(wall.getUTCMinutes()),
  },
];

describe('WallRecurrence', () => {
  it.each(ZONES)('is what a walk by the minute finds in %s', { timeout: 120_000 }, (id) => {
    const zone = Zone.of(id);
    for (const around of changesOf(id)) {
      // Apia left out a whole day: the walk begins and ends beyond any change.
      const from = Math.floor((around.at - around.size - 4 * HOUR) / MINUTE) * MINUTE;
      const to = around.at + around.size + 4 * HOUR;
      for (const { name, pattern, matches } of PATTERNS) {
        for (const [gap, fold] of CHOICES) {
          const recurrence = new WallRecurrence(pattern, zone, gap, fold);
          const walked = walk(around, from, to, matches, gap, fold);
          const found = all(recurrence, from - 1, to);
          expect(found, `${name}, gap ${gap}, fold ${fold}, ${new Date(around.at).toISOString()}`).toEqual(walked);
        }
      }
    }
  });

  it("is Temporal's own answer for each day, in every zone, where it shifts gaps and takes the first of two", {
    timeout: 120_000,
  }, () => {
    for (const id of ZONES) {
      const recurrence = new WallRecurrence(new WallGrid(2.5 * HOUR, DAY), Zone.of(id), 'shift', 'first');
      const expected = new Set<number>();
      let day = Temporal.PlainDateTime.from('1970-01-02T02:30');
      for (; day.year < 2041; day = day.add({ days: 1 })) expected.add(day.toZonedDateTime(id).epochMilliseconds);
      const [first, last] = [Math.min(...[...expected].slice(0, 3)), Math.max(...[...expected].slice(-3))];
      expect(all(recurrence, first - 1, last), id).toEqual([...expected]);
    }
  });

  it('runs at each first valid time of an ordinary year', () => {
    const recurrence = new WallRecurrence(new CronPattern('30 2 * * *'), Zone.of('Europe/Berlin'), 'shift', 'first');
    const year = all(recurrence, Date.UTC(2025, 11, 31, 23), Date.UTC(2026, 11, 31, 22));
    expect(year).toHaveLength(365);
    expect(year.map((at) => new Date(at).toISOString())).toContain('2026-03-29T01:30:00.000Z'); // 03:30
  });

  it('has an end where the pattern has one', () => {
    const recurrence = new WallRecurrence(new CronPattern('0 0 30 2 *'), Zone.of('Europe/Berlin'), 'shift', 'first');
    expect(recurrence.after(0)).toBeNull();
  });
});

interface Change {
  at: number;
  before: number;
  after: number;
  size: number;
}

function changesOf(id: string): Change[] {
  const changes: Change[] = [];
  let time: Temporal.ZonedDateTime | null = Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(id);
  for (;;) {
    time = time.getTimeZoneTransition('next');
    if (time === null || time.year > 2040) return changes;
    const before = time.subtract({ milliseconds: 1 }).offsetNanoseconds / 1e6;
    const after = time.offsetNanoseconds / 1e6;
    changes.push({ at: time.epochMilliseconds, before, after, size: Math.abs(after - before) });
  }
}

/** Every minute of real time, and every minute that the wall leaves out. Offsets are not all whole minutes (Monrovia). */
function walk(
  { at, before, after }: Change,
  from: number,
  to: number,
  matches: (wall: Date) => boolean,
  gap: GapChoice,
  fold: FoldChoice,
): number[] {
  const found = new Set<number>();
  for (const offset of [before, after]) {
    // Minutes of the wall, as instants.
    const first = Math.ceil((from + offset) / MINUTE) * MINUTE;
    for (let wall = first; wall - offset <= to; wall += MINUTE) {
      const instant = wall - offset;
      if (offset !== (instant < at ? before : after)) continue;
      if (!matches(new Date(wall))) continue;
      const isTwice = after < before && wall >= at + after && wall < at + before;
      if (isTwice && fold === 'first' && offset === after) continue;
      if (isTwice && fold === 'last' && offset === before) continue;
      found.add(instant);
    }
  }
  if (after > before && gap !== 'skip') {
    const start = Math.ceil((at + before) / MINUTE) * MINUTE;
    for (let wall = start; wall < at + after; wall += MINUTE) {
      if (!matches(new Date(wall))) continue;
      const instant = gap === 'shift' ? wall - before : at;
      if (instant >= from && instant <= to) found.add(instant);
    }
  }
  return [...found].sort((a, b) => a - b);
}

function all(recurrence: WallRecurrence, from: number, to: number): number[] {
  const found: number[] = [];
  for (let at = recurrence.after(from); at !== null && at <= to; at = recurrence.after(at)) found.push(at);
  return found;
}
