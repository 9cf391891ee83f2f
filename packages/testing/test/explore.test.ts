import { createTask, gather, Queue, sleep } from '@aiokit/core';
import { ExplorationError, explore, runTest } from '@aiokit/testing';
import { describe, expect, test } from 'vitest';
import { seededBugs } from './seeded-bugs.ts';

async function failureOf(exploration: Promise<unknown>): Promise<ExplorationError> {
  try {
    await exploration;
  } catch (error) {
    if (error instanceof ExplorationError) return error;
    throw error;
  }
  throw new Error('Nothing was found');
}

/** A deadlock goes on with its tasks, whose numbers differ. */
function firstLine(error: unknown): string | undefined {
  return (error as Error).message.split('\n')[0];
}

describe('a seeded bug is found, made small and replayed', () => {
  for (const { name, within, body } of seededBugs) {
    test(name, async () => {
      await explore(body, { strategy: 'fifo' });
      for (const strategy of ['random', 'pct'] as const) {
        const found = await failureOf(explore(body, { runs: within, strategy, seeds: 1 }));
        const again = await failureOf(explore(body, { replay: found.replay }));
        expect(again.replay).toBe(found.replay);
        expect(firstLine(again.cause)).toBe(firstLine(found.cause));
      }
    });
  }
});

test('an exploration without a failure tells what it tried', async () => {
  const explored = await explore(
    async () => {
      await gather([() => sleep(1), () => sleep(1), () => sleep(1)]);
    },
    { runs: 50 },
  );
  expect(explored.runs).toBe(50);
  expect(explored.orders).toBeGreaterThan(10);
});

test('who is first in a line stays first', async () => {
  await explore(
    async () => {
      const queue = new Queue<number>();
      const got: string[] = [];
      const first = createTask(async () => got.push(`first ${await queue.get()}`));
      await sleep(1);
      const second = createTask(async () => got.push(`second ${await queue.get()}`));
      await sleep(1);
      queue.putNowait(1);
      queue.putNowait(2);
      await gather([first, second]);
      expect(got.sort()).toEqual(['first 1', 'second 2']);
    },
    { runs: 50 },
  );
});

test('a failure that something outside decides is said to be one', async () => {
  let runs = 0;
  const found = await failureOf(
    explore(async () => {
      await gather([() => sleep(1), () => sleep(1)]);
      if (++runs === 3) throw new Error('every third time');
    }),
  );
  expect(found.message).toMatch(
    /^Failed in run 3 of 100 \(random, seed 3\): every third time\nIt could not be replayed: something outside/,
  );
});

test('a replay notices that the choices have changed', async () => {
  const found = await failureOf(
    explore(async () => void (await sleep(1)), { replay: 't2.1' }).then(() =>
      explore(
        async () => {
          await gather([() => sleep(1), () => sleep(1), () => sleep(1)]);
        },
        { replay: 't2.1' },
      ),
    ),
  );
  expect(found.message).toContain('the choices were others than when it was recorded');
});

describe('inside a test', () => {
  const lostUpdate = async () => {
    let count = 0;
    const increase = async () => {
      const before = count;
      await sleep(1);
      count = before + 1;
    };
    await gather([increase, () => sleep(1).then(increase)]);
    expect(count).toBe(2);
  };

  test('it runs tests of its own, while the time of that one stands', () =>
    runTest(async ({ clock }) => {
      const explored = await explore(async (own) => void (await sleep(1_000, expect(own.clock).not.toBe(clock))));
      expect(explored.runs).toBe(100);
      expect(clock.now()).toBe(0);
      const found = await failureOf(explore(lostUpdate));
      expect(firstLine(found.cause)).toBe('expected 1 to be 2 // Object.is equality');
    }));

  test('also in a live one', () => runTest(async () => void (await failureOf(explore(lostUpdate))), { live: true }));
});

test('bad options are refused by name', async () => {
  await expect(explore(async () => {}, { runs: 0 })).rejects.toThrow('options.runs must be >= 1, got 0');
  await expect(explore(async () => {}, { seeds: -1 })).rejects.toThrow('options.seeds must be >= 0, got -1');
  await expect(explore(async () => {}, { seeds: [] })).rejects.toThrow('options.seeds.length must be >= 1, got 0');
  await expect(explore(async () => {}, { strategy: 'dfs' as never })).rejects.toThrow(
    "options.strategy must be one of 'fifo', 'random', 'pct', got 'dfs'",
  );
  await expect(explore(async () => {}, { replay: 'x' })).rejects.toThrow(
    "options.replay must be what a failure printed, got 'x'",
  );
});
