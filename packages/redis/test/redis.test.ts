import { execFile } from 'node:child_process';
import { tracingChannel } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { createTask, currentTask, detached, Future, isCancelled, sleep, taskGroup, timeout } from '@aiokit/core';
import { faultProxy } from '@aiokit/testing/services';
import { Redis as BaseRedis } from 'ioredis';
import { describe, expect, inject, test } from 'vitest';
import { Cluster, Redis, RedisCancelledError } from '../src/index.ts';
import { until, useServer } from './support/clients.ts';
import { monitor } from './support/monitor.ts';

const use = useServer();

test('it runs on the version of ioredis that this project is for', () => {
  const client = use.client({ lazyConnect: true });
  expect(client.options.protocol === 3).toBe(inject('ioredis') === 6);
});

describe('outside of a task', () => {
  test('a command gives what ioredis gives: a native promise', async () => {
    const redis = use.client();
    const reply = redis.set('k', 'v');
    expect(reply).not.toBeInstanceOf(Future);
    expect(reply.constructor).toBe(Promise);
    expect(await reply).toBe('OK');
    expect(await redis.getBuffer('k')).toEqual(Buffer.from('v'));
  });

  test('a blocking command runs on the shared connection, as in ioredis', async () => {
    const redis = use.client();
    const blocked = redis.blpop('q', 0);
    await use.untilBlocked(1);
    expect(await use.connections()).toBe(1);
    await use.admin.rpush('q', 'x');
    expect(await blocked).toEqual(['q', 'x']);
  });

  test('it is an ioredis client, and so are its duplicates, of its own class', async () => {
    class Named extends Redis {}
    const client = new Named(use.server.url, { lazyConnect: true });
    const copy = client.duplicate({ db: 3 });
    expect(copy).toBeInstanceOf(BaseRedis);
    expect(copy).toBeInstanceOf(Named);
    expect(copy.options.db).toBe(3);
    const created = Redis.createClient(...([use.server.url, { lazyConnect: true }] as unknown as []));
    expect(created).toBeInstanceOf(Redis);
    expect(Redis.Cluster).toBe(Cluster);
    for (const each of [client, copy, created]) each.disconnect();
  });
});

