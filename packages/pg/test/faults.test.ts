/** Servers that die, networks that break, pools that end: tasks are told, and everything works again afterwards. */
import { createTask, isCancelled, run, sleep, taskGroup, timeout } from '@aiokit/core';
import { faultProxy, type PostgresServer } from '@aiokit/testing/services';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Client, Pool } from '../src/index.ts';
import { eventually, running, startServer, whole } from './support.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startServer({ settings: { max_connections: 12 } });
});
afterAll(() => server[Symbol.asyncDispose]());

/** A pool whose idle connections may break: pg tells its 'error' event, and would end the process without a listener. */
function makePool(url = server.url, max = 3): Pool {
  const pool = new Pool({ connectionString: url, max, cancelGrace: 500 });
  pool.on('error', () => {});
  return pool;
}

const states: Record<string, (pool: Pool) => PromiseLike<unknown>> = {
  'a query': (pool) => pool.query('select pg_sleep(60)'),
  'a transaction': (pool) => pool.transaction((tx) => tx.query('select pg_sleep(60)')),
  'a transaction that waits for something else': (pool) =>
    pool.transaction(async (tx) => {
      await tx.query('select 1');
      await sleep(300);
      await tx.query('select 2');
    }),
  'a cursor': async (pool) => {
    for await (const _ of pool.stream('select generate_series(1, 1000)', { batch: 10 })) await sleep(20);
  },
  'a COPY out': async (pool) => {
    for await (const _ of pool.copyTo('copy (select generate_series(1, 10000000)) to stdout')) await sleep(20);
  },
  'a COPY in': (pool) =>
    pool.copyFrom(
      'copy copied from stdin',
      (async function* () {
        for (;;) {
          yield '1\n';
          await sleep(5);
        }
      })(),
    ),
};

describe.each(Object.keys(states))('when %s is under way', (name) => {
  const work = states[name] as (pool: Pool) => PromiseLike<unknown>;

  test('kill -9 of the server is told, and the pool works after its restart', async () => {
    const pool = makePool();
    await pool.query('create table if not exists copied (n int)');
    await run(async () => {
      const task = createTask(async () => await work(pool));
      await sleep(100);
      await server.kill();
      const error = await timeout(5000, () => task).catch((e) => e);
      expect(error).toBeInstanceOf(Error);
      expect(isCancelled(error)).toBe(false);
      await eventually(() => pool.totalCount === 0);
      await server.restart();
      expect(await pool.fetchVal('select 1')).toBe(1);
      expect(whole(pool)).toBe(true);
    });
    await pool.end();
  });

  test('a cancel ends it although the connection is half-open', async () => {
    await using proxy = await faultProxy(server);
    const pool = makePool(proxy.url(server.url));
    await pool.query('create table if not exists copied (n int)');
    await run(async () => {
      const task = createTask(async () => await work(pool));
      await sleep(60);
      proxy.halfOpen();
      task.cancel();
      await expect(timeout(3000, () => task)).rejects.toMatchObject({ name: 'CancelledError' });
      await eventually(() => whole(pool));
      expect(await pool.fetchVal('select 1')).toBe(1);
    });
    await pool.end();
  });

  test('pool.end() waits for it, and a cancel ends both', async () => {
    const pool = makePool();
    await pool.query('create table if not exists copied (n int)');
    await run(async () => {
      const task = createTask(async () => await work(pool));
      await sleep(60);
      const ended = pool.end();
      task.cancel();
      await expect(task).rejects.toMatchObject({ name: 'CancelledError' });
      await timeout(3000, () => Promise.resolve(ended));
      expect(pool.totalCount).toBe(0);
    });
  });
});

test('a BEGIN on a connection that died while it was idle is given up after a cancel, within cancelGrace', async () => {
  await using proxy = await faultProxy(server);
  const pool = makePool(proxy.url(server.url), 1);
  await pool.query('select 1');
  proxy.halfOpen();
  await run(async () => {
    const begun = performance.now();
    await expect(timeout(50, () => pool.transaction((tx) => tx.query('select 1')))).rejects.toMatchObject({
      name: 'TimeoutError',
    });
    expect(performance.now() - begun).toBeLessThan(3000);
    expect(pool.statistics()).toMatchObject({ total: 0, cancels: { dead: 1 } });
    expect(await pool.fetchVal('select 1')).toBe(1);
  });
  await pool.end();
});

test('too many connections: each caller is told, and the pool is whole', async () => {
  const hogs = await Promise.all(
    Array.from({ length: 9 }, async () => {
      const client = new Client(server.url);
      client.on('error', () => {});
      await client.connect();
      return client;
    }),
  );
  const pool = new Pool({ connectionString: server.url, user: 'postgres', max: 10 });
  await run(async () => {
    const results = await Promise.allSettled(Array.from({ length: 10 }, () => pool.query('select pg_sleep(0.05)')));
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    for (const { reason } of refused) expect(reason).toMatchObject({ code: '53300' });
    await eventually(() => whole(pool));
    // A CancelRequest needs no slot: statements can be stopped all the same.
    await expect(timeout(50, () => pool.query('select pg_sleep(60)'))).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(whole(pool)).toBe(true);
  });
  await pool.end();
  await Promise.all(hogs.map((client) => client.end()));
});

test('a group whose connection is cut ends with the error, and cancels the rest', async () => {
  await using proxy = await faultProxy(server);
  const pool = makePool(proxy.url(server.url));
  const direct = makePool();
  await run(async () => {
    const group = taskGroup((tasks) => {
      tasks.createTask(() => pool.query('select pg_sleep(60)'));
      tasks.createTask(() => direct.query('select pg_sleep(60)'));
    });
    await eventually(async () => (await running(server.url)).length === 2);
    proxy.cut();
    const error = await group.catch((e) => e);
    expect(error.errors).toHaveLength(1);
    expect(whole(direct)).toBe(true);
    expect(direct.statistics().cancels.consumed).toBe(1);
  });
  await pool.end();
  await direct.end();
});
