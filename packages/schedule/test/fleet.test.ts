/** Several instances on one real engine. Here in one process; fleet-processes.test.ts kills processes. */
import { createTask, run, sleep } from '@aiokit/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bullmq } from '../src/bullmq.ts';
import { CancelJob, type JobContext, ScheduleError, Scheduler, ScheduleValueError } from '../src/index.ts';
import { pgBoss } from '../src/pg-boss.ts';
import { backendOn, ENGINES, eventually, instances, now, startEngine, type TestEngine } from './fleet-engines.ts';
import { reports } from './virtually.ts';

/** That between the first and the last there is one every `period` ms; in which order does not matter. */
function isGapless(times: number[], period: number): boolean {
  return new Set(times).size === (Math.max(...times) - Math.min(...times)) / period + 1;
}

// Several fleets at a time, in one process.
describe.each(ENGINES)('a fleet on %s', { timeout: 60_000 }, (name) => {
  let engine: TestEngine;
  beforeAll(async () => {
    engine = await startEngine(name);
  });
  afterAll(async () => {
    await engine[Symbol.asyncDispose]();
  });

  it.concurrent('runs each occurrence on one instance', async () => {
    const runs: string[] = [];
    const timesOf = (job: string) => runs.filter((run) => run.startsWith(job)).map((run) => Number(run.split(' ')[1]));
    await instances(engine, 'one', async (instance) => {
      for (const who of 'abc') {
        instance((scheduler) => {
          for (const job of ['once1', 'once2']) {
            scheduler
              .interval(250, { name: job, misfire: 'all', overlap: 'concurrent' })
              .do(({ scheduledFor }) => runs.push(`${job} ${+scheduledFor} ${who}`));
          }
        });
      }
      // An instance that is slow may still have one of the last.
      await eventually(() => runs.length >= 30 && ['once1', 'once2'].every((job) => isGapless(timesOf(job), 250)));
    });
    const occurrences = runs.map((run) => run.slice(0, -2));
    expect(new Set(occurrences).size).toBe(runs.length);
  });

  it.concurrent('leaves out, or puts in line, what is due while a run goes on elsewhere', async () => {
    const log: string[] = [];
    const timesOf = (job: string) =>
      log.filter((line) => line.startsWith(job) && line.includes('begins')).map((line) => Number(line.split(' ')[1]));
    const work = async ({ job, scheduledFor, missedCount }: JobContext) => {
      log.push(`${job.name} ${+scheduledFor} begins, missed ${missedCount}`);
      await sleep(900);
      log.push(`${job.name} ${+scheduledFor} ends`);
    };
    await instances(engine, 'overlap', async (instance) => {
      for (let i = 0; i < 3; i++) {
        instance((scheduler) => {
          scheduler.interval(500, { name: 'skipping', overlap: 'skip' }).do(work);
          // Late by more than an interval, it would be left out by the other misfire policies.
          scheduler.interval(700, { name: 'queueing', overlap: 'queue', misfire: 'all' }).do(work);
        });
      }
      // The line is in the order of arrival: one that a slow instance has may run after its successor, but does run.
      await eventually(
        () =>
          timesOf('queueing').length >= 5 &&
          isGapless(timesOf('queueing'), 700) &&
          log.some((line) => line.startsWith('skipping') && line.endsWith('missed 1')),
      );
    });
    for (const job of ['skipping', 'queueing']) {
      const own = log.filter((line) => line.startsWith(job));
      // Never two at once, and none twice.
      for (const [i, line] of own.entries()) expect(line).toContain(i % 2 === 0 ? 'begins' : 'ends');
      expect(new Set(timesOf(job)).size).toBe(timesOf(job).length);
    }
  });

  it.concurrent("'cancel' ends the run before it, wherever that is", async () => {
    const log: string[] = [];
    await instances(engine, 'cancelling', async (instance) => {
      for (let i = 0; i < 2; i++) {
        instance((scheduler) => {
          scheduler.interval(1_500, { name: 'cancelling', overlap: 'cancel' }).do(async ({ scheduledFor }) => {
            log.push(`${+scheduledFor} begins`);
            await sleep(60_000).finally(() => log.push(`${+scheduledFor} ends`));
          });
        });
      }
      await eventually(() => log.length >= 7);
      log.length = 7;
    });
    for (const [i, line] of log.entries()) expect(line).toContain(i % 2 === 0 ? 'begins' : 'ends');
  });

  it.concurrent('cancel() reaches a run on another instance', async () => {
    const ended: string[] = [];
    let running = 0;
    await instances(engine, 'cancel', async (instance) => {
      const schedulers = [0, 1, 2].map(() =>
        instance((scheduler) => {
          scheduler.interval(1_000, { name: 'long' }).do(async () => {
            running++;
            await sleep(60_000).catch((error) => {
              ended.push((error as Error).message);
              throw error;
            });
          });
        }),
      );
      await eventually(() => running === 1);
      const elsewhere = schedulers.find((scheduler) => scheduler.jobs[0]?.describe().running === 0);
      expect(elsewhere?.jobs[0]?.cancel('by hand')).toBe(0);
      await eventually(() => ended.length === 1);
    });
    expect(ended).toContain('by hand');
  });

  it.concurrent('cancels a run that the engine has given to somebody else', async () => {
    const ended: string[] = [];
    let running = false;
    await instances(engine, 'lost', async (instance) => {
      instance((scheduler) => {
        scheduler.once(now() + 300, { name: 'lost' }).do(async () => {
          running = true;
          await sleep(60_000).catch((error) => {
            ended.push((error as Error).message);
            throw error;
          });
        });
      });
      await eventually(() => running);
      await engine.takeAway('lost');
      await eventually(() => ended.length > 0);
    });
    expect(ended[0]).toBe('the engine has given the run to another instance');
  });

  it.concurrent('an instance that is cut off from the engine cancels its run before another begins it again', async () => {
    const log: string[] = [];
    await using proxy = await engine.proxy();
    await instances(engine, 'cut-off', async (instance) => {
      const at = now() + 300;
      const declare = (who: string) => (scheduler: Scheduler) => {
        scheduler.once(at, { name: 'cut off' }).do(async ({ attempt }) => {
          log.push(`${who} begins ${attempt}`);
          await sleep(60_000).finally(() => log.push(`${who} ends`));
        });
      };
      const cutOff = instance(declare('a'), { backend: engine.backendThrough(proxy, { queue: 'cut-off' }) });
      await eventually(() => log.length === 1);
      instance(declare('b'));
      // No packet arrives any more, in either direction, and nobody is told.
      proxy.refuse();
      proxy.halfOpen();
      await eventually(() => log.length >= 3);
      expect(log).toEqual(['a begins 1', 'a ends', 'b begins 2']);
      await proxy.restore();
      expect((await cutOff.stop({ drain: 0 })).stuck).toEqual([]);
    });
  });

  it.concurrent('a rule that nobody goes by any more gives way, one that is retired does not', async () => {
    await run(async () => {
      const connection = engine.backend({ queue: 'rules' }).connect();
      await connection.open(
        async () => 'giveBack',
        () => {},
      );
      const { board } = connection;
      const ruleNow = async () => (await board.state('job')).rule;
      await board.declare('job', 'new');
      await board.declare('job', 'old');
      expect((await board.uphold('job', 'new', 60_000)).rule).toBe('old');
      await sleep(30);
      expect((await board.uphold('job', 'old', 10)).rule).toBe('old');
      await sleep(30);
      expect((await board.uphold('job', 'new', 10)).rule).toBe('new');
      await board.retire('job', 'old');
      expect(await ruleNow()).toBe('new');
      await board.retire('job', 'new');
      await sleep(30);
      expect((await board.uphold('job', 'new', 10)).rule).toBe('retired:new');
      await board.declare('job', 'new');
      expect(await ruleNow()).toBe('retired:new');
      await board.declare('job', 'next');
      expect(await ruleNow()).toBe('next');
      await connection.close();
    });
  });

  it.concurrent('the line of a job keeps its order, and each stands in it once', async () => {
    await run(async () => {
      const connection = engine.backend({ queue: 'line' }).connect();
      await connection.open(
        async () => 'giveBack',
        () => {},
      );
      const { board } = connection;
      const lineAfter = async (at: number) => (await board.enter('job', at)).line;
      expect(await lineAfter(1_700_000_000_000)).toEqual([1_700_000_000_000]);
      expect(await Promise.all([lineAfter(5), lineAfter(5)])).toEqual([
        [1_700_000_000_000, 5],
        [1_700_000_000_000, 5],
      ]);
      expect(await lineAfter(3)).toEqual([1_700_000_000_000, 5, 3]);
      await board.leave('job', [5, 9]);
      expect((await board.state('job')).line).toEqual([1_700_000_000_000, 3]);
      await connection.close();
    });
  });

  it.concurrent('who comes first into the line is given the missed ones, and keeps them until it is over', async () => {
    await run(async () => {
      const connection = engine.backend({ queue: 'told' }).connect();
      await connection.open(
        async () => 'giveBack',
        () => {},
      );
      const { board } = connection;
      await board.addMissed('job', 4);
      expect(await board.state('job')).toMatchObject({ missed: 4 });
      expect(await board.enter('job', 5)).toEqual({ line: [5], missed: 4 });
      expect(await board.state('job')).toMatchObject({ missed: 0 });
      await board.addMissed('job', 2);
      expect(await board.enter('job', 5)).toEqual({ line: [5], missed: 4 });
      expect(await board.enter('job', 3)).toEqual({ line: [5, 3], missed: 2 });
      expect(await board.enter('job', 9)).toEqual({ line: [5, 3, 9], missed: 0 });
      await board.leave('job', [5]);
      expect(await board.enter('job', 5)).toEqual({ line: [3, 9, 5], missed: 0 });
      expect(await board.enter('job', 3)).toEqual({ line: [3, 9, 5], missed: 2 });
      await connection.close();
    });
  });

  it.concurrent('knows what was put in, and what of it is over', async () => {
    await run(async () => {
      const connection = engine.backend({ queue: 'known' }).connect();
      const [over, open, never] = [now() - 1_000, now() + 600_000, 3];
      const states = () => connection.known('job', [over, open, never]);
      await connection.open(
        async () => 'finished',
        () => {},
      );
      const occurrences = [over, open].map((at) => ({ job: 'job', at, rule: '' }));
      await connection.enqueue(occurrences, 600_000);
      while ((await states()).get(over) !== 'over') await sleep(20);
      expect(await states()).toEqual(
        new Map([
          [over, 'over'],
          [open, 'open'],
        ]),
      );
      await connection.close();
    });
  });

  it.concurrent('what is due at once is handed out in order', async () => {
    await run(async () => {
      const [first, second] = [1, 2].map(() => engine.backend({ queue: 'order' }).connect());
      const times = Array.from({ length: 30 }, (_, i) => now() + 2_000 + i);
      const taken: number[] = [];
      // On a slow machine it is still there when they are due; what it gives back comes a second later.
      const givenBack = new Set<number>();
      await first?.open(
        async ({ at }) => {
          givenBack.add(at);
          return 'giveBack';
        },
        () => {},
      );
      await first?.enqueue(
        times.map((at) => ({ job: 'job', at, rule: '' })),
        600_000,
      );
      await first?.close();
      await sleep(Math.max(0, Math.max(...times) + 100 - now()));
      await second?.open(
        async ({ at }) => {
          taken.push(at);
          return 'finished';
        },
        () => {},
      );
      await eventually(() => taken.length >= times.length);
      const inOrder = (all: number[]) => all.filter((at) => !givenBack.has(at));
      expect(inOrder(taken)).toEqual(inOrder(times));
      await second?.close();
    });
  });

  it.concurrent('a run that a shutdown cancels is begun again by another instance', async () => {
    const begun: string[] = [];
    await instances(engine, 'handover', async (instance) => {
      const at = now() + 400;
      const declare = (who: string) => (scheduler: Scheduler) => {
        scheduler.once(at, { name: 'handed over' }).do(async () => {
          begun.push(who);
          if (begun.length === 1) await sleep(60_000);
        });
      };
      const [a, b] = ['a', 'b'].map((who) => instance(declare(who)));
      await eventually(() => begun.length === 1);
      await (begun[0] === 'a' ? a : b)?.stop({ drain: 0 });
      await eventually(() => begun.length === 2);
    });
    expect([...begun].sort()).toEqual(['a', 'b']);
  });

  it.concurrent.each(['once', 'skip', 'all'] as const)('misfire: %s after nobody was there', async (misfire) => {
    const runs: { at: number; missed: number }[] = [];
    const period = 1_000;
    const job = `down ${misfire}`;
    await instances(engine, `misfire-${misfire}`, async (instance) => {
      const declare = (scheduler: Scheduler) => {
        scheduler
          .interval(period, { name: job, misfire, grace: 60_000, overlap: misfire === 'all' ? 'concurrent' : 'skip' })
          .do(({ scheduledFor, missedCount }) => runs.push({ at: +scheduledFor, missed: missedCount }));
      };
      const first = instance(declare);
      // The engine knows of a next one: what passes by in a fleet that has none is nobody's.
      await eventually(
        () => runs.length >= 1 && Number(first.jobs[0]?.nextRun) > Math.max(...runs.map(({ at }) => at)),
      );
      await first.stop();
      const last = Math.max(...runs.map(({ at }) => at));
      // Occurrences pass by; the next instance comes between two of them.
      await sleep(Math.max(0, last + 3.2 * period - now()));
      runs.length = 0;
      instance(declare);
      const of = (n: number) => runs.filter(({ at }) => at === last + n * period).length;
      if (misfire === 'all') {
        // Each of them, however late this machine is.
        await eventually(() => [1, 2, 3, 4].every((n) => of(n) === 1));
        return;
      }
      // One for all that passed by, and runs are told of all that had none. Which run of which depends on how late this
      // machine is; that none is left out or told twice does not.
      const nth = () => Math.max(...runs.map(({ at }) => at - last)) / period;
      await eventually(() => runs.length >= 4 && nth() === runs.reduce((sum, { missed }) => sum + 1 + missed, 0));
      expect(of(1)).toBe(0);
    });
  });

  it.concurrent('a rolling deploy that changes, removes and adds schedules leaves neither duplicates nor ghosts', async () => {
    const runs: string[] = [];
    const note = (version: string) => (context: JobContext) =>
      void runs.push(`${context.job.name} ${+context.scheduledFor} ${version}`);
    await instances(engine, 'deploy', async (instance) => {
      const v1 = (scheduler: Scheduler) => {
        scheduler.interval(400, { name: 'changed' }).do(note('v1'));
        scheduler.interval(400, { name: 'removed' }).do(note('v1'));
      };
      const v2 = (scheduler: Scheduler) => {
        scheduler.interval(1_000, { name: 'changed' }).do(note('v2'));
        scheduler.interval(400, { name: 'added' }).do(note('v2'));
      };
      const old = [instance(v1), instance(v1)];
      await eventually(() => runs.length >= 6);
      instance(v2);
      await eventually(() => runs.some((run) => run.startsWith('added')));
      const changedAt = now();
      await old[0]?.stop();
      instance(v2);
      await sleep(1_000);
      await old[1]?.stop();
      const allNewAt = now();
      const after = (job: string, instant: number) =>
        runs.filter((run) => run.startsWith(job) && Number(run.split(' ')[1]) > instant);
      await eventually(() => after('added', allNewAt).length >= 7 && after('changed', allNewAt).length >= 2);
      expect(new Set(runs.map((run) => run.replace(/ v\d$/, ''))).size).toBe(runs.length);
      expect(after('removed', allNewAt)).toEqual([]);
      for (const run of after('changed', changedAt + 500)) expect(Number(run.split(' ')[1]) % 1_000).toBe(0);
    });
  });

  it.concurrent('CancelJob ends the job on every instance', async () => {
    let runs = 0;
    await instances(engine, 'retire', async (instance) => {
      const schedulers = [0, 1, 2].map(() =>
        instance((scheduler) => {
          scheduler.interval(300, { name: 'retiring' }).do(() => (++runs >= 2 ? CancelJob : undefined));
        }),
      );
      await eventually(() => schedulers.every((scheduler) => scheduler.jobs.length === 0));
      const seen = runs;
      await sleep(1_000);
      expect(runs).toBe(seen);
    });
  });

  it('goes on after the engine was restarted', async () => {
    const runs = new Map<number, number>();
    let wentDownAt = 0;
    let cameBackAt = 0;
    await instances(engine, 'restart', async (instance) => {
      for (let i = 0; i < 2; i++) {
        instance((scheduler) => {
          const note = ({ scheduledFor }: JobContext) =>
            void runs.set(+scheduledFor, (runs.get(+scheduledFor) ?? 0) + 1);
          scheduler.interval(500, { name: 'restarted', misfire: 'all', grace: 60_000 }).do(note);
        });
      }
      await eventually(() => runs.size >= 3);
      wentDownAt = now();
      await engine.restart();
      cameBackAt = now();
      const { size } = runs;
      await eventually(() => runs.size >= size + 5);
    });
    // What was under way when it went down may have ended without its knowledge.
    const twice = [...runs].filter(([at, count]) => count > 1 && !(at > wentDownAt - 2_000 && at <= cameBackAt));
    expect(twice).toEqual([]);
  });

  it('waits for an engine that begins later, says so once, and takes jobs meanwhile', async () => {
    await using proxy = await engine.proxy();
    proxy.refuse();
    await run(async () => {
      const told = reports();
      const scheduler = new Scheduler({ backend: engine.backendThrough(proxy, { queue: 'later' }) }).start();
      let runs = 0;
      await eventually(() => told.length > 0);
      scheduler.interval(300, { name: 'later' }).do(() => runs++);
      await sleep(1_000);
      expect(told).toMatchObject([
        { message: 'The engine of a fleet of schedulers failed', exception: { code: 'ECONNREFUSED' } },
      ]);
      await proxy.restore();
      await eventually(() => runs >= 2);
      await scheduler.stop();
      expect(told).toHaveLength(1);
    });
  });

  it.each(['cancel', 'stop'])('%s ends the wait for an engine', async (how) => {
    await using proxy = await engine.proxy();
    proxy.refuse();
    await run(async () => {
      const told = reports();
      const scheduler = new Scheduler({ backend: engine.backendThrough(proxy, { queue: 'never' }) });
      scheduler.interval(300, { name: 'never' }).do(() => {});
      const forever = createTask(() => scheduler.runForever());
      await eventually(() => told.length > 0);
      const began = now();
      if (how === 'stop') expect(await scheduler.stop()).toEqual({ finished: [], cancelled: [], stuck: [] });
      else forever.cancel();
      expect(await forever.catch((error) => (error as Error).name)).toBe(how === 'stop' ? undefined : 'CancelledError');
      // Not only when the goodbye has been given up, after 5 s.
      expect(now() - began).toBeLessThan(4_000);
      await proxy.restore();
      await sleep(1_000);
      expect(proxy.connections).toBe(0);
      expect(told).toHaveLength(1);
    });
  });

  it('stops also when the engine is away', async () => {
    let runs = 0;
    await instances(engine, 'away', async (instance) => {
      const scheduler = instance((scheduler) => scheduler.interval(300, { name: 'away' }).do(() => runs++));
      await eventually(() => runs > 0);
      await engine.kill();
      await sleep(500);
      const began = now();
      expect(await scheduler.stop({ drain: 0, cancelGrace: 1_000 })).toMatchObject({ stuck: [] });
      expect(now() - began).toBeLessThan(3_000);
    });
  });
});

