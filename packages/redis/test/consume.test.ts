import { createTask, isCancelled, sleep, taskGroup } from '@aiokit/core';
import { expect, test } from 'vitest';
import type { StreamEntry } from '../src/index.ts';
import { until, useServer } from './support/clients.ts';

const use = useServer();

async function pending(): Promise<number> {
  return Number(((await use.admin.xpending('s', 'g')) as [number])[0]);
}

async function fill(count: number): Promise<void> {
  const pipeline = use.admin.pipeline();
  for (let i = 0; i < count; i++) pipeline.xadd('s', '*', 'n', i);
  await pipeline.exec();
}

test('handles every entry once, at most so many at a time, and acknowledges it', async () => {
  const redis = use.client();
  const seen: number[] = [];
  let running = 0;
  let most = 0;
  const handler = async ({ fields }: StreamEntry) => {
    most = Math.max(most, ++running);
    await sleep(Math.random() * 4);
    seen.push(Number(fields.n));
    running--;
  };
  const consumers = ['a', 'b'].map((name) => createTask(() => redis.consume('s', 'g', name, handler, { limit: 3 })));
  await fill(200);
  await until(() => seen.length === 200, 'all entries');
  await until(async () => (await pending()) === 0, 'all acknowledgements');
  for (const task of consumers) task.cancel();
  for (const task of consumers) await expect(task).rejects.toSatisfy(isCancelled);
  expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, i) => i));
  expect(most).toBeLessThanOrEqual(6);
});

test('a cancel lets running handlers end; what was not begun stays pending, and nothing is lost', async () => {
  const redis = use.client();
  const handled: string[] = [];
  const seen = new Set<string>();
  await fill(120);
  for (let round = 0; seen.size < 120; round++) {
    const task = createTask(() =>
      redis.consume(
        's',
        'g',
        `c${round % 2}`,
        async ({ fields }) => {
          await sleep(1);
          handled.push(fields.n as string);
          seen.add(fields.n as string);
        },
        { limit: 4, minIdle: 20 },
      ),
    );
    await sleep(Math.random() * 15);
    task.cancel();
    await expect(task).rejects.toSatisfy(isCancelled);
  }
  expect(handled.length).toBe(120);
  await until(async () => (await pending()) === 0, 'all acknowledgements');
});

test('a handler that fails leaves its entry pending; after so many deliveries it is a dead letter', async () => {
  const redis = use.client();
  const errors: string[] = [];
  await use.admin.xadd('s', '*', 'n', 'bad');
  const task = createTask(() =>
    redis.consume('s', 'g', 'c', () => Promise.reject(new Error('no')), {
      minIdle: 10,
      maxDeliveries: 3,
      onError: (error, entry) => errors.push(`${(error as Error).message} ${entry.deliveries}`),
    }),
  );
  await until(async () => (await use.admin.xlen('s:dead')) === 1, 'the dead letter');
  expect(errors).toEqual(['no 1', 'no 2', 'no 3']);
  expect(await pending()).toBe(0);
  const [[, fields]] = (await use.admin.xrange('s:dead', '-', '+')) as [[string, string[]]];
  expect(fields.slice(-2)).toEqual(['n', 'bad']);
  task.cancel();
  await expect(task).rejects.toSatisfy(isCancelled);
});

test('what a dead consumer left behind is taken over; what a slow handler works on is not', async () => {
  const redis = use.client();
  await use.admin.xgroup('CREATE', 's', 'g', '0', 'MKSTREAM');
  await fill(3);
  await use.admin.xreadgroup('GROUP', 'g', 'dead', 'COUNT', 2, 'STREAMS', 's', '>');
  const seen: string[] = [];
  const slow = createTask(() =>
    redis.consume(
      's',
      'g',
      'slow',
      async ({ fields }) => {
        seen.push(fields.n as string);
        await sleep(2_500);
      },
      { minIdle: 1_000 },
    ),
  );
  await until(() => seen.length === 3, 'all entries');
  const other = createTask(() =>
    redis.consume('s', 'g', 'other', ({ fields }) => void seen.push(fields.n as string), { minIdle: 1_000 }),
  );
  await until(async () => (await pending()) === 0, 'all acknowledgements');
  expect(seen.sort()).toEqual(['0', '1', '2']);
  for (const task of [slow, other]) task.cancel();
  for (const task of [slow, other]) await expect(task).rejects.toSatisfy(isCancelled);
});

test('as a loop: entries that were not acknowledged come again', async () => {
  const redis = use.client();
  await fill(6);
  const read = async (count: number, ack: boolean, minIdle: number) => {
    const seen: string[] = [];
    for await (const entry of redis.consume('s', 'g', 'c', { limit: 2, minIdle })) {
      seen.push(entry.fields.n as string);
      if (ack) await entry.ack();
      if (seen.length === count) break;
    }
    return seen.sort();
  };
  expect(await createTask(() => read(6, false, 60_000))).toEqual(['0', '1', '2', '3', '4', '5']);
  await sleep(30);
  expect(await createTask(() => read(6, true, 20))).toEqual(['0', '1', '2', '3', '4', '5']);
  expect(await pending()).toBe(0);
});

test('a group that fails ends its consumer, and no connection stays blocked', async () => {
  const redis = use.client();
  const failing = taskGroup((group) => {
    group.createTask(() => redis.consume('s', 'g', 'c', () => {}));
    group.createTask(async () => {
      await use.untilBlocked(1);
      throw new Error('no');
    });
  });
  await expect(failing).rejects.toThrow();
  expect(await use.blocked()).toBe(0);
});
