/** How jobs run: as Tasks, at their times, whatever the others do. */
import {
  CancelledError,
  createTask,
  getRunningLoop,
  InvalidStateError,
  sleep,
  TimeoutError,
  taskGroup,
} from '@aiokit/core';
import { describe, expect, it } from 'vitest';
import { CancelJob, type JobContext, Scheduler, ScheduleValueError } from '../src/index.ts';
import { elapsed, reports, virtually } from './virtually.ts';

const nothing = () => {};

describe('runForever', () => {
  it('runs each job at its times in a task group, until it is cancelled', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler();
      const runs: string[] = [];
      scheduler.every(1).seconds.do(() => runs.push(`one@${elapsed()}`));
      scheduler.every(2).seconds.do(() => runs.push(`two@${elapsed()}`));
      await taskGroup(async (group) => {
        const forever = group.createTask(() => scheduler.runForever());
        await sleep(4_500);
        forever.cancel();
      });
      expect(runs).toEqual(['one@1000', 'two@2000', 'one@2000', 'one@3000', 'two@4000', 'one@4000']);
      await sleep(5_000);
      expect(runs).toHaveLength(6);
    });
  });

  it('cancels the runs that go on, and waits for their cleanup', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler();
      const seen: string[] = [];
      scheduler.every(1).seconds.do(async () => {
        try {
          await sleep(60_000);
        } catch (error) {
          seen.push((error as Error).name);
          throw error;
        } finally {
          await sleep(500);
          seen.push(`cleaned up@${elapsed()}`);
        }
      });
      const forever = createTask(() => scheduler.runForever());
      await sleep(2_000);
      forever.cancel();
      await expect(forever).rejects.toThrow(CancelledError);
      expect(seen).toEqual(['CancelledError', 'cleaned up@2500']);
    });
  });

  it('reports a failing job, keeps it on the schedule, and the others do not notice', async () => {
    await virtually(async () => {
      const told = reports();
      const scheduler = new Scheduler();
      let others = 0;
      scheduler.every(1).seconds.do(async function failing() {
        throw new Error('boom');
      });
      scheduler.every(1).seconds.do(function throwing() {
        throw new Error('bang');
      });
      scheduler.every(1).seconds.do(async function cancelledElsewhere() {
        throw new CancelledError('not ours');
      });
      scheduler.every(1).seconds.do(() => others++);
      scheduler.start();
      await sleep(2_500);
      await scheduler.stop();
      expect(others).toBe(2);
      expect(told.map(({ message }) => message.replace(/, scheduled.*/, '')).sort()).toEqual(
        ['cancelledElsewhere', 'failing', 'throwing'].flatMap((name) => [`Job ${name}`, `Job ${name}`]),
      );
      expect(told.map(({ exception }) => (exception as Error).message)).toContain('boom');
    });
  });

  it('takes up jobs that come later, and drops those that are taken off', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler().start();
      const runs: string[] = [];
      await sleep(1_000);
      const first = scheduler.every(1).seconds.do(() => runs.push(`first@${elapsed()}`));
      await sleep(1_500);
      scheduler.cancelJob(first);
      scheduler.once(new Date(Date.parse('2026-01-01T00:00:05Z'))).do(() => runs.push(`once@${elapsed()}`));
      await sleep(10_000);
      expect(runs).toEqual(['first@2000', 'once@5000']);
      expect(scheduler.jobs).toEqual([]);
      await scheduler.stop();
    });
  });

  it('jobs that are due at the same moment may take each other off, or move each other', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler().start();
      const runs: string[] = [];
      const first = scheduler.every(1).seconds.do(() => {
        runs.push(`first@${elapsed()}`);
        if (runs.length === 1) {
          scheduler.cancelJob(second);
          void third.run();
        }
      });
      const second = scheduler.every(1).seconds.do(() => runs.push('never'));
      const third = scheduler.every(1).seconds.do(() => runs.push(`third@${elapsed()}`));
      await sleep(2_500);
      expect(runs).toEqual(['first@1000', 'third@1000', 'first@2000', 'third@2000']);
      expect(scheduler.jobs).toEqual([first, third]);
      await scheduler.stop();
    });
  });

  it('begins all that is due at a moment before it looks for what comes next', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler({ timeZone: 'UTC' });
      const steps: string[] = [];
      for (const name of ['first', 'second', 'third']) {
        const { plan } = scheduler.cron('* * * * *', { name }).do(() => steps.push(`${name} runs`));
        const { recurrence } = plan as NonNullable<typeof plan>;
        const after = recurrence.after.bind(recurrence);
        recurrence.after = (instant) => {
          steps.push('looks ahead');
          return after(instant);
        };
      }
      scheduler.start();
      await sleep(59_000);
      for (let minute = 0; minute < 3; minute++) {
        steps.length = 0;
        await sleep(60_000);
        expect(steps).toEqual(['first runs', 'second runs', 'third runs', ...Array(3).fill('looks ahead')]);
      }
      await scheduler.stop();
    });
  });

  it('a run that a job before it has begun by hand does not leave its queue behind', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler({ overlap: 'queue' }).start();
      const runs: string[] = [];
      const job = scheduler.cron('0 * * * *', { name: 'hourly', timeZone: 'UTC' }).do(async ({ scheduledFor }) => {
        runs.push(`${scheduledFor.toISOString().slice(11, 19)}@${elapsed()}`);
        await sleep(4_000);
      });
      await sleep(3_599_000);
      await job.run();
      await sleep(1_000);
      expect(runs).toEqual(['00:59:59@3599000', '01:00:00@3603000']);
      await scheduler.stop();
    });
  });

  it('what waits in line runs in order, also when it is not async', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler({ overlap: 'queue' }).start();
      const runs: string[] = [];
      scheduler.every(1).seconds.do(({ scheduledFor }) => {
        runs.push(`${scheduledFor.getUTCSeconds()}@${elapsed()}`);
        return runs.length === 1 ? sleep(3_500) : undefined;
      });
      await sleep(5_200);
      expect(runs).toEqual(['1@1000', '2@4500', '3@4500', '4@4500', '5@5000']);
      await scheduler.stop();
    });
  });

  it('obeys CancelJob', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler().start();
      let runs = 0;
      scheduler.every(1).seconds.do(async () => {
        await sleep(10);
        return ++runs === 3 ? CancelJob : undefined;
      });
      await sleep(10_000);
      expect(runs).toBe(3);
      await scheduler.stop();
    });
  });

  it('a job may take itself off while it runs, async or not', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler().start();
      const runs: string[] = [];
      scheduler.every(1).seconds.do(() => {
        runs.push('returns CancelJob');
        return CancelJob;
      });
      for (const work of [() => {}, async () => {}, () => sleep(10)]) {
        const job = scheduler.every(1).seconds.do(() => {
          runs.push('calls cancelJob');
          scheduler.cancelJob(job);
          return work();
        });
      }
      await sleep(10_000);
      expect(runs).toEqual(['returns CancelJob', ...Array(3).fill('calls cancelJob')]);
      expect(scheduler.jobs).toEqual([]);
      await scheduler.stop();
    });
  });

  it('is refused twice at once, since each job would run twice', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler().start();
      expect(() => scheduler.start()).toThrow(InvalidStateError);
      await expect(scheduler.runForever()).rejects.toThrow(
        'of a scheduler that runs already: each job would run twice',
      );
      await scheduler.stop();
      scheduler.start();
      await scheduler.stop();
    });
  });

  it('does not drift, and runs a year of a hundred jobs in seconds', { timeout: 60_000 }, async () => {
    await virtually(async () => {
      const scheduler = new Scheduler({ timeZone: 'Europe/Berlin' });
      let runs = 0;
      let late = 0;
      const work = async ({ lateBy }: JobContext) => {
        runs++;
        late += lateBy;
        await sleep(1_234);
      };
      for (let i = 0; i < 100; i++) {
        const time = `${String(i % 24).padStart(2, '0')}:${String(i % 60).padStart(2, '0')}`;
        scheduler.every().day.at(time).do(work);
      }
      scheduler.start();
      await sleep(365 * 86_400_000);
      expect(runs).toBe(36_500);
      expect(late).toBe(0);
      await scheduler.stop();
    });
  });
});

