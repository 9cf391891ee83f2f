import { createTask, isCancelled, sleep, taskGroup } from '@aiokit/core';
import { faultProxy } from '@aiokit/testing/services';
import { Redis as BaseRedis } from 'ioredis';
import { describe, expect, test } from 'vitest';
import { Redis, TransactionConflictError } from '../src/index.ts';
import { until, useServer } from './support/clients.ts';

const use = useServer();

describe('iterators', () => {
  test('go through keys, sets, hashes and sorted sets', async () => {
    const redis = use.client();
    const many = Array.from({ length: 700 }, (_, i) => `k${i}`);
    await redis.mset(Object.fromEntries(many.map((key) => [key, '1'])));
    await redis.sadd('set', ...many);
    await redis.hset('hash', Object.fromEntries(many.map((key) => [key, key])));
    await redis.zadd('zset', ...many.flatMap((key, i) => [i, key]));
    await createTask(async () => {
      expect(new Set(await Array.fromAsync(redis.scanIterator({ match: 'k*', count: 100 }))).size).toBe(700);
      expect(await Array.fromAsync(redis.scanIterator({ type: 'zset' }))).toEqual(['zset']);
      expect(new Set(await Array.fromAsync(redis.sscanIterator('set'))).size).toBe(700);
      expect(new Map(await Array.fromAsync(redis.hscanIterator('hash'))).get('k33')).toBe('k33');
      expect(new Map(await Array.fromAsync(redis.zscanIterator('zset', { match: 'k5' })))).toEqual(
        new Map([['k5', 5]]),
      );
    });
  });

  test('end when their task is cancelled', async () => {
    await using proxy = await faultProxy(use.server);
    const redis = use.client({ port: proxy.port });
    await redis.ping();
    proxy.hold();
    const task = createTask(() => Array.fromAsync(redis.scanIterator()));
    await until(() => proxy.waiting > 0, 'the SCAN');
    task.cancel();
    await expect(task).rejects.toSatisfy(isCancelled);
  });
});

describe('cached', () => {
  test('loads once for all who ask at the same time, keeps it, and loads again when it has expired', async () => {
    const redis = use.client();
    let loads = 0;
    const load = async () => {
      await sleep(5);
      return { n: ++loads };
    };
    expect(await Promise.all([1, 2, 3].map(() => redis.cached('c', 60_000, load)))).toEqual([
      { n: 1 },
      { n: 1 },
      { n: 1 },
    ]);
    expect(await redis.cached('c', 60_000, load)).toEqual({ n: 1 });
    await use.admin.del('c');
    expect(await redis.cached('c', 60_000, load)).toEqual({ n: 2 });
    expect(await use.admin.pttl('c')).toBeGreaterThan(50_000);
  });

  test('a cancel of one who waits leaves the load to the others; of the last, ends it', async () => {
    const redis = use.client();
    let ended = '';
    const load = async () => {
      ended = 'cancelled';
      await sleep(30);
      ended = 'loaded';
      return 1;
    };
    const first = createTask(() => redis.cached('c', 1_000, load));
    const second = createTask(() => redis.cached('c', 1_000, load));
    await until(() => ended !== '', 'the load');
    first.cancel();
    await expect(first).rejects.toSatisfy(isCancelled);
    expect(await second).toBe(1);
    const only = createTask(() => redis.cached('d', 1_000, load));
    await until(() => ended === 'cancelled', 'the load');
    only.cancel();
    await expect(only).rejects.toSatisfy(isCancelled);
    await sleep(40);
    expect(ended).toBe('cancelled');
    expect(await use.admin.exists('d')).toBe(0);
  });

  test('an error of the load is everybody’s, and is not kept', async () => {
    const redis = use.client();
    const fails = redis.cached('c', 1_000, () => Promise.reject(new Error('no')));
    await expect(fails).rejects.toThrow('no');
    expect(await redis.cached('c', 1_000, () => 2)).toBe(2);
    await expect(redis.cached('u', 1_000, () => undefined)).rejects.toThrow('JSON');
    expect(() => redis.cached('c', 0, () => 1)).toThrow('ttl must be a number of milliseconds >= 1, got 0');
  });
});

