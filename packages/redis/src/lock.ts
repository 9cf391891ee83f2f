import { randomUUID } from 'node:crypto';
import { getRunningLoop, protect, sleep } from '@aiokit/core';
import { checkCount, checkFunction, checkMs, checkName } from './check.ts';
import { LockTimeoutError } from './errors.ts';
import { goodUntil, Hold, type Holding } from './hold.ts';

export interface LockOptions {
  /** After how many ms without renewal (every third of it) the server forgets it. Default: 10,000. */
  ttl?: number;
  /** How many ms to wait for it at most; 0 to try once. Default: no limit. */
  wait?: number;
  /**
   * How many replicas must have it before it counts as held (WAIT). Without, a failover can forget a lock that was just
   * taken, since replication is asynchronous. With, it can still do so if the replica that takes over is not among those. Default: 0.
   */
  replicas?: number;
}

/** After a cancel, how many ms an answer that may be the lock is waited for. */
const CLEANUP = 2_000;

/** What this package calls on the client. */
export interface ScriptClient {
  eval(script: string, numberOfKeys: number, ...args: (string | number)[]): Promise<unknown>;
  pipeline(): {
    eval(script: string, numberOfKeys: number, ...args: (string | number)[]): unknown;
    wait(replicas: number, ms: number): unknown;
    exec(): Promise<[Error | null, unknown][] | null>;
  };
}

/**
 * A lock, or a semaphore, on the server. It does nothing until it is run or acquired.
 *
 * @see https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html for what a token is for
 */
export class DistributedLock {
  private readonly holding: Holding;
  private readonly wait: number;

  /** @internal */
  constructor(holding: Holding, wait: number) {
    this.holding = holding;
    this.wait = wait;
  }

  /**
   * Runs `body` while it is held. When it is lost everything in the body is cancelled, and the result is a
   * {@link LockLostError}. A cancel while it waits leaves nothing behind; a cancel of the body gives it back first.
   *
   * @throws {@link LockTimeoutError} if it did not become free within `wait` ms.
   */
  async run<R>(body: (hold: Hold) => R): Promise<Awaited<R>> {
    checkFunction(body, 'body');
    const hold = await this.acquire();
    return await hold.run(body);
  }

  /**
   * Waits until it is ours: `await using hold = await redis.lock('name').acquire()`. If it is lost, `hold.signal` aborts.
   *
   * @throws {@link LockTimeoutError} if it did not become free within `wait` ms.
   */
  async acquire(): Promise<Hold> {
    const { holding } = this;
    const owner = randomUUID();
    const loop = getRunningLoop();
    const until = loop.time() + this.wait;
    for (let tries = 0; ; tries++) {
      const asked = loop.time();
      // To its end, also when cancelled: an answer that nobody hears would leave a lock behind.
      const grace = Math.min(holding.ttl, CLEANUP);
      const token = await protect(() => holding.take(owner), { grace });
      if (token > 0) {
        const good = goodUntil(asked, holding.ttl);
        if (loop.time() < good) return new Hold(holding, owner, token, good);
        await protect(() => holding.giveBack(owner), { grace }); // The answer took as long as the lock lives.
      }
      const left = until - loop.time();
      if (left <= 0) throw new LockTimeoutError(holding.name, this.wait);
      const pause = Math.min(2 ** Math.min(tries, 6) * (0.5 + Math.random()), Math.max(1, -token), left);
      await sleep(pause);
    }
  }
}

/** @internal */
export function lock(client: ScriptClient, name: string, options: LockOptions = {}): DistributedLock {
  const { ttl, wait } = checked(name, options);
  const keys = [`lock:{${name}}`, `lock:{${name}}:token`] as const;
  return new DistributedLock(
    {
      name,
      ttl,
      take: (owner) => taken(client, options.replicas ?? 0, ttl, TAKE_LOCK, keys, [owner, ttl]),
      renew: async (owner) => (await client.eval(RENEW_LOCK, 1, keys[0], owner, ttl)) === 1,
      giveBack: (owner) => client.eval(RELEASE_LOCK, 1, keys[0], owner),
    },
    wait,
  );
}