describe('stop', () => {
  it('waits for the drain, then cancels, and says who ended how', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler();
      const seen: string[] = [];
      const after = (ms: number) => async () => {
        await sleep(ms);
        seen.push(`${ms}`);
      };
      scheduler.every(1, { name: 'quick' }).seconds.do(after(300));
      scheduler.every(1, { name: 'slow' }).seconds.do(after(10_000));
      const stubborn = scheduler.every(1, { name: 'stubborn' }).seconds.do(async () => {
        while (scheduler.jobs.length > 0) await sleep(60_000).catch(nothing);
      });
      scheduler.start();
      await sleep(1_100);
      const report = await scheduler.stop({ drain: 1_000, cancelGrace: 500 });
      expect(elapsed()).toBe(2_600);
      expect(seen).toEqual(['300']);
      expect(report).toEqual({
        finished: ['quick'],
        cancelled: ['slow'],
        stuck: [{ job: 'stubborn', waitsIn: 'sleep pending' }],
      });
      scheduler.clear();
      stubborn.cancel();
    });
  });

  it('ends runs of jobs that are off the schedule already, and can be called by a run', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler().start();
      const seen: string[] = [];
      const later = new Date(getRunningLoop().clock.wallTime() + 1_000);
      scheduler.once(later, { name: 'once' }).do(() => sleep(60_000).finally(() => seen.push('once ended')));
      scheduler.once(later, { name: 'stopper' }).do(async () => {
        await sleep(500);
        seen.push(JSON.stringify(await scheduler.stop({ drain: 0 })));
      });
      await sleep(10_000);
      expect(seen).toEqual(['once ended', '{"finished":[],"cancelled":["once"],"stuck":[]}']);
    });
  });

  it('can be called by a run in its first step', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler().start();
      const seen: unknown[] = [];
      scheduler.every(1, { name: 'stopper' }).seconds.do(async () => {
        seen.push(await scheduler.stop(), elapsed());
      });
      scheduler.every(1, { name: 'never' }).seconds.do(() => seen.push('never'));
      await sleep(20_000);
      expect(seen).toEqual([{ finished: [], cancelled: [], stuck: [] }, 1_000]);
    });
  });

  it('is what await using does', async () => {
    await virtually(async () => {
      let runs = 0;
      {
        await using scheduler = new Scheduler().start();
        scheduler.every(1).seconds.do(() => runs++);
        await sleep(3_500);
      }
      await sleep(3_500);
      expect(runs).toBe(3);
    });
  });

  it('of a scheduler that does not run is nothing', async () => {
    await virtually(async () => {
      expect(await new Scheduler().stop()).toEqual({ finished: [], cancelled: [], stuck: [] });
    });
  });
});

