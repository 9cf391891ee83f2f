import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { withRedis } from './redis-client.ts';

/** A numbered database of its own for a test. Disposing of it empties it and gives the number back. */
export interface RedisDatabase extends AsyncDisposable {
  /** Where a client connects to; ends with the number. */
  readonly url: string;
  readonly index: number;
}

/** A key prefix that no other test has. */
export function redisPrefix(): string {
  return `aiokit:${randomBytes(6).toString('hex')}:`;
}

// In database 0: who has which. Redis itself decides, so test files in any number of processes can share a server.
const reservation = (index: number) => `aiokit:services:database:${index}`;

// Seconds. A process that died cannot give its number back.
const RESERVED_FOR = 24 * 60 * 60;

/** Reserves the lowest numbered database, but 0, that nobody has and that is empty. */
export async function reserveDatabase(serverUrl: string, ca?: string): Promise<RedisDatabase> {
  const root = withIndex(serverUrl, 0);
  const index = await withRedis(root, reserve, ca);
  let givenBack: Promise<void> | undefined;
  return {
    index,
    url: withIndex(serverUrl, index),
    [Symbol.asyncDispose]: () => {
      givenBack ??= withRedis(root, (client) => giveBack(client, index), ca);
      return givenBack;
    },
  };
}

async function reserve(client: Redis): Promise<number> {
  for (let index = 1; await exists(client, index); index++) {
    await client.select(0);
    if ((await client.set(reservation(index), process.pid, 'EX', RESERVED_FOR, 'NX')) === null) continue;
    await client.select(index);
    if ((await client.dbsize()) === 0) return index;
    await client.select(0);
    await client.del(reservation(index));
  }
  const { host, port } = client.options;
  throw new Error(
    `All databases of the Redis at ${host}:${port} are in use: dispose of those that are done with, or give it more with the setting "databases".`,
  );
}

async function exists(client: Redis, index: number): Promise<boolean> {
  try {
    await client.select(index);
    return true;
  } catch (error) {
    if (/index is out of range/.test(String(error))) return false;
    throw error;
  }
}

async function giveBack(client: Redis, index: number): Promise<void> {
  await client.select(index);
  await client.flushdb();
  await client.select(0);
  await client.del(reservation(index));
}

function withIndex(url: string, index: number): string {
  const changed = new URL(url);
  changed.pathname = `/${index}`;
  return changed.href;
}
