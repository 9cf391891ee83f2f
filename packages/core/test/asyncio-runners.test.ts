/** The behaviours of CPython's Lib/test/test_asyncio/test_runners.py, in our own words. */
import {
  allTasks,
  CancelledError,
  createTask,
  currentTask,
  type EventLoop,
  type ExceptionContext,
  gather,
  getRunningLoop,
  InvalidStateError,
  Runner,
  run,
  sleep,
  until,
} from '@aiokit/core';
import { VirtualClock } from '@aiokit/testing';
import { describe, expect, it } from 'vitest';
import { reportsOf } from './support/virtual.ts';

const virtually = () => ({ clock: new VirtualClock(), handleSignals: false }) as const;

describe('run', () => {
  it('gives what main returns', async () => {
    expect(await run(async () => sleep(10, 'value'), virtually())).toBe('value');
    expect(await run(() => 'at once', virtually())).toBe('at once');
  });

  it('throws what main throws', async () => {
    const error = new Error('broken');
    await expect(
      run(() => {
        throw error;
      }, virtually()),
    ).rejects.toBe(error);
  });

  it('runs main as a task called main, or as it is told', async () => {
    expect(await run(() => currentTask()?.name, virtually())).toBe('main');
    expect(await run(() => currentTask()?.name, { ...virtually(), name: 'server' })).toBe('server');
  });

  it('makes a loop of its own each time', async () => {
    const a = await run(() => [getRunningLoop()], virtually());
    const b = await run(() => [getRunningLoop()], virtually());
    expect(a[0] === b[0]).toBe(false);
    expect(getRunningLoop() === a[0]).toBe(false);
  });

  it('is refused inside a task, with advice', async () => {
    const nested = run(async () => {
      await run(() => 1);
    }, virtually());
    await expect(nested).rejects.toThrow(InvalidStateError);
    await expect(nested).rejects.toThrow(
      'run() inside the task main: a loop is running already. Await the function, or createTask(fn), instead',
    );
  });

  it('takes two at once that know nothing of each other', async () => {
    const names = () => [...allTasks()].map((task) => task.name);
    const [a, b] = await Promise.all([
      run(() => sleep(1).then(names), { ...virtually(), name: 'a' }),
      run(() => sleep(1).then(names), { ...virtually(), name: 'b' }),
    ]);
    expect([a, b]).toEqual([['a'], ['b']]);
  });

  it('counts its cancel each way that it comes, and interrupts once', async () => {
    const seen: unknown[] = [];
    const child = async () => {
      await createTask(() => sleep(1000)).catch((error: unknown) => seen.push((error as Error).name));
      seen.push(currentTask()?.cancelling());
      await sleep(10).catch(() => seen.push('interrupted again'));
    };
    await run(async () => {
      createTask(() => gather([child]));
      await sleep(1);
    }, virtually());
    expect(seen).toEqual(['CancelledError', 2]); // From its own cancel, and through the gather.
  });

  it('cancels what still runs when main ends, and waits for it', async () => {
    const log: string[] = [];
    await run(async () => {
      createTask(async () => {
        try {
          await sleep(1000);
        } finally {
          await sleep(10);
          log.push('cleaned up');
        }
      });
      await sleep(1);
    }, virtually());
    expect(log).toEqual(['cleaned up']);
  });

  it('cancels also what was started during the cleanup, until nothing is left', async () => {
    const log: string[] = [];
    await run(async () => {
      createTask(async () => {
        try {
          await sleep(1000);
        } finally {
          createTask(async () => {
            try {
              await sleep(1000);
            } finally {
              log.push('second generation');
            }
          });
          await sleep(1);
        }
      });
      await sleep(1);
    }, virtually());
    expect(log).toEqual(['second generation']);
  });

  it('does so also when main fails', async () => {
    let cancelled = false;
    const main = async () => {
      createTask(() => sleep(1000).catch(() => (cancelled = true)));
      await sleep(1);
      throw new Error('broken');
    };
    await expect(run(main, virtually())).rejects.toThrow('broken');
    expect(cancelled).toBe(true);
  });

  it('lets a task that main created in its last step begin, and cancels it at its first wait', async () => {
    const log: string[] = [];
    await run(() => {
      createTask(async () => {
        log.push('begun');
        await sleep(1000).catch(() => log.push('cancelled'));
      });
    }, virtually());
    expect(log).toEqual(['begun', 'cancelled']);
  });

  it('reports a task that fails while it is cancelled', async () => {
    const reports = await reportsOf(async () => {
      createTask(
        async () => {
          try {
            await sleep(1000);
          } finally {
            // biome-ignore lint/correctness/noUnsafeFinally: an error during cleanup is what this is about
            throw new Error('in cleanup');
          }
        },
        { name: 'background' },
      );
      await sleep(1);
    });
    expect(reports).toHaveLength(1);
    expect(reports[0]?.message).toContain('background');
    expect(reports[0]?.exception).toMatchObject({ message: 'in cleanup' });
  });

  it('with a signal is cancelled when it aborts', async () => {
    const controller = new AbortController();
    const running = run(() => sleep(1e9), { handleSignals: false, signal: controller.signal });
    setTimeout(() => controller.abort('user left'), 5);
    await expect(running).rejects.toMatchObject({ name: 'CancelledError', reason: 'user left' });
  });

  it('leaves no listener on the process', async () => {
    const count = () => ['SIGINT', 'SIGTERM', 'beforeExit'].map((event) => process.listenerCount(event));
    const before = count();
    const running = run(() => sleep(5));
    expect(count()).not.toEqual(before);
    await running;
    expect(count()).toEqual(before);
  });

  it('leaves an exit code alone', async () => {
    const before = process.exitCode;
    await run(() => {}, virtually());
    expect(process.exitCode).toBe(before);
  });
});

