import { createTask, isCancelled, timeout } from '@aiokit/core';
import { redis as startServer } from '@aiokit/testing/services';
import { describe, expect, inject, test } from 'vitest';
import { Redis, type RedisOptions } from '../src/index.ts';
import { until, useServer } from './support/clients.ts';

const use = useServer();

/** What ioredis 6 offers; 5 speaks RESP2 alone. */
const PROTOCOLS: Record<string, RedisOptions> =
  inject('ioredis') === 5
    ? { RESP2: {} }
    : {
        RESP2: { protocol: 2 },
        RESP3: { protocol: 3 },
        'RESP3 with its own replies': { protocol: 3, replyMapping: 'resp3' },
      };

describe.each(Object.entries(PROTOCOLS))('%s', (_, options) => {
  test('commands give in a task what they give outside of one', async () => {
    const redis = use.client(options);
    await redis.zadd('z', 1.5, 'm');
    await redis.hset('h', { a: '1' });
    await redis.xadd('s', '1-1', 'f', 'v');
    const calls = [
      () => redis.hgetall('h'),
      () => redis.zrange('z', 0, '-1', 'WITHSCORES'),
      () => redis.zscore('z', 'm'),
      () => redis.xrange('s', '-', '+'),
      () => redis.xread('STREAMS', 's', '0'),
      () => redis.config('GET', 'maxmemory'),
      () => redis.callBuffer('HGETALL', 'h'),
      () => redis.pipeline().hgetall('h').zscore('z', 'm').exec(),
      () => redis.multi().hgetall('h').zscore('z', 'm').exec(),
    ];
    for (const call of calls) expect(await createTask<unknown>(call)).toEqual(await call());
  });

  test('blocking commands give what they give outside of a task, and end with a cancel', async () => {
    const redis = use.client(options);
    await redis.xadd('s', '1-1', 'f', 'v');
    const calls = [
      () => redis.blpop('q', 0),
      () => redis.bzpopmin('z', 0),
      () => redis.xread('BLOCK', 0, 'STREAMS', 's', '0'),
    ];
    for (const call of calls) {
      await use.admin.multi().del('q', 'z').rpush('q', 'x', 'x').zadd('z', 1, 'm').exec();
      const outside = await call();
      await use.admin.multi().del('q', 'z').rpush('q', 'x', 'x').zadd('z', 1, 'm').exec();
      expect(await createTask<unknown>(call)).toEqual(outside);
    }
    const task = createTask(() => redis.xread('BLOCK', 0, 'STREAMS', 'none', '$'));
    await use.untilBlocked(1);
    task.cancel();
    await expect(task).rejects.toSatisfy(isCancelled);
    expect(await use.blocked()).toBe(0);
  });

  test('what stands on top of the commands works', async () => {
    const redis = use.client(options);
    await redis.hset('h', { a: '1', b: '2' });
    await redis.zadd('z', 1, 'a', 2, 'b');
    await createTask(async () => {
      expect(new Map(await Array.fromAsync(redis.hscanIterator('h')))).toEqual(
        new Map(Object.entries({ a: '1', b: '2' })),
      );
      expect(new Map(await Array.fromAsync(redis.zscanIterator('z')))).toEqual(
        new Map([
          ['a', 1],
          ['b', 2],
        ]),
      );
      expect((await Array.fromAsync(redis.scanIterator())).sort()).toEqual(['h', 'z']);
      expect(await redis.lock('l', {}, ({ token }) => token > 0)).toBe(true);
      expect(await redis.lock('l', { replicas: 0 }, () => 1)).toBe(1);
      expect(await redis.semaphore('p', 2, {}, ({ token }) => token > 0)).toBe(true);
      expect(await redis.cached('c', 1_000, () => ({ n: 1 }))).toEqual({ n: 1 });
      expect(await redis.cached('c', 1_000, () => ({ n: 2 }))).toEqual({ n: 1 });
      expect(await redis.transaction((tx) => tx.multi().incr('n'), { watch: ['n'] })).toEqual([[null, 1]]);
    });
    const seen: unknown[] = [];
    await redis.xadd('s', '*', 'n', 'failed');
    await redis.xgroup('CREATE', 's', 'g', '0');
    await redis.xreadgroup('GROUP', 'g', 'dead', 'STREAMS', 's', '>');
    await redis.xadd('s', '*', 'n', 'new');
    const consumer = createTask(() =>
      redis.consume('s', 'g', 'c', ({ fields, deliveries }) => void seen.push([fields.n, deliveries]), { minIdle: 50 }),
    );
    await until(() => seen.length === 2, 'both entries');
    consumer.cancel();
    await expect(consumer).rejects.toSatisfy(isCancelled);
    expect(seen).toEqual(
      expect.arrayContaining([
        ['new', 1],
        ['failed', 2],
      ]),
    );
    await using news = redis.listen('news');
    await news.ready();
    await redis.publish('news', 'hello');
    for await (const { message } of news) {
      expect(message).toBe('hello');
      break;
    }
  });
});

test('over TLS: commands, blocking commands and their cancels, messages, transactions', async () => {
  await using server = await startServer({ server: 'private', tls: true });
  const redis = new Redis(server.url, { tls: { ca: server.ca as string } });
  try {
    await createTask(async () => {
      expect(await Promise.all([redis.set('k', 'v'), redis.get('k')])).toEqual(['OK', 'v']);
      await expect(timeout(50, () => redis.blpop('q', 0))).rejects.toMatchObject({ code: 'ETIMEDOUT' });
      await redis.rpush('q', 'x');
      expect(await redis.blpop('q', 0)).toEqual(['q', 'x']);
      expect(await redis.transaction((tx) => tx.multi().get('k'))).toEqual([[null, 'v']]);
      await using news = redis.listen('news');
      await news.ready();
      await redis.publish('news', 'hello');
      for await (const { message } of news) {
        expect(message).toBe('hello');
        break;
      }
    });
  } finally {
    redis.disconnect();
  }
});
