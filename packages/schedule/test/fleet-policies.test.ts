/** A fleet in virtual time: that its policies are those of one process, and what becomes of runs whose instance died. */
import { detached, sleep } from '@aiokit/core';
import { describe, expect, it } from 'vitest';
import { CancelJob, type JobContext, type JobOptions, Scheduler, type SchedulerOptions } from '../src/index.ts';
import { type Entry, type MemoryEngine, MemoryServer } from './memory-engine.ts';
import { elapsed, reports, virtually } from './virtually.ts';

/** Seeded, so that a failure can be seen again. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

interface Seen {
  minute: number;
  missed: number;
  outcome: string;
}

/** A job of every minute, with runs from a second to three minutes; on one process, or on a fleet. */
async function fortyMinutes(options: JobOptions, seed: number, instances: number): Promise<Seen[]> {
  return await virtually(async () => {
    const seen: Seen[] = [];
    const backend = instances === 0 ? undefined : new MemoryServer();
    const start = Date.parse('2026-01-01T00:00:00Z');
    const work = async ({ scheduledFor, missedCount }: JobContext) => {
      const minute = (scheduledFor.getTime() - start) / 60_000;
      const run: Seen = { minute, missed: missedCount, outcome: 'cancelled' };
      seen.push(run);
      // The same for the same occurrence, whoever runs it. Ends a second after a full minute, however many wait in line: a
      // fleet is told of an end up to a quarter of a second later, and nothing may depend on that.
      await sleep(1_000 + Math.floor(random(seed * 1_000 + minute)() * 4) * 60_000);
      run.outcome = 'done';
    };
    const all = Array.from({ length: Math.max(1, instances) }, () => {
      const scheduler = new Scheduler({ backend, timeZone: 'UTC' });
      scheduler.every(1, { name: 'job', ...options }).minutes.do(work);
      return scheduler.start();
    });
    await sleep(40 * 60_000 + 55_000);
    await Promise.all(all.map((scheduler) => scheduler.stop({ drain: 0 })));
    return seen;
  });
}

describe('a fleet does as one process does', () => {
  it.each<JobOptions>([
    { overlap: 'skip' },
    { overlap: 'concurrent' },
    { overlap: 'cancel' },
    { overlap: 'queue' },
    { overlap: 'queue', queueLimit: 2 },
  ])('with %o', { timeout: 180_000 }, async (options) => {
    for (let seed = 1; seed <= 4; seed++) {
      const alone = await fortyMinutes(options, seed, 0);
      expect(alone.length).toBeGreaterThan(7);
      for (const instances of [1, 3]) {
        const together = await fortyMinutes(options, seed, instances);
        // The last one may still have been going on.
        const count = Math.min(alone.length, together.length) - 1;
        expect(Math.abs(alone.length - together.length)).toBeLessThanOrEqual(1);
        expect(together.slice(0, count), `seed ${seed}, ${instances} instances`).toEqual(alone.slice(0, count));
      }
    }
  });
});

describe('after nobody was there for a while, a fleet does as one process does', () => {
  /** Runs until 3:30, and again from 9:10 to 12:30. */
  async function withABreak(options: JobOptions, isFleet: boolean): Promise<string[]> {
    return await virtually(async () => {
      const seen: string[] = [];
      const scheduler = new Scheduler({ backend: isFleet ? new MemoryServer() : undefined, timeZone: 'UTC' });
      scheduler.every(1, { name: 'job', ...options }).minutes.do(({ scheduledFor, lateBy, missedCount }) => {
        seen.push(`${scheduledFor.getUTCMinutes()} late by ${lateBy / 1_000}, missed ${missedCount}`);
      });
      scheduler.start();
      await sleep(210_000);
      await scheduler.stop();
      await sleep(550_000 - elapsed());
      scheduler.start();
      await sleep(200_000);
      await scheduler.stop();
      // An engine may hand out at once, in any order, what is due at once.
      return seen.sort((a, b) => parseInt(a, 10) - parseInt(b, 10));
    });
  }

  it.each<[JobOptions, string[]]>([
    [{ misfire: 'once', grace: 3_600_000 }, ['9 late by 10, missed 5']],
    [{ misfire: 'once', grace: 5_000 }, []],
    [{ misfire: 'skip', grace: 1_000 }, []],
    [
      { misfire: 'all', overlap: 'concurrent', grace: 150_000 },
      ['7 late by 130, missed 3', '8 late by 70, missed 0', '9 late by 10, missed 0'],
    ],
  ])('with %o', async (options, made) => {
    const first = ['1', '2', '3'].map((minute) => `${minute} late by 0, missed 0`);
    const missed = made.length === 0 ? 6 : 0;
    const then = [`10 late by 0, missed ${missed}`, '11 late by 0, missed 0', '12 late by 0, missed 0'];
    const alone = await withABreak(options, false);
    expect(alone).toEqual([...first, ...made, ...then]);
    expect(await withABreak(options, true)).toEqual(alone);
  });
});

