/** Memory stays flat, nothing is left on what lives long, and leaving a long line is cheap. In real time. */
import { getEventListeners } from 'node:events';
import {
  allTasks,
  asCompleted,
  createTask,
  currentTask,
  Event,
  Future,
  gather,
  Lock,
  Queue,
  race,
  run,
  Semaphore,
  shield,
  sleep,
  type Task,
  taskGroup,
  timeout,
  wait,
  waitFor,
} from '@aiokit/core';
import { describe, expect, it } from 'vitest';

const inRealTime = (body: () => unknown) => run(body, { handleSignals: false });

/** The bytes that stay in use for each of `count` rounds, after as many to warm up. */
async function bytesPerRound(count: number, round: () => unknown): Promise<number> {
  for (let i = 0; i < count; i++) await round();
  const before = await usedHeap();
  for (let i = 0; i < count; i++) await round();
  return ((await usedHeap()) - before) / count;
}

async function usedHeap(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    await sleep(0);
    globalThis.gc?.();
  }
  return process.memoryUsage().heapUsed;
}

describe('memory stays flat over', () => {
  const rounds: Record<string, (long: Future<void>) => unknown> = {
    tasks: () => createTask(() => 1),
    'tasks that fail': () => createTask(() => Promise.reject(new Error('taken'))).catch(() => {}),
    'tasks that are cancelled': () => {
      const task = createTask(() => sleep(1e9));
      queueMicrotask(() => queueMicrotask(() => queueMicrotask(() => task.cancel())));
      return task.catch(() => {});
    },
    'tasks that are cancelled before they begin': () => {
      const task = createTask(() => sleep(1e9));
      task.cancel();
      return task.catch(() => {});
    },
    timeouts: () => timeout(1e9, async () => {}),
    'timeouts of nothing': () => timeout(0, () => sleep(1)).catch(() => {}),
    groups: () => taskGroup((group) => void group.createTask(() => 1)),
    gathers: () => gather([() => 1, () => 2]),
    races: () => race([() => 1, () => sleep(1e9)]),
    'signals that were read': () => createTask(() => currentTask()?.signal.aborted),
    'waits with a timeout on one Future': (long) => wait([long], { timeout: 0 }),
    'cancelled waits on one Future': (long) => timeout(0, () => shield(long)).catch(() => {}),
    'waitFor on one Future that others wait for': (long) => waitFor(shield(long), 0).catch(() => {}),
    'left loops over asCompleted': async (long) => {
      for await (const _ of asCompleted([() => 1, long])) break;
    },
  };

  for (const [name, round] of Object.entries(rounds)) {
    it(name, () =>
      inRealTime(async () => {
        const long = new Future<void>();
        const keep = createTask(() => long); // So that no wait is its sole waiter.
        await sleep(1);
        expect(await bytesPerRound(1_000, () => round(long))).toBeLessThan(100);
        keep.cancel();
        await keep.catch(() => {});
      }),
    );
  }
});

describe('a million that have ended leave nothing behind', () => {
  const BATCH = 1_000;
  const batch = (round: () => unknown) => Promise.all(Array.from({ length: BATCH }, round));
  const batches: Record<string, (long: Future<void>) => Promise<unknown>> = {
    tasks: () => batch(() => createTask(() => 1)),
    'cancelled waits on one Future': async (long) => {
      const tasks = Array.from({ length: BATCH }, () => createTask(() => long));
      await sleep(0);
      for (const task of tasks) task.cancel();
      await Promise.allSettled(tasks);
    },
    timeouts: () => batch(() => timeout(1e9, async () => {})),
    'waits with a timeout on one Future': (long) => batch(() => wait([long], { timeout: 0 })),
  };

  for (const [name, round] of Object.entries(batches)) {
    it(
      name,
      () =>
        inRealTime(async () => {
          const long = new Future<void>();
          const keep = createTask(() => long); // So that no wait is its sole waiter.
          await sleep(1);
          expect(await bytesPerRound(500, () => round(long))).toBeLessThan(BATCH); // A byte each is noise.
          expect(long._waiters?.next === long._waiters).toBe(true); // `keep` alone.
          expect(long._watchers).toBeNull();
          expect(allTasks().size).toBe(2);
          keep.cancel();
          await keep.catch(() => {});
        }),
      120_000,
    );
  }
});

describe('nothing is left', () => {
  it('on a Future that outlives its waiters', () =>
    inRealTime(async () => {
      const long = new Future<void>();
      const keep = createTask(() => long); // So that no wait is its sole waiter.
      await sleep(1);
      for (let i = 0; i < 10; i++) {
        await timeout(0, () => long).catch(() => {});
        await timeout(0, () => shield(long)).catch(() => {});
        await timeout(0, () => gather([shield(long)])).catch(() => {});
        await wait([long], { timeout: 0 });
        await waitFor(long, 0).catch(() => {});
        await race([long, () => 1]);
        for await (const _ of asCompleted([long, () => 1])) break;
      }
      expect(long._waiters?.next === long._waiters).toBe(true); // `keep` alone.
      expect(long._watchers).toBeNull();
      keep.cancel();
      await keep.catch(() => {});
    }));

  it('on a signal that outlives the tasks that it could cancel', () =>
    inRealTime(async () => {
      const { signal } = new AbortController();
      for (let i = 0; i < 20; i++) await createTask(() => sleep(0), { signal });
      expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    }));

  it('in the list of tasks', () =>
    inRealTime(async () => {
      for (let i = 0; i < 100; i++) await createTask(() => sleep(0));
      expect(allTasks().size).toBe(1);
    }));
});

describe('100,000 cancelled waiters leave in no time', () => {
  const COUNT = 100_000;
  const future = new Future<void>();
  const lines: Record<string, () => unknown> = {
    'one Future': () => future,
    'one Queue': (
      (queue) => () =>
        queue.get()
    )(new Queue()),
    'one Event': (
      (event) => () =>
        event.wait()
    )(new Event()),
    'one Lock': (
      (lock) => () =>
        lock.acquire()
    )(heldLock()),
    'one Semaphore': (
      (semaphore) => () =>
        semaphore.acquire()
    )(new Semaphore(0)),
    'one shielded Future': () => shield(future),
    'sleeps of one length': () => sleep(1e6),
  };

  function heldLock(): Lock {
    const lock = new Lock();
    void lock.acquire();
    return lock;
  }

  for (const [name, wait] of Object.entries(lines)) {
    it(
      `on ${name}`,
      () =>
        inRealTime(async () => {
          const tasks: Task<unknown>[] = [];
          for (let i = 0; i < COUNT; i++) tasks.push(createTask(wait));
          await sleep(1);
          // From the last to the first, and from the middle: what finds its place by looking would be quadratic.
          const started = performance.now();
          for (let i = COUNT - 1; i >= 0; i -= 2) tasks[i]?.cancel();
          for (let i = 0; i < COUNT; i += 2) tasks[i]?.cancel();
          for (const task of tasks) await task.catch(() => {});
          expect(performance.now() - started).toBeLessThan(30_000); // Quadratic takes minutes.
          expect(tasks.every((task) => task.cancelled())).toBe(true);
        }),
      60_000,
    );
  }
});