describe('transaction', () => {
  test('is tried again until nobody interferes', async () => {
    const redis = use.client();
    await redis.set('n', 0);
    await taskGroup((group) => {
      for (let i = 0; i < 10; i++) {
        group.createTask(() =>
          redis.transaction(
            async (tx) => {
              await tx.watch('n');
              const n = Number(await tx.get('n'));
              return tx.multi().set('n', n + 1);
            },
            { retries: 200 },
          ),
        );
      }
    });
    expect(await redis.get('n')).toBe('10');
  });

  test('gives the results of its multi, or what the body returns', async () => {
    const redis = use.client();
    expect(await redis.transaction((tx) => tx.multi().set('a', 1).incr('a'))).toEqual([
      [null, 'OK'],
      [null, 2],
    ]);
    const own = await redis.transaction(async (tx) => {
      await tx.multi().incr('a').exec();
      return 'done';
    });
    expect(own).toBe('done');
    expect(await redis.get('a')).toBe('3');
  });

  test('gives up with a TransactionConflictError', async () => {
    const redis = use.client();
    const tries = redis.transaction(
      async (tx) => {
        await tx.get('k');
        await use.admin.incr('k');
        return tx.multi().del('k');
      },
      { watch: ['k'], retries: 2 },
    );
    await expect(tries).rejects.toBeInstanceOf(TransactionConflictError);
    expect(await redis.get('k')).toBe('3');
  });

  test('a cancel leaves nothing watched, and the connection to the next', async () => {
    const redis = use.client();
    let isWatching = false;
    const task = createTask(() =>
      redis.transaction(async (tx) => {
        await tx.watch('k');
        isWatching = true;
        await sleep(60_000);
      }),
    );
    await until(() => isWatching, 'the body');
    task.cancel();
    await expect(task).rejects.toSatisfy(isCancelled);
    await use.admin.incr('k');
    expect(await redis.transaction((tx) => tx.multi().incr('k'))).toEqual([[null, 2]]);
    expect(await use.connections()).toBe(2);
    redis.disconnect();
    await until(async () => (await use.connections()) === 0, 'the end of all connections');
  });
});

describe('views', () => {
  test('with({ signal }): the abort cancels, with the signal’s own reason; without one nothing changes', async () => {
    const redis = use.client();
    const controller = new AbortController();
    const bound = redis.with({ signal: controller.signal });
    expect(bound).toBeInstanceOf(Redis);
    expect(await bound.set('k', 'v')).toBe('OK');
    expect(await bound.get('k')).toBe('v');
    expect(await bound.multi().incr('n').exec()).toEqual([[null, 1]]);
    const waiting = bound.blpop('q', 0);
    await use.untilBlocked(1);
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    expect(await use.blocked()).toBe(0);
    await expect(bound.incr('n')).rejects.toThrow('enough');
    await expect(bound.pipeline().incr('n').exec()).rejects.toThrow('enough');
    expect(await redis.get('n')).toBe('1');
    expect(() => redis.with({ signal: {} as AbortSignal })).toThrow('options.signal must be an AbortSignal');
  });

  test('with({ signal }): also a loop over messages, entries or keys, and a consumer', async () => {
    const redis = use.client();
    for (const begin of ['listen', 'consume', 'handler'] as const) {
      const controller = new AbortController();
      const bound = redis.with({ signal: controller.signal });
      const loops = {
        listen: async () => {
          for await (const _ of bound.listen('a'));
        },
        consume: async () => {
          for await (const _ of bound.consume('s', 'g', 'c'));
        },
        handler: () => bound.consume('s', 'g', 'c', () => {}),
      };
      const ended = expect(loops[begin]()).rejects.toThrow('enough');
      if (begin === 'listen') await until(async () => (await use.subscribed('a')) === 1, 'the subscription');
      else await use.untilBlocked(1);
      controller.abort(new Error('enough'));
      await ended;
    }
    expect(await use.blocked()).toBe(0);
    expect(await Array.fromAsync(redis.with({ signal: new AbortController().signal }).scanIterator())).toEqual(['s']);
  });

  test('detached(): no cancel reaches what is called through it', async () => {
    const redis = use.client();
    const view = redis.detached();
    expect(view).toBeInstanceOf(BaseRedis);
    let reply: unknown = null;
    const task = createTask(async () => {
      void view.blpop('q', 0).then((value) => {
        reply = value;
      });
      await sleep(60_000);
    });
    await use.untilBlocked(1);
    task.cancel();
    await expect(task).rejects.toSatisfy(isCancelled);
    expect(await use.blocked()).toBe(1);
    await use.admin.rpush('q', 'x');
    await until(() => reply !== null, 'the element');
    expect(reply).toEqual(['q', 'x']);
    const copy = view.duplicate();
    expect(await createTask(() => copy.pipeline().ping().exec())).toEqual([[null, 'PONG']]);
    copy.disconnect();
  });
});