describe('the context of a run', () => {
  it('comes after the arguments and says which occurrence it is', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler();
      const seen: unknown[] = [];
      const job = scheduler.every(1).seconds.do(
        (a: string, b: number, context) => {
          const { scheduledFor, lateBy, missedCount, attempt, signal } = context;
          seen.push([
            a,
            b,
            scheduledFor.toISOString(),
            lateBy,
            missedCount,
            attempt,
            signal.aborted,
            context.job === job,
          ]);
        },
        'a',
        2,
      );
      await sleep(3_250);
      await scheduler.runPending();
      expect(seen).toEqual([['a', 2, '2026-01-01T00:00:03.000Z', 250, 2, 1, false, true]]);
    });
  });

  it('has a signal that aborts when the run is cancelled', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler().start();
      const reasons: unknown[] = [];
      const job = scheduler.every(1).seconds.do(async ({ signal }) => {
        signal.addEventListener('abort', () => reasons.push((signal.reason as Error).message));
        await sleep(60_000);
      });
      await sleep(1_500);
      expect(job.cancel('enough')).toBe(1);
      await sleep(0);
      expect(reasons).toEqual(['enough']);
      expect(job.describe()).toMatchObject({ lastOutcome: 'cancelled', running: 0 });
      expect(job.nextRun?.toISOString()).toBe('2026-01-01T00:00:02.000Z');
      await scheduler.stop({ drain: 0 });
    });
  });
});

