/** The behaviours of CPython's Lib/test/test_asyncio/test_waitfor.py, in our own words. */
import { CancelledError, createTask, currentTask, Future, shield, sleep, TimeoutError, waitFor } from '@aiokit/core';
import { describe, expect } from 'vitest';
import { now, test } from './support/virtual.ts';

describe('waitFor', () => {
  test('gives the result that comes in time, of a function, a task, a future or a promise', async () => {
    const future = new Future<string>();
    future.setResult('future');
    expect(await waitFor(() => sleep(5, 'function'), 10)).toBe('function');
    expect(
      await waitFor(
        createTask(() => sleep(5, 'task')),
        10,
      ),
    ).toBe('task');
    expect(await waitFor(future, 10)).toBe('future');
    expect(await waitFor(Promise.resolve('promise'), 10)).toBe('promise');
    expect(await waitFor(() => 'at once', 10)).toBe('at once');
  });

  test('runs a function in the calling task', async () => {
    const outer = currentTask()?.name;
    expect(await waitFor(() => currentTask()?.name, 10)).toBe(outer);
  });

  test('throws a TimeoutError when time is up, after the task has been cancelled and has ended', async () => {
    const ended: string[] = [];
    const task = createTask(async () => {
      try {
        await sleep(1000);
      } finally {
        await sleep(20);
        ended.push('cleaned up');
      }
    });
    await expect(waitFor(task, 10)).rejects.toThrow(TimeoutError);
    expect(task.cancelled()).toBe(true);
    expect(ended).toEqual(['cleaned up']);
    expect(now()).toBe(30);
  });

  test('throws what the work throws', async () => {
    await expect(
      waitFor(async () => {
        await sleep(1);
        throw new Error('broken');
      }, 10),
    ).rejects.toThrow('broken');
  });

  test('throws what the cleanup throws when time is up', async () => {
    const task = createTask(async () => {
      await sleep(1000).catch(() => {});
      throw new Error('in cleanup');
    });
    await expect(waitFor(task, 10)).rejects.toThrow('in cleanup');
  });

  test('gives the value of a task that swallows its cancel', async () => {
    const task = createTask(() => sleep(1000).catch(() => 'stubborn'));
    expect(await waitFor(task, 10)).toBe('stubborn');
  });

  test('of null waits as long as it takes', async () => {
    expect(await waitFor(() => sleep(3_600_000, 'late'), null)).toBe('late');
  });

  for (const ms of [0, -1]) {
    test(`with ${ms} ms does not start a function`, async () => {
      let started = false;
      await expect(
        waitFor(() => {
          started = true;
        }, ms),
      ).rejects.toThrow(TimeoutError);
      expect(started).toBe(false);
    });

    test(`with ${ms} ms gives what is done already, and cancels what is not`, async () => {
      const done = createTask(() => 'done');
      await done;
      expect(await waitFor(done, ms)).toBe('done');
      const task = createTask(() => sleep(1000));
      await sleep(1);
      await expect(waitFor(task, ms)).rejects.toThrow(TimeoutError);
      expect(task.cancelled()).toBe(true);
    });
  }

  test('that is cancelled cancels the task and throws the cancel', async () => {
    const inner = createTask(() => sleep(1000));
    const outer = createTask(() => waitFor(inner, 100));
    await sleep(10);
    outer.cancel('enough');
    await expect(outer).rejects.toThrow('enough');
    expect(inner.cancelled()).toBe(true);
  });

  test('leaves alone a task that others wait for, too', async () => {
    const task = createTask(() => sleep(50, 'shared'));
    const other = createTask(() => task);
    await sleep(1);
    await expect(waitFor(task, 10)).rejects.toThrow(TimeoutError);
    expect(now()).toBe(11);
    expect(await other).toBe('shared');
  });

  test('with 0 ms leaves alone a task that others wait for, too', async () => {
    const task = createTask(() => sleep(50, 'shared'));
    const other = createTask(() => task);
    await sleep(1);
    await expect(waitFor(task, 0)).rejects.toThrow(TimeoutError);
    expect(await other).toBe('shared');
  });

  test('over shield lets the work go on', async () => {
    const task = createTask(() => sleep(50, 'done'));
    await expect(waitFor(shield(task), 10)).rejects.toThrow(TimeoutError);
    expect(task.done()).toBe(false);
    expect(await task).toBe('done');
    expect(now()).toBe(50);
  });

  test('of a task that was cancelled by somebody else throws the cancel, not a TimeoutError', async () => {
    const task = createTask(() => sleep(1000));
    const waiting = createTask(() => waitFor(task, 100));
    await sleep(1);
    task.cancel('somebody else');
    await expect(waiting).rejects.toThrow(CancelledError);
    await expect(waiting).rejects.toThrow('somebody else');
  });

  test('does not lose a result that comes at the instant of the timeout', async () => {
    const future = new Future<string>();
    const task = createTask(() => waitFor(future, 10));
    await sleep(1);
    future.setResult('value');
    task.cancel();
    expect(await task).toBe('value');
  });

  test('gives up on a foreign promise', async () => {
    await expect(waitFor(new Promise(() => {}), 10)).rejects.toThrow(TimeoutError);
    expect(now()).toBe(10);
  });
});
