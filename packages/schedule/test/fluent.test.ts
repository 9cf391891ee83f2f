/** What https://schedule.readthedocs.io says, in camelCase; and where we do otherwise, why. */
import { inspect } from 'node:util';
import { getRunningLoop, sleep } from '@aiokit/core';
import { Temporal } from 'temporal-polyfill';
import { describe, expect, it } from 'vitest';
import {
  CancelJob,
  clear,
  defaultScheduler,
  every,
  getJobs,
  IntervalError,
  idle,
  type Job,
  nextRun,
  runPending,
  ScheduleError,
  Scheduler,
  ScheduleValueError,
} from '../src/index.ts';
import { elapsed, virtually } from './virtually.ts';

const nothing = () => {};
/** What a scheduler in UTC says is next, at 2026-01-01T00:00:00Z unless told otherwise: a Thursday. */
async function firstRun(chain: (scheduler: Scheduler) => Job, start?: string): Promise<string | undefined> {
  return await virtually(
    () =>
      chain(new Scheduler({ timeZone: 'UTC' }))
        .do(nothing)
        .nextRun?.toISOString(),
    start,
  );
}

describe('every', () => {
  it.each<[string, (s: Scheduler) => Job, string]>([
    ['every().second', (s) => s.every().second, '2026-01-01T00:00:01.000Z'],
    ['every(5).seconds', (s) => s.every(5).seconds, '2026-01-01T00:00:05.000Z'],
    ['every().minute', (s) => s.every().minute, '2026-01-01T00:01:00.000Z'],
    ['every(2).minutes', (s) => s.every(2).minutes, '2026-01-01T00:02:00.000Z'],
    ['every().hour', (s) => s.every().hour, '2026-01-01T01:00:00.000Z'],
    ['every(3).hours', (s) => s.every(3).hours, '2026-01-01T03:00:00.000Z'],
    ['every().day', (s) => s.every().day, '2026-01-02T00:00:00.000Z'],
    ['every(2).days', (s) => s.every(2).days, '2026-01-03T00:00:00.000Z'],
    ['every().week', (s) => s.every().week, '2026-01-08T00:00:00.000Z'],
    ['every(2).weeks', (s) => s.every(2).weeks, '2026-01-15T00:00:00.000Z'],
    ['every().monday', (s) => s.every().monday, '2026-01-05T00:00:00.000Z'],
    ['every().tuesday', (s) => s.every().tuesday, '2026-01-06T00:00:00.000Z'],
    ['every().wednesday', (s) => s.every().wednesday, '2026-01-07T00:00:00.000Z'],
    ['every().thursday, which is today', (s) => s.every().thursday, '2026-01-08T00:00:00.000Z'],
    ['every().friday', (s) => s.every().friday, '2026-01-02T00:00:00.000Z'],
    ['every().saturday', (s) => s.every().saturday, '2026-01-03T00:00:00.000Z'],
    ['every().sunday', (s) => s.every().sunday, '2026-01-04T00:00:00.000Z'],
    ['every(0.5).seconds', (s) => s.every(0.5).seconds, '2026-01-01T00:00:00.500Z'],
  ])('%s first runs one interval from now', async (_, chain, first) => {
    expect(await firstRun(chain)).toBe(first);
  });

  it.each<[string, (s: Scheduler) => Job, string, string]>([
    ['day, later today', (s) => s.every().day.at('10:30'), '2026-01-01T09:00Z', '2026-01-01T10:30:00.000Z'],
    ['day, tomorrow', (s) => s.every().day.at('10:30:15'), '2026-01-01T11:00Z', '2026-01-02T10:30:15.000Z'],
    ['day, this very moment', (s) => s.every().day.at('10:30'), '2026-01-01T10:30Z', '2026-01-02T10:30:00.000Z'],
    ['two days', (s) => s.every(2).days.at('11:30'), '2026-01-01T11:29Z', '2026-01-03T11:30:00.000Z'],
    ['weekday', (s) => s.every().wednesday.at('13:15'), '2026-01-01T00:00Z', '2026-01-07T13:15:00.000Z'],
    ['weekday, later today', (s) => s.every().thursday.at('13:15'), '2026-01-01T00:00Z', '2026-01-01T13:15:00.000Z'],
    ['weekday, today but past', (s) => s.every().thursday.at('13:15'), '2026-01-01T14:00Z', '2026-01-08T13:15:00.000Z'],
    ['hour', (s) => s.every().hour.at(':17'), '2026-01-01T10:20Z', '2026-01-01T11:17:00.000Z'],
    ['hour with seconds', (s) => s.every().hour.at('30:15'), '2026-01-01T10:20Z', '2026-01-01T10:30:15.000Z'],
    ['five hours', (s) => s.every(5).hours.at('20:30'), '2026-01-01T10:10Z', '2026-01-01T15:20:30.000Z'],
    ['minute', (s) => s.every().minute.at(':23'), '2026-01-01T10:20:30Z', '2026-01-01T10:21:23.000Z'],
    ['five minutes', (s) => s.every(5).minutes.at(':23'), '2026-01-01T10:20:10Z', '2026-01-01T10:25:23.000Z'],
  ])('at() of a %s', async (_, chain, start, first) => {
    expect(await firstRun(chain, start)).toBe(first);
  });

  it('at() takes a time zone', async () => {
    const chain = (s: Scheduler) => s.every().day.at('10:30', 'America/New_York');
    expect(await firstRun(chain)).toBe('2026-01-01T15:30:00.000Z');
  });

  it('days keep the time of day over a change of the clocks, hours the hours that pass', async () => {
    await virtually(() => {
      const scheduler = new Scheduler({ timeZone: 'Europe/Berlin' });
      const daily = scheduler.every().day.do(nothing);
      const fourHourly = scheduler.every(4).hours.do(nothing);
      expect(daily.nextRun?.toISOString()).toBe('2026-03-29T09:00:00.000Z'); // 11:00 as before
      expect(fourHourly.preview(4).map((date) => date.toISOString())).toEqual([
        '2026-03-28T14:00:00.000Z',
        '2026-03-28T18:00:00.000Z',
        '2026-03-28T22:00:00.000Z',
        '2026-03-29T02:00:00.000Z',
      ]);
    }, '2026-03-28T10:00Z');
  });

  it.each<[string, (s: Scheduler) => unknown, new (...args: never[]) => Error, string]>([
    ['seconds', (s) => s.every(2).second, IntervalError, 'every(2).second: use .seconds instead of .second'],
    ['minutes', (s) => s.every(2).minute, IntervalError, 'use .minutes instead of .minute'],
    ['hours', (s) => s.every(2).hour, IntervalError, 'use .hours instead of .hour'],
    ['days', (s) => s.every(2).day, IntervalError, 'use .days instead of .day'],
    ['weeks', (s) => s.every(2).week, IntervalError, 'use .weeks instead of .week'],
    ['weekdays', (s) => s.every(2).monday, IntervalError, 'every 2 or more weeks is not supported'],
    [
      'a missing unit',
      (s) => s.every(2).do(nothing),
      ScheduleValueError,
      'the unit is missing, as in every(2).seconds',
    ],
    [
      'a weekday and another unit',
      (s) => s.every().monday.day.do(nothing),
      ScheduleValueError,
      'every().monday.days.do(): a weekday is a unit itself',
    ],
    ['more than a Date can hold', (s) => s.every(1e9).weeks.do(nothing), IntervalError, 'after the end of time'],
    ['as much, drawn', (s) => s.every(1).to(1e13).seconds.do(nothing), IntervalError, 'after the end of time'],
    ['zero', (s) => s.every(0), IntervalError, 'every(interval) must be a number above 0, got 0'],
    ['text', (s) => s.every('2' as never), TypeError, "every(interval) must be a number, got '2'"],
    ['half days', (s) => s.every(0.5).days.do(nothing), IntervalError, 'days and weeks are whole ones'],
    [
      'at of seconds',
      (s) => s.every().second.at(':10'),
      ScheduleValueError,
      'after .seconds. It follows days, a weekday',
    ],
    ['at of weeks', (s) => s.every().week.at('10:00'), ScheduleValueError, 'after .weeks'],
    ['at before the unit', (s) => s.every().at('10:00'), ScheduleValueError, 'before the unit: give the unit first'],
    ['at 25:00', (s) => s.every().day.at('25:00'), ScheduleValueError, "must be HH:MM or HH:MM:SS, got '25:00'"],
    ['at 1:00', (s) => s.every().day.at('1:00'), ScheduleValueError, 'must be HH:MM or HH:MM:SS'],
    ['at of an hour', (s) => s.every().hour.at('10:30:00'), ScheduleValueError, 'at() of hours must be :MM or MM:SS'],
    ['at of a minute', (s) => s.every().minute.at('10'), ScheduleValueError, "at() of minutes must be :SS, got '10'"],
    ['at with a number', (s) => s.every().day.at(1030 as never), TypeError, 'must be given a string, HH:MM'],
    [
      'at with no zone',
      (s) => s.every().day.at('10:30', 'Mars/Base'),
      ScheduleValueError,
      'must be a time zone of the IANA',
    ],
    [
      'at with a date',
      (s) => s.every().day.at('10:30', 5 as never),
      ScheduleValueError,
      'timeZone of at() must be the name of a time zone',
    ],
    ...['2:30:000001', '::2', '.2', '2', ':2', ' 2:30:00', '59:59', '24:00', '00:61', '00:00:61', ''].map(
      (time): [string, (s: Scheduler) => unknown, typeof ScheduleValueError, string] => [
        `at('${time}') of a day`,
        (s) => s.every().day.at(time),
        ScheduleValueError,
        'must be HH:MM or HH:MM:SS',
      ],
    ),
    ...['2:30:00', '::2', '.2', '2', ' 2:30', '61:00', '00:61', '01:61', ':61'].map(
      (time): [string, (s: Scheduler) => unknown, typeof ScheduleValueError, string] => [
        `at('${time}') of an hour`,
        (s) => s.every().hour.at(time),
        ScheduleValueError,
        'must be :MM or MM:SS',
      ],
    ),
    ...['::2', '.2', '2', '2:30:00', '2:30', ' :30', ':60'].map(
      (time): [string, (s: Scheduler) => unknown, typeof ScheduleValueError, string] => [
        `at('${time}') of a minute`,
        (s) => s.every().minute.at(time),
        ScheduleValueError,
        'must be :SS',
      ],
    ),
    ['at of an hour with a number', (s) => s.every().hour.at(2 as never), TypeError, 'must be given a string, :MM'],
    ['at of a minute with a number', (s) => s.every().minute.at(2 as never), TypeError, 'must be given a string, :SS'],
    ['until a date in another order', (s) => s.every().day.until('01-01-3000'), ScheduleValueError, 'YYYY-MM-DD'],
    ['until a number as text', (s) => s.every().day.until('123'), ScheduleValueError, 'YYYY-MM-DD'],
    ['until a duration that is over', (s) => s.every().day.until({ minutes: -1 }), ScheduleValueError, 'has passed'],
    ['half days drawn', (s) => s.every(1).to(2.5).days.do(nothing), IntervalError, 'days and weeks are whole ones'],
    ['to below', (s) => s.every(5).to(3).seconds, ScheduleError, 'must not be smaller than the first'],
    [
      'a promise',
      (s) => s.every().second.do(Promise.resolve() as never),
      TypeError,
      'fn must be a function, got Promise',
    ],
    ['a tag', (s) => s.every().second.tag({} as never), TypeError, 'tag must be a string, a number'],
    ['one tag of three', (s) => s.every().second.tag(1, 'a', [] as never), TypeError, 'tag must be a string, a number'],
    ['a unit after do', (s) => s.every().second.do(nothing).minutes, ScheduleError, 'do() ends the chain'],
    ['no cron', (s) => s.cron('61 * * * *'), ScheduleValueError, "got '61 * * * *': Invalid value for minute: 61"],
    [
      'a day that never comes',
      (s) => s.cron('0 0 31 2 *').do(nothing),
      ScheduleValueError,
      "cron('0 0 31 2 *') never happens again",
    ],
    [
      'less than no preview',
      (s) => s.every().second.do(nothing).preview(-1),
      RangeError,
      'preview(count) must be >= 0, got -1',
    ],
    ['a list of options', (s) => s.every(1, [] as never), TypeError, 'options must be an object, got []'],
    [
      'retries that come ever sooner',
      (s) => s.every(1, { retry: { limit: 1, factor: 0.5 } }),
      RangeError,
      'options.retry.factor must be >= 1, got 0.5',
    ],
    [
      'until past',
      (s) => s.every().second.until(new Date(0)),
      ScheduleValueError,
      '1970-01-01T00:00:00.000Z has passed',
    ],
    ['until what', (s) => s.every().second.until('whenever'), ScheduleValueError, "'YYYY-MM-DD HH:MM:SS'"],
    ['until []', (s) => s.every().second.until([] as never), TypeError, 'until() must be given a Date'],
    ['past once', (s) => s.once(0), ScheduleValueError, 'once(at) must be in the future, got 0'],
    ['no interval', (s) => s.interval(0), RangeError, 'interval(ms) must be at least 1 ms, got 0'],
  ])('refuses a mistake with %s, and says what to do', async (_, mistake, error, message) => {
    await virtually(() => {
      const scheduler = new Scheduler();
      expect(() => mistake(scheduler)).toThrow(error);
      expect(() => mistake(scheduler)).toThrow(message);
    });
  });

  it('puts nothing on the schedule without do()', () => {
    const scheduler = new Scheduler();
    scheduler.every(5).minutes.at(':10');
    expect(scheduler.jobs).toEqual([]);
  });

  it('to() draws each interval anew from the range, both ends included, and the same again for the same seed', async () => {
    await virtually(() => {
      const draws = (seed: number) =>
        new Scheduler()
          .every(5, { seed })
          .to(8)
          .seconds.do(nothing)
          .preview(200)
          .map((date, i, all) => (date.getTime() - (all[i - 1]?.getTime() ?? Date.parse('2026-01-01T00:00Z'))) / 1_000);
      expect(new Set(draws(1))).toEqual(new Set([5, 6, 7, 8]));
      expect(draws(1)).toEqual(draws(1));
      expect(draws(1)).not.toEqual(draws(2));
    });
  });
});

