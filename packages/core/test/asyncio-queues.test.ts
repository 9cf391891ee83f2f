/** The behaviours of CPython's Lib/test/test_asyncio/test_queues.py, in our own words. */
import {
  CancelledError,
  createTask,
  InvalidStateError,
  LifoQueue,
  PriorityQueue,
  Queue,
  QueueEmpty,
  QueueFull,
  QueueShutDown,
  sleep,
  TimeoutError,
  timeout,
  waitFor,
} from '@aiokit/core';
import { describe, expect } from 'vitest';
import { now, test } from './support/virtual.ts';

const empty = { size: 0, maxSize: Infinity, gettersWaiting: 0, puttersWaiting: 0, unfinished: 0 };

describe('a queue', () => {
  test('gives items first in, first out', async () => {
    const queue = new Queue<number>();
    for (const n of [1, 2, 3]) await queue.put(n);
    expect([queue.qsize(), queue.empty(), queue.full()]).toEqual([3, false, false]);
    expect([await queue.get(), queue.getNowait(), await queue.get()]).toEqual([1, 2, 3]);
    expect([queue.qsize(), queue.empty()]).toEqual([0, true]);
  });

  test('keeps undefined and null as items', async () => {
    const queue = new Queue<undefined | null>();
    queue.putNowait(undefined);
    queue.putNowait(null);
    expect(await queue.get()).toBeUndefined();
    expect(await queue.get()).toBeNull();
  });

  test('lets get() wait for an item', async () => {
    const queue = new Queue<string>();
    const getter = createTask(() => queue.get());
    await sleep(10);
    expect(queue.statistics().gettersWaiting).toBe(1);
    queue.putNowait('item');
    expect(await getter).toBe('item');
    expect(queue.statistics()).toEqual({ ...empty, unfinished: 1 });
  });

  test('lets put() wait for room', async () => {
    const queue = new Queue<number>(1);
    const log: string[] = [];
    const producer = createTask(async () => {
      for (const n of [1, 2, 3]) {
        await queue.put(n);
        log.push(`put ${n} at ${now()}`);
      }
    });
    await sleep(10);
    expect(queue.full()).toBe(true);
    expect(await queue.get()).toBe(1);
    await sleep(10);
    expect([await queue.get(), await queue.get()]).toEqual([2, 3]);
    await producer;
    expect(log).toEqual(['put 1 at 0', 'put 2 at 10', 'put 3 at 20']);
  });

  test('throws from the methods that do not wait', async () => {
    const queue = new Queue<number>(1);
    expect(() => queue.getNowait()).toThrow(QueueEmpty);
    queue.putNowait(1);
    expect(() => queue.putNowait(2)).toThrow(QueueFull);
    expect(() => queue.putNowait(2)).toThrow('the queue holds 1 items already');
  });

  test('serves getters in the order in which they came', async () => {
    const queue = new Queue<number>();
    const got: string[] = [];
    const getters = ['a', 'b', 'c'].map((name) => createTask(async () => got.push(`${name}${await queue.get()}`)));
    await sleep(1);
    for (const n of [1, 2, 3]) queue.putNowait(n);
    for (const getter of getters) await getter;
    expect(got).toEqual(['a1', 'b2', 'c3']);
  });

  test('serves putters in the order in which they came', async () => {
    const queue = new Queue<string>(1);
    queue.putNowait('first');
    const putters = ['a', 'b', 'c'].map((name) => createTask(() => queue.put(name)));
    await sleep(1);
    const got = [];
    for (let i = 0; i < 4; i++) got.push(await queue.get());
    for (const putter of putters) await putter;
    expect(got).toEqual(['first', 'a', 'b', 'c']);
  });

  test('hands an item to who waits, so that nobody overtakes', async () => {
    const queue = new Queue<number>();
    const waiting = createTask(() => queue.get());
    await sleep(1);
    queue.putNowait(1);
    expect(queue.qsize()).toBe(0);
    expect(() => queue.getNowait()).toThrow(QueueEmpty);
    expect(await waiting).toBe(1);
  });

  test('loses no item to a cancelled get()', async () => {
    const queue = new Queue<number>();
    const first = createTask(() => queue.get());
    const second = createTask(() => queue.get());
    await sleep(1);
    first.cancel();
    queue.putNowait(1);
    await expect(first).rejects.toThrow(CancelledError);
    expect(await second).toBe(1);
  });

  test('delivers an item that was handed over before the cancel', async () => {
    const queue = new Queue<number>();
    const getter = createTask(() => queue.get());
    await sleep(1);
    queue.putNowait(1);
    getter.cancel();
    expect(await getter).toBe(1);
  });

  test('puts nothing for a cancelled put()', async () => {
    const queue = new Queue<number>(1);
    queue.putNowait(1);
    const cancelled = createTask(() => queue.put(2));
    const patient = createTask(() => queue.put(3));
    await sleep(1);
    cancelled.cancel();
    await expect(cancelled).rejects.toThrow(CancelledError);
    expect([await queue.get(), await queue.get()]).toEqual([1, 3]);
    await patient;
    expect(queue.empty()).toBe(true);
  });

  test('works under timeouts', async () => {
    const queue = new Queue<number>(1);
    await expect(timeout(10, () => queue.get())).rejects.toThrow(TimeoutError);
    await queue.put(1);
    await expect(waitFor(() => queue.put(2), 10)).rejects.toThrow(TimeoutError);
    expect(await queue.get()).toBe(1);
    expect(queue.statistics()).toEqual({ ...empty, maxSize: 1, unfinished: 1 });
  });

  test('keeps its bound under many producers and consumers, and loses nothing', async () => {
    const queue = new Queue<number>(3);
    const got: number[] = [];
    const producers = [0, 1, 2, 3].map((p) =>
      createTask(async () => {
        for (let i = 0; i < 25; i++) {
          await queue.put(p * 100 + i);
          if (i % 7 === 0) await sleep(1);
        }
      }),
    );
    const consumers = [0, 1, 2].map(() =>
      createTask(async () => {
        for (;;) {
          got.push(await queue.get());
          expect(queue.qsize()).toBeLessThanOrEqual(3);
          queue.taskDone();
        }
      }),
    );
    for (const producer of producers) await producer;
    await queue.join();
    for (const consumer of consumers) consumer.cancel();
    for (const consumer of consumers) await expect(consumer).rejects.toThrow(CancelledError);
    expect(new Set(got).size).toBe(100);
  });

  test('has frozen statistics', async () => {
    const queue = new Queue<number>(2);
    queue.putNowait(1);
    expect(queue.statistics()).toEqual({ ...empty, size: 1, maxSize: 2, unfinished: 1 });
    expect(Object.isFrozen(queue.statistics())).toBe(true);
  });
});

