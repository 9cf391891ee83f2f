import { eventually } from '../real-time.ts';
import { startRedis } from './own-redis.ts';
import type { RedisServer, RedisSettings } from './redis.ts';
import { installedRedis, type RedisBinary } from './redis-binary.ts';
import { withRedis } from './redis-client.ts';
import { redisPrefix } from './redis-database.ts';
import { startAll, stopAll } from './several.ts';

export interface RedisSentinelOptions {
  /** Directives of redis.conf for the master and the replica. */
  readonly settings?: RedisSettings;
}

/** A master, its replica, and three sentinels that watch them. Disposing of it ends them all. */
export interface RedisSentinel extends AsyncDisposable {
  /** What the sentinels call the master. */
  readonly name: string;
  /** The one that began as the master. */
  readonly master: RedisServer;
  /** The one that began as its replica. */
  readonly replica: RedisServer;
  /** What ioredis takes as `sentinels`. */
  readonly sentinels: readonly RedisServer[];
  /** A key prefix that no other test has. */
  prefix(): string;
}

const NAME = 'aiokit';
const SENTINELS = 3;
const QUORUM = 2;

// Real milliseconds. Without an answer for so long the master counts as down.
const DOWN_AFTER = 500;
const FAILOVER_LIMIT = 5_000;
const START_LIMIT = 30_000;

/**
 * Starts a Redis with a replica and three sentinels that live for a test. Resolves when the sentinels know each other and the replica,
 * which takes about two seconds. When the master is killed then, they make the replica the master in about four.
 *
 * @throws {Error} when there is no redis-server on this machine, or they do not find each other
 * @example
 * await using group = await redisSentinel();
 * const client = new Redis({ sentinels: [...group.sentinels], name: group.name });
 * await group.master.kill();
 * @see https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/
 */
export async function redisSentinel({ settings }: RedisSentinelOptions = {}): Promise<RedisSentinel> {
  const binary = await installedRedis();
  const started: RedisServer[] = [];
  try {
    const master = await startRedis(binary, { settings });
    started.push(master);
    const replicaof = `${master.host} ${master.port}`;
    const replica = await startRedis(binary, { settings: { ...settings, replicaof } });
    started.push(replica);
    const sentinels = await startAll(SENTINELS, () => startSentinel(binary, master));
    started.push(...sentinels);
    await Promise.all(sentinels.map(knowsAll));
    return {
      name: NAME,
      master,
      replica,
      sentinels,
      prefix: redisPrefix,
      [Symbol.asyncDispose]: () => stopAll(started),
    };
  } catch (error) {
    await stopAll(started);
    throw error;
  }
}

function startSentinel(binary: RedisBinary, { host, port }: RedisServer): Promise<RedisServer> {
  const sentinel = [
    `monitor ${NAME} ${host} ${port} ${QUORUM}`,
    `down-after-milliseconds ${NAME} ${DOWN_AFTER}`,
    `failover-timeout ${NAME} ${FAILOVER_LIMIT}`,
  ];
  return startRedis(binary, { sentinel: true, settings: { sentinel } });
}

async function knowsAll(sentinel: RedisServer): Promise<void> {
  const known = await withRedis(sentinel.url, (client) =>
    eventually(
      async () => {
        const master = fields(await client.call('SENTINEL', 'MASTER', NAME));
        return master.get('num-other-sentinels') === String(SENTINELS - 1) && master.get('num-slaves') === '1';
      },
      { every: 50, limit: START_LIMIT },
    ),
  );
  if (known) return;
  throw new Error(
    `The sentinel on port ${sentinel.port} did not find the others in ${START_LIMIT / 1000} s:\n${await sentinel.log()}`,
  );
}

/** A reply of names and values in turn. */
function fields(reply: unknown): Map<string, string> {
  const flat = reply as string[];
  return new Map(flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1] as string] as const] : [])));
}
