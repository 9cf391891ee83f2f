import { redisCluster } from '@aiokit/testing/services';
import { Cluster } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { eventually } from './support/eventually.ts';
import { isRunning } from './support/processes.ts';
import { connected } from './support/redis.ts';

describe('redisCluster()', { timeout: 30_000 }, () => {
  it('starts three masters that share the slots', async () => {
    await using cluster = await redisCluster();
    expect(cluster.nodes).toHaveLength(3);
    const client = new Cluster([...cluster.nodes]);
    const prefix = cluster.prefix();
    for (let i = 0; i < 100; i++) await client.set(`${prefix}${i}`, i);
    expect(await client.get(`${prefix}42`)).toBe('42');
    client.disconnect();
    const sizes = await Promise.all(
      cluster.nodes.map(async (node) => {
        await using direct = await connected(node.url);
        return direct.dbsize();
      }),
    );
    expect(sizes.reduce((sum, size) => sum + size)).toBe(100);
    expect(sizes.every((size) => size > 0)).toBe(true);
  });

  it('fails over to a replica when a master is killed', async () => {
    await using cluster = await redisCluster({ replicas: 1 });
    const [first, , , replica] = cluster.nodes;
    await first?.kill();
    await using client = await connected(replica?.url as string);
    await eventually(() => client.info('replication')).toContain('role:master');
    await eventually(() => client.cluster('INFO')).toContain('cluster_state:ok');
  });

  it('ends all its nodes', async () => {
    const cluster = await redisCluster({ nodes: 3 });
    const pids = cluster.nodes.map((node) => node.pid as number);
    expect(pids.filter(isRunning)).toEqual(pids);
    await cluster[Symbol.asyncDispose]();
    await cluster[Symbol.asyncDispose]();
    expect(pids.filter(isRunning)).toEqual([]);
  });

  it('says what a bad option is', async () => {
    await expect(redisCluster({ nodes: 0 })).rejects.toThrow('nodes must be a whole number from 1 on, received 0.');
    await expect(redisCluster({ replicas: 0.5 })).rejects.toThrow(
      'replicas must be a whole number from 0 on, received 0.5.',
    );
  });
});