describe('to', () => {
  it('goes with at(), days and weekdays: how many of the unit is drawn, the time stays', async () => {
    await virtually(() => {
      const scheduler = new Scheduler({ timeZone: 'Europe/Berlin' });
      const drawn = (job: Job, count: number) => {
        const runs = job.do(nothing).preview(count);
        const zoned = runs.map((run) =>
          Temporal.Instant.fromEpochMilliseconds(run.getTime()).toZonedDateTimeISO('Europe/Berlin'),
        );
        const days = zoned.slice(1).map((run, i) => zoned[i]?.toPlainDate().until(run.toPlainDate()).days);
        const hours = runs.slice(1).map((run, i) => (run.getTime() - (runs[i]?.getTime() ?? 0)) / 3_600_000);
        return { zoned, days: [...new Set(days)].sort(), hours: [...new Set(hours)].sort() };
      };
      const daily = drawn(scheduler.every(1).to(3).days.at('10:30'), 100);
      expect(new Set(daily.zoned.map((run) => run.toPlainTime().toString()))).toEqual(new Set(['10:30:00']));
      expect(daily.days).toEqual([1, 2, 3]);
      const hourly = drawn(scheduler.every(2).to(4).hours.at(':20'), 300);
      expect(new Set(hourly.zoned.map((run) => run.minute))).toEqual(new Set([20]));
      expect(hourly.hours).toEqual([2, 3, 4]);
      const onMondays = drawn(scheduler.every().to(2).monday.at('08:00'), 40);
      expect(new Set(onMondays.zoned.map((run) => run.dayOfWeek))).toEqual(new Set([1]));
      expect(onMondays.days).toEqual([14, 7]);
      // No time of day given: that of now, 12:00 in Berlin.
      expect(new Set(drawn(scheduler.every(1).to(3).days, 100).zoned.map((run) => run.hour))).toEqual(new Set([12]));
      const minutely = drawn(scheduler.every(5).to(7).minutes.at(':15'), 100);
      expect(new Set(minutely.zoned.map((run) => run.second))).toEqual(new Set([15]));
    }, '2026-03-25T11:00Z');
  });

  it('first runs today if one unit is drawn and the time is still to come, else that many units on from today', async () => {
    await virtually(() => {
      const firsts = Array.from({ length: 60 }, () =>
        new Scheduler({ timeZone: 'UTC' }).every(1).to(3).days.at('10:30').do(nothing).nextRun?.toISOString(),
      );
      expect([...new Set(firsts)].sort()).toEqual([
        '2026-01-01T10:30:00.000Z',
        '2026-01-03T10:30:00.000Z',
        '2026-01-04T10:30:00.000Z',
      ]);
    });
  });
});