describe('overlap', () => {
  const starts = async (options: object, ms = 5_100, work = 1_500) =>
    await virtually(async () => {
      const scheduler = new Scheduler();
      const runs: string[] = [];
      const job = scheduler.every(1, options).seconds.do(async ({ scheduledFor, missedCount }) => {
        const what = `${scheduledFor.getUTCSeconds()}@${elapsed()}${missedCount === 0 ? '' : ` missed ${missedCount}`}`;
        runs.push(what);
        await sleep(work);
        runs.push(`${what} ended`);
      });
      scheduler.start();
      await sleep(ms);
      const { missed } = job.describe();
      await scheduler.stop({ drain: 0 });
      return { runs: runs.filter((run) => !run.includes('ended')), ended: runs.length, missed };
    });

  it("'skip', the default, leaves out what is due while a run goes on", async () => {
    expect(await starts({})).toMatchObject({ runs: ['1@1000', '3@3000 missed 1', '5@5000 missed 1'], missed: 2 });
    expect(await starts({ overlap: 'skip' })).toMatchObject({ missed: 2 });
  });

  it("'queue' runs each, one after the other", async () => {
    expect(await starts({ overlap: 'queue' })).toMatchObject({ runs: ['1@1000', '2@2500', '3@4000'], missed: 0 });
  });

  it("'queue' has a limit", async () => {
    const { runs } = await starts({ overlap: 'queue', queueLimit: 1 }, 10_000, 2_500);
    expect(runs).toEqual(['1@1000', '2@3500', '4@6000 missed 1', '7@8500 missed 2']);
  });

  it("'concurrent' runs them side by side", async () => {
    const { runs } = await starts({ overlap: 'concurrent' });
    expect(runs).toEqual(['1@1000', '2@2000', '3@3000', '4@4000', '5@5000']);
  });

  it("'cancel' ends the run before it", async () => {
    const { runs, ended } = await starts({ overlap: 'cancel' });
    expect(runs).toEqual(['1@1000', '2@2000', '3@3000', '4@4000', '5@5000']);
    expect(ended).toBe(5);
  });

  it("'cancel' begins when the other has cleaned up; the last of several wins", async () => {
    await virtually(async () => {
      const scheduler = new Scheduler().start();
      const seen: string[] = [];
      const job = scheduler.every(1, { overlap: 'cancel' }).seconds.do(async ({ scheduledFor }) => {
        const second = scheduledFor.getUTCSeconds();
        seen.push(`${second}@${elapsed()}`);
        try {
          await sleep(60_000);
        } finally {
          if (second === 1) await sleep(2_500);
        }
      });
      await sleep(4_600);
      expect(seen).toEqual(['1@1000', '4@4500']);
      expect(job.describe().missed).toBe(2);
      await scheduler.stop({ drain: 0 });
    });
  });
});

