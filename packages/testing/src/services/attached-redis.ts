import { AttachedServer, type AttachedTo, unreachable } from './attached-server.ts';
import type { RedisServer } from './redis.ts';
import { withRedis } from './redis-client.ts';
import { type RedisDatabase, redisPrefix, reserveDatabase } from './redis-database.ts';

/** Uses a running server: in a numbered database of our own, which is emptied at the end. */
export async function attachRedis(server: AttachedTo): Promise<RedisServer> {
  try {
    const version = await withRedis(
      server.url,
      async (client) => /redis_version:(\S+)/.exec(await client.info('server'))?.[1] ?? 'unknown',
      server.ca,
    );
    return new AttachedRedis(server, version, await reserveDatabase(server.url, server.ca));
  } catch (cause) {
    throw unreachable('Redis', server, cause);
  }
}

class AttachedRedis extends AttachedServer implements RedisServer {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly version: string;
  readonly ca: string | undefined;
  readonly #server: AttachedTo;
  readonly #databases: RedisDatabase[];

  constructor(server: AttachedTo, version: string, first: RedisDatabase) {
    super('Redis', server.because);
    const url = new URL(first.url);
    this.url = first.url;
    this.host = url.hostname;
    this.port = Number(url.port || 6379);
    this.version = version;
    this.ca = server.ca;
    this.#server = server;
    this.#databases = [first];
  }

  get socket(): string {
    throw this.refusal('socket');
  }

  async database(): Promise<RedisDatabase> {
    const database = await reserveDatabase(this.#server.url, this.ca);
    this.#databases.push(database);
    return database;
  }

  prefix(): string {
    return redisPrefix();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const database of this.#databases) await database[Symbol.asyncDispose]();
  }
}
