import { createTask, getRunningLoop, isCancelled, sleep } from '@aiokit/core';
import { faultProxy } from '@aiokit/testing/services';
import { expect, test } from 'vitest';
import type { Gap, Message } from '../src/index.ts';
import { until, useServer } from './support/clients.ts';

const use = useServer();

async function channels(): Promise<string[]> {
  return ((await use.admin.pubsub('CHANNELS')) as string[]).sort();
}

test('a loop gets the messages of its channels', async () => {
  const redis = use.client();
  const task = createTask(async () => {
    const seen: string[] = [];
    for await (const item of redis.listen(['a', 'b'])) {
      seen.push(`${item.channel}:${item.message}`);
      if (seen.length === 3) break;
    }
    return seen;
  });
  await until(async () => (await channels()).length === 2, 'the subscription');
  for (const [channel, message] of ['a1', 'b2', 'a3'] as unknown as [string, string][])
    await use.admin.publish(channel, message);
  expect(await task).toEqual(['a:1', 'b:2', 'a:3']);
  expect(await channels()).toEqual([]);
});

test('patterns, sharded channels and Buffers', async () => {
  const redis = use.client();
  await using news = redis.listen('news:*', { pattern: true });
  await using shard = redis.listen('shard', { sharded: true, binary: true });
  await Promise.all([news.ready(), shard.ready()]);
  await use.admin.publish('news:x', 'hello');
  await use.admin.spublish('shard', 'world');
  for await (const item of news) {
    expect(item).toEqual({ channel: 'news:x', pattern: 'news:*', message: 'hello' });
    break;
  }
  for await (const item of shard) {
    expect(item).toEqual({ channel: 'shard', pattern: null, message: Buffer.from('world') });
    break;
  }
});

test('all share one connection, and a channel is left when its last listener leaves', async () => {
  const redis = use.client();
  await redis.ping();
  const before = await use.connections();
  const subscriptions = Array.from({ length: 5 }, () => redis.listen('a'));
  await Promise.all(subscriptions.map((each) => each.ready()));
  expect(await use.connections()).toBe(before + 1);
  for (const each of subscriptions.slice(1)) await each.close();
  expect(await channels()).toEqual(['a']);
  await subscriptions[0]?.close();
  expect(await channels()).toEqual([]);
});

test('a cancel leaves the loop and unsubscribes', async () => {
  const redis = use.client();
  const task = createTask(async () => {
    for await (const _ of redis.listen('a')) throw new Error('no message was sent');
  });
  await until(async () => (await channels()).length === 1, 'the subscription');
  task.cancel();
  await expect(task).rejects.toSatisfy(isCancelled);
  expect(await channels()).toEqual([]);
});

test('after a reconnect it listens again, and a marker says that something may be missing', async () => {
  await using proxy = await faultProxy(use.server);
  const redis = use.client({ port: proxy.port, retryStrategy: () => 10 });
  const seen: unknown[] = [];
  const task = createTask(async () => {
    for await (const item of redis.listen('a')) seen.push(item.gap ?? item.message);
  });
  await until(async () => (await channels()).length === 1, 'the subscription');
  await use.admin.publish('a', '1');
  await until(() => seen.length === 1, 'the first message');
  proxy.cut();
  await until(async () => seen.length === 2 && (await channels()).length === 1, 'the marker');
  await use.admin.publish('a', '2');
  await until(() => seen.length === 3, 'the second message');
  expect(seen).toEqual(['1', 'reconnected', '2']);
  task.cancel();
  await expect(task).rejects.toSatisfy(isCancelled);
});

test('loops that begin while the connection is made neither disturb it nor leave a subscription behind', async () => {
  for (let turns = 0; turns < 60; turns++) {
    const redis = use.client();
    const first = redis.listen('a');
    const last = redis.listen('b');
    const ready = first.ready();
    for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
    const task = createTask(() => last.ready(), { eager: true });
    task.cancel();
    await task.catch((error: unknown) => expect(error).toSatisfy(isCancelled));
    await Promise.all([ready, last.close()]);
    await until(async () => (await channels()).join() === 'a', 'the one subscription');
    redis.disconnect();
    await until(async () => (await channels()).length === 0, 'the end');
  }
});

test('a full buffer drops the oldest, or the newest, or ends the loop, as was asked for', async () => {
  const redis = use.client();
  const oldest = redis.listen('a', { buffer: 2 });
  const newest = redis.listen('a', { buffer: 2, overflow: 'drop-newest' });
  const strict = redis.listen('a', { buffer: 2, overflow: 'error' });
  const witness = redis.listen('a'); // The last to be given a message.
  await Promise.all([oldest, newest, strict].map((each) => each.ready()));
  await witness.ready();
  for (const message of ['1', '2', '3', '4', '5']) await use.admin.publish('a', message);
  await use.admin.publish('a', 'end');
  for await (const { message } of witness) if (message === 'end') break;
  const read = async (items: AsyncIterable<Message | Gap>, count: number) => {
    const seen: unknown[] = [];
    for await (const { gap, dropped, message } of items as AsyncIterable<Gap>) {
      seen.push(gap === undefined ? message : dropped);
      if (seen.length === count) break;
    }
    return seen;
  };
  expect(await read(oldest, 3)).toEqual([4, '5', 'end']);
  expect(await read(newest, 3)).toEqual(['1', '2', 4]);
  await expect(read(strict, 3)).rejects.toThrow('More than 2 messages wait');
});

test('the end of the client ends the loops', async () => {
  const redis = use.client();
  const subscription = redis.listen('a');
  await subscription.ready();
  const task = createTask(async () => {
    for await (const _ of subscription);
  });
  await sleep(1);
  await redis.quit();
  await expect(task).rejects.toThrow('Connection is closed');
});

test('wrong arguments are told at the call', () => {
  const redis = use.client({ lazyConnect: true });
  expect(() => redis.listen([])).toThrow('channels must name at least one channel, got []');
  expect(() => redis.listen(1 as never)).toThrow(TypeError);
  expect(() => redis.listen('a', { pattern: true, sharded: true })).toThrow('exclude each other');
  expect(() => redis.listen('a', { buffer: 0 })).toThrow('options.buffer must be >= 1, got 0');
  expect(() => redis.listen('a', { overflow: 'wait' as never })).toThrow("'drop-oldest', 'drop-newest', 'error'");
  expect(getRunningLoop().activity.operations.size).toBe(0);
});
