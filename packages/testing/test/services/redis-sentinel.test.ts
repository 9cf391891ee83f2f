import { redisSentinel } from '@aiokit/testing/services';
import { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { isRunning } from './support/processes.ts';

describe('redisSentinel()', { timeout: 30_000 }, () => {
  it('leads to the master, and to the replica when the master is killed', async () => {
    await using group = await redisSentinel();
    const client = new Redis({
      sentinels: [...group.sentinels],
      name: group.name,
      retryStrategy: () => 50,
      maxRetriesPerRequest: null,
    });
    client.on('error', () => {});
    try {
      expect(await client.info('server')).toContain(`process_id:${group.master.pid}`);
      await client.set('key', 'value');
      await client.wait(1, 5_000);
      await group.master.kill();
      expect(await client.info('server')).toContain(`process_id:${group.replica.pid}`);
      expect(await client.get('key')).toBe('value');
    } finally {
      client.disconnect();
    }
  });

  it('ends all its servers', async () => {
    const group = await redisSentinel();
    const pids = [group.master, group.replica, ...group.sentinels].map((server) => server.pid as number);
    expect(pids.filter(isRunning)).toHaveLength(5);
    await group[Symbol.asyncDispose]();
    await group[Symbol.asyncDispose]();
    expect(pids.filter(isRunning)).toEqual([]);
  });
});
