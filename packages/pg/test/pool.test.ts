import { createTask, getRunningLoop, run, sleep, timeout, withSignal } from '@aiokit/core';
import { faultProxy } from '@aiokit/testing/services';
import pg from 'pg';
import { afterEach, describe, expect, test } from 'vitest';
import aiokitPg, * as exported from '../src/index.ts';
import { Client, Pool } from '../src/index.ts';
import { ask, closedGate, eventually, running, untilIdle, untilRunning, useServer, whole } from './support.ts';

const db = useServer();
const pools: pg.Pool[] = [];
function makePool(options: pg.PoolConfig = {}): Pool {
  const pool = new Pool({ connectionString: db.url, max: 2, ...options });
  pools.push(pool);
  return pool;
}
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.end()));
});

test("pg's exports are here, by name and in the default export", () => {
  const { Pool: _bare, Client: _ofPg, ...rest } = pg;
  expect(aiokitPg).toEqual({ ...rest, Pool, Client });
  for (const name of ['types', 'DatabaseError', 'Query', 'defaults', 'escapeIdentifier', 'escapeLiteral'] as const) {
    expect(exported[name]).toBe(pg[name]);
  }
});

describe('a query of the pool', () => {
  test('is stopped on the server when its task is cancelled, and its connection is used again', async () => {
    const pool = makePool({ max: 1 });
    await run(async () => {
      const [{ pid }] = (await pool.query('select pg_backend_pid() as pid')).rows;
      const task = createTask(() => pool.query('select pg_sleep(60)'));
      await untilRunning(db.url, 'pg_sleep');
      task.cancel();
      await expect(task).rejects.toMatchObject({ name: 'CancelledError' });
      expect(task.cancelled()).toBe(true);
      expect(pool.statistics()).toMatchObject({ total: 1, idle: 1, waiting: 0, cancels: { consumed: 1 } });
      expect(await running(db.url)).toEqual([]);
      expect((await pool.query('select pg_backend_pid() as pid')).rows).toEqual([{ pid }]);
    });
  });

  test('is stopped by a timeout, inside of a task and outside of any', async () => {
    const pool = makePool();
    await expect(timeout(50, () => pool.query('select pg_sleep(60)'))).rejects.toMatchObject({ name: 'TimeoutError' });
    await run(() =>
      expect(timeout(50, () => pool.query('select pg_sleep(60)'))).rejects.toMatchObject({ name: 'TimeoutError' }),
    );
    expect(await running(db.url)).toEqual([]);
    expect(whole(pool)).toBe(true);
  });

  test('is stopped by the abort of a signal, with its reason', async () => {
    const pool = makePool();
    const controller = new AbortController();
    const query = withSignal(controller.signal, () => pool.query('select pg_sleep(60)'));
    await untilRunning(db.url, 'pg_sleep');
    controller.abort(new Error('the client left'));
    await expect(query).rejects.toThrow('the client left');
    expect(await running(db.url)).toEqual([]);
  });

  test('tells its callback of the cancel', async () => {
    const pool = makePool();
    await run(async () => {
      let told: unknown;
      const task = createTask(async () => {
        await new Promise<void>((resolve) =>
          pool.query('select pg_sleep(60)', (error) => {
            told = error;
            resolve();
          }),
        );
      });
      await untilRunning(db.url, 'pg_sleep');
      task.cancel();
      await task;
      expect(told).toMatchObject({ name: 'CancelledError' });
      expect(whole(pool)).toBe(true);
    });
  });

  test('with a callback meets a cancel that is pending, and is not sent', async () => {
    const pool = makePool({ max: 1 });
    await pool.query('create table unsent (n int)');
    await run(async () => {
      const { promise: cancelled, resolve: begin } = Promise.withResolvers<void>();
      const told: unknown[] = [];
      const insert = () =>
        new Promise<void>((resolve) =>
          pool.query('insert into unsent values (1)', (error) => {
            told.push(error);
            resolve();
          }),
        );
      const task = createTask(async () => {
        await cancelled; // a foreign promise: no cancellation point
        await insert();
        await insert();
      });
      await sleep(0);
      task.cancel();
      begin();
      await task;
      expect(told).toMatchObject([{ name: 'CancelledError' }, null]); // one cancel is one error
      expect((await pool.query('select * from unsent')).rows).toHaveLength(1);
    });
  });

  test('that waits for a connection leaves the line', async () => {
    const pool = makePool({ max: 1 });
    await run(async () => {
      const client = await pool.connect();
      const tasks = [1, 2, 3].map((n) => createTask(() => pool.query('select $1::int as n', [n])));
      await sleep(0);
      expect(pool.waitingCount).toBe(3);
      tasks[1]?.cancel();
      await expect(tasks[1]).rejects.toMatchObject({ name: 'CancelledError' });
      expect(pool.waitingCount).toBe(2);
      client.release();
      expect((await tasks[0])?.rows).toEqual([{ n: 1 }]);
      expect((await tasks[2])?.rows).toEqual([{ n: 3 }]);
      expect(pool.statistics()).toMatchObject({ total: 1, idle: 1, waiting: 0 });
    });
  });

  test.each(['query', 'connect'] as const)(
    'whose connection is being verified leaves it to the pool: %s',
    async (call) => {
      let verified: (() => void) | undefined;
      const pool = makePool({ max: 1, verify: (_client, done) => (verified = done) });
      await run(async () => {
        const task = createTask<unknown>(() => (call === 'query' ? pool.query('select 1') : pool.connect()));
        await eventually(() => verified !== undefined);
        task.cancel();
        await expect(task).rejects.toMatchObject({ name: 'CancelledError' });
        verified?.();
        expect(pool.statistics()).toMatchObject({ total: 1, idle: 1 });
      });
    },
  );

  test('that waits for a connection can be cancelled by the ten thousand', async () => {
    const pool = makePool({ max: 1, connectionTimeoutMillis: 60_000 });
    await run(async () => {
      const client = await pool.connect();
      const tasks = Array.from({ length: 10_000 }, () => createTask(() => pool.query('select 1')));
      await sleep(0);
      expect(pool.waitingCount).toBe(10_000);
      for (const task of tasks) task.cancel();
      await Promise.allSettled(tasks);
      expect(pool.waitingCount).toBe(0);
      client.release();
      expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    });
  });

  test('that fails does not cost its connection', async () => {
    const pool = makePool({ max: 1 });
    await run(async () => {
      await expect(pool.query('select 1/0')).rejects.toMatchObject({ code: '22012' });
      expect(pool.statistics()).toMatchObject({ total: 1, idle: 1 });
    });
  });

  test('that ended before the cancel took effect returns its value, and the cancel waits', async () => {
    await using proxy = await faultProxy(db.server);
    const pool = makePool({ connectionString: proxy.url(db.url), max: 1 });
    await run(async () => {
      await pool.query('create table effects (n int)');
      proxy.hold({ direction: 'toClient' });
      let seen: unknown;
      const task = createTask(async () => {
        seen = (await pool.query('insert into effects values (1)')).rowCount;
        await sleep(60_000);
      });
      // The insert has taken effect, its answer is on the way.
      await eventually(async () => (await ask(db.url, 'select n from effects')).length === 1);
      task.cancel();
      await eventually(() => proxy.cancelRequests === 1);
      await proxy.restore();
      await expect(task).rejects.toMatchObject({ name: 'CancelledError' });
      expect(seen).toBe(1);
      await eventually(() => pool.totalCount === 0);
      expect(pool.statistics().cancels).toMatchObject({ tainted: 1 });
    });
  });

  test('begun with a cancel pending is not sent', async () => {
    const pool = makePool({ max: 1 });
    await run(async () => {
      await pool.query('create table pending (n int)');
      let isConnected = false;
      let begin = () => {};
      const begun = new Promise<void>((resolve) => {
        begin = resolve;
      });
      const task = createTask(async () => {
        const client = await pool.connect();
        isConnected = true;
        try {
          await begun; // no cancellation point
          await client.query('insert into pending values (1)');
        } finally {
          client.release();
        }
      });
      await eventually(() => isConnected);
      task.cancel();
      begin();
      await expect(task).rejects.toMatchObject({ name: 'CancelledError' });
      expect((await pool.query('select * from pending')).rows).toEqual([]);
    });
  });

  test('a loop of short queries is cancelled', async () => {
    const pool = makePool({ max: 1 });
    await run(async () => {
      const task = createTask(async () => {
        for (;;) await pool.query('select 1');
      });
      await sleep(20);
      task.cancel();
      await expect(timeout(10_000, () => task)).rejects.toMatchObject({ name: 'CancelledError' });
      await eventually(() => whole(pool));
    });
  });
});

