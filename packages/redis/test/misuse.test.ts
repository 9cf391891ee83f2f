import { createTask, timeout } from '@aiokit/core';
import { describe, expect, test } from 'vitest';
import { Cluster, type ClusterOptions, Redis } from '../src/index.ts';
import { until, useServer } from './support/clients.ts';

const use = useServer();

/** Everything that goes to a server. */
const CALLS: Record<string, (redis: Redis) => unknown> = {
  'a command': (redis) => redis.get('k'),
  'a transaction': (redis) => redis.multi().get('k').exec(),
  'a blocking command': (redis) => redis.blpop('k', 0),
  'a WATCH transaction': (redis) => redis.transaction((tx) => tx.multi().ping(), { watch: ['k'] }),
  'a lock': (redis) => redis.lock('l', {}, () => 1),
  'a semaphore': (redis) => redis.semaphore('s', 1, {}, () => 1),
  'a subscription': (redis) => redis.listen('a').ready(),
  'a consumer': (redis) => redis.consume('s', 'g', 'c', () => {}),
  'a cached value': (redis) => redis.cached('c', 1_000, () => 1),
  'a scan': (redis) => Array.fromAsync(redis.scanIterator()),
};

describe.each(Object.entries(CALLS))('%s', (name, call) => {
  test('on a closed client says so, and opens no connection', async () => {
    const redis = use.client();
    await redis.ping();
    redis.disconnect();
    await until(() => redis.status === 'end', 'the end');
    await expect(createTask<unknown>(() => call(redis))).rejects.toThrow('Connection is closed');
    expect(await use.connections()).toBe(0);
  });

  test('on a cluster that finds no node fails when ioredis gives up, and until then waits for as long as it may', async () => {
    const nowhere = (options: ClusterOptions) => {
      const made = new Cluster([{ host: '127.0.0.1', port: 1 }], options);
      made.on('error', () => {});
      return made;
    };
    const hopeless = nowhere({ clusterRetryStrategy: () => null });
    await expect(createTask<unknown>(() => call(hopeless as unknown as Redis))).rejects.toThrow(
      /Connection is closed|None of startup nodes is available/,
    );
    const hopeful = nowhere({ clusterRetryStrategy: () => 5 });
    // A pipeline of ioredis's fails with the first attempt to connect.
    if (name === 'a transaction')
      await expect(call(hopeful as unknown as Redis)).rejects.toThrow('None of startup nodes');
    else {
      const waiting = timeout(60, () => call(hopeful as unknown as Redis));
      await expect(waiting).rejects.toMatchObject({ code: 'ETIMEDOUT' });
    }
    for (const each of [hopeless, hopeful]) each.disconnect();
  });
});

test('wrong options are told at once', () => {
  expect(() => new Redis({ lazyConnect: true, maxBlockingConnections: 0 })).toThrow(
    'options.maxBlockingConnections must be >= 1, got 0',
  );
  expect(() => new Redis({ port: 1, cancelGrace: Number.NaN })).toThrow(
    'options.cancelGrace must be a number of milliseconds >= 0, got NaN',
  );
  expect(() => new Cluster([], { maxBlockingConnections: 1.5 })).toThrow('must be an integer, got 1.5');
  const redis = use.client({ lazyConnect: true });
  expect(() => redis.with(undefined as never)).toThrow('options.signal must be an AbortSignal, got undefined');
  expect(() => redis.lock('l', (() => 1) as never)).toThrow('options must be an object (the body comes after it)');
  expect(() => redis.semaphore('l', 1, (() => 1) as never)).toThrow('options must be an object');
});
