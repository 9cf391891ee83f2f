/** The behaviours of CPython's Lib/test/test_asyncio/test_locks.py, in our own words. */
import {
  Barrier,
  BoundedSemaphore,
  BrokenBarrierError,
  CancelledError,
  Condition,
  createTask,
  Event,
  gather,
  InvalidStateError,
  Lock,
  Semaphore,
  sleep,
  TimeoutError,
  timeout,
} from '@aiokit/core';
import { describe, expect } from 'vitest';
import { now, test } from './support/virtual.ts';

describe('a lock', () => {
  test('is held by one at a time, in the order in which they came', async () => {
    const lock = new Lock();
    const log: string[] = [];
    const tasks = ['a', 'b', 'c'].map((name) =>
      createTask(async () => {
        using _ = await lock.acquire();
        log.push(`${name} at ${now()}`);
        await sleep(10);
      }),
    );
    for (const task of tasks) await task;
    expect(log).toEqual(['a at 0', 'b at 10', 'c at 20']);
    expect(lock.statistics()).toEqual({ held: false, waiting: 0 });
  });

  test('can be acquired and released by hand', async () => {
    const lock = new Lock();
    await lock.acquire();
    expect(lock.locked()).toBe(true);
    lock.release();
    expect(lock.locked()).toBe(false);
    expect(() => lock.release()).toThrow(InvalidStateError);
    expect(() => lock.release()).toThrow('release() of a lock that is free');
  });

  test('is released once by its guard', async () => {
    const lock = new Lock();
    const guard = await lock.acquire();
    guard.release();
    const other = await lock.acquire();
    guard.release();
    guard[Symbol.dispose]();
    expect(lock.locked()).toBe(true);
    other.release();
  });

  test('is released when the block throws', async () => {
    const lock = new Lock();
    const work = async () => {
      using _ = await lock.acquire();
      throw new Error('broken');
    };
    await expect(work()).rejects.toThrow('broken');
    expect(lock.locked()).toBe(false);
  });

  test('goes to the first in line, not to who asks next', async () => {
    const lock = new Lock();
    await lock.acquire();
    const first = createTask(() => lock.acquire());
    await sleep(1);
    lock.release();
    expect(lock.locked()).toBe(true);
    const second = createTask(() => lock.acquire());
    const guard = await first;
    expect(second.done()).toBe(false);
    guard.release();
    (await second).release();
  });

  test('is not stuck by a cancelled waiter', async () => {
    const lock = new Lock();
    await lock.acquire();
    const cancelled = createTask(() => lock.acquire());
    const patient = createTask(() => lock.acquire());
    await sleep(1);
    cancelled.cancel();
    await expect(cancelled).rejects.toThrow(CancelledError);
    expect(lock.statistics()).toEqual({ held: true, waiting: 1 });
    lock.release();
    (await patient).release();
    expect(lock.locked()).toBe(false);
  });

  test('that was handed over before the cancel is delivered, and released at the end of the block', async () => {
    const lock = new Lock();
    await lock.acquire();
    const log: string[] = [];
    const task = createTask(async () => {
      using _ = await lock.acquire();
      log.push('held');
      await sleep(1);
      log.push('never');
    });
    await sleep(1);
    lock.release();
    task.cancel();
    await expect(task).rejects.toThrow(CancelledError);
    expect(log).toEqual(['held']);
    expect(lock.locked()).toBe(false);
  });

  test('can be waited for with a timeout', async () => {
    const lock = new Lock();
    using _ = await lock.acquire();
    await expect(timeout(10, () => lock.acquire())).rejects.toThrow(TimeoutError);
    expect(lock.statistics()).toEqual({ held: true, waiting: 0 });
  });
});

describe('an event', () => {
  test('wakes everybody when it is set, and lets later ones pass', async () => {
    const event = new Event();
    expect(event.isSet()).toBe(false);
    const waiters = [1, 2].map(() => createTask(() => event.wait()));
    await sleep(1);
    expect(event.statistics()).toEqual({ set: false, waiting: 2 });
    event.set();
    for (const waiter of waiters) expect(await waiter).toBe(true);
    expect(await event.wait()).toBe(true);
    event.clear();
    expect(event.statistics()).toEqual({ set: false, waiting: 0 });
  });

  test('lets go who was woken even if it is cleared at once', async () => {
    const event = new Event();
    const waiter = createTask(() => event.wait());
    await sleep(1);
    event.set();
    event.clear();
    expect(await waiter).toBe(true);
    await expect(timeout(5, () => event.wait())).rejects.toThrow(TimeoutError);
  });

  test('forgets a cancelled waiter', async () => {
    const event = new Event();
    const waiter = createTask(() => event.wait());
    await sleep(1);
    waiter.cancel();
    await expect(waiter).rejects.toThrow(CancelledError);
    expect(event.statistics().waiting).toBe(0);
  });
});

