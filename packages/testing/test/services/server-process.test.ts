import { pbkdf2 } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { ServerProcess } from '../../src/services/server-process.ts';

it('a server that has ended before anybody could look did not start', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'aiokit-test-process-'));
  const program = new ServerProcess({
    name: 'The server',
    command: '/bin/sh',
    args: ['-c', 'echo no such directive >&2; exit 1'],
    directory,
    stopSignal: 'SIGTERM',
    isReady: async () => false,
  });
  try {
    const starting = program.start(); // It has asked one of Node's four threads to open the log.
    // To close it again takes until these are done: the program has ended by then.
    const busy = Array.from({ length: 8 }, () => promisify(pbkdf2)('password', 'salt', 200_000, 64, 'sha512'));
    await expect(starting).rejects.toThrow(
      'The server (/bin/sh) ended while starting. Its log ends with:\nno such directive',
    );
    await Promise.all(busy);
  } finally {
    await rm(directory, { recursive: true });
  }
});
