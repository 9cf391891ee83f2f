/** The behaviours of CPython's tests of shield (Lib/test/test_asyncio/test_tasks.py), in our own words. */
import { CancelledError, createTask, Future, gather, shield, sleep, timeout } from '@aiokit/core';
import { describe, expect, it } from 'vitest';
import { now, reportsOf, test } from './support/virtual.ts';

describe('shield', () => {
  test('gives the result of a function, a task, a future or a promise', async () => {
    const future = new Future<string>();
    const shielded = shield(future);
    future.setResult('future');
    expect(await shielded).toBe('future');
    expect(await shield(() => sleep(1, 'function'))).toBe('function');
    expect(await shield(createTask(() => sleep(1, 'task')))).toBe('task');
    expect(await shield(Promise.resolve('promise'))).toBe('promise');
  });

  test('gives the exception', async () => {
    await expect(
      shield(async () => {
        await sleep(1);
        throw new Error('broken');
      }),
    ).rejects.toThrow('broken');
  });

  test('keeps a cancel of the waiter from the work', async () => {
    const inner = createTask(() => sleep(50, 'done'));
    const outer = createTask(() => shield(inner));
    await sleep(10);
    outer.cancel('enough');
    await expect(outer).rejects.toThrow('enough');
    expect(now()).toBe(10);
    expect(inner.cancelling()).toBe(0);
    expect(await inner).toBe('done');
  });

  test('is cancelled when the work is', async () => {
    const inner = createTask(() => sleep(1000));
    const shielded = shield(inner);
    await sleep(1);
    inner.cancel();
    await expect(shielded).rejects.toThrow(CancelledError);
    expect(shielded.cancelled()).toBe(true);
  });

  test('of what is done is that itself', async () => {
    const task = createTask(() => 1);
    await task;
    expect(shield(task) === task).toBe(true);
  });

  test('is a cancellation point', async () => {
    const inner = createTask(() => sleep(50));
    const task = createTask(async () => {
      task.cancel('pending');
      await shield(inner);
    });
    await expect(task).rejects.toThrow('pending');
    await inner;
  });

  test('under gather is spared by the cancel of the gather', async () => {
    const inner = createTask(() => sleep(50, 'done'));
    const gathering = gather([shield(inner)]);
    await sleep(1);
    gathering.cancel();
    await expect(gathering).rejects.toThrow(CancelledError);
    expect(await inner).toBe('done');
  });

  it('that was cancelled leaves a later failure of the work to the exception handler', async () => {
    const reports = await reportsOf(async () => {
      await timeout(10, () =>
        shield(async () => {
          await sleep(20);
          throw new Error('nobody sees it');
        }),
      ).catch(() => {});
      await sleep(50);
    });
    expect(reports.map((r) => (r.exception as Error).message)).toEqual(['nobody sees it']);
  });

  test('counts as a waiter of the work as long as it waits', async () => {
    const work = createTask(() => sleep(50, 'done'));
    const shielded = shield(work);
    const impatient = createTask(() => work);
    await sleep(1);
    impatient.cancel();
    await expect(impatient).rejects.toThrow(CancelledError);
    expect(await shielded).toBe('done');
  });
});