describe('misfire', () => {
  /** A loop that stands still from 1.5 s to 5.75 s: the occurrences at 2, 3, 4 and 5 s are late. */
  const late = async (options: object) =>
    await virtually(async () => {
      const scheduler = new Scheduler();
      const runs: string[] = [];
      const job = scheduler.every(1, options).seconds.do(({ scheduledFor, lateBy, missedCount }) => {
        runs.push(`${scheduledFor.getUTCSeconds()}+${lateBy} missed ${missedCount}`);
      });
      for (const at of [1_000, 5_750, 6_000]) {
        await sleep(at - elapsed());
        await scheduler.runPending();
      }
      expect(job.describe().missed + job.describe().runs).toBe(6);
      return runs;
    });

  it("'once', the default, runs the last of them for all", async () => {
    expect(await late({})).toEqual(['1+0 missed 0', '5+750 missed 3', '6+0 missed 0']);
  });

  it("'once' with a grace that has passed runs none", async () => {
    expect(await late({ misfire: 'once', grace: 500 })).toEqual(['1+0 missed 0', '6+0 missed 4']);
  });

  it("'skip' runs none that is late by more than a second", async () => {
    expect(await late({ misfire: 'skip' })).toEqual(['1+0 missed 0', '5+750 missed 3', '6+0 missed 0']);
    expect(await late({ misfire: 'skip', grace: 100 })).toEqual(['1+0 missed 0', '6+0 missed 4']);
  });

  it("'all' runs each, in order, as far back as the grace goes", async () => {
    expect(await late({ misfire: 'all' })).toEqual([
      '1+0 missed 0',
      '2+3750 missed 0',
      '3+2750 missed 0',
      '4+1750 missed 0',
      '5+750 missed 0',
      '6+0 missed 0',
    ]);
    expect(await late({ misfire: 'all', grace: 2_000 })).toEqual([
      '1+0 missed 0',
      '4+1750 missed 2',
      '5+750 missed 0',
      '6+0 missed 0',
    ]);
  });

  it('counts no further than is useful after a long time', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler();
      const seen: string[] = [];
      const note = ({ scheduledFor, missedCount }: JobContext) =>
        void seen.push(`${scheduledFor.toISOString()} missed ${missedCount}`);
      scheduler.every(1).seconds.do(note);
      scheduler.cron('*/10 * * * * *', { timeZone: 'UTC' }).do(note);
      await sleep(365 * 86_400_000 + 500);
      await scheduler.runPending();
      expect(seen).toEqual(Array(2).fill('2027-01-01T00:00:00.000Z missed 1000'));
      expect(scheduler.nextRun()?.toISOString()).toBe('2027-01-01T00:00:01.000Z');
    });
  });
});

describe('mode', () => {
  it("'fixedDelay' waits after the end of each run", async () => {
    await virtually(async () => {
      const scheduler = new Scheduler().start();
      const runs: number[] = [];
      const job = scheduler.every(1, { mode: 'fixedDelay' }).seconds.do(async () => {
        runs.push(elapsed());
        expect(job.nextRun).toBeNull();
        await sleep(700);
      });
      await sleep(5_000);
      expect(runs).toEqual([1_000, 2_700, 4_400]);
      await scheduler.stop();
    });
  });

  it("'fixedDelay' ends with until(), whether it is async or not", async () => {
    await virtually(async () => {
      const scheduler = new Scheduler({ mode: 'fixedDelay' }).start();
      const runs: string[] = [];
      const until = { milliseconds: 3_100 };
      scheduler
        .every(1)
        .seconds.until(until)
        .do(() => runs.push(`plain@${elapsed()}`));
      scheduler
        .every(1)
        .seconds.until(until)
        .do(async () => {
          runs.push(`async@${elapsed()}`);
          await sleep(200);
        });
      await sleep(10_000);
      expect(runs).toEqual(['plain@1000', 'async@1000', 'plain@2000', 'async@2200', 'plain@3000']);
      expect(scheduler.jobs).toEqual([]);
      await scheduler.stop();
    });
  });
});

describe('jitter', () => {
  it('delays each run by up to that much, as the preview says, and the same again for the same seed', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler().start();
      const runs: string[] = [];
      const job = scheduler
        .every(1, { jitter: 400, seed: 'x' })
        .seconds.do(({ scheduledFor, lateBy }) => runs.push(`${scheduledFor.toISOString()} ${lateBy}`));
      const preview = job.preview(50).map((date) => `${date.toISOString()} 0`);
      await sleep(50_500);
      expect(runs).toEqual(preview);
      const offsets = runs.map((run) => Number(run.slice(20, 23)));
      expect(Math.max(...offsets)).toBeLessThanOrEqual(400);
      expect(new Set(offsets).size).toBeGreaterThan(20);
      await scheduler.stop();
    });
  });
});