/** Instances on one server, each with the same jobs. */
function fleet(
  server: MemoryServer,
  count: number,
  declare: (scheduler: Scheduler) => void,
  options: SchedulerOptions = {},
): Scheduler[] {
  return Array.from({ length: count }, () => {
    const scheduler = new Scheduler({ backend: server, timeZone: 'UTC', ...options });
    declare(scheduler);
    return scheduler.start();
  });
}

describe('an occurrence', () => {
  it('that is handed out early, as an instance with a fast clock has them, begins at its time', async () => {
    await virtually(async () => {
      const server = new MemoryServer();
      const begun: number[] = [];
      const [scheduler] = fleet(server, 1, (scheduler) => {
        scheduler.every(1, { name: 'job' }).minutes.do(() => begun.push(elapsed()));
      });
      await sleep(50_500);
      server.release([...server.entries.values()].at(-1) as Entry);
      await sleep(20_000);
      expect(begun).toEqual([60_000]);
      await scheduler?.stop();
    });
  });

  it('that waits for its turn does not begin in a shutdown, nor hold it up: another instance has it', async () => {
    await virtually(async () => {
      const server = new MemoryServer();
      const log: string[] = [];
      const declare = (who: string) => (scheduler: Scheduler) => {
        scheduler.every(1, { name: 'job', overlap: 'queue' }).minutes.do(async ({ scheduledFor }) => {
          log.push(`${who} ${scheduledFor.getUTCMinutes()}`);
          await sleep(150_000);
        });
      };
      const [first] = fleet(server, 1, declare('first'));
      await sleep(200_000); // That of 1 runs until 3:30; those of 2 and 3 wait.
      const report = await first?.stop({ drain: 60_000 });
      expect(report).toEqual({ finished: ['job'], cancelled: [], stuck: [] });
      expect(elapsed()).toBe(210_000);
      const [second] = fleet(server, 1, declare('second'));
      await sleep(30_000);
      expect(log).toEqual(['first 1', 'second 2']);
      await second?.stop({ drain: 0 });
    });
  });
});

describe('after all instances died with several occurrences in the engine', () => {
  it('each that passed by is counted once', async () => {
    await virtually(async () => {
      const server = new MemoryServer();
      const log: string[] = [];
      const declare = (scheduler: Scheduler) => {
        scheduler.every(1, { name: 'job' }).minutes.do(({ scheduledFor, missedCount }) => {
          log.push(`${scheduledFor.getUTCMinutes()}, missed ${missedCount}`);
        });
      };
      const [first] = fleet(server, 1, declare);
      await sleep(150_000);
      await first?.stop();
      // The third is there, as always; so are the fourth and the fifth if nobody came to hand out the third.
      const third = [...server.entries.values()].at(-1)?.occurrence as Entry['occurrence'];
      for (const later of [1, 2]) server.add({ ...third, at: third.at + later * 60_000 });
      await sleep(550_000 - elapsed());
      const [second] = fleet(server, 1, declare);
      await sleep(60_000);
      expect(log).toEqual(['1, missed 0', '2, missed 0', '9, missed 6', '10, missed 0']);
      await second?.stop();
    });
  });

  it('the missed ones of one that runs are not counted again by a run that is given back', async () => {
    await virtually(async () => {
      const server = new MemoryServer();
      const runs: { minute: number; missed: number }[] = [];
      const declare = (work: number) => (scheduler: Scheduler) => {
        scheduler.every(1, { name: 'job', overlap: 'queue' }).minutes.do(async ({ scheduledFor, missedCount }) => {
          runs.push({ minute: scheduledFor.getUTCMinutes(), missed: missedCount });
          await sleep(work);
        });
      };
      const [first] = fleet(server, 1, declare(600_000));
      await sleep(210_000);
      // 1 runs, 2 and 3 wait for it.
      await first?.stop({ drain: 0 });
      runs.length = 0;
      await sleep(599_500 - elapsed());
      const [second] = fleet(server, 1, declare(0));
      await sleep(120_000);
      expect(runs.map(({ minute }) => minute)).toEqual([1, 2, 3, 9, 10, 11]);
      expect(runs.reduce((sum, { missed }) => sum + 1 + missed, 0)).toBe(11);
      await second?.stop();
    });
  });
});

