import { createTask, isCancelled, sleep, taskGroup } from '@aiokit/core';
import { faultProxy } from '@aiokit/testing/services';
import { expect, test } from 'vitest';
import { LockLostError, LockTimeoutError } from '../src/index.ts';
import { until, useServer } from './support/clients.ts';

const use = useServer();

test('one holder at a time, each with a higher token than the one before', async () => {
  const redis = use.client();
  let inside = 0;
  const tokens: number[] = [];
  await taskGroup((group) => {
    for (let i = 0; i < 20; i++) {
      group.createTask(() =>
        redis.lock('l', { ttl: 5_000 }, async ({ token }) => {
          expect(++inside).toBe(1);
          tokens.push(token);
          await sleep(1);
          inside--;
        }),
      );
    }
  });
  expect(tokens).toEqual([...tokens].sort((a, b) => a - b));
  expect(new Set(tokens).size).toBe(20);
  expect(await use.admin.exists('lock:{l}')).toBe(0);
});

test('it is renewed for as long as the body runs', async () => {
  const redis = use.client();
  await redis.lock('l', { ttl: 3_000 }, async (hold) => {
    for (let renewals = 0, last = Infinity; renewals < 2; ) {
      const left = await use.admin.pttl('lock:{l}');
      if (left > last) renewals++;
      last = left;
      await sleep(10);
    }
    expect(hold.isHeld()).toBe(true);
  });
});

test('when it is lost, everything in the body is cancelled with a LockLostError', async () => {
  const redis = use.client();
  let cleaned = false;
  const body = redis.lock('l', { ttl: 900 }, async () => {
    try {
      await sleep(60_000);
    } finally {
      cleaned = true;
    }
  });
  await until(async () => (await use.admin.exists('lock:{l}')) === 1, 'the lock');
  await use.admin.set('lock:{l}', 'a thief');
  await expect(body).rejects.toBeInstanceOf(LockLostError);
  expect(cleaned).toBe(true);
  expect(await use.admin.get('lock:{l}')).toBe('a thief');
});

test('a partition loses it before the server gives it to somebody else', async () => {
  await using proxy = await faultProxy(use.server);
  const redis = use.client({ port: proxy.port });
  const order: string[] = [];
  const body = redis.lock('l', { ttl: 2_000 }, async () => {
    proxy.hold();
    await sleep(60_000).finally(() => order.push('ended'));
  });
  await until(async () => (await use.admin.exists('lock:{l}')) === 1, 'the lock');
  const other = createTask(() => use.admin.lock('l', { ttl: 2_000 }, () => order.push('taken')));
  await expect(body).rejects.toThrow('could not be renewed in time');
  await other;
  expect(order).toEqual(['ended', 'taken']);
  proxy.release();
});

test('an answer that comes when the lock may be forgotten is no lock: it is asked for again', async () => {
  await using proxy = await faultProxy(use.server);
  const redis = use.client({ port: proxy.port });
  await redis.ping();
  proxy.hold({ direction: 'toClient' });
  const taking = createTask(() => redis.lock('l', { ttl: 1_000 }).acquire());
  await until(async () => (await use.admin.exists('lock:{l}')) === 1, 'the lock');
  await until(async () => (await use.admin.exists('lock:{l}')) === 0, 'its end');
  proxy.release();
  await using hold = await taking;
  expect(hold.isHeld()).toBe(true);
  expect(await use.admin.exists('lock:{l}')).toBe(1);
});

test('a request that is sent again after a reconnect finds its own lock', async () => {
  await using proxy = await faultProxy(use.server);
  const redis = use.client({ port: proxy.port, retryStrategy: () => 10 });
  await redis.ping();
  for (const make of [() => redis.lock('l', { ttl: 60_000 }), () => redis.semaphore('s', 1, { ttl: 60_000 })]) {
    proxy.hold({ direction: 'toClient' });
    const taking = createTask(() => make().acquire());
    await until(async () => (await use.admin.exists('lock:{l}', 'semaphore:{s}')) === 1, 'the lock');
    proxy.cut();
    proxy.release();
    await (await taking).release();
  }
});

test('it waits for at most so long', async () => {
  const redis = use.client();
  await using _held = await redis.lock('l').acquire();
  await expect(redis.lock('l', { wait: 0 }).acquire()).rejects.toBeInstanceOf(LockTimeoutError);
  await expect(redis.lock('l', { wait: 30 }, () => {})).rejects.toThrow('"l" did not become free within 30 ms');
});

test('a cancel leaves no lock behind: while it waits, while it is taken, and in the body', async () => {
  await using proxy = await faultProxy(use.server);
  const redis = use.client({ port: proxy.port });
  await redis.ping();
  const holder = await use.admin.lock('l').acquire();
  const waiting = createTask(() => redis.lock('l', {}, () => {}));
  await sleep(20);
  waiting.cancel();
  await expect(waiting).rejects.toSatisfy(isCancelled);
  await holder.release();

  proxy.hold({ direction: 'toClient' });
  const taking = createTask(() => redis.lock('l', {}, () => sleep(60_000)));
  await until(async () => (await use.admin.exists('lock:{l}')) === 1, 'the lock');
  taking.cancel();
  proxy.release();
  await expect(taking).rejects.toSatisfy(isCancelled);
  expect(await use.admin.exists('lock:{l}')).toBe(0);

  const working = createTask(() => redis.lock('l', {}, () => sleep(60_000)));
  await until(async () => (await use.admin.exists('lock:{l}')) === 1, 'the lock');
  working.cancel();
  await expect(working).rejects.toSatisfy(isCancelled);
  expect(await use.admin.exists('lock:{l}')).toBe(0);
});

test('a semaphore has so many holders, and forgets those that died', async () => {
  const redis = use.client();
  let inside = 0;
  let most = 0;
  await taskGroup((group) => {
    for (let i = 0; i < 12; i++) {
      group.createTask(() =>
        redis.semaphore('s', 3, { ttl: 5_000 }, async () => {
          most = Math.max(most, ++inside);
          await sleep(2);
          inside--;
        }),
      );
    }
  });
  expect(most).toBe(3);
  await use.admin.zadd('semaphore:{t}', Date.now() + 50, 'dead');
  await redis.semaphore('t', 1, { wait: 5_000 }, () => {});
  expect(await use.admin.zcard('semaphore:{t}')).toBe(0);
});

test('wrong arguments are told at the call', () => {
  const redis = use.client({ lazyConnect: true });
  expect(() => redis.lock('')).toThrow('name must not be empty');
  expect(() => redis.lock('l', { ttl: 1 })).toThrow('options.ttl must be a number of milliseconds >= 10, got 1');
  expect(() => redis.lock('l', { wait: Number.NaN })).toThrow(RangeError);
  expect(() => redis.semaphore('s', 0)).toThrow('limit must be >= 1, got 0');
});
