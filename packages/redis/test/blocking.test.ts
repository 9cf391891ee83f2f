import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import {
  createTask,
  currentTask,
  getRunningLoop,
  isCancelled,
  sleep,
  type Task,
  taskGroup,
  timeout,
} from '@aiokit/core';
import { faultProxy } from '@aiokit/testing/services';
import { describe, expect, test } from 'vitest';
import { CANCEL_CHANNEL, type CancelEvent, type Redis, type RedisCancelledError } from '../src/index.ts';
import { until, useServer } from './support/clients.ts';
import { monitor } from './support/monitor.ts';

const use = useServer();
/** How many cancels the long runs do; AIOKIT_REDIS_CANCELS=100000 for the full one. */
const CANCELS = Number(process.env.AIOKIT_REDIS_CANCELS ?? 500);

describe('a blocking command in a task', () => {
  test('does not hold up the shared connection', async () => {
    const redis = use.client();
    const waiting = createTask(() => redis.blpop('q', 0));
    await use.untilBlocked(1);
    expect(await redis.ping()).toBe('PONG');
    await redis.rpush('q', 'x');
    expect(await waiting).toEqual(['q', 'x']);
  });

  test('gives strings or Buffers, by name or through call, with key prefix and callback', async () => {
    const redis = use.client({ keyPrefix: 'p:' });
    await createTask(async () => {
      await redis.rpush('q', 'a', 'b', 'c', 'd');
      expect(await redis.blpop('q', 0)).toEqual(['p:q', 'a']);
      expect(await redis.blpopBuffer('q', 0)).toEqual([Buffer.from('p:q'), Buffer.from('b')]);
      expect(await redis.call('BLPOP', 'q', '0')).toEqual(['p:q', 'c']);
      expect(await new Promise((resolve) => redis.blpop('q', 0, (_error, value) => resolve(value)))).toEqual([
        'p:q',
        'd',
      ]);
      expect(await redis.blpop('q', 0.05)).toBe(null);
      await redis.xadd('s', '1-1', 'f', 'v');
      expect(await redis.xread('BLOCK', 0, 'STREAMS', 's', '0')).toEqual([['p:s', [['1-1', ['f', 'v']]]]]);
      await redis.zadd('z', 1, 'm');
      expect(await redis.bzpopmin('z', 0)).toEqual(['p:z', 'm', '1']);
    });
  });

  test('ends on the server when its task is cancelled, and its connection serves the next', async () => {
    const redis = use.client();
    await redis.ping();
    for (let i = 0; i < 20; i++) {
      const task = createTask(() => redis.blpop('q', 0));
      await use.untilBlocked(1);
      task.cancel();
      await expect(task).rejects.toSatisfy(isCancelled);
      expect(await use.blocked()).toBe(0);
    }
    // The client's, one leased, one for CLIENT UNBLOCK.
    expect(await use.connections()).toBe(3);
  });

  test('that has an element already delivers it, and the cancel comes at the next await', async () => {
    await using proxy = await faultProxy(use.server);
    const redis = use.client({ port: proxy.port });
    let popped: unknown = null;
    const task = createTask(async () => {
      popped = await redis.blpop('q', 0);
      await sleep(0);
      throw new Error('it should have been cancelled');
    });
    await use.untilBlocked(1);
    proxy.hold({ direction: 'toClient' });
    await use.admin.rpush('q', 'x');
    await until(() => proxy.waiting > 0, 'the element on its way');
    task.cancel();
    proxy.release();
    await expect(task).rejects.toSatisfy(isCancelled);
    expect(popped).toEqual(['q', 'x']);
  });

  test('a deadline becomes the limit of the server, a little later; a finite limit that is earlier stays', async () => {
    const redis = use.client();
    using watch = await monitor(use.server);
    for (const limit of [0, 900]) {
      const task = createTask(() => timeout(99_500, () => redis.blpop('q', limit)));
      await use.untilBlocked(1);
      task.cancel();
      await expect(task).rejects.toSatisfy(isCancelled);
    }
    expect(await timeout(60_000, () => redis.blpop('q', 0.05))).toBe(null);
    await watch.upToNow();
    expect(watch.seen.filter((line) => line.startsWith('blpop'))).toEqual([
      'blpop q 101',
      'blpop q 101',
      'blpop q 0.05',
    ]);
  });

  test('a deadline that is moved does not end the wait early', async () => {
    const redis = use.client();
    const value = timeout(100, async (t) => {
      t.reschedule(null);
      return await redis.blpop('q', 0);
    });
    const moved = timeout(60, async (t) => {
      const element = createTask(() => redis.blpop('r', 0), { eager: true });
      t.reschedule(getRunningLoop().time() + 60_000);
      return await element;
    });
    await use.untilBlocked(2);
    await sleep(2_300); // The limit that the server was given for `moved` is over.
    await use.untilBlocked(2);
    await use.admin.rpush('q', 'x');
    await use.admin.rpush('r', 'y');
    expect(await value).toEqual(['q', 'x']);
    expect(await moved).toEqual(['r', 'y']);
  });

  test('more of them than there may be connections wait in line, and a cancel leaves the line', async () => {
    const redis = use.client({ maxBlockingConnections: 2 });
    const tasks = Array.from({ length: 5 }, () => createTask(() => redis.blpop('q', 0)));
    await use.untilBlocked(2);
    tasks[3]?.cancel();
    await expect(tasks[3]).rejects.toSatisfy(isCancelled);
    await use.admin.rpush('q', 1, 2, 3, 4);
    expect((await Promise.all([0, 1, 2, 4].map((i) => tasks[i]))).map((reply) => reply?.[1]).sort()).toEqual([
      '1',
      '2',
      '3',
      '4',
    ]);
  });

  test('quit ends it; what has come by then is delivered', async () => {
    const redis = use.client();
    const task = createTask(() => redis.blpop('q', 0));
    await use.untilBlocked(1);
    await redis.quit();
    await expect(task).rejects.toThrow('Connection is closed');
    await until(async () => (await use.connections()) === 0, 'the end of all connections');
    await expect(createTask(() => redis.blpop('q', 0))).rejects.toThrow('Connection is closed');
  });

  test('disconnect cuts it off', async () => {
    const redis = use.client();
    const task = createTask(() => redis.blpop('q', 0));
    await use.untilBlocked(1);
    redis.disconnect();
    await expect(task).rejects.toThrow('Connection is closed');
    await until(async () => (await use.connections()) === 0, 'the end of all connections');
  });

  test('a lost connection is made again and the command sent again, as in ioredis, unless it was cancelled', async () => {
    const redis = use.client({ retryStrategy: () => 10 });
    const kept = createTask(() => redis.blpop('kept', 0));
    const cancelled = createTask(() => redis.blpop('cancelled', 0));
    await use.untilBlocked(2);
    await use.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    cancelled.cancel();
    await expect(cancelled).rejects.toSatisfy(isCancelled);
    await use.untilBlocked(1);
    await use.admin.rpush('cancelled', 'x');
    await use.admin.rpush('kept', 'y');
    expect(await kept).toEqual(['kept', 'y']);
    expect(await use.admin.llen('cancelled')).toBe(1);
  });

  test('when the server gives no verdict in time, the connection is closed and the error says maybeLost', async () => {
    await using proxy = await faultProxy(use.server);
    const redis = use.client({ port: proxy.port, cancelGrace: 100 });
    const task = createTask(() => redis.blpop('q', 0));
    await use.untilBlocked(1);
    proxy.hold();
    task.cancel();
    await expect(task).rejects.toMatchObject({ maybeLost: true, sent: true });
    await expect(task).rejects.toSatisfy(isCancelled);
  });
});

