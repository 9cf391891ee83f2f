/** The behaviours of CPython's tests of wait (Lib/test/test_asyncio/test_tasks.py), in our own words. */
import { CancelledError, createTask, currentTask, Future, sleep, wait } from '@aiokit/core';
import { describe, expect } from 'vitest';
import { now, test } from './support/virtual.ts';

async function fail(ms: number): Promise<never> {
  await sleep(ms);
  throw new Error('broken');
}

describe('wait', () => {
  test('waits for all, and hands back the very same objects', async () => {
    const a = createTask(() => sleep(10, 'a'), { name: 'a' });
    const b = createTask(() => sleep(20, 'b'), { name: 'b' });
    const { done, pending } = await wait([a, b]);
    expect([...done].map((task) => task.name)).toEqual(['a', 'b']);
    expect(done.has(a) && done.has(b)).toBe(true);
    expect(pending.size).toBe(0);
    expect(now()).toBe(20);
  });

  test('returns at the first with FIRST_COMPLETED', async () => {
    const slow = createTask(() => sleep(50));
    const quick = createTask(() => sleep(10));
    const { done, pending } = await wait([slow, quick], { returnWhen: 'FIRST_COMPLETED' });
    expect(done.has(quick) && done.size === 1).toBe(true);
    expect(pending.has(slow) && pending.size === 1).toBe(true);
    expect(now()).toBe(10);
    await slow;
  });

  test('returns at the first failure with FIRST_EXCEPTION, and throws it not', async () => {
    const slow = createTask(() => sleep(50));
    const quick = createTask(() => sleep(5));
    const failing = createTask(() => fail(10));
    const { done, pending } = await wait([slow, quick, failing], { returnWhen: 'FIRST_EXCEPTION' });
    expect([done.size, pending.size]).toEqual([2, 1]);
    expect(now()).toBe(10);
    expect((failing.exception() as Error).message).toBe('broken');
    await slow;
  });

  test('does not take a cancelled one for a failure', async () => {
    const slow = createTask(() => sleep(50));
    const cancelled = createTask(() => sleep(1000));
    const waiting = createTask(() => wait([slow, cancelled], { returnWhen: 'FIRST_EXCEPTION' }));
    await sleep(1);
    cancelled.cancel();
    const { done } = await waiting;
    expect(done.size).toBe(2);
    expect(now()).toBe(50);
  });

  test('returns when time is up, and cancels nothing', async () => {
    const slow = createTask(() => sleep(50, 'slow'));
    const quick = createTask(() => sleep(5, 'quick'));
    const { done, pending } = await wait([slow, quick], { timeout: 10 });
    expect([done.size, pending.size]).toEqual([1, 1]);
    expect(now()).toBe(10);
    expect(await slow).toBe('slow');
    expect(currentTask()?.cancelling()).toBe(0);
  });

  test('counts one thing given twice once', async () => {
    const task = createTask(() => sleep(5));
    const { done } = await wait([task, task]);
    expect(done.size).toBe(1);
  });

  test('over what is done suspends all the same', async () => {
    const done = createTask(() => 1);
    await done;
    const order: string[] = [];
    createTask(() => void order.push('other task'));
    await wait([done]);
    order.push('waited');
    expect(order).toEqual(['other task', 'waited']);
  });

  test('is a cancellation point also over what is done', async () => {
    const done = createTask(() => 1);
    await done;
    const task = createTask(async () => {
      currentTask()?.cancel();
      await wait([done]);
    });
    await expect(task).rejects.toThrow(CancelledError);
  });

  test('that is cancelled cancels nothing', async () => {
    const inner = createTask(() => sleep(50, 'unharmed'));
    const outer = createTask(() => wait([inner]));
    await sleep(10);
    outer.cancel('enough');
    await expect(outer).rejects.toThrow('enough');
    expect(await inner).toBe('unharmed');
  });

  test('takes futures of different types and keeps the type in the sets', async () => {
    const future = new Future<number>();
    const task = createTask(() => sleep(1, 'text'));
    future.setResult(1);
    const { done } = await wait([future, task]);
    expect([...done].map((each) => each.result())).toEqual([1, 'text']);
  });

  test('leaves nothing on what is still pending', async () => {
    const future = new Future<void>();
    for (let i = 0; i < 10; i++) await wait([future], { timeout: 1 });
    expect(future._watchers).toBeNull();
    future.cancel();
  });
});