describe('join()', () => {
  test('waits until every item was worked off', async () => {
    const queue = new Queue<number>();
    for (const n of [1, 2, 3]) queue.putNowait(n);
    const worker = createTask(async () => {
      for (;;) {
        await queue.get();
        await sleep(10);
        queue.taskDone();
      }
    });
    await queue.join();
    expect(now()).toBe(30);
    worker.cancel();
    await expect(worker).rejects.toThrow(CancelledError);
  });

  test('of a queue that nothing was put into is done', async () => {
    await new Queue().join();
  });

  test('refuses a taskDone() too many', async () => {
    const queue = new Queue<number>();
    expect(() => queue.taskDone()).toThrow(InvalidStateError);
    queue.putNowait(1);
    queue.getNowait();
    queue.taskDone();
    expect(() => queue.taskDone()).toThrow('taskDone() called more often than items were put');
  });

  test('that is cancelled leaves the others waiting', async () => {
    const queue = new Queue<number>();
    queue.putNowait(1);
    const cancelled = createTask(() => queue.join());
    const patient = createTask(() => queue.join());
    await sleep(1);
    cancelled.cancel();
    await expect(cancelled).rejects.toThrow(CancelledError);
    queue.getNowait();
    queue.taskDone();
    await patient;
  });
});

describe('shutdown()', () => {
  test('lets what is in the queue be taken, then refuses', async () => {
    const queue = new Queue<number>();
    queue.putNowait(1);
    queue.shutdown();
    expect(() => queue.putNowait(2)).toThrow(QueueShutDown);
    await expect(queue.put(2)).rejects.toThrow('put() on a queue that was shut down');
    expect(await queue.get()).toBe(1);
    await expect(queue.get()).rejects.toThrow(QueueShutDown);
    expect(() => queue.getNowait()).toThrow(QueueShutDown);
  });

  test('wakes getters and putters with QueueShutDown', async () => {
    const unread = new Queue<number>();
    const full = new Queue<number>(1);
    full.putNowait(1);
    const getter = createTask(() => unread.get());
    const putter = createTask(() => full.put(2));
    await sleep(1);
    unread.shutdown();
    full.shutdown();
    await expect(getter).rejects.toThrow(QueueShutDown);
    await expect(putter).rejects.toThrow(QueueShutDown);
    expect(await full.get()).toBe(1);
  });

  test('at once drops what is in the queue and ends join()', async () => {
    const queue = new Queue<number>();
    queue.putNowait(1);
    queue.putNowait(2);
    const joiner = createTask(() => queue.join());
    await sleep(1);
    queue.shutdown(true);
    await joiner;
    expect(queue.empty()).toBe(true);
    await expect(queue.get()).rejects.toThrow(QueueShutDown);
  });

  test('at once leaves join() waiting for what was taken and is not worked off', async () => {
    const queue = new Queue<number>();
    queue.putNowait(1);
    queue.putNowait(2);
    queue.getNowait();
    const joiner = createTask(() => queue.join());
    await sleep(1);
    queue.shutdown(true);
    await sleep(1);
    expect(joiner.done()).toBe(false);
    queue.taskDone();
    await joiner;
  });

  test('twice, the second time at once, drops what is left', async () => {
    const queue = new Queue<number>();
    queue.putNowait(1);
    queue.shutdown();
    queue.shutdown(true);
    await expect(queue.get()).rejects.toThrow(QueueShutDown);
    await queue.join();
  });

  test('ends for await after the last item', async () => {
    const queue = new Queue<number>();
    const got: number[] = [];
    const consumer = createTask(async () => {
      for await (const n of queue) got.push(n);
      return 'ended';
    });
    queue.putNowait(1);
    queue.putNowait(2);
    await sleep(1);
    queue.shutdown();
    expect(await consumer).toBe('ended');
    expect(got).toEqual([1, 2]);
  });
});