test('what became of each cancelled one is told on a diagnostics channel', async () => {
  await using proxy = await faultProxy(use.server);
  const redis = use.client({ port: proxy.port });
  await use.admin.call('ACL', 'SETUSER', 'limited', 'on', '>pw', '~*', '&*', '+@all', '-client|unblock');
  const limited = use.client({ username: 'limited', password: 'pw' });
  const events: CancelEvent[] = [];
  const onEvent = (event: unknown) => void events.push(event as CancelEvent);
  subscribe(CANCEL_CHANNEL, onEvent);
  try {
    const cancelled = async (client: Redis, meanwhile: () => unknown) => {
      const task = createTask(() => client.blpop('q', 0), { eager: true });
      await meanwhile();
      task.cancel();
      proxy.release();
      await task.catch(() => {});
    };
    await cancelled(redis, () => {});
    await cancelled(redis, () => use.untilBlocked(1));
    await cancelled(redis, async () => {
      await use.untilBlocked(1);
      proxy.hold({ direction: 'toClient' });
      await use.admin.rpush('q', 'x');
      await until(() => proxy.waiting > 0, 'the element on its way');
    });
    await cancelled(limited, () => use.untilBlocked(1));
  } finally {
    unsubscribe(CANCEL_CHANNEL, onEvent);
  }
  expect(events.map(({ verdict }) => verdict)).toEqual(['unsent', 'unblocked', 'delivered', 'closed']);
  expect(events[1]).toEqual({ command: 'BLPOP q 0', verdict: 'unblocked', duration: expect.any(Number) });
});