describe('a condition', () => {
  test('wakes as many as it notifies, in the order in which they came, each holding the lock', async () => {
    const condition = new Condition();
    const log: string[] = [];
    const tasks = ['a', 'b', 'c'].map((name) =>
      createTask(async () => {
        using _ = await condition.acquire();
        expect(await condition.wait()).toBe(true);
        expect(condition.locked()).toBe(true);
        log.push(name);
        await sleep(1);
      }),
    );
    await sleep(1);
    expect(condition.statistics()).toEqual({ held: false, waiting: 3 });
    {
      using _ = await condition.acquire();
      condition.notify(2);
    }
    await sleep(10);
    expect(log).toEqual(['a', 'b']);
    {
      using _ = await condition.acquire();
      condition.notifyAll();
    }
    for (const task of tasks) await task;
    expect(log).toEqual(['a', 'b', 'c']);
    expect(condition.locked()).toBe(false);
  });

  test('needs its lock', async () => {
    const condition = new Condition();
    expect(() => condition.notify()).toThrow(InvalidStateError);
    await expect(condition.wait()).rejects.toThrow('wait() of a condition whose lock is free: acquire it first');
    expect(() => condition.release()).toThrow(InvalidStateError);
  });

  test('shares a lock that it was given', async () => {
    const lock = new Lock();
    const condition = new Condition(lock);
    using _ = await condition.acquire();
    expect(lock.locked()).toBe(true);
    expect(() => new Condition({} as Lock)).toThrow('lock must be a Lock, got {}');
  });

  test('waits for a predicate', async () => {
    const condition = new Condition();
    let stock = 0;
    const task = createTask(async () => {
      using _ = await condition.acquire();
      return await condition.waitFor(() => stock >= 3 && `stock ${stock}`);
    });
    for (let i = 0; i < 3; i++) {
      await sleep(1);
      using _ = await condition.acquire();
      stock++;
      condition.notifyAll();
    }
    expect(await task).toBe('stock 3');
  });

  test('gives the lock back to a cancelled wait()', async () => {
    const condition = new Condition();
    const log: string[] = [];
    const task = createTask(async () => {
      using _ = await condition.acquire();
      try {
        await condition.wait();
      } finally {
        log.push(`held: ${condition.locked()} at ${now()}`);
      }
    });
    await sleep(1);
    const guard = await condition.acquire();
    task.cancel();
    await sleep(10);
    expect(log).toEqual([]);
    guard.release();
    await expect(task).rejects.toThrow(CancelledError);
    expect(log).toEqual(['held: true at 11']);
    expect(condition.locked()).toBe(false);
  });

  test('passes on the notification of a waiter that was cancelled while it waited for the lock', async () => {
    const condition = new Condition();
    const woken: string[] = [];
    const [first, second] = ['first', 'second'].map((name) =>
      createTask(async () => {
        using _ = await condition.acquire();
        await condition.wait();
        woken.push(name);
      }),
    ) as [ReturnType<typeof createTask>, ReturnType<typeof createTask>];
    await sleep(1);
    const guard = await condition.acquire();
    condition.notify(1);
    await sleep(1); // `first` was notified and waits for the lock.
    first.cancel();
    await sleep(1);
    guard.release();
    await expect(first).rejects.toThrow(CancelledError);
    await second;
    expect(woken).toEqual(['second']);
  });
});

for (const Kind of [Semaphore, BoundedSemaphore]) {
  describe(Kind.name, () => {
    test('lets as many in as it has slots', async () => {
      const slots = new Kind(2);
      const log: string[] = [];
      const tasks = ['a', 'b', 'c', 'd'].map((name) =>
        createTask(async () => {
          using _ = await slots.acquire();
          log.push(`${name} at ${now()}`);
          await sleep(10);
        }),
      );
      for (const task of tasks) await task;
      expect(log).toEqual(['a at 0', 'b at 0', 'c at 10', 'd at 10']);
      expect(slots.statistics()).toEqual({ waiting: 0, free: 2 });
    });

    test('serves first come, first served: a late one does not overtake', async () => {
      const slots = new Kind(1);
      const guard = await slots.acquire();
      const order: string[] = [];
      const first = createTask(async () => {
        using _ = await slots.acquire();
        order.push('first');
      });
      await sleep(1);
      guard.release();
      const late = slots.acquire();
      expect(slots.statistics().waiting).toBe(1);
      await first;
      order.push('late');
      (await late).release();
      expect(order).toEqual(['first', 'late']);
    });

    test('loses no slot to a cancelled waiter', async () => {
      const slots = new Kind(1);
      const guard = await slots.acquire();
      const cancelled = createTask(() => slots.acquire());
      const patient = createTask(() => slots.acquire());
      await sleep(1);
      expect(slots.locked()).toBe(true);
      cancelled.cancel();
      await expect(cancelled).rejects.toThrow(CancelledError);
      guard.release();
      (await patient).release();
      expect(slots.statistics()).toEqual({ waiting: 0, free: 1 });
      expect(slots.locked()).toBe(false);
    });

    test('loses no slot that was handed over before the cancel', async () => {
      const slots = new Kind(1);
      const guard = await slots.acquire();
      const task = createTask(async () => {
        using _ = await slots.acquire();
        await sleep(1);
      });
      await sleep(1);
      guard.release();
      task.cancel();
      await expect(task).rejects.toThrow(CancelledError);
      expect(slots.statistics().free).toBe(1);
    });

    test('with no slots waits for a release', async () => {
      const slots = new Kind(0);
      await expect(timeout(5, () => slots.acquire())).rejects.toThrow(TimeoutError);
    });
  });
}