describe('until', () => {
  it.each<[string, Parameters<Job['until']>[0], string]>([
    ['a Date', new Date('2026-01-02T00:00Z'), '2026-01-02T00:00:00.000Z'],
    ['a Temporal.Instant', Temporal.Instant.from('2026-01-02T00:00Z'), '2026-01-02T00:00:00.000Z'],
    [
      'a ZonedDateTime',
      Temporal.ZonedDateTime.from('2026-01-02T00:00+01:00[Europe/Berlin]'),
      '2026-01-01T23:00:00.000Z',
    ],
    ['a PlainDateTime', Temporal.PlainDateTime.from('2026-01-02T00:00'), '2026-01-01T23:00:00.000Z'],
    ['a PlainDate', Temporal.PlainDate.from('2026-01-02'), '2026-01-01T23:00:00.000Z'],
    ['a PlainTime', Temporal.PlainTime.from('18:30'), '2026-01-01T17:30:00.000Z'],
    ['a Temporal.Duration', Temporal.Duration.from({ hours: 2 }), '2026-01-01T02:00:00.000Z'],
    ['a duration', { hours: 1, minutes: 30 }, '2026-01-01T01:30:00.000Z'],
    ['ms', 90_000, '2026-01-01T00:01:30.000Z'],
    ['date and time', '2026-01-02 10:20:30', '2026-01-02T09:20:30.000Z'],
    ['date and hours', '2026-01-02 10:20', '2026-01-02T09:20:00.000Z'],
    ['a date', '2026-01-02', '2026-01-01T23:00:00.000Z'],
    ['a time with seconds', '18:30:15', '2026-01-01T17:30:15.000Z'],
    ['a time', '18:30', '2026-01-01T17:30:00.000Z'],
    ['ISO with offset', '2026-01-02T10:20:00Z', '2026-01-02T10:20:00.000Z'],
    ['an ISO duration', 'PT2H', '2026-01-01T02:00:00.000Z'],
  ])('takes %s, meant in the zone of the job', async (_, deadline, instant) => {
    await virtually(() => {
      const job = new Scheduler({ timeZone: 'Europe/Berlin' }).every().second.until(deadline);
      expect(job.cancelAfter?.toISOString()).toBe(instant);
    });
  });

  it('ends the job: a run at the very deadline still happens, none after it', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler();
      const runs: number[] = [];
      scheduler
        .every()
        .second.until(3_000)
        .do(() => runs.push(elapsed()));
      scheduler.start();
      await sleep(10_000);
      expect(runs).toEqual([1_000, 2_000, 3_000]);
      expect(scheduler.jobs).toEqual([]);
    });
  });

  it('a run out of turn that leaves no time for another ends it, and gives CancelJob', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler();
      let runs = 0;
      const job = scheduler
        .every(5)
        .seconds.until(10_000)
        .do(() => ++runs);
      await sleep(5_000);
      await scheduler.runPending();
      expect([runs, scheduler.jobs.length]).toEqual([1, 1]);
      await sleep(5_000);
      await scheduler.runAll();
      expect([runs, scheduler.jobs.length]).toEqual([2, 0]);
      expect(await job.run()).toBe(CancelJob);
      await sleep(1_000);
      expect(await job.run()).toBe(CancelJob);
      expect(runs).toBe(3);
    });
  });

  it('also after do(), and a job whose time went by while nothing ran is not run late', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler();
      let runs = 0;
      scheduler
        .every()
        .minute.do(() => runs++)
        .until('00:02');
      await sleep(10 * 60_000);
      await scheduler.runPending();
      expect(runs).toBe(0);
      expect(scheduler.jobs).toEqual([]);
    });
  });
});

