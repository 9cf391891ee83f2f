/** A cancel that comes back wrapped, as ORMs and fetch do it, is still that cancel. */
import {
  CancelledError,
  createTask,
  currentTask,
  isCancelled,
  rethrowCancelled,
  sleep,
  TimeoutError,
  taskGroup,
  timeout,
} from '@aiokit/core';
import { describe, expect } from 'vitest';
import { test } from './support/virtual.ts';

const wrappers: Record<string, (error: unknown) => Error> = {
  'cause (Drizzle)': (cause) => new Error('query failed', { cause }),
  'TypeError with cause (fetch)': (cause) => new TypeError('fetch failed', { cause }),
  'driverError (TypeORM)': (driverError) => Object.assign(new Error('query failed'), { driverError }),
  originalError: (originalError) => Object.assign(new Error('query failed'), { originalError }),
  'three deep': (cause) => new Error('a', { cause: new Error('b', { cause: new Error('c', { cause }) }) }),
  'AggregateError of cancels': (error) => new AggregateError([error, error]),
};

for (const [name, wrap] of Object.entries(wrappers)) {
  const query = () =>
    sleep(1000).catch((error: unknown) => {
      throw wrap(error);
    });

  describe(`a cancel wrapped as ${name}`, () => {
    test('leaves the task cancelled', async () => {
      const task = createTask(query);
      await sleep(1);
      task.cancel('enough');
      await expect(task).rejects.toThrow('enough');
      expect(task.cancelled()).toBe(true);
    });

    test('is a TimeoutError for a timeout', async () => {
      await expect(timeout(10, query)).rejects.toThrow(TimeoutError);
    });

    test('is no failure of a group', async () => {
      const value = await taskGroup(async (group) => {
        const child = group.createTask(query);
        await sleep(1);
        child.cancel();
        return 'fine';
      });
      expect(value).toBe('fine');
    });

    test('is told by isCancelled and thrown by rethrowCancelled', async () => {
      const seen: unknown[] = [];
      const task = createTask(async () => {
        try {
          await query();
        } catch (error) {
          seen.push(isCancelled(error));
          rethrowCancelled(error);
          seen.push('never');
        }
      });
      await sleep(1);
      task.cancel('enough');
      await expect(task).rejects.toBeInstanceOf(CancelledError);
      expect(seen).toEqual([true]);
    });
  });
}

describe('what only looks like a cancel', () => {
  test('an error whose cause is a CancelledError of somebody else is a failure', async () => {
    const other = createTask(() => sleep(1000));
    await sleep(1);
    other.cancel();
    const foreignCancel = await other.catch((error: unknown) => error);
    const task = createTask(() => {
      throw new Error('could not read the cache', { cause: foreignCancel });
    });
    await expect(task).rejects.toThrow('could not read the cache');
    expect(task.cancelled()).toBe(false);
  });

  test('an AggregateError with another error among cancels is a failure', async () => {
    const task = createTask(async () => {
      await sleep(1000).catch((error: unknown) => {
        throw new AggregateError([error, new Error('and this')]);
      });
    });
    await sleep(1);
    task.cancel();
    await expect(task).rejects.toThrow(AggregateError);
    expect(task.cancelled()).toBe(false);
  });

  test('an error whose causes form a ring is looked at for a bounded time', async () => {
    const ring = new Error('a') as Error & { cause: unknown };
    ring.cause = new Error('b', { cause: ring });
    expect(isCancelled(ring)).toBe(false);
    expect(() => rethrowCancelled(ring)).not.toThrow();
  });

  test('values that are no errors are none', async () => {
    for (const value of [undefined, null, 0, 'cancelled', {}, new DOMException('x', 'AbortError')]) {
      expect(isCancelled(value)).toBe(false);
      rethrowCancelled(value);
    }
    expect(currentTask()?.cancelling()).toBe(0);
  });
});
