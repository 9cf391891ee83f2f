/** Timeouts time out, also over promises that cannot be cancelled. And the two ways to bring a promise in. */
import {
  abortable,
  CancelledError,
  createTask,
  currentTask,
  run,
  shield,
  sleep,
  TimeoutError,
  timeout,
  until,
  waitFor,
} from '@aiokit/core';
import { describe, expect, it } from 'vitest';
import { runProgram } from './support/program.ts';
import { now, test } from './support/virtual.ts';

const foreign = <T>(ms: number, value?: T) => new Promise<T | undefined>((resolve) => setTimeout(resolve, ms, value));

describe('a timeout over a foreign promise', () => {
  it('rejects on time, and its body is abandoned: later waits in it are cancelled', async () => {
    await run(
      async () => {
        const log: string[] = [];
        const started = performance.now();
        const limited = timeout(30, async () => {
          await foreign(150);
          log.push('still there');
          await sleep(1000).catch((error: unknown) => log.push((error as Error).name));
        });
        await expect(limited).rejects.toThrow(TimeoutError);
        expect(performance.now() - started).toBeLessThan(140);
        expect(currentTask()?.cancelling()).toBe(0);
        await sleep(200);
        expect(log).toEqual(['still there', 'CancelledError']);
      },
      { handleSignals: false },
    );
  });

  it('gives a body that is about to wait one turn', async () => {
    await run(
      async () => {
        const log: string[] = [];
        await expect(
          timeout(20, async () => {
            await foreign(1);
            const end = performance.now() + 30;
            while (performance.now() < end); // The timeout expires while this step runs.
            try {
              await sleep(1000);
            } finally {
              await sleep(10);
              log.push('cleaned up before the timeout rejected');
            }
          }),
        ).rejects.toThrow(TimeoutError);
        expect(log).toHaveLength(1);
      },
      { handleSignals: false },
    );
  });

  it('warns once per process, and names the way out', async () => {
    const { stdout, stderr } = await runProgram('abandoned.ts');
    expect(stdout).toBe('TimeoutError\nTimeoutError\n');
    expect(stderr.match(/AIOKIT_ABANDONED/g)).toHaveLength(1);
    expect(stderr).toContain('abortable((signal) =>');
    expect(stderr).toContain('until(promise)');
    expect(stderr).toContain('() => slow');
  });

  it('names the place, too, in debug mode', async () => {
    const { stderr } = await runProgram('abandoned.ts', { env: { AIOKIT_DEBUG: '1' } });
    expect(stderr).toContain('abandoned.ts');
  });
});

describe('waitFor and shield', () => {
  test('take a foreign promise as until(promise)', async () => {
    const never = new Promise<void>(() => {});
    await expect(waitFor(never, 10)).rejects.toThrow(TimeoutError);
    const task = createTask(() => shield(never));
    await sleep(10);
    task.cancel();
    await expect(task).rejects.toThrow(CancelledError);
    expect(now()).toBe(20);
  });
});

