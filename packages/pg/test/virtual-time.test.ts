/** In virtual time an hour passes at once, but never while the server is at work. */
import { createTask, getRunningLoop, sleep, timeout } from '@aiokit/core';
import { runTest } from '@aiokit/testing';
import { faultProxy } from '@aiokit/testing/services';
import { expect, test } from 'vitest';
import { Pool } from '../src/index.ts';
import { useServer } from './support.ts';

const db = useServer();

async function withPool<R>(max: number, body: (pool: Pool) => Promise<R>): Promise<R> {
  const pool = new Pool({ connectionString: db.url, max });
  try {
    return await body(pool);
  } finally {
    await pool.end();
  }
}

test('a query wins against a timeout of the same virtual length, and an hour of sleep costs nothing', () =>
  runTest(() =>
    withPool(2, async (pool) => {
      const before = performance.now();
      expect(await timeout(100, () => pool.fetchVal('select pg_sleep(0.3), 1'))).toBe('');
      await sleep(3_600_000);
      expect(await pool.fetchVal('select 2')).toBe(2);
      expect(performance.now() - before).toBeLessThan(15_000);
    }),
  ));

test('time goes on while a task that holds the only connection sleeps', () =>
  runTest(() =>
    withPool(1, async (pool) => {
      const holder = createTask(() =>
        pool.transaction(async (tx) => {
          await tx.query('select 1');
          await sleep(60_000);
        }),
      );
      await sleep(1);
      await expect(timeout(1000, () => pool.query('select 1'))).rejects.toMatchObject({ name: 'TimeoutError' });
      await holder;
      expect(getRunningLoop().time()).toBeGreaterThanOrEqual(60_000);
    }),
  ));

test('a notification that is on its way comes before the next timer', () =>
  runTest(() =>
    withPool(2, async (pool) => {
      await using listener = pool.listen('virtual');
      await listener.ready();
      const begun = getRunningLoop().time();
      createTask(async () => {
        await sleep(5000);
        await pool.notify('virtual', 'hello');
      });
      const first = await timeout(5001, async () => {
        for await (const notification of listener) return notification;
        return null;
      });
      expect(first).toMatchObject({ payload: 'hello' });
      expect(getRunningLoop().time() - begun).toBe(5000);
    }),
  ));

test('a deadline in virtual time is sent to no server', () =>
  runTest(() =>
    withPool(1, async (pool) => {
      const limit = await timeout(10_000, () => pool.transaction((tx) => tx.fetchVal('show statement_timeout')));
      expect(limit).toBe('0');
    }),
  ));

test('time goes on while a statement waits for a lock of a task that sleeps', () =>
  runTest(() =>
    withPool(2, async (pool) => {
      await pool.query('create table locked (n int)');
      await pool.query('insert into locked values (1)');
      const holder = createTask(() =>
        pool.transaction(async (tx) => {
          await tx.query('update locked set n = 2');
          await sleep(60_000);
        }),
      );
      await sleep(1);
      await pool.query('update locked set n = n + 1');
      await holder;
      expect(await pool.fetchVal('select n from locked')).toBe(3);
      expect(getRunningLoop().time()).toBeGreaterThanOrEqual(60_000);
    }),
  ));

test('whoever waits in line while a connection is closed does not time out', async () => {
  await using proxy = await faultProxy(db.url);
  proxy.delay(50, { direction: 'toClient' }); // The server's goodbye, too.
  await runTest(async ({ clock }) => {
    const pool = new Pool({ connectionString: proxy.url(db.url), max: 1, afterCancel: 'destroy' });
    try {
      const client = await pool.connect();
      const query = createTask(() => client.query('select pg_sleep(60)'));
      await sleep(0);
      await sleep(0); // It has been sent.
      query.cancel();
      await expect(query).rejects.toThrow();
      client.release();
      expect((await timeout(3_600_000, () => pool.query('select 1 as one'))).rows).toEqual([{ one: 1 }]);
      expect(clock.now()).toBe(0);
    } finally {
      await pool.end();
    }
  });
});
