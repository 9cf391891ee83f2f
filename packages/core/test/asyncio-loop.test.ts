/** The behaviours of CPython's tests of the event loop (call_soon, call_later, exception handler), in our own words. */
import { AsyncLocalStorage } from 'node:async_hooks';
import {
  createTask,
  currentTask,
  type ExceptionContext,
  Future,
  getRunningLoop,
  Handle,
  run,
  sleep,
  type Task,
  TimerHandle,
} from '@aiokit/core';
import { describe, expect, it, vi } from 'vitest';
import { now, reportsOf, test } from './support/virtual.ts';

describe('callSoon', () => {
  test('calls back soon, in order, with its arguments and with no current task', async () => {
    const calls: unknown[] = [];
    const loop = getRunningLoop();
    const handle = loop.callSoon((a: number, b: string) => calls.push(a, b, currentTask()), 1, 'b');
    loop.callSoon(() => calls.push('second'));
    expect(handle).toBeInstanceOf(Handle);
    expect(calls).toEqual([]);
    await sleep(0);
    expect(calls).toEqual([1, 'b', null, 'second']);
  });

  test('can be taken back', async () => {
    const calls: unknown[] = [];
    const handle = getRunningLoop().callSoon(() => calls.push('never'));
    handle.cancel();
    expect(handle.cancelled()).toBe(true);
    await sleep(0);
    expect(calls).toEqual([]);
  });

  test('runs in the AsyncLocalStorage context of its caller', async () => {
    const storage = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const loop = getRunningLoop();
    const future = new Future<void>();
    storage.run('callers', () => {
      loop.callSoon(() => seen.push(storage.getStore()));
      loop.callLater(1, () => seen.push(storage.getStore()));
      future.addDoneCallback(() => seen.push(storage.getStore()));
    });
    future.setResult();
    await sleep(5);
    expect(seen).toEqual(['callers', 'callers', 'callers']);
  });
});

describe('callLater and callAt', () => {
  test('call back at their time, in the order of their times', async () => {
    const calls: string[] = [];
    const loop = getRunningLoop();
    loop.callLater(20, () => calls.push(`later at ${now()}`));
    loop.callLater(10, (name: string) => calls.push(`${name} at ${now()}`), 'soon');
    loop.callAt(loop.time() + 15, () => calls.push(`at at ${now()}, task ${currentTask()}`));
    await sleep(30);
    expect(calls).toEqual(['soon at 10', 'at at 15, task null', 'later at 20']);
  });

  test('know their time, and can be taken back', async () => {
    const loop = getRunningLoop();
    const calls: string[] = [];
    const handle = loop.callLater(10, () => calls.push('never'));
    expect(handle).toBeInstanceOf(TimerHandle);
    expect(handle.when()).toBe(loop.time() + 10);
    handle.cancel();
    await sleep(20);
    expect(calls).toEqual([]);
  });

  it('do not keep the process alive when they are unreferenced', async () => {
    await run(async () => {
      const handle = getRunningLoop().callLater(1e9, () => {});
      expect(handle.unref()).toBe(handle);
    });
  });
});

