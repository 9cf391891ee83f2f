import { createTask, isCancelled, timeout } from '@aiokit/core';
import { expect, test, vi } from 'vitest';
import { useServer } from './support/clients.ts';
import { monitor } from './support/monitor.ts';

const use = useServer();

test('a deadline becomes the limit of WAIT and WAITAOF, unless theirs is earlier', async () => {
  const redis = use.client();
  using watch = await monitor(use.server);
  expect(await timeout(60_000, () => redis.wait(1, 20))).toBe(0);
  expect(await timeout(60_000, () => redis.call('WAIT', 1, 20))).toBe(0);
  expect(await createTask(() => redis.wait(1, 20))).toBe(0);
  const task = createTask(() => timeout(60_000, () => redis.wait(0, 0)));
  expect(await task).toBe(0);
  await watch.upToNow();
  const waits = watch.seen.filter((line) => /^wait/i.test(line)).map((line) => line.toLowerCase());
  expect(waits.slice(0, 3)).toEqual(['wait 1 20', 'wait 1 20', 'wait 1 20']);
  expect(Number(waits[3]?.split(' ')[2])).toBeGreaterThan(50_000);
});

test('it stays on the connection that wrote, and its neighbours wait for the server’s limit, not for ever', async () => {
  const redis = use.client();
  await redis.set('k', 'v');
  const waiting = createTask(() => timeout(400, () => redis.wait(1, 0)));
  await use.untilBlocked(1);
  expect(await redis.get('k')).toBe('v');
  expect(await use.connections()).toBe(1);
  // The server's answer and our own timer come at the same time.
  const outcome = await waiting.catch((error: unknown) => (error as { code?: string }).code);
  expect([0, 'ETIMEDOUT']).toContain(outcome);
});

test('without any limit it is told loudly, once', async () => {
  const redis = use.client();
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  try {
    for (let i = 0; i < 2; i++) {
      const task = createTask(() => redis.wait(1, 0));
      await use.untilBlocked(1);
      task.cancel();
      await expect(task).rejects.toSatisfy(isCancelled);
      await use.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      expect(await redis.ping()).toBe('PONG');
    }
    expect(warn).toHaveBeenCalledOnce();
    expect(warn.mock.calls[0]?.[0]).toContain('WAIT without a limit holds up everybody who uses this connection');
  } finally {
    warn.mockRestore();
  }
});
