import { createTask, isCancelled } from '@aiokit/core';
import { redisSentinel } from '@aiokit/testing/services';
import { expect, test } from 'vitest';
import { LockTimeoutError, Redis } from '../src/index.ts';
import { until } from './support/clients.ts';

test('through a failover: commands go on, a cancelled blocking command says maybeLost or is clean, locks are fenced', {
  timeout: 60_000,
}, async () => {
  await using group = await redisSentinel();
  const sentinels = group.sentinels.map(({ host, port }) => ({ host, port }));
  const redis = new Redis({
    sentinels,
    name: group.name,
    retryStrategy: () => 50,
    sentinelRetryStrategy: () => 50,
    maxRetriesPerRequest: null,
  });
  redis.on('error', () => {});
  try {
    await until(async () => (await redis.info('replication')).includes('state=online'), 'the replica');
    const before = await redis.lock('l', { ttl: 6_000, replicas: 1 }, ({ token }) => token);
    // A lock that a replica has is not forgotten by the failover.
    const held = await redis.lock('held', { ttl: 60_000, replicas: 1 }).acquire();
    const kept = createTask(() => redis.blpop('kept', 0));
    const cancelled = createTask(() => redis.blpop('cancelled', 0));
    await until(async () => /blocked_clients:2/.test(await redis.info('clients')), 'the blocked commands');
    await group.master.kill();
    cancelled.cancel();
    await expect(cancelled).rejects.toSatisfy(isCancelled);
    const promoted = new Redis({ host: group.replica.host, port: group.replica.port });
    promoted.on('error', () => {});
    try {
      await until(async () => ((await promoted.role()) as [string])[0] === 'master', 'the new master');
      await until(
        async () => /blocked_clients:1/.test(await promoted.info('clients')),
        'the command on the new master',
      );
      expect(await createTask(() => redis.rpush('kept', 'x'))).toBe(1);
      expect(await kept).toEqual(['kept', 'x']);
      expect(await redis.lock('l', { ttl: 6_000 }, ({ token }) => token)).toBeGreaterThan(before);
      await expect(redis.lock('held', { wait: 0 }).acquire()).rejects.toBeInstanceOf(LockTimeoutError);
      expect(held.isHeld()).toBe(true);
      await held.release();
      await expect(redis.lock('l', { ttl: 600, replicas: 1 }, () => {})).rejects.toThrow(
        'reached only 0 of the 1 replicas',
      );
    } finally {
      promoted.disconnect();
    }
  } finally {
    redis.disconnect();
  }
});