describe('in a task', () => {
  test('every way of calling gives the same replies', async () => {
    const redis = use.client({ keyPrefix: 'p:' });
    redis.defineCommand('double', { numberOfKeys: 1, lua: "return redis.call('get', KEYS[1]) * 2" });
    const withDouble = redis as Redis & { double(key: string): Promise<number> };
    await createTask(async () => {
      expect(await redis.set('k', 21)).toBe('OK');
      expect(await redis.get('k')).toBe('21');
      expect(await redis.getBuffer('k')).toEqual(Buffer.from('21'));
      expect(await redis.call('GET', 'k')).toBe('21');
      expect(await redis.callBuffer('GET', 'k')).toEqual(Buffer.from('21'));
      expect(await withDouble.double('k')).toBe(42);
      expect(await redis.pipeline().incr('k').get('k').exec()).toEqual([
        [null, 22],
        [null, '22'],
      ]);
      expect(await redis.multi().incr('k').get('k').exec()).toEqual([
        [null, 23],
        [null, '23'],
      ]);
      expect(await redis.hset('h', { a: 1, b: 2 })).toBe(2);
      expect(await redis.hgetall('h')).toEqual({ a: '1', b: '2' });
    });
    expect(await use.admin.get('p:k')).toBe('23');
  });

  test('a callback is called, with the reply, the error or the cancel', async () => {
    const redis = use.client();
    const task = createTask(async () => {
      const values: unknown[] = [];
      await new Promise<void>((resolve) => redis.set('k', 'v', () => resolve()));
      redis.get('k', (error, value) => values.push(error, value));
      redis.incr('k', (error) => values.push(error?.message));
      await until(() => values.length === 3, 'both callbacks');
      return values;
    });
    expect(await task).toEqual([null, 'v', 'ERR value is not an integer or out of range']);
    const seen = await new Promise((resolve) => {
      const waiting = createTask(async () => {
        redis.get('k', (error) => resolve(error));
        currentTask()?.cancel();
        await sleep(1_000);
      });
      waiting.addDoneCallback(() => {});
    });
    expect(isCancelled(seen)).toBe(true);
  });

  test('an error of the server is an error, with the command in it', async () => {
    const redis = use.client();
    await createTask(async () => {
      await redis.set('k', 'v');
      const error = await redis.incr('k').catch((e: unknown) => e);
      expect(error).toMatchObject({ message: expect.stringContaining('not an integer'), command: { name: 'incr' } });
    });
  });

  test('a cancel gives a command in flight up at once, and the neighbours keep their replies', async () => {
    await using proxy = await faultProxy(use.server);
    const redis = use.client({ port: proxy.port });
    await redis.ping();
    for (let round = 0; round < 50; round++) {
      proxy.hold({ direction: 'toClient' });
      const tasks = Array.from({ length: 20 }, (_, i) => createTask(async () => redis.echo(`${round}-${i}`)));
      await until(() => proxy.waiting > 0, 'replies on hold');
      const cancelled = new Set(tasks.filter((_, i) => (i * 7 + round) % 3 === 0));
      for (const task of cancelled) task.cancel();
      for (const task of cancelled) await expect(task).rejects.toSatisfy(isCancelled);
      proxy.release({ direction: 'toClient' });
      for (const [i, task] of tasks.entries()) if (!cancelled.has(task)) expect(await task).toBe(`${round}-${i}`);
    }
  });

  test('a client made in a task outlives it', async () => {
    let redis: Redis | undefined;
    const maker = createTask(async () => {
      redis = use.client();
      await redis.ping();
      await sleep(60_000);
    });
    await until(() => redis?.status === 'ready', 'the connection');
    maker.cancel();
    await expect(maker).rejects.toSatisfy(isCancelled);
    expect(await redis?.ping()).toBe('PONG');
  });

  test('a client that connects in the first command of a task does not die with it', async () => {
    const redis = use.client({ lazyConnect: true });
    const connected = once(redis, 'connect'); // The handshake follows, and the command after it.
    const task = createTask(() => redis.get('k'));
    await connected;
    task.cancel();
    await expect(task).rejects.toSatisfy(isCancelled);
    expect(await redis.ping()).toBe('PONG');
  });
});

test('ioredis’s own tracing sees the commands of tasks, the cancelled ones as errors', async () => {
  const seen: string[] = [];
  const subscriber = {
    start() {},
    end() {},
    asyncStart() {},
    asyncEnd: ({ command }: { command: string }) => seen.push(command),
    error: ({ command }: { command: string }) => seen.push(`${command} failed`),
  };
  const channel = tracingChannel('ioredis:command');
  const redis = use.client();
  await redis.ping();
  channel.subscribe(subscriber as never);
  try {
    expect(await createTask(() => redis.get('k'))).toBe(null);
    const task = createTask(async () => redis.get('k'), { eager: true });
    task.cancel();
    await expect(task).rejects.toSatisfy(isCancelled);
    await redis.ping();
  } finally {
    channel.unsubscribe(subscriber as never);
  }
  // ioredis 5.9 has no channels yet.
  expect(seen).toEqual(inject('ioredis') === 5 ? [] : ['get', 'get failed', 'get', 'ping']);
});

test('a process ends after quit, whatever connections rest', async () => {
  const program = `
    import { run, timeout } from '@aiokit/core';
    import { Redis } from '@aiokit/redis';
    const redis = new Redis(${use.server.port});
    await run(async () => {
      await timeout(50, () => redis.blpop('q', 0)).catch(() => {});
      await redis.transaction((tx) => tx.multi().ping());
      const news = redis.listen('news');
      await news.ready().finally(() => news[Symbol.asyncDispose]());
    });
    await redis.quit();
    const quit = performance.now();
    process.on('exit', () => console.log(performance.now() - quit < 5_000 ? 'at once' : 'late'));`;
  const args = ['--conditions=@aiokit/source', '--input-type=module', '-e', program];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { timeout: 19_000 });
  expect({ stdout, stderr }).toEqual({ stdout: 'at once\n', stderr: '' });
});

