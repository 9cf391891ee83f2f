import { run } from '@aiokit/core';
import { redis } from '@aiokit/testing/services';
import { expect, it } from 'vitest';
import { main } from './aioredis.ts';

it('row 49: sets a key, gets it, closes', async () => {
  await using server = await redis();
  const lines: string[] = [];
  await run(() => main(server.url, (line) => lines.push(line)));
  expect(lines).toEqual(['value']);
});
