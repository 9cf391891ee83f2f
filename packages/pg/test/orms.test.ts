/** What stands on a pg Pool obeys cancels without knowing of them. Each: the statement is gone, and the pool is whole. */
import { createTask, currentTask, run, sleep, taskGroup, timeout } from '@aiokit/core';
import { PrismaPg } from '@prisma/adapter-pg';
import { sql as drizzleSql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import knex from 'knex';
import { Kysely, sql as kyselySql, PostgresDialect } from 'kysely';
import pg from 'pg';
import Cursor from 'pg-cursor';
import { DataSource } from 'typeorm';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import aiokitPg, { Client, Pool } from '../src/index.ts';
import { ask, closedGate, eventually, running, untilIdle, untilRunning, useServer, whole } from './support.ts';

const db = useServer();
let pool: Pool;
beforeEach(async () => {
  pool = new Pool({ connectionString: db.url, max: 2 });
  await pool.query('create table if not exists notes (n int)');
  await pool.query('truncate notes');
});
afterEach(async () => {
  await eventually(() => whole(pool));
  expect(await running(db.url)).toEqual([]);
  if (!pool.ending) await pool.end();
});
const notes = async () => (await ask(db.url, 'select n from notes order by n')).map(({ n }) => n);

/** Cancels the task once its statement sleeps on the server. */
async function cancelAsleep(work: () => PromiseLike<unknown>): Promise<unknown> {
  return await run(async () => {
    const task = createTask(async () => await work());
    await untilRunning(db.url, 'pg_sleep');
    task.cancel();
    const error = await timeout(10_000, () => task).catch((e) => e);
    expect(task.cancelled()).toBe(true);
    await untilIdle(db.url);
    return error;
  });
}

/** Cancels the work a hundred times, wherever it is. */
async function cancelAnywhere(work: () => PromiseLike<unknown>): Promise<void> {
  await run(async () => {
    for (let round = 0; round < 100; round++) {
      const task = createTask(async () => await work());
      await sleep(Math.random() * 8);
      task.cancel();
      await timeout(10_000, () => task).catch(() => {});
      expect(task.done()).toBe(true);
    }
  });
}

describe('Drizzle', () => {
  test('a query and a transaction are stopped', async () => {
    const orm = drizzle(pool);
    await cancelAsleep(() => orm.execute(drizzleSql`select pg_sleep(60)`));
    await cancelAsleep(() =>
      orm.transaction(async (tx) => {
        await tx.execute(drizzleSql`insert into notes values (1)`);
        await tx.execute(drizzleSql`select pg_sleep(60)`);
      }),
    );
    await eventually(() => whole(pool));
    expect(await notes()).toEqual([]);
    expect(pool.statistics().leftInTransaction).toBe(0);
  });

  test('its wrapped errors are a timeout to timeout, and a cancel to a group', async () => {
    const orm = drizzle(pool);
    await run(async () => {
      await expect(timeout(50, () => orm.execute(drizzleSql`select pg_sleep(60)`))).rejects.toMatchObject({
        name: 'TimeoutError',
      });
      const error = await taskGroup((group) => {
        group.createTask(async () => await orm.execute(drizzleSql`select pg_sleep(60)`));
        group.createTask(async () => {
          await sleep(50);
          throw new Error('of the other');
        });
      }).catch((e) => e);
      expect(error.errors.map((e: Error) => e.message)).toEqual(['of the other']);
    });
  });

  test('its BEGIN is not lost behind a query of on("connect")', async () => {
    const fresh = new Pool({ connectionString: db.url, max: 2, maxUses: 1 });
    let gate = await closedGate(db.url);
    fresh.on('connect', (client) => void client.query(`select ${gate.waits}`));
    const orm = drizzle(fresh);
    await run(async () => {
      for (let round = 0; round < 3; round++) {
        const task = createTask(() => orm.transaction((tx) => tx.execute(drizzleSql`insert into notes values (2)`)));
        await untilRunning(db.url, gate.waits); // BEGIN is in the queue behind it
        task.cancel();
        await sleep(0);
        await gate.open();
        await task.catch(() => {});
        expect(task.cancelled()).toBe(true);
        await eventually(() => fresh.totalCount === 0);
        gate = await closedGate(db.url);
      }
    });
    expect(await notes()).toEqual([]);
    expect(fresh.statistics().leftInTransaction).toBe(0);
    await fresh.end();
  });

  test('random cancels leave the pool whole', async () => {
    const orm = drizzle(pool);
    await cancelAnywhere(() =>
      orm.transaction(async (tx) => {
        await tx.execute(drizzleSql`insert into notes values (3)`);
        await tx.transaction((inner) => inner.execute(drizzleSql`select pg_sleep(0.002)`));
      }),
    );
  });
});

describe('Kysely', () => {
  const open = () => new Kysely<Record<string, never>>({ dialect: new PostgresDialect({ pool, cursor: Cursor }) });

  test('a query and a transaction are stopped', async () => {
    const orm = open();
    await cancelAsleep(() => kyselySql`select pg_sleep(60)`.execute(orm));
    await cancelAsleep(() =>
      orm.transaction().execute(async (tx) => {
        await kyselySql`insert into notes values (1)`.execute(tx);
        await kyselySql`select pg_sleep(60)`.execute(tx);
      }),
    );
    await eventually(() => whole(pool));
    expect(await notes()).toEqual([]);
    expect(pool.statistics().leftInTransaction).toBe(0);
    await orm.destroy();
  });

  test('its stream() is stopped', async () => {
    const orm = open();
    await cancelAsleep(async () => {
      const rows = orm
        .selectFrom(
          kyselySql`(select n, pg_sleep(case when n > 20 then 60 else 0 end) from generate_series(1, 100) n)`.as(
            't',
          ) as never,
        )
        .selectAll();
      for await (const _ of rows.stream(10));
    });
    await orm.destroy();
  });

  test('random cancels leave the pool whole', async () => {
    const orm = open();
    await cancelAnywhere(() =>
      orm.transaction().execute(async (tx) => {
        await kyselySql`insert into notes values (3)`.execute(tx);
        await kyselySql`select pg_sleep(0.002)`.execute(tx);
      }),
    );
    await eventually(() => whole(pool));
    await orm.destroy();
  });
});

test('Knex on our pool: a query and a transaction are stopped', async () => {
  const orm = knex({ client: 'pg', connectionPool: pool } as knex.Knex.Config);
  await cancelAsleep(() => orm.raw('select pg_sleep(60)'));
  await cancelAsleep(() =>
    orm.transaction(async (tx) => {
      await tx.raw('insert into notes values (1)');
      await tx.raw('select pg_sleep(60)');
    }),
  );
  await eventually(() => whole(pool));
  expect(await notes()).toEqual([]);
  await cancelAnywhere(() =>
    orm.transaction(async (tx) => {
      await tx.raw('insert into notes values (3)');
      await tx.raw('select pg_sleep(0.002)');
    }),
  );
  await eventually(() => whole(pool));
  expect(pool.statistics().leftInTransaction).toBe(0);
});

test('Knex on a pool of its own, of our clients: a query and a transaction are stopped', async () => {
  class Dialect extends knex.Client {}
  const { default: Postgres } = await import('knex/lib/dialects/postgres/index.js' as string);
  Object.setPrototypeOf(Dialect.prototype, Postgres.prototype);
  Object.assign(Dialect.prototype, { _driver: () => ({ ...pg, Client }) });
  const orm = knex({ client: Dialect as typeof knex.Client, connection: db.url, pool: { min: 0, max: 2 } });
  await cancelAsleep(() => orm.raw('select pg_sleep(60)'));
  await cancelAsleep(() =>
    orm.transaction(async (tx) => {
      await tx.raw('insert into notes values (1)');
      await tx.raw('select pg_sleep(60)');
    }),
  );
  expect(await notes()).toEqual([]);
  expect(orm.client.pool.numUsed()).toBe(0);
  await orm.destroy();
});

test('TypeORM: a query, a transaction and a stream are stopped', async () => {
  const orm = new DataSource({
    type: 'postgres',
    url: db.url,
    driver: aiokitPg,
    poolSize: 2,
  });
  await orm.initialize();
  const { master } = orm.driver as unknown as { master: Pool };
  expect(master).toBeInstanceOf(Pool);
  await cancelAsleep(() => orm.query('select pg_sleep(60)'));
  await cancelAsleep(() =>
    orm.transaction(async (manager) => {
      await manager.query('insert into notes values (1)');
      await manager.query('select pg_sleep(60)');
    }),
  );
  await eventually(() => whole(master));
  expect(await notes()).toEqual([]);
  const error = await cancelAsleep(async () => {
    const runner = orm.createQueryRunner();
    try {
      const rows = await runner.stream(
        'select pg_sleep(case when n > 250 then 60 else 0 end) from generate_series(1, 1000) n',
      );
      for await (const _ of rows);
    } finally {
      await runner.release();
    }
  });
  expect(error).toMatchObject({ name: 'CancelledError' });
  await cancelAnywhere(() =>
    orm.transaction(async (manager) => {
      await manager.query('insert into notes values (3)');
      await manager.query('select pg_sleep(0.002)');
    }),
  );
  await eventually(() => whole(master));
  expect(master.statistics().leftInTransaction).toBe(0);
  await orm.destroy();
});

test("Prisma's adapter: a query and a transaction are stopped", async () => {
  const adapter = await new PrismaPg(pool).connect();
  await cancelAsleep(() => adapter.queryRaw({ sql: 'select pg_sleep(60)::text', args: [], argTypes: [] }));
  await cancelAsleep(async () => {
    const tx = await adapter.startTransaction();
    try {
      await tx.executeRaw({ sql: 'select pg_sleep(60)::text', args: [], argTypes: [] });
      await tx.executeRaw({ sql: 'COMMIT', args: [], argTypes: [] });
      await tx.commit();
    } catch (error) {
      await tx.executeRaw({ sql: 'ROLLBACK', args: [], argTypes: [] });
      await tx.rollback();
      throw error;
    }
  });
  await eventually(() => whole(pool));
  expect(pool.statistics().leftInTransaction).toBe(0);
});

test('pg-boss: its work on our pool is stopped, and its queue works', async () => {
  const { PgBoss } = await import('pg-boss');
  let fetching = '';
  const boss = new PgBoss({
    db: {
      executeSql: (text: string, values?: unknown[]) => {
        if (currentTask()?.name === 'fetch') fetching = text;
        return pool.query(text, values);
      },
    },
    supervise: false,
    schedule: false,
  });
  boss.on('error', () => {});
  await boss.start();
  await boss.createQueue('mail');
  const locker = new Pool({ connectionString: db.url });
  await run(async () => {
    const id = (await boss.send('mail', { to: 'ada' })) as string;
    await locker.transaction(async (tx) => {
      await tx.query('lock table pgboss.job in access exclusive mode');
      const task = createTask(async () => await boss.fetch('mail'), { name: 'fetch' });
      await eventually(async () => (await running(db.url)).includes(fetching));
      task.cancel();
      await expect(task).rejects.toMatchObject({ name: 'CancelledError' });
      expect(await running(db.url)).not.toContain(fetching);
    });
    expect(await boss.fetch('mail')).toMatchObject([{ id }]);
    await boss.complete('mail', id);
  });
  await locker.end();
  await boss.stop({ graceful: false });
});
