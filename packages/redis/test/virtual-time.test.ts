import { createTask, getRunningLoop, run, sleep, timeout } from '@aiokit/core';
import { VirtualClock } from '@aiokit/testing';
import { expect, test } from 'vitest';
import type { Redis } from '../src/index.ts';
import { useServer } from './support/clients.ts';

const use = useServer();

async function inVirtualTime<R>(body: (redis: Redis) => Promise<R>): Promise<{ result: R; ms: number }> {
  const redis = use.client();
  await redis.ping();
  return await run(
    async () => {
      const started = getRunningLoop().time();
      const result = await body(redis);
      return { result, ms: getRunningLoop().time() - started };
    },
    { clock: new VirtualClock(), handleSignals: false },
  );
}

test('time does not jump while a command is in flight', async () => {
  const { result, ms } = await inVirtualTime((redis) => timeout(1, () => redis.multi().incr('n').incr('n').exec()));
  expect(result?.at(-1)).toEqual([null, 2]);
  expect(ms).toBe(0);
});

test('a blocking command does not hold time, and its element is not overtaken by it', async () => {
  for (let i = 0; i < 20; i++) {
    const { result, ms } = await inVirtualTime(async (redis) => {
      const waiting = createTask(() => timeout(3_600_001, () => redis.blpop('q', 0)));
      await sleep(3_600_000);
      await redis.rpush('q', 'x');
      return await waiting;
    });
    expect(result).toEqual(['q', 'x']);
    expect(ms).toBe(3_600_000);
  }
});

test('the limit of a blocking command is in virtual time, too', async () => {
  const { result, ms } = await inVirtualTime((redis) => redis.blpop('q', 600));
  expect(result).toBe(null);
  expect(ms).toBe(600_000);
});

test('a message is not overtaken by a timeout', async () => {
  const { ms } = await inVirtualTime(async (redis) => {
    await using news = redis.listen('news');
    await news.ready();
    const task = createTask(async () => {
      for await (const item of news) return item.message;
      return null;
    });
    await sleep(60_000);
    await redis.publish('news', 'hello');
    expect(await timeout(1, () => task)).toBe('hello');
  });
  expect(ms).toBe(60_000);
});

test('a lock is renewed in virtual time', async () => {
  const { ms } = await inVirtualTime((redis) => redis.lock('l', { ttl: 60_000 }, () => sleep(50_000)));
  expect(ms).toBe(50_000);
});