describe('a run whose instance died', () => {
  /** Its first run, at 1 min, dies at 1:05. What becomes of it is up to the test. */
  async function afterDeath(options: JobOptions, body: (run: Entry, server: MemoryServer) => Promise<void>) {
    return await virtually(async () => {
      const server = new MemoryServer();
      const log: string[] = [];
      const all = fleet(server, 3, (scheduler) => {
        scheduler.every(1, { name: 'job', ...options }).minutes.do(async ({ scheduledFor, attempt }) => {
          const what = `${scheduledFor.getUTCMinutes()}#${attempt}`;
          log.push(`${what} begins ${Math.floor(elapsed() / 1_000)}`);
          await sleep(50_000).finally(() => log.push(`${what} ends`));
        });
      });
      await sleep(65_000);
      const [run] = server.kill(server.holderOf('job') as MemoryEngine);
      await body(run as Entry, server);
      // Its process is gone: nothing of it is to be seen.
      const seen = log.filter((line) => line !== '1#1 ends');
      await Promise.all(all.map((scheduler) => scheduler.stop({ drain: 0 })));
      return seen;
    });
  }

  it('begins again when the lock has run out, as a further attempt', async () => {
    const log = await afterDeath({}, async (run, server) => {
      await sleep(30_000);
      server.expire(run);
      server.release(run);
      await sleep(20_000);
    });
    expect(log).toEqual(['1#1 begins 60', '1#2 begins 95']);
  });

  it("under 'skip' is not skipped: what is due until it is over is", async () => {
    const log = await afterDeath({ overlap: 'skip' }, async (run, server) => {
      await sleep(30_000);
      server.expire(run);
      server.release(run);
      await sleep(90_000);
    });
    expect(log).toEqual(['1#1 begins 60', '1#2 begins 95', '1#2 ends', '3#1 begins 180']);
  });

  it("under 'skip' keeps its place while nobody has it: nothing else begins", async () => {
    const log = await afterDeath({ overlap: 'skip' }, async (run, server) => {
      server.expire(run);
      await sleep(60_000);
      server.release(run);
      await sleep(90_000);
    });
    expect(log).toEqual(['1#1 begins 60', '1#2 begins 125', '1#2 ends', '3#1 begins 180']);
  });

  it("under 'queue' comes before those that wait for it", async () => {
    const log = await afterDeath({ overlap: 'queue' }, async (run, server) => {
      server.expire(run);
      await sleep(60_000);
      server.release(run);
      await sleep(120_000);
    });
    expect(log).toEqual([
      '1#1 begins 60',
      '1#2 begins 125',
      '1#2 ends',
      '2#1 begins 175',
      '2#1 ends',
      '3#1 begins 225',
    ]);
  });

  it("under 'cancel' is over if a newer one is due meanwhile, which would have cancelled it", async () => {
    const log = await afterDeath({ overlap: 'cancel' }, async (run, server) => {
      server.expire(run);
      await sleep(60_000);
      server.release(run);
      await sleep(53_000);
      expect(run.state).toBe('over');
    });
    expect(log).toEqual(['1#1 begins 60', '2#1 begins 125', '2#1 ends']);
  });

  it('begins again also if it was given back by a shutdown, however many have passed since', async () => {
    await virtually(async () => {
      const server = new MemoryServer();
      const log: string[] = [];
      const declare = (who: string) => (scheduler: Scheduler) => {
        scheduler.every(1, { name: 'job' }).minutes.do(async ({ scheduledFor }) => {
          log.push(`${who} ${scheduledFor.getUTCMinutes()}`);
          if (log.length === 1) await sleep(10 * 60_000);
        });
      };
      const [first] = fleet(server, 1, declare('first'));
      await sleep(5 * 60_000 + 30_000);
      await first?.stop({ drain: 0 });
      const [second] = fleet(server, 1, declare('second'));
      await sleep(60_000);
      expect(log).toEqual(['first 1', 'second 1', 'second 6']);
      await second?.stop();
    });
  });

  it.each(['killed', 'shut down'])('is told again of the missed ones when its instance was %s', async (how) => {
    await virtually(async () => {
      const server = new MemoryServer();
      const log: string[] = [];
      // That of minute 1 takes until 3:30, so that 2 and 3 are skipped; that of 4 is interrupted.
      const all = fleet(server, 2, (scheduler) => {
        scheduler.every(1, { name: 'job' }).minutes.do(async ({ scheduledFor, missedCount }) => {
          const minute = scheduledFor.getUTCMinutes();
          log.push(`${minute} begins, missed ${missedCount}`);
          if (minute === 1) await sleep(150_000);
          if (log.length === 2) await sleep(600_000);
        });
      });
      await sleep(245_000);
      const holder = server.holderOf('job') as MemoryEngine;
      if (how === 'killed') {
        const [run] = server.kill(holder);
        server.expire(run as Entry);
        server.release(run as Entry);
      } else {
        await all[server.engines.indexOf(holder)]?.stop({ drain: 0 });
      }
      await sleep(60_000);
      expect(log).toEqual(['1 begins, missed 0', '4 begins, missed 2', '4 begins, missed 2', '5 begins, missed 0']);
      await Promise.all(all.map((scheduler) => scheduler.stop({ drain: 0 })));
    });
  });

  it('does not begin again if it had ended when the shutdown came, but nobody had heard of it', async () => {
    await virtually(async () => {
      const server = new MemoryServer();
      const begun: string[] = [];
      const declare = (who: string) => (scheduler: Scheduler) => {
        scheduler.every(1, { name: 'job' }).minutes.do(({ scheduledFor }) => {
          begun.push(`${who} ${scheduledFor.getUTCMinutes()}`);
        });
      };
      const [first] = fleet(server, 1, declare('first'));
      const leave = server.leave.bind(server);
      server.leave = async (...args) => {
        await detached(() => sleep(5_000));
        await leave(...args);
      };
      await sleep(61_000);
      const [second] = fleet(server, 1, declare('second'));
      await first?.stop({ drain: 0 });
      await sleep(30_000);
      expect(begun).toEqual(['first 1']);
      await second?.stop();
    });
  });
});

