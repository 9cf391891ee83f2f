import { Redis, type RedisOptions } from 'ioredis';

export type DisposableRedis = Redis & AsyncDisposable;

/** A connected client that does not reconnect, and ends with its scope. */
export async function connected(
  url: string,
  options: Omit<RedisOptions, 'replyMapping'> = {},
): Promise<DisposableRedis> {
  const client = new Redis(url, { retryStrategy: () => null, maxRetriesPerRequest: 0, ...options, lazyConnect: true });
  client.on('error', () => {}); // a test that cares listens itself
  await client.connect();
  const dispose = async () => client.disconnect();
  return Object.assign(client, { [Symbol.asyncDispose]: dispose });
}
