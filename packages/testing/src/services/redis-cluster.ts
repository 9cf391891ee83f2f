import type { Redis } from 'ioredis';
import { eventually } from '../real-time.ts';
import { startRedis } from './own-redis.ts';
import type { RedisServer, RedisSettings } from './redis.ts';
import { installedRedis } from './redis-binary.ts';
import { withRedis } from './redis-client.ts';
import { redisPrefix } from './redis-database.ts';
import { startAll, stopAll } from './several.ts';

export interface RedisClusterOptions {
  /** How many masters share the slots: 3 by default. */
  readonly nodes?: number;
  /** How many replicas each master has: 0 by default. */
  readonly replicas?: number;
  /** Directives of redis.conf for every node. A master counts as failed after a second: `cluster-node-timeout`. */
  readonly settings?: RedisSettings;
}

/** A running Redis Cluster. Disposing of it ends all nodes and removes their data. */
export interface RedisCluster extends AsyncDisposable {
  /** The masters in the order of their slots, then the replicas: what ioredis's `Cluster` takes. */
  readonly nodes: readonly RedisServer[];
  /** A key prefix that no other test has. */
  prefix(): string;
}

const SLOTS = 16_384;

// Real milliseconds: nodes hear of each other by gossip.
const START_LIMIT = 30_000;

/**
 * Starts a Redis Cluster that lives for a test: each node is a `redis()` of its own, the slots are dealt out evenly. Resolves when all nodes
 * agree that it is ok.
 *
 * @throws {Error} when there is no redis-server on this machine, or the cluster does not come up
 * @throws {RangeError} for a bad option
 * @example
 * await using cluster = await redisCluster();
 * const client = new Cluster([...cluster.nodes]);
 * @see https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
 */
export async function redisCluster(options: RedisClusterOptions = {}): Promise<RedisCluster> {
  const { nodes: masterCount = 3, replicas = 0 } = options;
  checkCount('nodes', masterCount, 1);
  checkCount('replicas', replicas, 0);
  const settings = { 'cluster-enabled': 'yes', 'cluster-node-timeout': 1000, ...options.settings };
  const binary = await installedRedis();
  const nodes = await startAll(masterCount * (1 + replicas), () => startRedis(binary, { settings }));
  try {
    const masters = nodes.slice(0, masterCount);
    await Promise.all(masters.map((master, index) => dealSlots(master, index, masterCount)));
    await introduce(nodes);
    await Promise.all(
      nodes.slice(masterCount).map((node, index) => follow(node, masters[index % masterCount] as RedisServer)),
    );
  } catch (error) {
    await stopAll(nodes);
    throw error;
  }
  return { nodes, prefix: redisPrefix, [Symbol.asyncDispose]: () => stopAll(nodes) };
}

async function dealSlots(master: RedisServer, index: number, count: number): Promise<void> {
  const [first, end] = [index, index + 1].map((n) => Math.floor((n * SLOTS) / count)) as [number, number];
  await withRedis(master.url, async (client) => {
    await client.call('CLUSTER', 'ADDSLOTSRANGE', first, end - 1);
    await client.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
  });
}

/** Lets all nodes know each other. */
async function introduce(nodes: readonly RedisServer[]): Promise<void> {
  const [first, ...others] = nodes as [RedisServer, ...RedisServer[]];
  await withRedis(first.url, async (client) => {
    for (const { host, port } of others) await client.call('CLUSTER', 'MEET', host, port);
  });
  await Promise.all(
    nodes.map((node) =>
      until(node, 'did not join the cluster', async (client) => {
        const info = String(await client.call('CLUSTER', 'INFO'));
        return info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${nodes.length}\r`);
      }),
    ),
  );
}

async function follow(replica: RedisServer, master: RedisServer): Promise<void> {
  const id = await withRedis(master.url, (client) => client.call('CLUSTER', 'MYID'));
  await withRedis(replica.url, (client) => client.call('CLUSTER', 'REPLICATE', String(id)));
  await until(replica, 'does not follow its master', async (client) =>
    (await client.info('replication')).includes('master_link_status:up'),
  );
}

async function until(
  node: RedisServer,
  otherwise: string,
  condition: (client: Redis) => Promise<boolean>,
): Promise<void> {
  const holds = await withRedis(node.url, (client) =>
    eventually(() => condition(client), { every: 20, limit: START_LIMIT }),
  );
  if (!holds)
    throw new Error(`The Redis on port ${node.port} ${otherwise} in ${START_LIMIT / 1000} s:\n${await node.log()}`);
}

function checkCount(name: string, value: number, least: number): void {
  if (Number.isInteger(value) && value >= least) return;
  throw new RangeError(`${name} must be a whole number from ${least} on, received ${value}.`);
}