describe('closeTimeout', () => {
  it('leaves tasks behind that do not end, and names them', async () => {
    const reports: ExceptionContext[] = [];
    const gate = Promise.withResolvers<void>();
    await run(
      async () => {
        getRunningLoop().setExceptionHandler((context) => void reports.push(context));
        createTask(() => gate.promise, { name: 'stuck' });
        await sleep(1);
      },
      { handleSignals: false, closeTimeout: 30 },
    );
    expect(reports.map((r) => r.message)).toEqual([
      'run() leaves 1 task(s) behind that did not end within closeTimeout (30 ms): stuck. ' +
        'They swallow their cancel, or wait in a promise that cannot be cancelled',
    ]);
    gate.resolve();
  });

  for (const closeTimeout of [Infinity, 2 ** 31]) {
    it(`may be ${closeTimeout}`, async () => {
      const log: string[] = [];
      await run(
        async () => {
          getRunningLoop().setExceptionHandler(({ message }) => void log.push(message));
          createTask(() =>
            sleep(1000)
              .finally(() => sleep(20))
              .finally(() => log.push('ended')),
          );
          await sleep(1);
        },
        { handleSignals: false, closeTimeout },
      );
      expect(log).toEqual(['ended']);
    });
  }

  it('changes nothing when everything ends in time', async () => {
    const log: string[] = [];
    await run(
      async () => {
        createTask(() => sleep(1000).catch(() => log.push('ended')));
        await sleep(1);
      },
      { handleSignals: false, closeTimeout: 1000 },
    );
    expect(log).toEqual(['ended']);
  });
});

describe('Runner', () => {
  it('runs several mains on one loop, and what they started goes on between them', async () => {
    const log: string[] = [];
    const loops = new Set<EventLoop>();
    {
      await using runner = new Runner(virtually());
      await runner.run(async () => {
        loops.add(getRunningLoop());
        createTask(async () => {
          await sleep(50);
          log.push('background');
        });
      });
      await runner.run(async () => {
        loops.add(getRunningLoop());
        await sleep(100);
        log.push('second main');
      });
      expect(runner.getLoop() === [...loops][0]).toBe(true);
    }
    expect(loops.size).toBe(1);
    expect(log).toEqual(['background', 'second main']);
  });

  it('cancels and awaits what is left when it is closed, once', async () => {
    const log: string[] = [];
    const runner = new Runner(virtually());
    await runner.run(() => void createTask(() => sleep(1000).catch((e: unknown) => log.push((e as Error).name))));
    await runner.run(() => sleep(1));
    await runner.close();
    await runner.close();
    expect(log).toEqual(['CancelledError']);
  });

  it('is closed for everybody who closes it only when what is left has ended', async () => {
    const log: string[] = [];
    const runner = new Runner(virtually());
    await runner.run(() => void createTask(() => sleep(1000).finally(() => sleep(20).then(() => log.push('ended')))));
    await runner.run(() => sleep(1));
    const closing = runner.close();
    await runner.close();
    expect(log).toEqual(['ended']);
    await closing;
  });

  it('refuses to run when it is closed or runs already', async () => {
    const runner = new Runner(virtually());
    const first = runner.run(() => sleep(10));
    await expect(runner.run(() => 1)).rejects.toThrow('run() of a Runner that runs already');
    await first;
    await runner.close();
    await expect(runner.run(() => 1)).rejects.toThrow(InvalidStateError);
    await expect(runner.run(() => 1)).rejects.toThrow('run() of a Runner that was closed');
  });

  it('throws what its main throws and can go on', async () => {
    await using runner = new Runner(virtually());
    await expect(
      runner.run(() => {
        throw new Error('first');
      }),
    ).rejects.toThrow('first');
    expect(await runner.run(() => 'second')).toBe('second');
  });
});

describe('without run()', () => {
  it('tasks, sleeps, groups and timeouts work on the default loop', async () => {
    const task = createTask(() => sleep(5, currentTask()?.name), { name: 'free' });
    expect(await task).toBe('free');
    expect(currentTask()).toBeNull();
    expect(getRunningLoop().name).toBe('default');
    const cancelled = createTask(() => sleep(1e9));
    cancelled.cancel();
    await expect(cancelled).rejects.toThrow(CancelledError);
    expect(await until(Promise.resolve(1))).toBe(1);
  });
});