describe('an occurrence whose instance is so slow that its successor comes first', () => {
  /** That of minute 2 stands in the line at 3:10 only; runs take 40 s. */
  async function withSlowSecond(options: JobOptions): Promise<string[]> {
    return await virtually(async () => {
      const server = new MemoryServer();
      const enter = server.enter.bind(server);
      const late = Date.parse('2026-01-01T00:02:00Z');
      server.enter = async (job, at) => {
        if (at === late && elapsed() < 190_000) await sleep(190_000 - elapsed());
        return await enter(job, at);
      };
      const log: string[] = [];
      const all = fleet(server, 2, (scheduler) => {
        scheduler.every(1, { name: 'job', ...options }).minutes.do(async ({ scheduledFor, missedCount }) => {
          const minute = scheduledFor.getUTCMinutes();
          log.push(`${minute} begins, missed ${missedCount}`);
          await sleep(40_000);
          log.push(`${minute} ends`);
        });
      });
      await sleep(5 * 60_000 + 50_000);
      await Promise.all(all.map((scheduler) => scheduler.stop({ drain: 0 })));
      return log;
    });
  }

  const run = (minute: number, missed = 0) => [`${minute} begins, missed ${missed}`, `${minute} ends`];

  it("under 'queue' runs after it: never two at once, each once", async () => {
    expect(await withSlowSecond({ overlap: 'queue' })).toEqual([1, 3, 2, 4, 5].flatMap((minute) => run(minute)));
  });

  it("under 'skip' is left out, and the next one is told", async () => {
    expect(await withSlowSecond({ overlap: 'skip' })).toEqual([...run(1), ...run(3), ...run(4, 1), ...run(5)]);
  });

  it("under 'cancel' is left out, and its successor goes on", async () => {
    expect(await withSlowSecond({ overlap: 'cancel' })).toEqual([...run(1), ...run(3), ...run(4, 1), ...run(5)]);
  });
});

