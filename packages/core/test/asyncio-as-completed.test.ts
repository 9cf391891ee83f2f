/** The behaviours of CPython's tests of as_completed (Lib/test/test_asyncio/test_tasks.py), in our own words. */
import {
  allTasks,
  asCompleted,
  CancelledError,
  createTask,
  Future,
  InvalidStateError,
  sleep,
  TimeoutError,
  timeout,
} from '@aiokit/core';
import { describe, expect } from 'vitest';
import { now, test } from './support/virtual.ts';

async function fail(ms: number, message = 'broken'): Promise<never> {
  await sleep(ms);
  throw new Error(message);
}

describe('asCompleted with for await', () => {
  test('gives results as they come', async () => {
    const got: string[] = [];
    for await (const value of asCompleted([() => sleep(30, 'a'), () => sleep(10, 'b'), () => sleep(20, 'c')])) {
      got.push(`${value} at ${now()}`);
    }
    expect(got).toEqual(['b at 10', 'c at 20', 'a at 30']);
  });

  test('of nothing ends at once', async () => {
    for await (const _ of asCompleted([])) expect.unreachable();
  });

  test('gives what is done already', async () => {
    const future = new Future<number>();
    future.setResult(1);
    const got: number[] = [];
    for await (const value of asCompleted([() => sleep(5, 2), future])) got.push(value);
    expect(got).toEqual([1, 2]);
  });

  test('gives several that come at one instant, each once', async () => {
    const got: number[] = [];
    for await (const value of asCompleted([1, 2, 3].map((n) => () => n))) got.push(value);
    expect(got.toSorted()).toEqual([1, 2, 3]);
  });

  test('throws a failure at its turn', async () => {
    const got: unknown[] = [];
    await expect(
      (async () => {
        for await (const value of asCompleted([() => sleep(5, 'early'), () => fail(10), () => sleep(20)]))
          got.push(value);
      })(),
    ).rejects.toThrow('broken');
    expect(got).toEqual(['early']);
  });

  test('gives every outcome with its place when it is settled', async () => {
    const outcomes: unknown[] = [];
    const items = [() => sleep(20, 'a'), () => fail(10), () => sleep(5, 'c')];
    for await (const outcome of asCompleted(items, { settled: true })) outcomes.push(outcome);
    expect(outcomes).toEqual([
      { index: 2, status: 'fulfilled', value: 'c' },
      { index: 1, status: 'rejected', reason: expect.objectContaining({ message: 'broken' }) },
      { index: 0, status: 'fulfilled', value: 'a' },
    ]);
  });

  test('throws a TimeoutError when time is up', async () => {
    const got: unknown[] = [];
    await expect(
      (async () => {
        for await (const value of asCompleted([() => sleep(5, 'early'), () => sleep(1000)], { timeout: 10 }))
          got.push(value);
      })(),
    ).rejects.toThrow(TimeoutError);
    expect(got).toEqual(['early']);
    expect(now()).toBe(10);
  });

  for (const how of ['break', 'throw'] as const) {
    test(`cancels the tasks that it made when the loop is left by ${how}, and waits for them`, async () => {
      const ended: string[] = [];
      const given = createTask(() => sleep(50, 'given'));
      const work = async (ms: number) => {
        try {
          await sleep(ms);
        } finally {
          await sleep(3);
          ended.push(`${ms} at ${now()}`);
        }
      };
      const leave = async () => {
        for await (const _ of asCompleted([() => work(5), () => work(1000), given])) {
          if (how === 'break') break;
          throw new Error('out');
        }
      };
      await leave().catch((error) => expect(error.message).toBe('out'));
      expect(ended).toEqual(['5 at 8', '1000 at 11']);
      expect(await given).toBe('given');
    });
  }

  test('that is cancelled cancels the tasks that it made', async () => {
    const ended: string[] = [];
    const work = async () => {
      try {
        await sleep(1000);
      } finally {
        ended.push('cancelled');
      }
    };
    const task = createTask(async () => {
      for await (const _ of asCompleted([work, work])) expect.unreachable();
    });
    await sleep(5);
    task.cancel('enough');
    await expect(task).rejects.toThrow('enough');
    await sleep(1);
    expect(ended).toEqual(['cancelled', 'cancelled']);
  });

  test('that is cancelled while its tasks end lets them end, and is cancelled then', async () => {
    const log: string[] = [];
    const slow = async () => {
      try {
        await sleep(1000);
      } finally {
        await sleep(50);
        log.push(`cleaned up at ${now()}`);
      }
    };
    const task = createTask(async () => {
      for await (const _ of asCompleted([() => sleep(10), slow])) break;
      log.push('went on');
    });
    await sleep(20);
    task.cancel();
    await expect(task).rejects.toThrow(CancelledError);
    expect(log).toEqual(['cleaned up at 60']);
  });

  test('under a timeout that expires leaves no task behind', async () => {
    await expect(
      timeout(10, async () => {
        for await (const _ of asCompleted([() => sleep(1000), () => sleep(1000)])) expect.unreachable();
      }),
    ).rejects.toThrow(TimeoutError);
    await sleep(1);
    expect(allTasks().size).toBe(1);
  });
});