describe('a connection', () => {
  test('whose wait is cancelled while it is being made goes to the pool', async () => {
    const pool = makePool();
    await run(async () => {
      const task = createTask(() => pool.connect());
      await sleep(0);
      task.cancel();
      await expect(task).rejects.toMatchObject({ name: 'CancelledError' });
      await eventually(() => pool.idleCount === 1);
      expect(pool.statistics()).toMatchObject({ total: 1, idle: 1, waiting: 0 });
    });
  });

  test('that was granted when the cancel came is delivered', async () => {
    const pool = makePool({ max: 1 });
    await run(async () => {
      for (let round = 0; round < 200; round++) {
        const task = createTask(async () => {
          const client = await pool.connect();
          client.release();
          await sleep(1000);
        });
        for (let turn = 0; turn < round % 5; turn++) await sleep(0);
        task.cancel();
        await expect(task).rejects.toMatchObject({ name: 'CancelledError' });
      }
      await eventually(() => whole(pool));
      expect(pool.totalCount).toBe(1);
    });
  });

  test('released in the middle of a transaction is destroyed', async () => {
    const pool = makePool({ max: 1 });
    await run(async () => {
      const client = await pool.connect();
      await client.query('begin');
      client.release();
      expect(pool.statistics()).toMatchObject({ total: 0, leftInTransaction: 1 });
      const failed = await pool.connect();
      await failed.query('begin');
      await failed.query('select 1/0').catch(() => {});
      failed.release(); // pg's status still says 'T': the error has arrived, ReadyForQuery has not
      await eventually(() => pool.totalCount === 0);
      expect(pool.statistics()).toMatchObject({ leftInTransaction: 2 });
    });
  });

  test('released before ReadyForQuery is judged by what comes: a failed COMMIT leaves no transaction', async () => {
    const pool = makePool({ max: 1 });
    await run(async () => {
      await pool.query('create table deferred (n int unique deferrable initially deferred)');
      const client = await pool.connect();
      await client.query('begin');
      await client.query('insert into deferred values (1), (1)');
      await expect(client.query('commit')).rejects.toMatchObject({ code: '23505' });
      client.release();
      await eventually(() => pool.idleCount === 1);
      expect(pool.statistics()).toMatchObject({ total: 1, leftInTransaction: 0 });
    });
  });

  test('made in a task outlives it', async () => {
    const pool = makePool({ max: 1 });
    await run(async () => {
      const first = createTask(() => pool.query('select 1'));
      await first;
      const errors: unknown[] = [];
      pool.on('error', (error) => errors.push(error));
      first.cancel();
      expect((await pool.query('select 2 as two')).rows).toEqual([{ two: 2 }]);
      expect(errors).toEqual([]);
    });
  });

  test("is handed over without the releasing task's context", async () => {
    const pool = makePool({ max: 1 });
    await run(async () => {
      const events: (string | null)[] = [];
      const { currentTask } = await import('@aiokit/core');
      pool.on('acquire', () => events.push(currentTask()?.name ?? null));
      await Promise.all([1, 2, 3].map((n) => createTask(() => pool.query('select 1'), { name: `task ${n}` })));
      expect(events).toEqual([null, null, null]);
    });
  });
});