describe('the exception handler', () => {
  it('is told what failed in a callback', async () => {
    const reports = await reportsOf(async () => {
      getRunningLoop().callSoon(function broken() {
        throw new Error('in a callback');
      });
      await sleep(1);
    });
    expect(reports).toEqual([
      expect.objectContaining({
        message: 'Exception in callback broken',
        exception: expect.objectContaining({ message: 'in a callback' }),
      }),
    ]);
  });

  it('is told of a failed task whose result nobody took, by name, at the end of the loop', async () => {
    let task: Task<never> | undefined; // Held: one that was collected is reported without.
    const reports = await reportsOf(async () => {
      const fail = () => {
        throw new Error('lost');
      };
      task = createTask(fail, { name: 'background' });
      await sleep(1);
    });
    expect(reports).toHaveLength(1);
    expect(reports[0]?.message).toContain('background');
    expect(reports[0]?.message).toContain('never retrieved');
    expect(reports[0]?.task).toBe(task);
  });

  it('is told of a failed task even if somebody cancelled it later', async () => {
    const reports = await reportsOf(async () => {
      const task = createTask(() => {
        throw new Error('lost');
      });
      await sleep(1);
      task.cancel();
    });
    expect(reports.map((r) => (r.exception as Error).message)).toEqual(['lost']);
  });

  it('is not told of a failure that somebody took', async () => {
    const reports = await reportsOf(async () => {
      const task = createTask(() => {
        throw new Error('taken');
      });
      await sleep(1);
      await task.catch(() => {});
    });
    expect(reports).toEqual([]);
  });

  it('is told when a lost task is collected as garbage', async () => {
    const reports: ExceptionContext[] = [];
    await run(
      async () => {
        getRunningLoop().setExceptionHandler((context) => void reports.push(context));
        void (() => {
          createTask(
            () => {
              throw new Error('collected');
            },
            { name: 'forgotten' },
          );
        })();
        for (let i = 0; i < 50 && reports.length === 0; i++) {
          await sleep(5);
          globalThis.gc?.();
        }
        expect(reports).toHaveLength(1);
      },
      { handleSignals: false },
    );
    expect(reports[0]?.message).toContain('forgotten');
  });

  it('prints to stderr when there is none, or when it throws itself', async () => {
    const print = vi.spyOn(console, 'error').mockImplementation(() => {});
    try {
      await run(
        async () => {
          const loop = getRunningLoop();
          loop.callExceptionHandler({ message: 'by default' });
          loop.setExceptionHandler(() => {
            throw new Error('the handler');
          });
          loop.callExceptionHandler({ message: 'original' });
          loop.setExceptionHandler(null);
        },
        { handleSignals: false },
      );
      expect(print.mock.calls.map(([message]) => message)).toEqual([
        'by default',
        'The exception handler itself threw:',
        'original',
      ]);
    } finally {
      print.mockRestore();
    }
  });
});

describe('sleep', () => {
  test('waits, and gives its result', async () => {
    expect(await sleep(10, 'rested')).toBe('rested');
    expect(now()).toBe(10);
  });

  test('of zero and less lets everything else run that can, I/O included', async () => {
    const log: string[] = [];
    setImmediate(() => log.push('immediate'));
    const other = createTask(async () => {
      for (let i = 0; i < 3; i++) await Promise.resolve();
      log.push('other task');
    });
    await sleep(0);
    await sleep(-1);
    expect(log).toEqual(['other task', 'immediate']);
    await other;
    expect(now()).toBe(0);
  });

  test('wakes in the order of the times, and of the calls at the same time', async () => {
    const log: string[] = [];
    const tasks = (
      [
        ['c', 20],
        ['a', 10],
        ['b', 10],
      ] as const
    ).map(([name, ms]) => createTask(() => sleep(ms).then(() => log.push(name))));
    for (const task of tasks) await task;
    expect(log).toEqual(['a', 'b', 'c']);
  });

  test('waits longer than a timer of Node can', async () => {
    await sleep(2 ** 31 + 5);
    expect(now()).toBe(2 ** 31 + 5);
  });

  it('longer than 2^31-1 ms does not end at once in real time, and can be cancelled', async () => {
    await run(
      async () => {
        const task = createTask(() => sleep(2 ** 31 + 5));
        const forever = createTask(() => sleep(Infinity));
        const handle = getRunningLoop().callLater(2 ** 40, () => expect.unreachable());
        await sleep(20);
        expect([task.done(), forever.done()]).toEqual([false, false]);
        handle.cancel();
        for (const each of [task, forever]) {
          each.cancel();
          await each.catch(() => {});
          expect(each.cancelled()).toBe(true);
        }
      },
      { handleSignals: false },
    );
  });
});
