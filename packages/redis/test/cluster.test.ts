import { createTask, isCancelled, taskGroup } from '@aiokit/core';
import { faultProxy, type RedisCluster, redisCluster } from '@aiokit/testing/services';
import { Cluster as BaseCluster } from 'ioredis';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { Cluster, type ClusterOptions, Redis } from '../src/index.ts';
import { until } from './support/clients.ts';
import { monitor } from './support/monitor.ts';

let servers: RedisCluster;
const clients: (Cluster | Redis)[] = [];

beforeAll(async () => {
  servers = await redisCluster();
});
afterEach(async () => {
  for (const node of servers.nodes) await admin(node.port).flushall();
  for (const client of clients.splice(0)) client.disconnect();
});
afterAll(() => servers[Symbol.asyncDispose]());

function cluster(options?: ClusterOptions): Cluster {
  const made = new Cluster(
    servers.nodes.map(({ host, port }) => ({ host, port })),
    options,
  );
  clients.push(made);
  return made;
}

function admin(port: number): Redis {
  const made = new Redis(port);
  clients.push(made);
  return made;
}

async function setSlot(slot: number, port: number, ...how: string[]): Promise<void> {
  await admin(port).call('CLUSTER', 'SETSLOT', slot, ...how);
}

async function idOf(port: number): Promise<string> {
  return (await admin(port).call('CLUSTER', 'MYID')) as string;
}

/** From now on the old owner answers ASK for keys that it does not have. */
async function beginMove(slot: number, from: number, to: number): Promise<void> {
  await setSlot(slot, to, 'IMPORTING', await idOf(from));
  await setSlot(slot, from, 'MIGRATING', await idOf(to));
}

/** As Redis prescribes: with a new epoch, so that no heartbeat of the old owner takes it back. */
async function moveSlot(slot: number, from: number, to: number): Promise<void> {
  await beginMove(slot, from, to);
  const others = servers.nodes.map(({ port }) => port).filter((port) => port !== from && port !== to);
  for (const port of [to, from, ...others]) await setSlot(slot, port, 'NODE', await idOf(to));
}

/** The ports of the node that has the slot, and of another one. */
async function placesOf(slot: number): Promise<[from: number, to: number]> {
  const ports = servers.nodes.map(({ port }) => port);
  const ranges = await admin(ports[0] as number).cluster('SLOTS');
  const from = Number(ranges.find(([first, last]) => first <= slot && slot <= last)?.[2]?.[1]);
  return [from, ports.find((port) => port !== from) as number];
}

test('commands, pipelines, scripts and scans work in a task, autopipelined or not', async () => {
  for (const enableAutoPipelining of [false, true]) {
    const redis = cluster({ enableAutoPipelining });
    redis.defineCommand('double', { numberOfKeys: 1, lua: "return redis.call('get', KEYS[1]) * 2" });
    await createTask(async () => {
      const keys = Array.from({ length: 30 }, (_, i) => `k${i}`);
      await Promise.all(keys.map((key, i) => redis.set(key, i)));
      expect(await Promise.all(keys.map((key) => redis.get(key)))).toEqual(keys.map((_, i) => String(i)));
      expect(await redis.pipeline().incr('{a}x').incr('{a}x').exec()).toEqual([
        [null, 1],
        [null, 2],
      ]);
      expect(await redis.multi().incr('{a}x').get('{a}x').exec()).toEqual([
        [null, 3],
        [null, '3'],
      ]);
      expect(await (redis as Cluster & { double(key: string): Promise<number> }).double('k21')).toBe(42);
      expect(new Set(await Array.fromAsync(redis.scanIterator({ match: 'k*' })))).toEqual(new Set(keys));
    });
    await Promise.all(servers.nodes.map((node) => admin(node.port).flushall()));
  }
});

test('a duplicate is of the same class', () => {
  const copy = cluster({ lazyConnect: true }).duplicate();
  clients.push(copy);
  expect(copy).toBeInstanceOf(Cluster);
  expect(copy).toBeInstanceOf(BaseCluster);
});

test('blocking commands go to the node of their key, and end there', async () => {
  const redis = cluster();
  const keys = ['a', 'b', 'c', 'd'];
  const tasks = keys.map((key) => createTask(() => redis.blpop(key, 0)));
  const blocked = async () => {
    let sum = 0;
    for (const { port } of servers.nodes) {
      sum += Number(/blocked_clients:(\d+)/.exec(await admin(port).info('clients'))?.[1]);
    }
    return sum;
  };
  await until(async () => (await blocked()) === 4, 'the blocked commands');
  tasks[0]?.cancel();
  tasks[1]?.cancel();
  await expect(tasks[0]).rejects.toSatisfy(isCancelled);
  await expect(tasks[1]).rejects.toSatisfy(isCancelled);
  expect(await blocked()).toBe(2);
  await redis.rpush('c', 1);
  await redis.rpush('d', 2);
  expect(await tasks[2]).toEqual(['c', '1']);
  expect(await tasks[3]).toEqual(['d', '2']);
});

test('an unsent command is withdrawn, also while the cluster connects', async () => {
  for (const enableAutoPipelining of [false, true]) {
    const watches = await Promise.all(servers.nodes.map(monitor));
    const redis = cluster({ enableAutoPipelining });
    const tasks = [
      createTask(async () => redis.set('cancelled', 1), { eager: true }),
      createTask(async () => redis.multi().set('cancelled', 1).exec(), { eager: true }),
      createTask(async () => redis.blpop('cancelled', 0), { eager: true }),
    ];
    const kept = createTask(async () => redis.set('kept', 1), { eager: true });
    for (const task of tasks) task.cancel();
    for (const task of tasks) await expect(task).rejects.toSatisfy(isCancelled);
    expect(await kept).toBe('OK');
    await redis.set('kept', 2);
    for (const watch of watches) await watch.upToNow();
    expect(watches.flatMap(({ seen }) => seen).filter((line) => line.includes('cancelled'))).toEqual([]);
    for (const watch of watches) watch[Symbol.dispose]();
  }
});

