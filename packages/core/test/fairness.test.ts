/** Nobody starves the loop. In real time: this is about Node's own turns. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createTask, Event, Lock, Queue, run, sleep, TimeoutError, timeout } from '@aiokit/core';
import { describe, expect, it } from 'vitest';

const options = { handleSignals: false } as const;

/** Two tasks' worth of work that only ever wakes each other. */
async function pingPong(queue = new Queue<number>(1)): Promise<never> {
  await Promise.all([
    (async () => {
      for (let i = 0; ; i++) await queue.put(i);
    })(),
    (async () => {
      for (;;) await queue.get();
    })(),
  ]);
  throw new Error('unreachable');
}

describe('tasks that only wake each other', () => {
  it('do not outlive their timeout: a producer and a consumer on a Queue(1)', async () => {
    const started = performance.now();
    await expect(run(() => timeout(100, () => pingPong()), options)).rejects.toThrow(TimeoutError);
    const took = performance.now() - started;
    expect(took).toBeGreaterThanOrEqual(99);
    expect(took).toBeLessThan(5_000); // It would be never; a loaded machine is slow.
  });

  it('do not keep timers and I/O of the rest of the process waiting', async () => {
    const server = createServer((_, response) => response.end('ok')).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    const busy = run(() => timeout(5_000, () => pingPong()), { ...options }).catch((error: unknown) => error);
    const response = await fetch(`http://127.0.0.1:${port}/`);
    expect(await response.text()).toBe('ok');
    server.close();
    server.closeAllConnections();
    void busy;
  });

  it('are fair to a third task that sleeps', async () => {
    const ticks: number[] = [];
    await run(async () => {
      const busy = createTask(() => pingPong());
      for (let i = 0; i < 5; i++) {
        const before = performance.now();
        await sleep(5);
        ticks.push(performance.now() - before);
      }
      busy.cancel();
      await busy.catch(() => {});
    }, options);
    expect(Math.max(...ticks)).toBeLessThan(2_000);
  });

  it('on locks and events end at their timeout, too', async () => {
    const lock = new Lock();
    const event = new Event();
    event.set();
    const spin = async () => {
      for (;;) {
        using _ = await lock.acquire();
        await event.wait();
      }
    };
    await expect(run(() => timeout(50, () => Promise.all([spin(), spin()])), options)).rejects.toThrow(TimeoutError);
  });
});