describe('a scheduler with a backend', () => {
  const connection = { host: '127.0.0.1', port: 1, lazyConnect: true };

  it.each([
    ['removeOnComplete: true', () => bullmq({ connection, removeOnComplete: true })],
    ['a count', () => bullmq({ connection, removeOnComplete: 1_000 })],
    ['age and count', () => bullmq({ connection, removeOnComplete: { age: 100_000, count: 10 } })],
    ['failed ones', () => bullmq({ connection, removeOnFail: { count: 5 } })],
    ['too young', () => bullmq({ connection, removeOnComplete: { age: 30 } })],
    ['pg-boss, too young', () => pgBoss({ deleteAfterSeconds: 30 })],
  ])('refuses settings that remove finished occurrences: %s', (_, backend) => {
    expect(backend).toThrow(ScheduleValueError);
    expect(backend).toThrow('it would run twice');
  });

  it.each([
    [
      'a shorter life than the grace',
      { age: 3_000 },
      (s: Scheduler) => s.every(1, { name: 'a' }).second,
      'would run twice',
    ],
    ['no name', undefined, (s: Scheduler) => s.every().second, 'it needs a name'],
    ['no zone', undefined, (s: Scheduler) => s.every(1, { name: 'a' }).day.at('10:00'), 'needs a timeZone'],
    ['no time of day', undefined, (s: Scheduler) => s.every(1, { name: 'a' }).day, "needs .at('HH:MM')"],
    [
      'random',
      undefined,
      (s: Scheduler) => s.every(1, { name: 'a' }).to(3).minutes,
      'cannot agree on random intervals',
    ],
    [
      'delay',
      undefined,
      (s: Scheduler) => s.interval(9, { name: 'a', mode: 'fixedDelay' }),
      'the end of a run that died',
    ],
    ['no end', undefined, (s: Scheduler) => s.interval(9, { name: 'a', grace: Infinity }), 'grace must be finite'],
  ])('refuses what machines cannot agree on: %s', (_, removeOnComplete, chain, message) => {
    const scheduler = new Scheduler({ backend: bullmq({ connection, removeOnComplete }) });
    expect(() => chain(scheduler).do(() => {})).toThrow(ScheduleValueError);
    expect(() => chain(scheduler).do(() => {})).toThrow(message);
  });

  it('refuses a queue that pg-boss would not take', () => {
    expect(() => pgBoss({ queue: 'my jobs' })).toThrow(
      "options.queue must be letters, digits, _ - . or /, got 'my jobs'",
    );
  });

  it('does not wait for what will not come: a database that does not exist', async () => {
    await using engine = await startEngine('pg-boss');
    const url = new URL(engine.url);
    url.pathname = '/nowhere';
    await run(async () => {
      const scheduler = new Scheduler({ backend: backendOn('pg-boss', url.href) });
      const failure = await scheduler.runForever().catch((error) => error);
      expect(failure.errors).toMatchObject([{ code: '3D000' }]);
    });
  });

  it('refuses two jobs of one name, and runPending', async () => {
    const scheduler = new Scheduler({ backend: bullmq({ connection }) });
    scheduler.every().second.do(function job() {});
    expect(() => scheduler.every().minute.do(function job() {})).toThrow('there is one of that name');
    await expect(scheduler.runPending()).rejects.toThrow(ScheduleError);
  });

  it('computes the same on every machine, whenever it began', () => {
    const preview = () => {
      const scheduler = new Scheduler({ backend: bullmq({ connection }), timeZone: 'Europe/Berlin' });
      const chains = [
        scheduler.every(7, { name: 'a' }).minutes,
        scheduler.every(3, { name: 'b' }).days.at('10:30'),
        scheduler.every(2, { name: 'c' }).weeks.at === undefined
          ? null
          : scheduler.every(1, { name: 'c' }).tuesday.at('10:30'),
        scheduler.every(5, { name: 'd' }).hours.at(':20'),
        scheduler.every(1, { name: 'e', jitter: 1_800_000 }).hour,
      ];
      return chains.map((chain) =>
        chain
          ?.do(() => {})
          .preview(5)
          .map(Number),
      );
    };
    expect(preview()).toEqual(preview());
  });
});
