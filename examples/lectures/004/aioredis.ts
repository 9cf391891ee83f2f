// Row 49: aioredis's first program: a client, set, get, close. Here the client is ioredis, with tasks.
import { run } from '@aiokit/core';
import { Redis } from '@aiokit/redis';
import { isProgram, type Print } from '../program.ts';

export async function main(url: string, print: Print): Promise<void> {
  const redis = new Redis(url);
  try {
    await redis.set('my-key', 'value');
    print(String(await redis.get('my-key')));
  } finally {
    await redis.quit();
  }
}

if (isProgram(import.meta)) await run(() => main(process.env.REDIS_URL ?? 'redis://localhost', console.log));