test('a cancel ends the wait for a connection', async () => {
  await using proxy = await faultProxy(use.server);
  proxy.hold();
  const redis = use.client({ port: proxy.port, lazyConnect: true });
  await expect(timeout(20, () => redis.connect())).rejects.toMatchObject({ code: 'ETIMEDOUT' });
  proxy.release();
  expect(await redis.ping()).toBe('PONG');
});

describe('a pipeline or transaction', () => {
  test('that was not sent has not happened, and the error says so', async () => {
    const redis = use.client({ port: 1, retryStrategy: () => 60_000 });
    const task = createTask(() => redis.multi().set('a', 1).set('b', 2).exec());
    await sleep(5);
    task.cancel();
    await expect(task).rejects.toMatchObject({ sent: false, maybeLost: false, outcome: null });
    await expect(task).rejects.toBeInstanceOf(RedisCancelledError);
  });

  test('that was sent happens as a whole; its outcome can be had', async () => {
    await using proxy = await faultProxy(use.server);
    const redis = use.client({ port: proxy.port });
    await redis.ping();
    proxy.hold({ direction: 'toClient' });
    const task = createTask(() => redis.multi().set('a', 1).incr('a').exec());
    await until(async () => (await use.admin.get('a')) === '2', 'the transaction');
    task.cancel();
    const error = await task.then(
      () => null,
      (e: unknown) => e as RedisCancelledError,
    );
    expect(error).toMatchObject({ sent: true, maybeLost: false });
    proxy.release();
    expect(await error?.outcome).toEqual([
      [null, 'OK'],
      [null, 2],
    ]);
    expect(await redis.get('a')).toBe('2');
  });
});

test('what tasks send in one turn leaves in one piece, in order with what others send', async () => {
  const redis = use.client();
  await redis.ping();
  const reads = async () => Number(/total_reads_processed:(\d+)/.exec(await use.admin.info('stats'))?.[1]);
  const before = await reads();
  const order: Promise<unknown>[] = [];
  await createTask(async () => {
    for (let i = 0; i < 20; i++) {
      order.push(redis.incr('n'), redis.pipeline().incr('n').incr('n').exec());
      order.push(detached(() => redis.incr('n')));
    }
    const replies = (await Promise.all(order)).flatMap((reply) => (Array.isArray(reply) ? reply.flat() : reply));
    expect(replies.filter((reply) => reply !== null)).toEqual(Array.from({ length: 80 }, (_, i) => i + 1));
  });
  expect((await reads()) - before).toBeLessThan(6);
});

describe('autopipelining', () => {
  test('commands of tasks keep their order among those from outside; ignored ones leave at once', async () => {
    const redis = use.client({ enableAutoPipelining: true, autoPipeliningIgnoredCommands: ['ping'] });
    await redis.ping();
    for (const isFirst of [true, false]) {
      await use.admin.del('n');
      const order: Promise<unknown>[] = [];
      const inside = () => createTask(async () => void order.push(redis.incr('n')), { eager: true });
      const outside = () => order.push(redis.incr('n'));
      for (let i = 0; i < 6; i++)
        if ((i % 2 === 0) === isFirst) void inside();
        else outside();
      expect(redis.autoPipelineQueueSize).toBe(6);
      await createTask(() => redis.ping());
      expect(await Promise.all(order)).toEqual([1, 2, 3, 4, 5, 6]);
      expect(redis.autoPipelineQueueSize).toBe(0);
    }
  });

  test('several tasks share a pipeline, and each gets its own replies', async () => {
    const redis = use.client({ enableAutoPipelining: true });
    await redis.mset('a', 'A', 'b', 'B', 'c', 'C');
    const tasks = ['a', 'b', 'c'].map((key) => createTask(async () => redis.get(key)));
    expect(await Promise.all(tasks)).toEqual(['A', 'B', 'C']);
  });

  test('a cancel of one task before the pipeline leaves withdraws its command alone', async () => {
    const redis = use.client({ enableAutoPipelining: true });
    await redis.ping();
    for (let round = 0; round < 30; round++) {
      const keys = Array.from({ length: 9 }, (_, i) => `${round}:${i}`);
      const tasks = keys.map((key) => createTask(async () => redis.set(key, key, 'GET' as never), { eager: true }));
      const leaving = tasks.filter((_, i) => (i + round) % 4 === 0);
      for (const task of leaving) task.cancel();
      for (const [i, task] of tasks.entries()) {
        if (leaving.includes(task)) await expect(task).rejects.toSatisfy(isCancelled);
        else expect(await task).toBe(null);
        expect(await use.admin.exists(keys[i] as string)).toBe(leaving.includes(task) ? 0 : 1);
      }
    }
  });

  test('a pipeline of which every command was cancelled sends nothing', async () => {
    const redis = use.client({ enableAutoPipelining: true });
    await redis.ping();
    const tasks = [1, 2, 3].map((i) => createTask(async () => redis.set(`k${i}`, i), { eager: true }));
    for (const task of tasks) task.cancel();
    for (const task of tasks) await expect(task).rejects.toSatisfy(isCancelled);
    expect(await redis.ping()).toBe('PONG');
    expect(await use.admin.dbsize()).toBe(0);
  });
});