test('a slot that moves: commands and blocking commands follow', async () => {
  const redis = cluster();
  await redis.set('{m}k', 1);
  const slot = Number(await admin(servers.nodes[0]?.port as number).cluster('KEYSLOT', '{m}'));
  const from = Number(
    redis.nodes('master').find((node) => redis.slots[slot]?.[0] === `${node.options.host}:${node.options.port}`)
      ?.options.port,
  );
  const to = servers.nodes.find((node) => node.port !== from)?.port as number;
  const waiting = createTask(() => redis.blpop('{m}q', 0));
  await until(async () => /blocked_clients:1/.test(await admin(from).info('clients')), 'the blocked command');
  await redis.del('{m}k');
  await moveSlot(slot, from, to);
  await until(async () => /blocked_clients:1/.test(await admin(to).info('clients')), 'the command on the new node');
  const replies = await createTask(() =>
    Promise.all([redis.set('{m}k', 2), redis.get('{m}k'), redis.rpush('{m}q', 'x')]),
  );
  expect(replies).toEqual(['OK', '2', 1]);
  expect(await waiting).toEqual(['{m}q', 'x']);
  const cancelled = createTask(() => redis.blpop('{m}q', 0));
  await until(async () => /blocked_clients:1/.test(await admin(to).info('clients')), 'the blocked command');
  cancelled.cancel();
  await expect(cancelled).rejects.toSatisfy(isCancelled);
});

test.each([
  ['MOVED', 'a command', (redis: Cluster) => redis.set('{c}cancelled', 1), false],
  ['MOVED', 'a pipeline', (redis: Cluster) => redis.pipeline().set('{c}cancelled', 1).exec(), false],
  ['MOVED', 'a transaction', (redis: Cluster) => redis.multi().set('{c}cancelled', 1).exec(), false],
  ['MOVED', 'an autopipelined command', (redis: Cluster) => redis.set('{c}cancelled', 1), true],
  ['ASK', 'a command', (redis: Cluster) => redis.set('{c}cancelled', 1), false],
  ['ASK', 'an autopipelined command', (redis: Cluster) => redis.set('{c}cancelled', 1), true],
])('after %s, %s that was cancelled is not sent again', async (redirection, _, call, enableAutoPipelining) => {
  const slot = Number(await admin(servers.nodes[0]?.port as number).cluster('KEYSLOT', '{c}'));
  const [from, to] = await placesOf(slot);
  await using proxy = await faultProxy({ host: '127.0.0.1', port: from });
  const natMap = { [`127.0.0.1:${from}`]: { host: '127.0.0.1', port: proxy.port } };
  const redis = cluster({ natMap, enableAutoPipelining });
  await redis.set('{c}k', 1);
  await redis.del('{c}k');
  await (redirection === 'MOVED' ? moveSlot : beginMove)(slot, from, to);
  using watch = await monitor({ host: '127.0.0.1', port: to });
  proxy.hold({ direction: 'toClient' });
  const task = createTask<unknown>(() => call(redis));
  await until(() => proxy.waiting > 0, 'the redirection');
  task.cancel();
  await expect(task).rejects.toSatisfy(isCancelled);
  proxy.release();
  expect(await redis.set('{c}k', 'kept')).toBe('OK');
  await watch.upToNow();
  const sets = watch.seen.filter((line) => line.startsWith('set '));
  expect(sets).toEqual(['set {c}k kept']);
  if (redirection === 'ASK') await moveSlot(slot, from, to);
});

test('locks, transactions, caches and pub/sub work as on one server', async () => {
  const redis = cluster();
  await redis.set('{t}n', 0);
  await taskGroup((group) => {
    for (let i = 0; i < 5; i++) {
      group.createTask(() =>
        redis.transaction(async (tx) => tx.multi().set('{t}n', Number(await tx.get('{t}n')) + 1), {
          watch: ['{t}n'],
          retries: 100,
        }),
      );
    }
  });
  expect(await redis.get('{t}n')).toBe('5');
  await expect(redis.transaction(() => 1)).rejects.toThrow('options.watch must name at least one key');
  expect(await redis.lock('l', {}, ({ token }) => token > 0)).toBe(true);
  expect(await redis.cached('c', 1_000, () => 7)).toBe(7);
  await using plain = redis.listen('plain');
  await using shards = redis.listen(['s1', 's2', 's3'], { sharded: true });
  await Promise.all([plain.ready(), shards.ready()]);
  await redis.publish('plain', 'p');
  for (const channel of ['s1', 's2', 's3']) await redis.spublish(channel, channel);
  for await (const { message } of plain) {
    expect(message).toBe('p');
    break;
  }
  const seen: unknown[] = [];
  for await (const { message } of shards) if (seen.push(message) === 3) break;
  expect(seen.sort()).toEqual(['s1', 's2', 's3']);
});

test('a cluster that is closed says so', async () => {
  const redis = cluster();
  await redis.ping();
  redis.disconnect();
  await expect(createTask(() => redis.blpop('q', 0))).rejects.toThrow('closed');
});
