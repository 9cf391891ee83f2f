import { createTask, isCancelled, type Task } from '@aiokit/core';
import { expect, test } from 'vitest';
import type { Redis } from '../src/index.ts';
import { until, useServer } from './support/clients.ts';

const use = useServer();

/** Every operation, each cancelled after 0, 1, 2, … turns of the loop until it ends before its cancel comes. */
const OPERATIONS: Record<string, (redis: Redis) => unknown> = {
  'a command': (redis) => redis.set('k', 1),
  'an autopipelined command': (redis) => redis.set('k', 1),
  'a script': (redis) => redis.eval("return redis.call('incr', KEYS[1])", 1, 'n'),
  'a pipeline': (redis) => redis.pipeline().set('k', 1).get('k').exec(),
  'a transaction': (redis) => redis.multi().set('k', 1).get('k').exec(),
  'a blocking command': async (redis) => {
    await redis.rpush('q', 'x');
    await redis.blpop('q', 0);
  },
  'a move': async (redis) => {
    await redis.rpush('q', 'x');
    await redis.blmove('q', 'other', 'LEFT', 'RIGHT', 0);
  },
  'a WATCH transaction': (redis) => redis.transaction((tx) => tx.multi().incr('n'), { watch: ['n'] }),
  'a lock': (redis) => redis.lock('l', { ttl: 2_000 }, async () => void (await redis.incr('n'))),
  'a semaphore': (redis) => redis.semaphore('s', 1, { ttl: 2_000 }, async () => void (await redis.incr('n'))),
  'a cached value': (redis) => redis.cached('c', 10, () => redis.incr('n')),
  'a loop over messages': async (redis) => {
    await using news = redis.listen('a');
    await news.ready();
    await redis.publish('a', 'x');
    for await (const _ of news) break;
  },
  'a consumer': async (redis) => {
    await redis.xadd('stream', '*', 'a', 1);
    for await (const entry of redis.consume('stream', 'g', 'c')) {
      await entry.ack();
      break;
    }
  },
  'a scan': (redis) => Array.fromAsync(redis.scanIterator()),
};

for (const [name, operation] of Object.entries(OPERATIONS)) {
  test(`${name}, cancelled at every await, leaves nothing behind and the client as it was`, async () => {
    const redis = use.client({ enableAutoPipelining: name === 'an autopipelined command' });
    await redis.ping();
    const listeners = redis.eventNames().map((event) => [event, redis.listenerCount(event)]);
    let cancelled = 0;
    // Turn by turn at first, then in wider steps: on a busy machine an operation takes thousands.
    for (let turns = 0, ended = 0; ended < 3; turns += Math.max(1, turns >> 5)) {
      const task: Task<unknown> = createTask(async () => await operation(redis));
      for (let i = 0; i < turns && !task.done(); i++) await new Promise((resolve) => setImmediate(resolve));
      if (task.done()) ended++;
      else task.cancel();
      await task.catch((error: unknown) => {
        if (!isCancelled(error)) throw error;
        cancelled++;
      });
      expect(await redis.echo(`${turns}`)).toBe(`${turns}`);
    }
    expect(cancelled).toBeGreaterThan(0);
    await until(async () => (await use.blocked()) === 0, 'no blocked connection');
    expect(await use.admin.pubsub('CHANNELS')).toEqual([]);
    expect(await use.admin.keys('lock:{l}')).toEqual([]);
    expect(await use.admin.zcard('semaphore:{s}')).toBe(0);
    const added = redis.eventNames().map((event) => [event, redis.listenerCount(event)]);
    expect(added.filter(([event]) => event !== 'end')).toEqual(listeners.filter(([event]) => event !== 'end'));
    expect(await use.connections()).toBeLessThanOrEqual(4);
    redis.disconnect();
    await until(async () => (await use.connections()) === 0, 'the end of all connections');
  });
}