describe('other orders', () => {
  test('LifoQueue gives the newest first', async () => {
    const queue = new LifoQueue<number>();
    for (const n of [1, 2, 3]) queue.putNowait(n);
    expect([await queue.get(), await queue.get(), await queue.get()]).toEqual([3, 2, 1]);
  });

  test('PriorityQueue gives the smallest first, of equal ones the oldest', async () => {
    const queue = new PriorityQueue<[number, string]>();
    for (const item of [
      [2, 'c'],
      [1, 'b'],
      [1, 'a'],
      [3, 'd'],
    ] as [number, string][])
      queue.putNowait(item);
    expect([await queue.get(), await queue.get(), await queue.get(), await queue.get()]).toEqual([
      [1, 'a'],
      [1, 'b'],
      [2, 'c'],
      [3, 'd'],
    ]);
    const jobs = new PriorityQueue<{ at: number; name: string }>(0, (a, b) => a.at - b.at);
    for (const name of ['x', 'y', 'z']) jobs.putNowait({ at: 1, name });
    jobs.putNowait({ at: 0, name: 'w' });
    const names = [];
    while (!jobs.empty()) names.push(jobs.getNowait().name);
    expect(names).toEqual(['w', 'x', 'y', 'z']);
  });

  test('PriorityQueue gives room to putters in their order, and items in its own', async () => {
    const queue = new PriorityQueue<number>(1);
    queue.putNowait(5);
    const putters = [3, 4].map((n) => createTask(() => queue.put(n)));
    await sleep(1);
    expect(await queue.get()).toBe(5);
    expect(await queue.get()).toBe(3);
    expect(await queue.get()).toBe(4);
    for (const putter of putters) await putter;
  });
});
