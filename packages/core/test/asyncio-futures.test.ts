/** The behaviours of CPython's Lib/test/test_asyncio/test_futures.py, in our own words. */
import {
  CancelledError,
  createTask,
  currentTask,
  Future,
  getRunningLoop,
  InvalidStateError,
  sleep,
} from '@aiokit/core';
import { describe, expect, it } from 'vitest';
import { reportsOf, test } from './support/virtual.ts';

describe('a future', () => {
  test('is pending until somebody sets its result', async () => {
    const future = new Future<number>();
    expect([future.done(), future.cancelled()]).toEqual([false, false]);
    future.setResult(42);
    expect([future.done(), future.cancelled()]).toEqual([true, false]);
    expect(future.result()).toBe(42);
    expect(future.exception()).toBeNull();
    expect(await future).toBe(42);
  });

  test('comes from the loop, too', async () => {
    const future = getRunningLoop().createFuture<string>();
    getRunningLoop().callSoon(() => future.setResult('x'));
    expect(await future).toBe('x');
  });

  test('gives its exception to who asks or awaits', async () => {
    const error = new Error('broken');
    const future = new Future();
    future.setException(error);
    expect(future.exception()).toBe(error);
    expect(() => future.result()).toThrow(error);
    await expect(future).rejects.toBe(error);
  });

  test('is set once', async () => {
    const future = new Future<number>();
    future.setResult(1);
    expect(() => future.setResult(2)).toThrow('setResult() on a');
    expect(() => future.setException(new Error())).toThrow(InvalidStateError);
    expect(future.cancel()).toBe(false);
    expect(future.result()).toBe(1);
  });

  test('has nothing to tell before it is done', async () => {
    const future = new Future<number>();
    expect(() => future.result()).toThrow('it is not done yet');
    expect(() => future.exception()).toThrow(InvalidStateError);
  });

  test('throws its cancel from result() and exception()', async () => {
    const future = new Future<number>();
    expect(future.cancel('no need')).toBe(true);
    expect([future.done(), future.cancelled()]).toEqual([true, true]);
    expect(() => future.result()).toThrow(CancelledError);
    expect(() => future.exception()).toThrow('no need');
    await expect(future).rejects.toThrow('no need');
    expect(future.cancel()).toBe(false);
  });

  test('takes no error that is none', async () => {
    expect(() => new Future().setException(undefined)).toThrow('error must be an error, got undefined');
    expect(() => new Future().setException(null)).toThrow(TypeError);
  });

  test('wakes its waiters in the order in which they came', async () => {
    const future = new Future<void>();
    const order: number[] = [];
    const waiters = [1, 2, 3].map((n) => createTask(() => future.then(() => order.push(n))));
    await sleep(1);
    future.setResult();
    for (const waiter of waiters) await waiter;
    expect(order).toEqual([1, 2, 3]);
  });

  test('calls back in a later turn, with no current task', async () => {
    const future = new Future<number>();
    const calls: unknown[] = [];
    future.addDoneCallback((f) => calls.push(f.result(), currentTask()));
    future.setResult(1);
    expect(calls).toEqual([]);
    await sleep(0);
    expect(calls).toEqual([1, null]);
  });

  it('tells the exception handler of an error in a callback', async () => {
    const reports = await reportsOf(async () => {
      const future = new Future<void>();
      future.addDoneCallback(() => {
        throw new Error('in the callback');
      });
      future.setResult();
      await sleep(0);
    });
    expect(reports.map((r) => (r.exception as Error).message)).toEqual(['in the callback']);
  });

  it('tells the exception handler of an exception that nobody took, when the loop closes', async () => {
    const error = new Error('lost');
    const reports = await reportsOf(() => {
      const future = new Future();
      future.setException(error);
      return sleep(1);
    });
    expect(reports).toEqual([expect.objectContaining({ exception: error })]);
  });

  for (const [how, take] of [
    ['result()', (f: Future<unknown>) => expect(() => f.result()).toThrow()],
    ['exception()', (f: Future<unknown>) => f.exception()],
    ['await', (f: Future<unknown>) => expect(f).rejects.toThrow()],
    ['catch', (f: Future<unknown>) => f.catch(() => {})],
  ] as const) {
    test(`counts ${how} as taking the exception`, async () => {
      const future = new Future();
      future.setException(new Error('taken'));
      await take(future);
    });
  }

  test('has the methods of a Promise', async () => {
    const future = new Future<number>();
    const finals: string[] = [];
    const chain = future
      .then((n) => n + 1)
      .finally(() => finals.push('finally'))
      .then((n) => {
        throw new Error(`got ${n}`);
      })
      .catch((error: Error) => error.message);
    future.setResult(1);
    expect(await chain).toBe('got 2');
    expect(finals).toEqual(['finally']);
    expect(await Promise.all([future, 5])).toEqual([1, 5]);
    expect(await Promise.race([new Promise(() => {}), future])).toBe(1);
    expect(await Promise.resolve(future)).toBe(1);
    expect(await Promise.any([Promise.reject(new Error()), future])).toBe(1);
  });

  test('calls what then() was given never at once, and in its own context', async () => {
    const future = new Future<number>();
    future.setResult(1);
    const order: string[] = [];
    const chained = future.then(() => order.push('then'));
    order.push('after');
    await chained;
    expect(order).toEqual(['after', 'then']);
  });

  test('works with async generators and for await', async () => {
    async function* numbers() {
      yield await sleep(1, 1);
      yield sleep(1, 2);
    }
    const got: number[] = [];
    for await (const n of numbers()) got.push(n);
    expect(got).toEqual([1, 2]);
  });

  test('says what it is', async () => {
    const future = new Future();
    expect(future.describe()).toMatch(/Future/);
    expect(String(future)).toBe('[object Future]');
    future.cancel();
  });
});
