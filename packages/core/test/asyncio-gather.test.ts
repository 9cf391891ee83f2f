/** The behaviours of CPython's tests of gather (Lib/test/test_asyncio/test_tasks.py), in our own words. */
import { CancelledError, createTask, currentTask, Future, gather, sleep, taskGroup, timeout } from '@aiokit/core';
import { describe, expect, it } from 'vitest';
import { now, reportsOf, test } from './support/virtual.ts';

async function fail(ms: number, message = 'broken'): Promise<never> {
  await sleep(ms);
  throw new Error(message);
}

describe('gather', () => {
  test('gives the results in the order of the arguments', async () => {
    const results = await gather([() => sleep(30, 'a'), () => sleep(10, 'b'), () => sleep(20, 'c')]);
    expect(results).toEqual(['a', 'b', 'c']);
    expect(now()).toBe(30);
  });

  test('of nothing is done at once', async () => {
    expect(gather([]).done()).toBe(true);
    expect(await gather([])).toEqual([]);
  });

  test('takes functions, tasks, futures and promises', async () => {
    const future = new Future<number>();
    future.setResult(3);
    const task = createTask(() => sleep(1, 2));
    expect(await gather([() => 1, task, future, Promise.resolve(4)])).toEqual([1, 2, 3, 4]);
  });

  test('whose cancel makes a child fail and its group abort interrupts once', async () => {
    const seen: string[] = [];
    const group = taskGroup(async (group) => {
      const stubborn = group.createTask(async () => {
        await sleep(1_000).catch(() => {});
        throw new Error('broken');
      });
      group.createTask(async () => {
        const gathering = timeout(10, () => gather([stubborn], { returnExceptions: true }));
        await gathering.catch((error: Error) => seen.push(error.name));
        await sleep(100);
        seen.push('went on');
      });
    });
    await expect(group).rejects.toMatchObject({ name: 'ExceptionGroup' });
    expect(seen).toEqual(['CancelledError', 'went on']);
    expect(now()).toBe(110);
  });

  test('takes any iterable', async () => {
    const set = new Set([() => 1, () => sleep(1, 2)]);
    expect(await gather(set)).toEqual([1, 2]);
    function* some() {
      yield () => 'x';
    }
    expect(await gather(some())).toEqual(['x']);
  });

  test('takes one task twice', async () => {
    const task = createTask(() => sleep(1, 1));
    expect(await gather([task, task])).toEqual([1, 1]);
  });

  test('throws the first exception at once and leaves the others running', async () => {
    const slow = createTask(() => sleep(50, 'slow'));
    await expect(gather([slow, () => fail(10)])).rejects.toThrow('broken');
    expect(now()).toBe(10);
    expect(slow.done()).toBe(false);
    expect(await slow).toBe('slow');
  });

  test('swallows the later exceptions', async () => {
    await expect(gather([() => fail(10, 'first'), () => fail(20, 'second')])).rejects.toThrow('first');
    await sleep(20);
  });

  test('throws the cancel of a child and leaves the others running', async () => {
    const child = createTask(() => sleep(1000));
    const other = createTask(() => sleep(50, 'unharmed'));
    const gathering = gather([child, other]);
    await sleep(10);
    child.cancel('this one');
    await expect(gathering).rejects.toThrow(CancelledError);
    expect(gathering.cancelled()).toBe(false); // It has failed with a CancelledError, as asyncio's.
    expect(await other).toBe('unharmed');
  });

  test('that is cancelled cancels every child and waits for them', async () => {
    const ended: string[] = [];
    const child = async (name: string, ms: number) => {
      try {
        await sleep(1000);
      } finally {
        await sleep(ms);
        ended.push(name);
      }
    };
    const task = createTask(() => gather([() => child('a', 20), () => child('b', 10)], { returnExceptions: true }));
    await sleep(5);
    task.cancel('enough');
    await expect(task).rejects.toThrow('enough');
    expect(ended).toEqual(['b', 'a']);
    expect(now()).toBe(25);
  });

  test('that is done cannot be cancelled', async () => {
    const gathering = gather([() => 1]);
    await gathering;
    expect(gathering.cancel()).toBe(false);
  });

  test('calls its children with a task of their own', async () => {
    const names = await gather([() => currentTask()?.name, () => currentTask()?.name]);
    expect(new Set([...names, currentTask()?.name]).size).toBe(3);
  });

  it('owns its children: leaving run() does not interrupt their cleanup twice', async () => {
    const ended: string[] = [];
    await reportsOf(async () => {
      createTask(() =>
        gather([
          async () => {
            try {
              await sleep(1000);
            } finally {
              await sleep(10);
              ended.push('cleaned up');
            }
          },
        ]),
      );
      await sleep(5);
    });
    expect(ended).toEqual(['cleaned up']);
  });
});

describe('gather with returnExceptions', () => {
  test('gives errors as values', async () => {
    const results = await gather([() => 1, () => fail(5), () => sleep(10, 3)], { returnExceptions: true });
    expect(results).toEqual([1, expect.objectContaining({ message: 'broken' }), 3]);
    expect(now()).toBe(10);
  });

  test('gives a cancelled child as a value', async () => {
    const child = createTask(() => sleep(1000));
    const gathering = gather([child, () => 2], { returnExceptions: true });
    await sleep(1);
    child.cancel();
    expect(await gathering).toEqual([expect.any(CancelledError), 2]);
  });
});