describe('a scheduler', () => {
  it('keeps jobs by tag', async () => {
    await virtually(() => {
      const scheduler = new Scheduler();
      const one = scheduler.every(2).seconds.do(nothing).tag('a', 7);
      const two = scheduler.every(1).seconds.tag('a').do(nothing);
      const three = scheduler.every(3).seconds.do(nothing);
      expect(scheduler.getJobs()).toEqual([one, two, three]);
      expect(scheduler.getJobs('a')).toEqual([one, two]);
      expect(scheduler.getJobs(7)).toEqual([one]);
      expect(scheduler.getJobs('7')).toEqual([]);
      expect(scheduler.getJobs(null)).toEqual([one, two, three]);
      expect(scheduler.nextRun(null)).toEqual(two.nextRun);
      expect(scheduler.nextRun()).toEqual(two.nextRun);
      expect(scheduler.nextRun(7)).toEqual(one.nextRun);
      expect(scheduler.nextRun('b')).toBeNull();
      expect([...one.tags]).toEqual(['a', 7]);
      scheduler.cancelJob(one);
      scheduler.cancelJob(one);
      scheduler.cancelJob('Not a job' as never);
      expect(scheduler.jobs).toEqual([two, three]);
      scheduler.clear('a');
      expect(scheduler.jobs).toEqual([three]);
      scheduler.clear();
      expect(scheduler.nextRun()).toBeNull();
      expect(scheduler.idle()).toBeNull();
    });
  });

  it('says how many ms it is idle, below 0 when it is late', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler();
      scheduler.every(10).seconds.do(nothing);
      expect(scheduler.idle()).toBe(10_000);
      await sleep(12_000);
      expect(scheduler.idle()).toBe(-2_000);
    });
  });

  it('runPending runs what is due, the longest due first, once each, and plans on without drift', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler();
      const runs: string[] = [];
      const note = (what: string) => runs.push(`${what}@${elapsed()}`);
      const minutely = scheduler.every().minute.do(note, 'minutely');
      scheduler.every(50).seconds.do(note, 'fifty');
      await scheduler.runPending();
      expect(runs).toEqual([]);
      await sleep(3_605_000);
      expect(minutely.shouldRun).toBe(true);
      await scheduler.runPending();
      expect(runs).toEqual(['fifty@3605000', 'minutely@3605000']);
      expect(minutely.nextRun?.toISOString()).toBe('2026-01-01T01:01:00.000Z');
      expect(minutely.lastRun?.toISOString()).toBe('2026-01-01T01:00:05.000Z');
    });
  });

  it('runPending waits for async jobs side by side; a failure is reported and the job stays', async () => {
    await virtually(async () => {
      const told: string[] = [];
      getRunningLoop().setExceptionHandler(({ message }) => told.push(message));
      const scheduler = new Scheduler();
      const ended: string[] = [];
      scheduler.every().second.do(async function slow() {
        await sleep(300);
        ended.push('slow');
      });
      const failing = scheduler.every().second.do(async function failing() {
        throw new Error('boom');
      });
      scheduler.every().second.do(async () => {
        await sleep(200);
        ended.push('fast');
      });
      await sleep(1_000);
      await scheduler.runPending();
      expect(ended).toEqual(['fast', 'slow']);
      expect(elapsed()).toBe(1_300);
      expect(told).toEqual(['Job failing, scheduled for 2026-01-01T00:00:01.000Z, failed']);
      expect(failing.nextRun?.toISOString()).toBe('2026-01-01T00:00:02.000Z');
    });
  });

  it('CancelJob, the class or an instance, from a function or an async one, takes the job off', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler();
      scheduler.every().second.do(() => CancelJob);
      scheduler.every().second.do(async () => new CancelJob());
      const stays = scheduler.every().second.do(() => 'CancelJob');
      await sleep(1_000);
      await scheduler.runPending();
      expect(scheduler.jobs).toEqual([stays]);
    });
  });

  it('runAll runs everything, in order, with a delay between', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler();
      const runs: string[] = [];
      const hourly = scheduler.every().hour.do(() => runs.push(`hourly@${elapsed()}`));
      scheduler.every().day.do(async (what: string) => {
        await sleep(5);
        runs.push(`${what}@${elapsed()}`);
        return CancelJob;
      }, 'daily');
      await scheduler.runAll(100);
      expect(runs).toEqual(['hourly@0', 'daily@105']);
      expect(scheduler.jobs).toEqual([hourly]);
      expect(hourly.nextRun?.toISOString()).toBe('2026-01-01T01:00:00.000Z');
    });
  });

  it('job.run() runs it now, gives its value, and throws its error', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler();
      const job = scheduler.every().hour.do((a: number, b: number) => a + b, 2, 3);
      expect(await job.run()).toBe(5);
      const failing = scheduler.every().hour.do(() => {
        throw new Error('boom');
      });
      await expect(failing.run()).rejects.toThrow('boom');
      expect(failing.describe()).toMatchObject({ lastOutcome: 'failed', failures: 1, running: 0 });
    });
  });

  it('runAll and run() begin an interval anew when the run has ended; a time of day stays', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler({ timeZone: 'UTC' });
      const slow = scheduler.every(10).minutes.do(() => sleep(2_000));
      const daily = scheduler.every().day.at('10:30').do(nothing);
      const monthly = scheduler.cron('0 0 1 * *').do(nothing);
      await sleep(5 * 60_000);
      await scheduler.runAll();
      expect(slow.nextRun?.toISOString()).toBe('2026-01-01T00:15:02.000Z');
      expect(daily.nextRun?.toISOString()).toBe('2026-01-01T10:30:00.000Z');
      expect(monthly.nextRun?.toISOString()).toBe('2026-02-01T00:00:00.000Z');
      expect(slow.preview(2).map(Number)).toEqual([slow.nextRun, slow.nextAfter(slow.nextRun as Date)].map(Number));
    });
  });

  it('run() while the schedule runs moves its next run, too', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler().start();
      const runs: number[] = [];
      const job = scheduler.every(10).seconds.do(() => runs.push(elapsed()));
      await sleep(14_000);
      await job.run();
      await sleep(21_000);
      expect(runs).toEqual([10_000, 14_000, 24_000, 34_000]);
      await scheduler.stop();
    });
  });

  it('repeat gives the function back, and can be said twice', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler();
      const say = (word: string) => word;
      expect(scheduler.repeat(scheduler.every().second, 'hi')(say)).toBe(say);
      expect(await scheduler.jobs[0]?.run()).toBe('hi');
      scheduler.repeat(scheduler.every().second, 'World')(scheduler.repeat(scheduler.every().day, 'Mars')(say));
      expect(await Promise.all(scheduler.jobs.map((job) => job.run()))).toEqual(['hi', 'Mars', 'World']);
    });
  });

  it('shows what it is: the rule, and as schedule does, the call with its arguments, and the last and next run', async () => {
    await virtually(async () => {
      const s = new Scheduler({ timeZone: 'UTC' });
      const jobs = [
        s.every().second,
        s.every(5).to(10).minutes,
        s.every().day.at('10:30'),
        s.every(2).hours.at(':30'),
        s.every().monday.at('10:00'),
        s.cron('0 9 * * *', { name: 'wake' }),
        s.once('2026-02-01 10:00'),
        s.interval(250),
      ];
      expect(String(jobs[2])).toBe('Every 1 day at 10:30:00 do [None] (last run: [never], next run: [never])');
      expect(String(s.every(10))).toBe('Every 10 None do [None] (last run: [never], next run: [never])');
      for (const job of jobs) job.do(nothing);
      expect(jobs.map((job) => job.rule())).toEqual([
        'Every second',
        'Every 5 to 10 minutes',
        'Every day at 10:30 (UTC)',
        'Every 2 hours at :30',
        'Every monday at 10:00 (UTC)',
        'Cron 0 9 * * * (UTC)',
        'Once at 2026-02-01T10:00:00.000Z',
        'Every 250 ms',
      ]);
      expect(jobs.map((job) => String(job).replace(/ \(last run.*/, ''))).toEqual([
        'Every 1 second do nothing()',
        'Every 5 to 10 minutes do nothing()',
        'Every 1 day at 10:30:00 do nothing()',
        'Every 2 hours at 00:30:00 do nothing()',
        'Every monday at 10:00:00 do nothing()',
        'Cron 0 9 * * * do wake()',
        'Once at 2026-02-01T10:00:00.000Z do nothing()',
        'Every 250 ms do nothing()',
      ]);
      const job = s.every().minute.do((_: string, __: object) => {}, 'foo', { bar: 23 });
      const local = (date: Date | null) => {
        const at = Temporal.Instant.fromEpochMilliseconds(date?.getTime() ?? 0).toZonedDateTimeISO(
          Temporal.Now.timeZoneId(),
        );
        return at.toPlainDateTime().toString({ smallestUnit: 'second' }).replace('T', ' ');
      };
      expect(inspect(job)).toBe(
        `Every 1 minute do (anonymous)('foo', { bar: 23 }) (last run: [never], next run: ${local(job.nextRun)})`,
      );
      await job.run();
      expect(String(job)).toContain(`(last run: ${local(job.lastRun)}, next run: `);
    });
  });
});

describe('the default scheduler', () => {
  it('is there as functions', async () => {
    await virtually(async () => {
      let runs = 0;
      every().second.do(() => runs++);
      expect(defaultScheduler.jobs).toEqual(getJobs());
      expect(idle()).toBe(1_000);
      expect(nextRun()?.toISOString()).toBe('2026-01-01T00:00:01.000Z');
      await sleep(1_000);
      await runPending();
      expect(runs).toBe(1);
      clear();
    });
  });
});
