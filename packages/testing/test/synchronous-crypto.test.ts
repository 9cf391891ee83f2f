import { pbkdf2, randomBytes, randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { getRunningLoop, run, sleep, timeout } from '@aiokit/core';
import { VirtualClock } from '@aiokit/testing';
import { expect, test } from 'vitest';

test('random bytes that were made at once do not hold virtual time; an asynchronous job does', async () => {
  const clock = new VirtualClock();
  await run(
    async () => {
      randomUUID();
      randomBytes(16);
      await sleep(1_000);
      await timeout(1, () => promisify(pbkdf2)('secret', 'salt', 20_000, 16, 'sha1'));
      expect(getRunningLoop().time()).toBe(1_000);
    },
    { clock, handleSignals: false },
  );
});