describe('until', () => {
  test('makes any promise a cancellation point, and a cancel abandons it', async () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const task = createTask(() => until(promise));
    await sleep(1);
    task.cancel();
    await expect(task).rejects.toThrow(CancelledError);
    resolve('late');
    expect(await until(promise)).toBe('late');
  });

  test('passes value and error on', async () => {
    expect(await until(Promise.resolve(1))).toBe(1);
    await expect(until(Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    const thenable = { then: (resolve: (value: string) => void) => resolve('thenable') } as PromiseLike<string>;
    expect(await until(thenable)).toBe('thenable');
  });

  test('drops an error that comes when nobody waits any more', async () => {
    const { promise, reject } = Promise.withResolvers<never>();
    await expect(timeout(5, () => until(promise))).rejects.toThrow(TimeoutError);
    reject(new Error('too late'));
    await sleep(1);
  });

  test('abandons a task, too: it goes on', async () => {
    const task = createTask(() => sleep(50, 'done'));
    await expect(timeout(5, () => until(task))).rejects.toThrow(TimeoutError);
    expect(await until(task)).toBe('done');
  });

  test('takes the failure of a task that it waits for, and no other', async () => {
    const task = createTask(() => sleep(5).then(() => Promise.reject(new Error('broken'))));
    await expect(until(task)).rejects.toThrow('broken');
    const left = createTask(() => sleep(5).then(() => Promise.reject(new Error('left'))));
    await expect(timeout(1, () => until(left))).rejects.toThrow(TimeoutError);
    await sleep(10);
    expect((left.exception() as Error).message).toBe('left');
  });

  test('is pending for a promise that never settles, under Promise.all as well', async () => {
    const task = createTask(() => Promise.all([until(new Promise(() => {})), until(new Promise(() => {}))]));
    await sleep(1);
    task.cancel();
    await expect(task).rejects.toThrow(CancelledError);
  });
});

describe('abortable', () => {
  test('aborts the work and waits until it has ended', async () => {
    const log: string[] = [];
    const work = async (signal: AbortSignal) => {
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    };
    const task = createTask(() =>
      abortable((signal) =>
        work(signal).finally(async () => {
          await new Promise((resolve) => setImmediate(resolve));
          log.push('wound down');
        }),
      ),
    );
    await sleep(10);
    task.cancel('enough');
    await expect(task).rejects.toThrow('enough');
    expect(log).toEqual(['wound down']);
    expect(task.cancelled()).toBe(true);
  });

  test('gives the signal the cancel as its reason', async () => {
    const reasons: unknown[] = [];
    const task = createTask(() =>
      abortable(
        (signal) =>
          new Promise((_, reject) => {
            signal.addEventListener('abort', () => {
              reasons.push(signal.reason);
              reject(signal.reason);
            });
          }),
      ),
    );
    await sleep(1);
    task.cancel('enough');
    await task.catch(() => {});
    expect(reasons).toEqual([expect.objectContaining({ name: 'CancelledError', message: 'enough' })]);
  });

  test('takes an AbortError, bare or wrapped, for the end of the work', async () => {
    for (const error of [
      new DOMException('aborted', 'AbortError'),
      Object.assign(new Error('aborted'), { code: 'ABORT_ERR' }),
      new TypeError('terminated', { cause: new DOMException('aborted', 'AbortError') }),
    ]) {
      const task = createTask(() =>
        abortable(
          (signal) =>
            new Promise((_, reject) => {
              signal.addEventListener('abort', () => reject(error));
            }),
        ),
      );
      await sleep(1);
      task.cancel();
      await expect(task).rejects.toThrow(CancelledError);
    }
  });

  test('delivers what the work gives in spite of the abort, and the cancel comes at the next wait', async () => {
    const seen: unknown[] = [];
    const task = createTask(async () => {
      seen.push(
        await abortable(
          (signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve('committed'))),
        ),
      );
      await sleep(1000);
      seen.push('never');
    });
    await sleep(1);
    task.cancel('enough');
    await expect(task).rejects.toThrow('enough');
    expect(seen).toEqual(['committed']);
  });

  test('passes on an error of the work that is no abort', async () => {
    const task = createTask(() =>
      abortable(
        (signal) =>
          new Promise((_, reject) => {
            signal.addEventListener('abort', () => reject(new Error('connection lost')));
          }),
      ),
    );
    await sleep(1);
    task.cancel();
    await expect(task).rejects.toThrow('connection lost');
  });

  test('rejects if the function throws at once', async () => {
    await expect(
      abortable(() => {
        throw new Error('at once');
      }),
    ).rejects.toThrow('at once');
  });

  test('never aborts when nobody cancels', async () => {
    let signal!: AbortSignal;
    expect(
      await abortable((s) => {
        signal = s;
        return Promise.resolve(1);
      }),
    ).toBe(1);
    expect(signal.aborted).toBe(false);
  });
});

describe("a task's own end", () => {
  it('waits for its function, cancelled or not', async () => {
    await run(
      async () => {
        const task = createTask(() => foreign(50, 'value'));
        await sleep(1);
        task.cancel();
        expect(await task).toBe('value');
      },
      { handleSignals: false },
    );
  });
});