describe('timeout and retry', () => {
  it('an attempt that takes too long is cancelled and has failed', async () => {
    await virtually(async () => {
      const told = reports();
      const scheduler = new Scheduler().start();
      let cleaned = 0;
      scheduler.every(10, { timeout: 500 }).seconds.do(async function slow({ signal }) {
        try {
          await sleep(60_000);
        } finally {
          if (signal.aborted) cleaned++;
        }
      });
      await sleep(11_000);
      expect(cleaned).toBe(1);
      expect(told.map(({ exception }) => exception)).toEqual([expect.any(TimeoutError)]);
      await scheduler.stop();
    });
  });

  it('retries with a growing delay, and tells onError of the last failure alone', async () => {
    await virtually(async () => {
      const attempts: string[] = [];
      const errors: string[] = [];
      const scheduler = new Scheduler({
        onError: (error, { job, attempt, scheduledFor }) =>
          errors.push(`${(error as Error).message} ${job.name} ${attempt} ${scheduledFor.getUTCSeconds()}`),
      }).start();
      scheduler
        .every(30, { name: 'shaky', retry: { limit: 3, delay: 1_000, factor: 3, maxDelay: 5_000 } })
        .seconds.do(({ attempt, lateBy }) => {
          attempts.push(`${attempt}+${lateBy}`);
          throw new Error(`boom ${attempt}`);
        });
      await sleep(45_000);
      expect(attempts).toEqual(['1+0', '2+1000', '3+4000', '4+9000']);
      expect(errors).toEqual(['boom 4 shaky 4 30']);
      await scheduler.stop();
    });
  });

  it('a retry that succeeds is a success', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler().start();
      const job = scheduler.every(10, { retry: 2 }).seconds.do(({ attempt }) => {
        if (attempt < 3) throw new Error('not yet');
      });
      await sleep(15_000);
      expect(job.describe()).toMatchObject({ lastOutcome: 'done', lastDuration: 3_000, failures: 0, runs: 1 });
      await scheduler.stop();
    });
  });

  it('a cancel of a job is none of runAll', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler();
      let others = 0;
      const job = scheduler.every(1).hours.do(() => sleep(60_000));
      scheduler.every(1).hours.do(() => others++);
      createTask(async () => {
        await sleep(100);
        job.cancel();
      });
      await scheduler.runAll();
      expect([others, elapsed()]).toEqual([1, 100]);
    });
  });

  it('a cancel is not retried', async () => {
    await virtually(async () => {
      const scheduler = new Scheduler().start();
      const job = scheduler.every(10, { retry: 5 }).seconds.do(() => sleep(60_000));
      await sleep(11_000);
      job.cancel();
      await sleep(3_000);
      expect(job.describe()).toMatchObject({ lastOutcome: 'cancelled', running: 0 });
      await scheduler.stop();
    });
  });

  it('an onError that fails is reported with the error that it was given', async () => {
    await virtually(async () => {
      const told = reports();
      const scheduler = new Scheduler().start();
      const onError = () => {
        throw new Error('onError too');
      };
      scheduler.every(1, { name: 'bad', onError }).seconds.do(() => {
        throw new Error('boom');
      });
      await sleep(1_500);
      expect(told.map(({ exception }) => (exception as Error).message)).toEqual(['boom', 'onError too']);
      await scheduler.stop();
    });
  });
});