describe('nothing is lost and nothing comes twice', () => {
  for (const kind of ['BLPOP', 'BLMOVE', 'XREAD', 'XREADGROUP'] as const) {
    test(`${CANCELS} cancelled ${kind} against producers`, { timeout: 20_000 + CANCELS * 10 }, async () => {
      const redis = use.client();
      const consumer: Consumer = CONSUMERS[kind](redis);
      await consumer.prepare();
      const seen: number[] = [];
      let written = 0;
      let cancelled = 0;
      let late = 0;
      const done = () => cancelled >= CANCELS && seen.length >= written;
      await taskGroup((group) => {
        for (let lane = 0; lane < 4; lane++) {
          group.createTask(async () => {
            while (!done()) {
              const wait = createTask(async () => {
                const values = await consumer.read(lane);
                if (currentTask()?.cancelling()) late++;
                seen.push(...values);
              });
              await sleep(Math.random() * 3);
              if (wait.cancel()) cancelled++;
              await wait.catch((error: unknown) => {
                if (!isCancelled(error)) throw error;
              });
            }
          });
        }
        group.createTask(async () => {
          while (cancelled < CANCELS) {
            await consumer.write(written++);
            if (written % 3 === 0) await sleep(Math.random() * 2);
          }
        });
      });
      expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: written }, (_, i) => i));
      if (CANCELS > 500) console.log(`${kind}: ${cancelled} cancelled, ${written} elements, ${late} won the race`);
    });
  }
});

interface Consumer {
  prepare(): Promise<unknown>;
  read(lane: number): Promise<number[]>;
  write(value: number): Promise<unknown>;
}

type Entries = [string, [string, string[]][]][] | null;
const numbers = (reply: Entries) => (reply?.[0]?.[1] ?? []).map(([, fields]) => Number(fields[1]));

const CONSUMERS = {
  BLPOP: (redis) => ({
    prepare: async () => {},
    read: async () => [Number((await redis.blpop('q', 0))?.[1])],
    write: (value) => redis.rpush('q', value),
  }),
  BLMOVE: (redis) => ({
    prepare: async () => {},
    read: async () => [Number(await redis.blmove('q', 'processing', 'LEFT', 'RIGHT', 0))],
    write: (value) => redis.rpush('q', value),
  }),
  XREAD: (redis) => {
    // One stream and one position per lane; a value that is delivered moves the position.
    const positions = new Map<number, string>();
    return {
      prepare: async () => {},
      read: async (lane) => {
        const reply = (await redis.xread('BLOCK', 0, 'STREAMS', `s${lane}`, positions.get(lane) ?? '0')) as Entries;
        positions.set(lane, reply?.[0]?.[1].at(-1)?.[0] ?? '0');
        return numbers(reply);
      },
      write: (value) => redis.xadd(`s${value % 4}`, '*', 'n', value),
    };
  },
  XREADGROUP: (redis) => ({
    prepare: () => redis.xgroup('CREATE', 's', 'g', '0', 'MKSTREAM'),
    read: async (lane) =>
      numbers((await redis.xreadgroup('GROUP', 'g', `c${lane}`, 'BLOCK', 0, 'STREAMS', 's', '>')) as Entries),
    write: (value) => redis.xadd('s', '*', 'n', value),
  }),
} satisfies Record<string, (redis: Redis) => Consumer>;

describe('a user who may not use CLIENT UNBLOCK', () => {
  test('gets a new connection for the next one: a cancel hurts nobody else', async () => {
    await use.admin.call('ACL', 'SETUSER', 'limited', 'on', '>pw', '~*', '&*', '+@all', '-client|unblock');
    const redis = use.client({ username: 'limited', password: 'pw' });
    for (let i = 0; i < 30; i++) {
      const leaving = createTask(() => redis.blpop('never', 0));
      await use.untilBlocked(1);
      leaving.cancel();
      await expect(leaving).rejects.toMatchObject({ maybeLost: true });
      const staying = createTask(() => redis.blpop('q', 0), { eager: true });
      await use.admin.rpush('q', i);
      expect(await staying).toEqual(['q', `${i}`]);
      await until(async () => (await use.blocked()) === 0, 'the end of the blocked connection');
    }
  });

  test('gets cancels that close the connection and say maybeLost; what is delivered comes once', async () => {
    await use.admin.call('ACL', 'SETUSER', 'limited', 'on', '>pw', '~*', '&*', '+@all', '-client|unblock');
    const redis = use.client({ username: 'limited', password: 'pw' });
    const seen: number[] = [];
    let maybeLost = 0;
    for (let i = 0; i < 60; i++) {
      const task: Task<void> = createTask(async () => {
        seen.push(Number((await redis.blpop('q', 0))?.[1]));
      });
      await until(async () => task.done() || (await use.blocked()) === 1, 'the wait');
      if (i % 2 === 0) void use.admin.rpush('q', i);
      task.cancel();
      await task.catch((error: unknown) => {
        if ((error as RedisCancelledError).maybeLost) maybeLost++;
      });
      await until(async () => (await use.blocked()) === 0, 'the end of the blocked connection');
    }
    const left = (await use.admin.lrange('q', 0, -1)).map(Number);
    const missing = 30 - new Set([...seen, ...left]).size;
    expect(new Set(seen).size).toBe(seen.length);
    expect(missing).toBeLessThanOrEqual(maybeLost);
    expect(maybeLost).toBeGreaterThanOrEqual(30);
  });
});