describe('the options', () => {
  test("cancel: 'ignore' lets a query run to its end, returns its value and keeps the cancel", async () => {
    const pool = makePool();
    const gate = await closedGate(db.url);
    await run(async () => {
      const task = createTask(async () => {
        const { rows } = await pool.query({ text: `select ${gate.waits}, 7 as n`, cancel: 'ignore' });
        seen = rows[0].n;
        await sleep(60_000);
      });
      let seen: unknown;
      await untilRunning(db.url, gate.waits);
      task.cancel();
      await gate.open();
      await expect(task).rejects.toMatchObject({ name: 'CancelledError' });
      expect(seen).toBe(7);
    });
  });

  test("cancel: 'close' closes the connection", async () => {
    const pool = makePool({ cancel: 'close' });
    const gate = await closedGate(db.url);
    await run(async () => {
      const task = createTask(() => pool.query(`select ${gate.waits}`));
      await untilRunning(db.url, gate.waits);
      task.cancel();
      await expect(task).rejects.toMatchObject({ name: 'CancelledError' });
      expect(pool.statistics()).toMatchObject({ total: 0, idle: 0, cancels: { dead: 1 } });
      expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
      await gate.open();
    });
  });

  test('are checked', () => {
    expect(() => new Pool({ cancel: 'no' as never })).toThrow(
      "cancel must be one of 'server', 'close', 'ignore', got 'no'",
    );
    expect(() => new Pool({ cancelGrace: -1 })).toThrow('cancelGrace must be a number of milliseconds above 0, got -1');
  });
});