/** @internal */
export function semaphore(
  client: ScriptClient,
  name: string,
  limit: number,
  options: LockOptions = {},
): DistributedLock {
  checkCount(limit, 'limit', 1);
  const { ttl, wait } = checked(name, options);
  const keys = [`semaphore:{${name}}`, `semaphore:{${name}}:token`] as const;
  return new DistributedLock(
    {
      name,
      ttl,
      take: (owner) => taken(client, options.replicas ?? 0, ttl, TAKE_SLOT, keys, [owner, ttl, limit]),
      renew: async (owner) => (await client.eval(RENEW_SLOT, 1, keys[0], owner, ttl)) === 1,
      giveBack: (owner) => client.eval(RELEASE_SLOT, 1, keys[0], owner),
    },
    wait,
  );
}

function checked(name: string, options: LockOptions) {
  if (typeof options !== 'object') {
    throw new TypeError(`options must be an object (the body comes after it), got ${String(options)}`);
  }
  const { ttl = 10_000, wait = Infinity, replicas = 0 } = options;
  checkName(name, 'name');
  checkMs(ttl, 'options.ttl', 10);
  checkMs(wait, 'options.wait');
  checkCount(replicas, 'options.replicas', 0);
  return { ttl: Math.floor(ttl), wait };
}

async function taken(
  client: ScriptClient,
  replicas: number,
  ttl: number,
  script: string,
  keys: readonly [string, string],
  args: readonly (string | number)[],
): Promise<number> {
  if (replicas === 0) return Number(await client.eval(script, 2, ...keys, ...args));
  const pipeline = client.pipeline();
  pipeline.eval(script, 2, ...keys, ...args);
  pipeline.wait(replicas, Math.ceil(ttl / 3));
  const [take, wait] = (await pipeline.exec()) ?? [];
  for (const result of [take, wait]) if (result?.[0]) throw result[0];
  const token = Number(take?.[1]);
  if (token <= 0 || Number(wait?.[1]) >= replicas) return token;
  const [owner] = args as [string];
  await client.eval(script === TAKE_LOCK ? RELEASE_LOCK : RELEASE_SLOT, 1, keys[0], owner);
  throw new Error(`The lock reached only ${wait?.[1]} of the ${replicas} replicas that options.replicas asks for`);
}

/**
 * The token is the server's time in µs, or the last one plus one. A counter alone would go back when a failover loses its
 * last step; this goes back only if the new master's clock is behind the old one's by more than the failover took.
 */
const TOKEN = `
  local time = redis.call('TIME')
  local token = math.max(time[1] * 1000000 + time[2], tonumber(redis.call('GET', KEYS[2]) or '0') + 1)
  redis.call('SET', KEYS[2], string.format('%.0f', token))
  return token`;

/** Ours already: a reply was lost with its connection, and ioredis asks again. */
const TAKE_LOCK = `
  local owner = redis.call('GET', KEYS[1])
  if owner and owner ~= ARGV[1] then return -redis.call('PTTL', KEYS[1]) end
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  ${TOKEN}`;

const RENEW_LOCK = `
  if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
  return 0`;

const RELEASE_LOCK = `
  if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
  return 0`;

const NOW = `
  local clock = redis.call('TIME')
  local now = clock[1] * 1000 + math.floor(clock[2] / 1000)`;

/** The whole set lives as long as its longest member. */
const KEEP = `
  if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end`;

const TAKE_SLOT = `
  ${NOW}
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
  if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then
    return now - tonumber(redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2])
  end
  redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
  ${KEEP}
  ${TOKEN}`;

const RENEW_SLOT = `
  ${NOW}
  local expires = redis.call('ZSCORE', KEYS[1], ARGV[1])
  if not expires or tonumber(expires) <= now then return 0 end
  redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
  ${KEEP}
  return 1`;

const RELEASE_SLOT = `return redis.call('ZREM', KEYS[1], ARGV[1])`;