describe('gather with a limit', () => {
  test('runs that many at once, and keeps the order of the results', async () => {
    const started: string[] = [];
    const items = [30, 10, 20].map((ms, i) => async () => {
      started.push(`${i} at ${now()}`);
      return sleep(ms, i);
    });
    expect(await gather(items, { limit: 2 })).toEqual([0, 1, 2]);
    expect(started).toEqual(['0 at 0', '1 at 0', '2 at 10']);
  });

  test('pulls an iterable as slots come free', async () => {
    const pulled: string[] = [];
    function* source() {
      for (let i = 0; i < 4; i++) {
        pulled.push(`${i} at ${now()}`);
        yield () => sleep(10, i);
      }
    }
    expect(await gather(source(), { limit: 2 })).toEqual([0, 1, 2, 3]);
    expect(pulled.slice(0, 2)).toEqual(['0 at 0', '1 at 0']);
    expect(pulled[3]).toBe('3 at 10');
  });

  test('pulls an async iterable', async () => {
    async function* source() {
      for (let i = 0; i < 3; i++) {
        await sleep(1);
        yield () => sleep(10, i);
      }
    }
    expect(await gather(source(), { limit: 2 })).toEqual([0, 1, 2]);
  });

  test('starts no more after a failure, cancels what runs and waits for it', async () => {
    const log: string[] = [];
    function* source() {
      yield () => fail(10);
      yield async () => {
        try {
          await sleep(1000);
        } finally {
          await sleep(5);
          log.push('cancelled');
        }
      };
      yield async () => void log.push('never');
    }
    await expect(gather(source(), { limit: 2 })).rejects.toThrow('broken');
    expect(log).toEqual(['cancelled']);
    expect(now()).toBe(15);
  });

  test('closes a source that it leaves early', async () => {
    let closed = false;
    async function* source() {
      try {
        yield () => fail(10);
        yield () => sleep(100);
        yield () => sleep(100);
      } finally {
        closed = true;
      }
    }
    await expect(gather(source(), { limit: 1 })).rejects.toThrow('broken');
    expect(closed).toBe(true);
  });

  test('throws what the source throws, after what runs has been cancelled', async () => {
    let cancelled = false;
    async function* source() {
      yield () => sleep(1000).catch(() => (cancelled = true));
      await sleep(5);
      throw new Error('the source broke');
    }
    await expect(gather(source(), { limit: 3 })).rejects.toThrow('the source broke');
    expect(cancelled).toBe(true);
  });

  test('that is cancelled cancels what runs, and starts no more', async () => {
    const log: string[] = [];
    const items = [0, 1, 2].map((i) => async () => {
      log.push(`start ${i}`);
      try {
        await sleep(100);
      } finally {
        log.push(`end ${i}`);
      }
    });
    const task = createTask(() => gather(items, { limit: 2 }));
    await sleep(10);
    task.cancel('enough');
    await expect(task).rejects.toThrow('enough');
    expect(log).toEqual(['start 0', 'start 1', 'end 0', 'end 1']);
  });

  test('that is cancelled throws the cancel also with returnExceptions', async () => {
    const task = createTask(() => gather([() => sleep(100), () => sleep(100)], { limit: 2, returnExceptions: true }));
    await sleep(10);
    task.cancel('enough');
    await expect(task).rejects.toThrow('enough');
  });

  test('ends a source that waits when something fails', async () => {
    let closed = false;
    async function* source() {
      try {
        yield () => fail(10);
        await new Future();
      } finally {
        closed = true;
      }
    }
    await expect(gather(source(), { limit: 5 })).rejects.toThrow('broken');
    expect(closed).toBe(true);
    expect(now()).toBe(10);
  });

  test('takes tasks and promises, too, and does not await them before their turn', async () => {
    const slow = createTask(() => sleep(50, 'slow'));
    const results = gather([slow, Promise.resolve('promise'), () => sleep(10, 'function')], { limit: 2 });
    expect(await results).toEqual(['slow', 'promise', 'function']);
    expect(now()).toBe(50);
  });

  test('counts as a waiter of the tasks that it was given', async () => {
    const shared = createTask(() => sleep(50, 'shared'));
    const gathering = gather([shared], { limit: 1 });
    const impatient = createTask(() => shared);
    await sleep(1);
    impatient.cancel();
    await expect(impatient).rejects.toThrow(CancelledError);
    expect(await gathering).toEqual(['shared']);
  });

  test('gives errors as values with returnExceptions, and goes on', async () => {
    const results = await gather([() => fail(1), () => 2, () => fail(1), () => 4], {
      limit: 1,
      returnExceptions: true,
    });
    expect(results.map((r) => (r instanceof Error ? r.message : r))).toEqual(['broken', 2, 'broken', 4]);
  });

  test('holds a slot until cancelled work has really ended', async () => {
    let running = 0;
    let most = 0;
    const work = async () => {
      most = Math.max(most, ++running);
      try {
        await sleep(100);
      } finally {
        await sleep(30);
        running--;
      }
    };
    const first = createTask(async () => {
      await taskGroup((group) => {
        group.createTask(work);
      });
    });
    const gathering = gather([first, work], { limit: 1, returnExceptions: true });
    await sleep(10);
    first.cancel();
    await gathering;
    expect(most).toBe(1);
  });
});