describe('outside of a task', () => {
  test('it is pg: promises, callbacks, events, counters, errors', async () => {
    const ours = makePool();
    const theirs = new pg.Pool({ connectionString: db.url, max: 2 });
    pools.push(theirs);
    const seen = await Promise.all(
      [ours, theirs].map(async (pool) => {
        const log: unknown[] = [];
        for (const event of ['connect', 'acquire', 'remove', 'release'] as const) pool.on(event, () => log.push(event));
        const gone = () => eventually(() => count(log, 'remove') === count(log, 'connect'));
        const promise = pool.query('select 1 as one');
        log.push(Object.getPrototypeOf(promise) === Promise.prototype);
        log.push((await promise).rows);
        log.push(
          await new Promise((resolve) =>
            pool.query('select $1::int as n', [2], (_error, result) => resolve(result.rows)),
          ),
        );
        log.push(await pool.query('select 1/0').catch((error) => [error.code, error.constructor.name]));
        await gone();
        log.push(pool.totalCount, pool.idleCount, pool.waitingCount);
        const client = await pool.connect();
        log.push(await client.query({ text: 'select 3 as n', rowMode: 'array' }).then(({ rows }) => rows));
        const query = client.query(new pg.Query('select 4 as n'));
        query.on('row', (row) => log.push(row));
        await new Promise((resolve) => query.on('end', resolve));
        client.release();
        await (pool.query as (text: undefined) => Promise<unknown>)(undefined).catch((error) =>
          log.push(error.message),
        );
        await gone();
        return log;
      }),
    );
    expect(seen[0]).toEqual(seen[1]);
  });

  test('a Pool is a pg.Pool whose clients are pg.Clients', async () => {
    const pool = makePool();
    expect(pool).toBeInstanceOf(pg.Pool);
    expect(pool.constructor.name).toBe('Pool');
    const client = await pool.connect();
    expect(client).toBeInstanceOf(pg.Client);
    expect(client).toBeInstanceOf(Client);
    client.release();
  });
});

function count(log: readonly unknown[], event: string): number {
  return log.filter((entry) => entry === event).length;
}

test('a pool that is ended refuses those who wait, and waits for those who work', async () => {
  const pool = new Pool({ connectionString: db.url, max: 1 });
  const gate = await closedGate(db.url);
  await run(async () => {
    const working = createTask(() => pool.query(`select ${gate.waits}, 1 as one`));
    await untilRunning(db.url, gate.waits);
    const waiting = createTask(() => pool.query('select 2'));
    await sleep(0);
    const ended = pool.end();
    await expect(waiting).rejects.toThrow('Cannot use a pool after calling end on the pool');
    await gate.open();
    expect((await working).rows).toHaveLength(1);
    await ended;
    expect(pool.totalCount).toBe(0);
  });
});

test('the server is idle in the end', async () => {
  await untilIdle(db.url);
  expect(
    await ask(
      db.url,
      "select count(*)::int as n from pg_stat_activity where backend_type = 'client backend' and application_name = ''",
    ),
  ).toEqual([{ n: 0 }]);
  expect(getRunningLoop().activity.operations.size).toBe(0);
});
