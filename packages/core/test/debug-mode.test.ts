/** Debug mode: reports with the place that made it. In real time where a step has to hold the loop. */
import {
  type CancelledError,
  createTask,
  type ExceptionContext,
  getRunningLoop,
  type RunOptions,
  run,
  sleep,
  taskTree,
  timeout,
} from '@aiokit/core';
import { describe, expect, it } from 'vitest';
import { runProgram } from './support/program.ts';
import { reportsOf } from './support/virtual.ts';

const debug: RunOptions = { debug: true };

/** Keeps the loop busy for so many ms. */
function hold(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

async function realReports(body: () => unknown, options: RunOptions = debug): Promise<ExceptionContext[]> {
  const reports: ExceptionContext[] = [];
  await run(
    async () => {
      getRunningLoop().setExceptionHandler((context) => void reports.push(context));
      await body();
    },
    { handleSignals: false, ...options },
  );
  return reports;
}

describe('a step that holds the loop', () => {
  it('longer than slowCallbackDuration is reported by the name of its task, with the time it took', async () => {
    const reports = await realReports(async () => {
      await createTask(() => hold(130), { name: 'cpu bound' });
    });
    expect(reports).toHaveLength(1);
    expect(reports[0]?.message).toMatch(/cpu bound.* \d{3}(\.\d+)? ms/s);
  });

  it('after an await is reported, too', async () => {
    const reports = await realReports(async () => {
      await createTask(
        async () => {
          await sleep(1);
          hold(130);
        },
        { name: 'later step' },
      );
    });
    expect(reports.map((r) => r.message)).toEqual([expect.stringContaining('later step')]);
  });

  it('is measured against slowCallbackDuration', async () => {
    const reports = await realReports(async () => {
      getRunningLoop().slowCallbackDuration = 20;
      await createTask(() => hold(40), { name: 'forty' });
      getRunningLoop().slowCallbackDuration = 1000;
      await createTask(() => hold(40), { name: 'again' });
    });
    expect(reports.map((r) => r.message)).toEqual([expect.stringContaining('forty')]);
  });

  it('is reported for a callback, too', async () => {
    const reports = await realReports(async () => {
      getRunningLoop().callSoon(function slowCallback() {
        hold(130);
      });
      await sleep(5);
    });
    expect(reports.map((r) => r.message)).toEqual([expect.stringContaining('slowCallback')]);
  });

  it('is not reported without debug mode', async () => {
    expect(await realReports(() => createTask(() => hold(130)), { debug: false })).toEqual([]);
  });
});

describe('tasks pending at the end of run()', () => {
  it('are reported with their name and the place that made them', async () => {
    const reports = await reportsOf(async () => {
      createTask(() => sleep(1000), { name: 'left over' });
      await sleep(1);
    }, debug);
    expect(reports).toHaveLength(1);
    expect(reports[0]?.message).toMatch(/left over/);
    expect(reports[0]?.message).toMatch(/debug-mode\.test\.ts/);
  });

  it('are not reported without debug mode', async () => {
    const reports = await reportsOf(async () => {
      createTask(() => sleep(1000));
      await sleep(1);
    });
    expect(reports).toEqual([]);
  });
});

describe('a cancel that is undelivered for long', () => {
  it('because the task waits on a foreign promise is reported by name', async () => {
    const gate = Promise.withResolvers<void>();
    const reports = await realReports(async () => {
      getRunningLoop().slowCallbackDuration = 20;
      const task = createTask(() => gate.promise, { name: 'deaf' });
      await sleep(1);
      task.cancel();
      await sleep(1500);
      gate.resolve();
      await task;
    });
    expect(reports.map((r) => r.message)).toEqual([expect.stringMatching(/deaf.*(foreign|cannot be cancelled)/s)]);
  });
});

describe('waits that an ended task left behind', () => {
  it('are reported with the place of the wait', async () => {
    const reports = await reportsOf(async () => {
      await createTask(() => Promise.race([sleep(1), sleep(100)]), { name: 'racer' });
      await sleep(200);
    }, debug);
    expect(reports).toHaveLength(1);
    expect(reports[0]?.message).toMatch(/racer.*sleep/s);
    expect(reports[0]?.message).toMatch(/debug-mode\.test\.ts/);
  });
});

describe('in debug mode', () => {
  it('a failed task that nobody took is reported with the place that made it', async () => {
    const reports = await reportsOf(async () => {
      createTask(
        () => {
          throw new Error('lost');
        },
        { name: 'background' },
      );
      await sleep(1);
    }, debug);
    expect(reports).toHaveLength(1);
    expect(reports[0]?.message).toMatch(/background/);
    expect(reports[0]?.message).toMatch(/debug-mode\.test\.ts/);
  });

  it('a CancelledError has the stack of the cancel', async () => {
    await realReports(async () => {
      const task = createTask(() => sleep(1000));
      await sleep(1);
      task.cancel();
      const error = await task.catch((e: unknown) => e);
      expect((error as CancelledError).stack).toContain('debug-mode.test.ts');
    });
  });

  it('the task tree knows the place of every wait', async () => {
    await realReports(async () => {
      const nap = async () => {
        await sleep(500);
      };
      createTask(() => timeout(1000, nap), { name: 'sleeper' });
      await sleep(1);
      const sleeper = taskTree().find((task) => task.name === 'sleeper');
      expect(sleeper?.site).toContain('debug-mode.test.ts');
      expect(sleeper?.waits[0]?.site).toContain('debug-mode.test.ts');
    }).then((reports) => expect(reports).toHaveLength(1)); // The leftover.
  });

  it('is switched on by AIOKIT_DEBUG=1', async () => {
    const ended = await runProgram('leftover.ts', { env: { AIOKIT_DEBUG: '1' } });
    expect(ended.stderr).toContain('left over');
    expect((await runProgram('leftover.ts')).stderr).toBe('');
  });
});