describe('asCompleted with a plain for', () => {
  test('gives Futures, each of which gives the next result', async () => {
    const got: unknown[] = [];
    for (const next of asCompleted([() => sleep(30, 'a'), () => sleep(10, 'b')])) got.push(await next);
    expect(got).toEqual(['b', 'a']);
  });

  test('throws a failure from its Future and goes on', async () => {
    const got: unknown[] = [];
    for (const next of asCompleted([() => sleep(30, 'a'), () => fail(10)])) {
      got.push(await next.catch((error: unknown) => (error as Error).message));
    }
    expect(got).toEqual(['broken', 'a']);
  });

  test('throws a TimeoutError for each one that is late', async () => {
    const got: unknown[] = [];
    const late = createTask(() => sleep(100));
    for (const next of asCompleted([() => sleep(5, 'a'), late, late], { timeout: 10 })) {
      got.push(await next.catch((error: unknown) => (error as Error).name));
    }
    expect(got).toEqual(['a', 'TimeoutError', 'TimeoutError']);
    await late;
  });

  test('needs to know how many there are', async () => {
    const never = () => expect.unreachable();
    expect(() => [...asCompleted([never], { limit: 2 })]).toThrow(InvalidStateError);
    await sleep(1);
  });
});

describe('asCompleted with a limit', () => {
  test('runs that many at once, and gives results as they come', async () => {
    let running = 0;
    let most = 0;
    const items = [30, 10, 20, 10].map((ms, i) => async () => {
      most = Math.max(most, ++running);
      await sleep(ms);
      running--;
      return i;
    });
    const got: number[] = [];
    for await (const value of asCompleted(items, { limit: 2 })) got.push(value);
    expect(got.toSorted()).toEqual([0, 1, 2, 3]);
    expect(got[0]).toBe(1);
    expect(most).toBe(2);
    expect(now()).toBe(40);
  });

  test('takes an async iterable, and pulls it as slots come free', async () => {
    const pulled: number[] = [];
    async function* source() {
      for (let i = 0; ; i++) {
        pulled.push(i);
        yield () => sleep(10, i);
      }
    }
    const got: number[] = [];
    for await (const value of asCompleted(source(), { limit: 2 })) {
      got.push(value);
      if (got.length === 4) break;
    }
    expect(got).toEqual([0, 1, 2, 3]);
    expect(pulled.length).toBeLessThanOrEqual(7);
    expect(allTasks().size).toBe(1);
  });

  test('starts no more when the loop is left', async () => {
    const started: number[] = [];
    const items = [0, 1, 2, 3].map((i) => async () => {
      started.push(i);
      await sleep(10 + i);
    });
    for await (const _ of asCompleted(items, { limit: 2 })) break;
    await sleep(100);
    expect(started.length).toBeLessThanOrEqual(3);
  });

  test('throws what the source throws, after the results that came before', async () => {
    const got: number[] = [];
    async function* source() {
      yield () => sleep(1, 1);
      await sleep(5);
      throw new Error('the source broke');
    }
    await expect(
      (async () => {
        for await (const value of asCompleted(source(), { limit: 2 })) got.push(value);
      })(),
    ).rejects.toThrow('the source broke');
    expect(got).toEqual([1]);
  });

  test('goes on over failures when it is settled', async () => {
    const statuses: string[] = [];
    for await (const { index, status } of asCompleted([() => fail(1), () => 2, () => fail(1)], {
      limit: 1,
      settled: true,
    })) {
      statuses.push(`${index} ${status}`);
    }
    expect(statuses).toEqual(['0 rejected', '1 fulfilled', '2 rejected']);
  });

  test('that is cancelled leaves nothing running', async () => {
    const task = createTask(async () => {
      for await (const _ of asCompleted([() => sleep(1000), () => sleep(1000)], { limit: 1 })) expect.unreachable();
    });
    await sleep(5);
    task.cancel();
    await expect(task).rejects.toThrow(CancelledError);
    await sleep(1);
    expect(allTasks().size).toBe(1);
  });
});
