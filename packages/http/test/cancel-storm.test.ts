import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { CancelledError, createTask, sleep, type Task } from '@aiokit/core';
import { ClientSession } from '@aiokit/http';
import { expect, test } from 'vitest';
import { eventually } from './support/eventually.ts';

/** `AIOKIT_CANCELS=50000` for the whole storm. */
const CANCELS = Number(process.env.AIOKIT_CANCELS ?? 2_000);
const BATCH = 500;

function memory(): number {
  globalThis.gc?.();
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

const openSockets = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;

/** Cancels each task at another moment: in line, connecting, waiting, reading. */
async function batch(session: ClientSession): Promise<number> {
  const tasks = Array.from({ length: BATCH }, (_, i) => {
    const path = i % 3 === 0 ? '/slow' : '/';
    return createTask(() => session.get(path).text()) as Task<string>;
  });
  for (const [i, task] of tasks.entries()) {
    if (i % 20 === 0) await sleep(i % 40 === 0 ? 0 : 1);
    task.cancel();
  }
  let cancelled = 0;
  for (const { status, ...rest } of await Promise.allSettled(tasks)) {
    if (status === 'fulfilled') continue;
    expect((rest as PromiseRejectedResult).reason).toBeInstanceOf(CancelledError);
    cancelled++;
  }
  return cancelled;
}

test(
  `${CANCELS} cancels under load leave sockets and memory flat`,
  async () => {
    const server = fork(fileURLToPath(new URL('programs/storm-server.ts', import.meta.url)), { execArgv: [] });
    try {
      const [url] = (await once(server, 'message')) as [string];
      const before = openSockets();
      await using session = new ClientSession({ baseUrl: url, limit: 100 });
      const heap: number[] = [];
      for (let cancelled = 0; cancelled < CANCELS; ) {
        cancelled += await batch(session);
        await eventually(() => expect(session.statistics()).toEqual({ active: 0, waiting: 0 }));
        heap.push(memory());
      }
      // What is left are idle connections that are kept, at most as many as the limit.
      await eventually(() => expect(openSockets() - before).toBeLessThanOrEqual(100));
      // The second batch has warmed everything up.
      const growth = (heap.at(-1) as number) - (heap[1] as number);
      const sockets = openSockets() - before;
      if (process.env.AIOKIT_CANCELS)
        console.log(`heap + ${(growth / 2 ** 20).toFixed(2)} MiB, ${sockets} idle sockets`);
      expect(growth).toBeLessThan(4 * 2 ** 20);
      expect(await session.get('/').text()).toBe('halfwhole');
      await session.close();
      await eventually(() => expect(openSockets()).toBeLessThanOrEqual(before));
    } finally {
      server.kill();
    }
  },
  120_000 + CANCELS * 10,
);
