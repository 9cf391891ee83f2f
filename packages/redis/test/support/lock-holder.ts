/**
 * A process that holds a lock and writes to what the lock protects when it is told to, whatever it knows of the lock: a
 * paused process cannot know. Arguments: port, ttl.
 */
import { createTask, sleep } from '@aiokit/core';
import { LockLostError, Redis } from '@aiokit/redis';

const [port, ttl] = process.argv.slice(2).map(Number) as [number, number];
const redis = new Redis(port);
redis.on('error', () => {});
const tell = (message: object) => process.send?.(message);

createTask(() =>
  redis.lock('l', { ttl }, async ({ token }) => {
    process.on('message', () => tell({ write: token }));
    tell({ token });
    await sleep(600_000);
  }),
).catch((error: unknown) => tell({ lost: error instanceof LockLostError }));
