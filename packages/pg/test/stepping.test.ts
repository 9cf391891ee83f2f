/** A cancel at every await of every operation: found by counting the awaits, not by listing them. */
import { createTask, currentTask, Future, run, sleep } from '@aiokit/core';
import Cursor from 'pg-cursor';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Pool, sql } from '../src/index.ts';
import { ask, eventually, running, useServer, whole } from './support.ts';

const db = useServer();
let pool: Pool;
beforeAll(async () => {
  pool = new Pool({ connectionString: db.url, max: 2, application_name: 'stepped' });
  await pool.query('create table steps (n int)');
});
afterAll(() => pool.end());

const rows = Array.from({ length: 1100 }, (_, n) => [n]);
const operations: Record<string, () => PromiseLike<unknown>> = {
  query: () => pool.query('select 1'),
  'a slow query': () => pool.query('select pg_sleep(0.02)'),
  'a query that fails': () => pool.query('select 1/0').catch(() => {}),
  connect: async () => {
    const client = await pool.connect();
    try {
      await client.query('select 1');
      await client.query('select pg_sleep(0.01)');
    } finally {
      client.release();
    }
  },
  fetchVal: () => pool.fetchVal(sql`select ${1}::int`),
  executeMany: () => pool.executeMany('insert into steps values ($1)', rows),
  transaction: () =>
    pool
      .transaction(async (tx) => {
        await tx.query('insert into steps values (1)');
        await tx.transaction(async (inner) => {
          await inner.query('insert into steps values (2)');
          await sleep(1);
          await inner.query('select pg_sleep(0.01)');
        });
        throw new Error('undo');
      })
      .catch((error) => {
        if (error.message !== 'undo') throw error;
      }),
  stream: async () => {
    for await (const { n } of pool.stream<{ n: number }>('select generate_series(1, 50) n', { batch: 20 }))
      if (n === 45) await sleep(1);
  },
  cursor: async () => {
    const client = await pool.connect();
    try {
      const cursor = client.query(new Cursor('select generate_series(1, 50) n'));
      try {
        while ((await cursor.read(20)).length > 0);
      } finally {
        await cursor.close();
      }
    } finally {
      client.release();
    }
  },
  copyTo: async () => {
    for await (const _ of pool.copyTo('copy (select generate_series(1, 20000)) to stdout')) await sleep(0);
  },
  copyFrom: () =>
    pool.copyFrom(
      'copy steps from stdin',
      (async function* () {
        for (let n = 0; n < 20; n++) {
          yield `${n}\n`.repeat(2000);
          await sleep(0);
        }
      })(),
    ),
  listen: async () => {
    await using listener = pool.listen('steps');
    await listener.ready();
    await pool.notify('steps', 'x');
    for await (const _ of listener) break;
  },
};

/** Runs the operation in a task that is cancelled at its `step`th await. Returns false if there were fewer. */
async function cancelAt(step: number, later: boolean, operation: () => PromiseLike<unknown>): Promise<boolean> {
  let waits = 0;
  const original = Future.prototype._await;
  const task = createTask(async () => await operation());
  Future.prototype._await = function (this: Future<unknown>, resolve, reject) {
    original.call(this, resolve, reject);
    if (currentTask() !== task || ++waits !== step) return;
    if (later) setImmediate(() => setImmediate(() => task.cancel()));
    else task.cancel();
  };
  try {
    await task.catch((error) => {
      if (!task.cancelled()) throw error;
    });
  } finally {
    Future.prototype._await = original;
  }
  return waits >= step;
}

test.each(Object.keys(operations))('%s, cancelled at each await, leaves everything whole', async (name) => {
  const operation = operations[name] as () => PromiseLike<unknown>;
  await run(async () => {
    for (const later of [false, true]) {
      let step = 1;
      while (await cancelAt(step, later, operation)) {
        await eventually(() => whole(pool));
        if (++step > 60) break;
      }
      expect(step).toBeGreaterThan(1);
    }
  });
  await eventually(async () => (await running(db.url)).length === 0);
  const client = await pool.connect();
  expect(client.eventNames().filter((event) => event !== 'error' && client.listenerCount(event) > 0)).toEqual([]);
  expect(client.listenerCount('error')).toBe(0);
  client.release();
  await eventually(async () => {
    const [{ n } = { n: -1 }] = await ask(
      db.url,
      "select count(*)::int n from pg_stat_activity where application_name = 'stepped'",
    );
    return n === pool.totalCount;
  });
  expect(pool.statistics()).toMatchObject({ leftInTransaction: 0, cancels: { dead: 0 } });
});
