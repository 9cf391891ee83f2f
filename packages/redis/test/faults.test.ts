import { createTask, isCancelled, sleep, taskGroup } from '@aiokit/core';
import { faultProxy } from '@aiokit/testing/services';
import { describe, expect, test } from 'vitest';
import type { Redis } from '../src/index.ts';
import { until, useServer } from './support/clients.ts';

const use = useServer({ settings: { appendonly: 'yes', appendfsync: 'always' } });

/** Tries again until the server is there: what an application does. */
async function persist<R>(work: () => Promise<R>): Promise<R> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (isCancelled(error)) throw error;
      await sleep(5);
    }
  }
}

function resilient(): Redis {
  return use.client({ retryStrategy: () => 10, maxRetriesPerRequest: null });
}

describe('kill -9 of the server, with cancels all along', () => {
  test('BLMOVE: every element is in the one list or in the other, once', { timeout: 40_000 }, async () => {
    const redis = resilient();
    const count = 200;
    let stop = false;
    await taskGroup((group) => {
      for (let lane = 0; lane < 3; lane++) {
        group.createTask(async () => {
          while (!stop) {
            const move = createTask(() => redis.blmove('q', 'done', 'LEFT', 'RIGHT', 0));
            await sleep(Math.random() * 4);
            move.cancel();
            await move.catch(() => {});
          }
        });
      }
      group.createTask(async () => {
        for (let i = 0; i < count; i++) {
          // A push whose reply was lost may have happened: it is looked for before it is tried again.
          await persist(async () => {
            const everywhere = await use.admin.multi().lpos('q', `${i}`).lpos('done', `${i}`).exec();
            if (everywhere?.every(([, position]) => position === null)) await use.admin.rpush('q', i);
          });
          if (i === 60 || i === 140) {
            await use.server.kill();
            await use.server.restart();
          }
        }
        await persist(() => until(async () => (await use.admin.llen('q')) === 0, 'the last move'));
        stop = true;
      });
    });
    const done = (await use.admin.lrange('done', 0, -1)).map(Number);
    expect(done.sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i));
  });

  test('streams: every entry is handled, and acknowledged only then', { timeout: 40_000 }, async () => {
    const redis = resilient();
    const handled = new Set<string>();
    await use.admin.xgroup('CREATE', 's', 'g', '0', 'MKSTREAM');
    await taskGroup(async (group) => {
      const consumer = group.createTask(() =>
        persist(() =>
          redis.consume(
            's',
            'g',
            'c',
            async ({ fields }) => {
              await sleep(1);
              handled.add(fields.n as string);
            },
            { minIdle: 100, onError: () => {} },
          ),
        ),
      );
      for (let i = 0; i < 200; i++) {
        await persist(() => use.admin.xadd('s', '*', 'n', i));
        if (i === 80 || i === 150) {
          await use.server.kill();
          await use.server.restart();
        }
      }
      await until(() => handled.size === 200, 'all entries');
      await until(async () => ((await use.admin.xpending('s', 'g')) as [number])[0] === 0, 'all acknowledgements');
      consumer.cancel();
    });
  });
});

test('connections that break again and again: neighbours’ replies never shift', async () => {
  await using proxy = await faultProxy(use.server);
  const redis = use.client({ port: proxy.port, retryStrategy: () => 5, maxRetriesPerRequest: null });
  let stop = false;
  let replies = 0;
  await taskGroup((group) => {
    for (let lane = 0; lane < 5; lane++) {
      group.createTask(async () => {
        for (let i = 0; !stop; i++) {
          const text = `${lane}:${i}`;
          const echo = createTask(() => redis.echo(text));
          if (i % 3 === 0) await sleep(0);
          if (i % 5 === 0) echo.cancel();
          const reply = await echo.catch(() => text);
          expect(reply).toBe(text);
          replies++;
        }
      });
    }
    group.createTask(async () => {
      for (let i = 1; i <= 30; i++) {
        await until(() => replies >= i * 10, 'replies between two cuts');
        proxy.cut();
      }
      stop = true;
    });
  });
  expect(replies).toBeGreaterThanOrEqual(300);
});

test('a server that hangs: a cancel ends every kind of call in bounded time, and nothing is left', async () => {
  const redis = use.client({ cancelGrace: 50 });
  await redis.ping();
  const before = await use.connections();
  const calls = [
    () => redis.get('k'),
    () => redis.pipeline().get('k').exec(),
    () => redis.multi().incr('n').exec(),
    () => redis.blpop('q', 0),
    () => redis.transaction((tx) => tx.multi().incr('n')),
    () => redis.cached('c', 1_000, () => 1),
    () => redis.lock('l', { ttl: 50 }, () => {}),
    () => Array.fromAsync(redis.scanIterator()),
    () => redis.listen('a').ready(),
  ];
  await use.server.pause();
  const tasks = calls.map((call) => createTask<unknown>(call));
  await sleep(50);
  const start = performance.now();
  for (const task of tasks) task.cancel();
  for (const task of tasks) await expect(task).rejects.toSatisfy(isCancelled);
  expect(performance.now() - start).toBeLessThan(6_000);
  await use.server.resume();
  redis.disconnect();
  await until(async () => (await use.connections()) <= before - 1, 'the end of all connections');
});
