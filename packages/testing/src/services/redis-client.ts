import type { Redis } from 'ioredis';
import { missing } from './optional-package.ts';

/** Runs `body` with a connection of its own: a lasting one would be seen in CLIENT LIST, and die when the test kills the server. */
export async function withRedis<T>(url: string, body: (client: Redis) => Promise<T>, ca?: string): Promise<T> {
  const { Redis } = await import('ioredis').catch(missing('ioredis'));
  const client = new Redis(url, {
    lazyConnect: true,
    retryStrategy: () => null,
    connectionName: 'aiokit-services',
    ...(ca === undefined ? {} : { tls: { ca } }),
  });
  // connect() rejects with "Connection is closed." whatever happened; the reason comes as an event.
  let reason: unknown;
  client.on('error', (error) => {
    reason = error;
  });
  try {
    await client.connect();
    return await body(client);
  } catch (error) {
    throw reason ?? error;
  } finally {
    client.disconnect();
  }
}