describe('releasing more than was acquired', () => {
  test('adds a slot to a Semaphore, and is refused by a BoundedSemaphore', async () => {
    const slots = new Semaphore(1);
    slots.release();
    expect(slots.statistics().free).toBe(2);
    const bounded = new BoundedSemaphore(1);
    expect(() => bounded.release()).toThrow('release() of a BoundedSemaphore(1) whose slots are all free');
  });
});

describe('a barrier', () => {
  test('lets everybody go when all have come, each with a number of its own', async () => {
    const barrier = new Barrier(3);
    const passed: string[] = [];
    const tasks = [10, 20, 30].map((ms) =>
      createTask(async () => {
        await sleep(ms);
        const place = await barrier.wait();
        passed.push(`${place} at ${now()}`);
        return place;
      }),
    );
    await sleep(25);
    expect(barrier.statistics()).toEqual({ parties: 3, waiting: 2, broken: false });
    const places = [];
    for (const task of tasks) places.push(await task);
    expect(places.toSorted()).toEqual([0, 1, 2]);
    expect(passed.every((line) => line.endsWith('at 30'))).toBe(true);
    expect(barrier.nWaiting).toBe(0);
  });

  test('can be passed again and again', async () => {
    const barrier = new Barrier(2);
    const rounds: string[] = [];
    const party = (name: string, ms: number) =>
      createTask(async () => {
        for (let round = 0; round < 3; round++) {
          await sleep(ms);
          await barrier.wait();
          rounds.push(`${round}${name}`);
        }
      });
    const tasks = [party('a', 1), party('b', 5)];
    for (const task of tasks) await task;
    expect(rounds.map((r) => r[0])).toEqual(['0', '0', '1', '1', '2', '2']);
  });

  test('gives each a number of its own, also after one that came was cancelled', async () => {
    const barrier = new Barrier(3);
    const [first, second] = [createTask(() => barrier.wait()), createTask(() => barrier.wait())];
    await sleep(1);
    first.cancel();
    await expect(first).rejects.toThrow(CancelledError);
    expect(await gather([second, () => barrier.wait(), () => barrier.wait()])).toEqual([0, 1, 2]);
  });

  test('lets the one that comes last pass without a wait for a party of one', async () => {
    expect(await new Barrier(1).wait()).toBe(0);
  });

  test('takes back the arrival of a cancelled wait()', async () => {
    const barrier = new Barrier(2);
    const cancelled = createTask(() => barrier.wait());
    await sleep(1);
    cancelled.cancel();
    await expect(cancelled).rejects.toThrow(CancelledError);
    expect(barrier.nWaiting).toBe(0);
    const tasks = [createTask(() => barrier.wait()), createTask(() => barrier.wait())];
    for (const task of tasks) await task;
  });

  test('that is reset fails who waits, and can be used again', async () => {
    const barrier = new Barrier(3);
    const waiters = [1, 2].map(() => createTask(() => barrier.wait()));
    await sleep(1);
    await barrier.reset();
    for (const waiter of waiters) await expect(waiter).rejects.toThrow(BrokenBarrierError);
    expect(barrier.broken).toBe(false);
    const again = [1, 2, 3].map(() => createTask(() => barrier.wait()));
    for (const task of again) await task;
  });

  test('that is aborted fails who waits and whoever comes, until it is reset', async () => {
    const barrier = new Barrier(2);
    const waiter = createTask(() => barrier.wait());
    await sleep(1);
    await barrier.abort();
    await expect(waiter).rejects.toThrow('the barrier was reset or aborted while waiting');
    expect(barrier.broken).toBe(true);
    await expect(barrier.wait()).rejects.toThrow('the barrier is broken: reset() mends it');
    await barrier.reset();
    const again = [1, 2].map(() => createTask(() => barrier.wait()));
    for (const task of again) await task;
  });

  test('makes a newcomer wait while the others are leaving', async () => {
    const barrier = new Barrier(2);
    const pairs = [1, 2, 3, 4].map(() => createTask(() => barrier.wait()));
    const places = [];
    for (const task of pairs) places.push(await task);
    expect(places.toSorted()).toEqual([0, 0, 1, 1]);
  });
});

test('statistics of everything are frozen', async () => {
  for (const each of [
    new Lock(),
    new Event(),
    new Condition(),
    new Semaphore(),
    new BoundedSemaphore(),
    new Barrier(1),
  ]) {
    expect(Object.isFrozen(each.statistics())).toBe(true);
  }
});