describe('settings that contradict each other', () => {
  it.each<[string, (s: Scheduler) => unknown, string]>([
    ['all + skip', (s) => s.every(1, { misfire: 'all', overlap: 'skip' }).second, "Take overlap: 'queue'"],
    ['all + cancel', (s) => s.every(1, { misfire: 'all', overlap: 'cancel' }).second, 'would cancel the one before it'],
    [
      'skip + any lateness',
      (s) => s.every(1, { misfire: 'skip', grace: Infinity }).second,
      "nothing would ever be late enough to be skipped. Take misfire: 'once'",
    ],
    ['a limit without a queue', (s) => s.every(1, { queueLimit: 2 }).second, "only overlap: 'queue' has a queue"],
    ['delay + queue', (s) => s.every(1, { mode: 'fixedDelay', overlap: 'queue' }).second, 'when this one has ended'],
    ['delay + all', (s) => s.every(1, { mode: 'fixedDelay', misfire: 'all' }).second, 'never more than one run'],
    ['delay + at', (s) => s.every(1, { mode: 'fixedDelay' }).day.at('10:00'), 'have a delay between runs'],
    ['delay + cron', (s) => s.cron('* * * * *', { mode: 'fixedDelay' }), 'have a delay between runs'],
    ['gap of seconds', (s) => s.every(1, { gap: 'skip' }).second, "gap of 'Every second': it counts elapsed"],
    ['zone of an interval', (s) => s.interval(5, { timeZone: 'UTC' }), 'no change of the clocks can touch'],
    [
      'jitter of an interval',
      (s) => s.every(1, { jitter: 1_000 }).second,
      'shorter than its interval, 1000 ms, got 1000',
    ],
  ])('%s', async (_, chain, message) => {
    await virtually(() => {
      const scheduler = new Scheduler();
      const build = () => (chain(scheduler) as ReturnType<Scheduler['cron']>).do(() => {});
      expect(build).toThrow(ScheduleValueError);
      expect(build).toThrow(message);
      expect(scheduler.jobs).toEqual([]);
    });
  });

  it('two time zones', () => {
    const job = new Scheduler().every(1, { timeZone: 'UTC' }).day;
    expect(() => job.at('10:00', 'Asia/Tokyo')).toThrow(
      "at(…, 'Asia/Tokyo') and timeZone: 'UTC' contradict each other",
    );
  });

  it('an option that does not exist is not passed over', () => {
    expect(() => new Scheduler().every(1, { overlapp: 'skip' } as never)).toThrow(
      'options.overlapp is not known. There',
    );
    expect(() => new Scheduler({ zone: 'UTC' } as never)).toThrow(TypeError);
    expect(() => new Scheduler().every(1, { overlap: 'never' as never })).toThrow("must be one of 'skip', 'queue'");
  });
});

describe('preview', () => {
  it.each<[string, (s: Scheduler) => ReturnType<Scheduler['cron']>]>([
    ['every 7 minutes', (s) => s.every(7).minutes],
    ['every 5 to 9 minutes', (s) => s.every(5).to(9).minutes],
    ['every 3 hours at :20', (s) => s.every(3).hours.at(':20')],
    ['every day at 02:30', (s) => s.every().day.at('02:30')],
    ['every other week', (s) => s.every(2).weeks],
    ['sundays', (s) => s.every().sunday.at('02:30')],
    ['cron', (s) => s.cron('*/20 0-3 * * sun,mon')],
    ['cron with jitter', (s) => s.cron('*/20 0-3 * * sun,mon', { jitter: 600_000 })],
    ['jitter', (s) => s.every(1, { jitter: 3_599_999 }).hour],
  ])('of %s is what runs, over a change of the clocks', async (_, chain) => {
    await virtually(async () => {
      const scheduler = new Scheduler({ timeZone: 'Australia/Lord_Howe' }).start();
      const runs: Date[] = [];
      const job = chain(scheduler).do(({ scheduledFor }) => runs.push(scheduledFor));
      const preview = job.preview(40).filter((date) => date.getTime() < Date.parse('2026-05-03T00:00Z'));
      await sleep(Date.parse('2026-05-03T00:00Z') - getRunningLoop().clock.wallTime());
      expect(runs.slice(0, preview.length)).toEqual(preview);
      expect(preview.length).toBeGreaterThan(0);
      expect(new Set(preview.map(Number)).size).toBe(preview.length);
      for (const [i, date] of preview.entries()) {
        if (i > 0) expect(job.nextAfter(preview[i - 1] as Date)).toEqual(date);
      }
      await scheduler.stop();
    }, '2026-04-03T10:07:00Z');
  });
});