describe('a broken chain', () => {
  const minutely = (log: string[]) => (scheduler: Scheduler) => {
    scheduler.every(1, { name: 'job', misfire: 'all' }).minutes.do(({ scheduledFor, lateBy }) => {
      log.push(`${scheduledFor.getUTCMinutes()}${lateBy < 1_000 ? '' : ` late by ${Math.round(lateBy / 1_000)}`}`);
    });
  };

  it('is mended: an occurrence that the engine has lost is put in again', async () => {
    await virtually(async () => {
      const server = new MemoryServer();
      const log: string[] = [];
      reports();
      const all = fleet(server, 2, minutely(log));
      await sleep(90_000);
      server.entries.clear();
      await sleep(60_000);
      for (const engine of server.engines) engine.enqueue = () => Promise.reject(new Error('no space left'));
      await sleep(95_000); // The fourth is not taken, until 4:05, and the third does not begin before it is.
      for (const engine of server.engines) Reflect.deleteProperty(engine, 'enqueue');
      await sleep(70_000);
      expect(log).toEqual([
        '1',
        '2',
        expect.stringMatching(/^3 late by \d+$/),
        expect.stringMatching(/^4 late by \d+$/),
        '5',
      ]);
      await Promise.all(all.map((scheduler) => scheduler.stop()));
    });
  });

  it.each<JobOptions>([{ misfire: 'once' }, { misfire: 'skip' }, { misfire: 'all' }])(
    'cannot be: stopped before what comes next is planned, a fleet with %o loses nothing',
    async (options) => {
      await virtually(async () => {
        const server = new MemoryServer();
        const runs: { minute: number; missed: number }[] = [];
        const declare = (scheduler: Scheduler) => {
          scheduler.every(1, { name: 'job', ...options }).minutes.do(({ scheduledFor, missedCount }) => {
            runs.push({ minute: scheduledFor.getUTCMinutes(), missed: missedCount });
          });
        };
        const all = fleet(server, 2, declare);
        await sleep(150_000);
        // From minute 3 on the engine takes its time to put something in, and does not if it is asked by who is gone by then.
        for (const engine of server.engines) {
          const enqueue = engine.enqueue.bind(engine);
          engine.enqueue = async (...args) => {
            await detached(() => sleep(5_000));
            await enqueue(...args);
          };
        }
        await sleep(31_000);
        for (const engine of server.engines) server.kill(engine);
        await Promise.all(all.map((scheduler) => scheduler.stop({ drain: 0 })));
        for (const entry of server.entries.values()) if (entry.state === 'active') server.expire(entry);
        await sleep(550_000 - elapsed());
        const [next] = fleet(server, 1, declare);
        server.handOutWhatIsDue();
        for (const entry of server.entries.values()) if (entry.state === 'waiting') server.release(entry);
        await sleep(130_000);
        // Each minute up to the 11th has run, or the next run was told that it did not.
        expect(runs.at(-1)?.minute).toBe(11);
        expect(runs.reduce((sum, { missed }) => sum + 1 + missed, 0)).toBe(11);
        if (options.misfire === 'all') expect(runs).toHaveLength(11);
        await next?.stop();
      });
    },
  );

  it('is mended also when the engine was emptied', async () => {
    await virtually(async () => {
      const server = new MemoryServer();
      const log: string[] = [];
      const all = fleet(server, 2, minutely(log));
      await sleep(90_000);
      server.empty();
      await sleep(155_000);
      expect(log).toEqual(['1', '2', '3', '4']);
      await Promise.all(all.map((scheduler) => scheduler.stop()));
    });
  });
});

describe('a job that is over', () => {
  it.each<[string, (scheduler: Scheduler) => void]>([
    ['once', (scheduler) => void scheduler.once('2026-01-01 00:02', { name: 'job' }).do(() => {})],
    [
      'until',
      (scheduler) =>
        void scheduler
          .every(1, { name: 'job' })
          .minutes.until('2026-01-01 00:02')
          .do(() => {}),
    ],
  ])('by %s() has no next run, and puts nothing in any more', async (_, declare) => {
    await virtually(async () => {
      const server = new MemoryServer();
      const all = fleet(server, 2, declare);
      await sleep(110_000);
      expect(all[0]?.nextRun()).toEqual(new Date('2026-01-01T00:02:00Z'));
      await sleep(20_000);
      expect(all.map((scheduler) => scheduler.nextRun())).toEqual([null, null]);
      let upheld = 0;
      const uphold = server.uphold.bind(server);
      server.uphold = async (...args) => {
        upheld++;
        return await uphold(...args);
      };
      await sleep(60_000);
      expect(upheld).toBe(24); // Every 5 s, by both.
      await sleep(3_700_000);
      server.entries.clear(); // As an engine does when their time has come.
      await sleep(60_000);
      expect(server.entries.size).toBe(0);
      await Promise.all(all.map((scheduler) => scheduler.stop()));
    });
  });
});