describe('after a reconnect', () => {
  test('no cancelled command reaches the server: sent, queued, in a pipeline, in a transaction or shared', async () => {
    for (const enableAutoPipelining of [false, true]) {
      await using proxy = await faultProxy(use.server);
      const redis = use.client({ port: proxy.port, retryStrategy: () => 10, enableAutoPipelining });
      await redis.ping();
      using watch = await monitor(use.server);
      proxy.hold({ direction: 'toServer' });
      const sent = [
        createTask(() => redis.incr('cancelled')),
        createTask(() => redis.pipeline().incr('cancelled').incr('cancelled').exec()),
        createTask(() => redis.multi().incr('cancelled').exec()),
      ];
      const kept = createTask(() => redis.incr('kept'));
      // In bytes: four INCR cancelled, one INCR kept, MULTI and EXEC.
      await until(() => proxy.waiting === 4 * 29 + 24 + 15 + 14, 'the commands on hold');
      for (const task of sent) task.cancel();
      for (const task of sent) await expect(task).rejects.toSatisfy(isCancelled);
      proxy.refuse();
      proxy.cut();
      await until(() => redis.status === 'reconnecting', 'the end of the connection');
      const queued = [
        createTask(() => redis.incr('cancelled')),
        createTask(() => redis.multi().incr('cancelled').exec()),
      ];
      const keptQueued = createTask(() => redis.incr('kept'));
      await sleep(5);
      for (const task of queued) task.cancel();
      for (const task of queued) await expect(task).rejects.toSatisfy(isCancelled);
      await proxy.restore();
      expect(await Promise.all([kept, keptQueued])).toEqual([1, 2]);
      expect(await redis.ping()).toBe('PONG');
      await watch.upToNow();
      expect(watch.seen.filter((line) => line.includes('cancelled'))).toEqual([]);
      await use.admin.flushall();
    }
  });

  test('an outage with a timeout on each try does not fill the offline queue', async () => {
    const redis = use.client({ port: 1, retryStrategy: () => 60_000, maxRetriesPerRequest: null });
    for (let i = 0; i < 2_000; i++) {
      const task = createTask(async () => redis.get('k'), { eager: true });
      task.cancel();
      await task.catch(() => {});
    }
    expect((redis as unknown as { offlineQueue: { length: number } }).offlineQueue.length).toBeLessThan(200);
  });
});

test('a timeout outside of any task works, too', async () => {
  await using proxy = await faultProxy(use.server);
  const redis = use.client({ port: proxy.port });
  await redis.ping();
  proxy.hold();
  await expect(timeout(20, () => redis.get('k'))).rejects.toMatchObject({ code: 'ETIMEDOUT' });
  proxy.release();
});

test('a group that fails withdraws what its other tasks have not sent', async () => {
  const redis = use.client({ port: 1, retryStrategy: () => 60_000 });
  await expect(
    taskGroup((group) => {
      group.createTask(() => redis.set('k', 1));
      group.createTask(async () => {
        await sleep(5);
        throw new Error('no');
      });
    }),
  ).rejects.toThrow();
});