describe('versions of the code', () => {
  it('an instance that has just begun does not drop what it has no job for yet, however old that is', async () => {
    await virtually(async () => {
      const server = new MemoryServer();
      const log: string[] = [];
      const declareJob = (scheduler: Scheduler) => {
        scheduler.every(1, { name: 'job' }).minutes.do(({ scheduledFor, missedCount }) => {
          log.push(`${scheduledFor.getUTCMinutes()} missed ${missedCount}`);
        });
      };
      const [first] = fleet(server, 1, declareJob);
      await sleep(90_000);
      await first?.stop();
      await sleep(10 * 60_000);
      const [second] = fleet(server, 1, () => {});
      await sleep(20_000);
      if (second !== undefined) declareJob(second);
      await sleep(20_000);
      expect(log).toEqual(['1 missed 0', '11 missed 9', '12 missed 0']);
      await second?.stop();
    });
  });

  const declare =
    (log: string[], version: string, minutes: number, end?: typeof CancelJob) => (scheduler: Scheduler) => {
      scheduler.every(minutes, { name: 'job' }).minutes.do(({ scheduledFor }) => {
        log.push(`${version} ${scheduledFor.toISOString().slice(11, 16)}`);
        return end;
      });
    };

  it('an old instance that is started again in a deploy, and ends, does not leave its rule behind', async () => {
    await virtually(async () => {
      const server = new MemoryServer();
      const log: string[] = [];
      const all = fleet(server, 2, declare(log, 'new', 2));
      await sleep(60_000);
      const [old] = fleet(server, 1, declare(log, 'old', 5));
      await sleep(10_000);
      await old?.stop();
      log.length = 0;
      await sleep(10 * 60_000);
      expect(log).toEqual(['00:02', '00:04', '00:06', '00:08', '00:10'].map((time) => `new ${time}`));
      await Promise.all(all.map((scheduler) => scheduler.stop()));
    });
  });

  it('while it lives its rule holds, and is run by either', async () => {
    await virtually(async () => {
      const server = new MemoryServer();
      const log: string[] = [];
      const all = fleet(server, 1, declare(log, 'first', 2));
      await sleep(30_000);
      all.push(...fleet(server, 1, declare(log, 'last', 5)));
      await sleep(31 * 60_000);
      const times = log.map((line) => line.split(' ')[1]);
      expect(times).toEqual(['00:05', '00:10', '00:15', '00:20', '00:25', '00:30']);
      expect(all.map((scheduler) => scheduler.nextRun())).toEqual([null, new Date('2026-01-01T00:35:00Z')]);
      await Promise.all(all.map((scheduler) => scheduler.stop()));
    });
  });

  it('CancelJob of an old version does not end the job of the new one', async () => {
    await virtually(async () => {
      const server = new MemoryServer();
      const log: string[] = [];
      const all = fleet(server, 2, declare(log, 'old', 3, CancelJob));
      await sleep(170_000);
      all.push(...fleet(server, 1, declare(log, 'new', 2)));
      await sleep(20 * 60_000);
      // Each of the old ones ran it once at most, and has it no more.
      expect(log.filter((line) => line.startsWith('old')).length).toBeLessThanOrEqual(2);
      expect(log.slice(-5).every((line) => line.startsWith('new'))).toBe(true);
      expect(all.at(-1)?.jobs).toHaveLength(1);
      await Promise.all(all.map((scheduler) => scheduler.stop()));
    });
  });

  it('CancelJob ends the job for good: an instance that begins later does not bring it back', async () => {
    await virtually(async () => {
      const server = new MemoryServer();
      const log: string[] = [];
      const all = fleet(server, 2, declare(log, 'one', 2, CancelJob));
      await sleep(5 * 60_000);
      all.push(...fleet(server, 1, declare(log, 'one', 2)));
      await sleep(30 * 60_000);
      expect(log).toEqual(['one 00:02']);
      expect(all.flatMap((scheduler) => scheduler.jobs)).toEqual([]);
      await Promise.all(all.map((scheduler) => scheduler.stop()));
    });
  });
});
