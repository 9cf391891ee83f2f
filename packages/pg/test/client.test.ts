import { createTask, gather, run, shield, sleep, timeout, waitFor } from '@aiokit/core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Client, Pool } from '../src/index.ts';
import { closedGate, eventually, untilIdle, untilRunning, useServer, whole } from './support.ts';

const db = useServer();
let client: Client;
beforeEach(async () => {
  client = new Client(db.url);
  await client.connect();
});
afterEach(async () => {
  await client.end();
  await untilIdle(db.url);
});
const cancelled = { name: 'CancelledError' };

test('two cancels before the task resumes are one, and its finally can use the connection', async () => {
  await run(async () => {
    let cleaned: unknown;
    const task = createTask(async () => {
      try {
        await client.query('select pg_sleep(60)');
      } finally {
        cleaned = (await client.query('select 1 as one')).rows[0].one;
      }
    });
    await untilRunning(db.url, 'pg_sleep');
    task.cancel();
    task.cancel();
    await expect(task).rejects.toMatchObject(cancelled);
    expect(cleaned).toBe(1);
  });
});

test('a task that swallows its cancel goes on', async () => {
  await run(async () => {
    const task = createTask(async () => {
      await client.query('select pg_sleep(60)').catch(() => {});
      return await client.fetchVal('select 2');
    });
    await untilRunning(db.url, 'pg_sleep');
    task.cancel();
    expect(await task).toBe(2);
  });
});

test('several statements at once on one client are cancelled together: one is stopped, the others are unsent', async () => {
  await run(async () => {
    const task = createTask(() =>
      Promise.all([client.query('select pg_sleep(60)'), client.query('select 1'), client.query('select 2')]),
    );
    await untilRunning(db.url, 'pg_sleep');
    task.cancel();
    await expect(task).rejects.toMatchObject(cancelled);
    expect(await client.fetchVal('select 3')).toBe(3);
  });
});

test('a query that two tasks await is stopped only when the last has left', async () => {
  await run(async () => {
    const gate = await closedGate(db.url);
    const query = client.query(`select ${gate.waits}, 1 as one`);
    const first = createTask(async () => await query);
    const second = createTask(async () => (await query).rows[0].one);
    await untilRunning(db.url, gate.waits);
    first.cancel();
    await expect(first).rejects.toMatchObject(cancelled);
    await gate.open();
    expect(await second).toBe(1);
    const other = await closedGate(db.url);
    const shielded = createTask(() => shield(client.query(`select ${other.waits}`)));
    await untilRunning(db.url, other.waits);
    shielded.cancel();
    await expect(shielded).rejects.toMatchObject(cancelled);
    await other.open();
    expect(await client.fetchVal('select 3')).toBe(3);
  });
});

test('gather, waitFor and race take its queries', async () => {
  const pool = new Pool({ connectionString: db.url, max: 2 });
  await run(async () => {
    expect(await gather([() => pool.fetchVal('select 1'), () => pool.fetchVal('select 2')])).toEqual([1, 2]);
    await expect(waitFor(() => pool.query('select pg_sleep(60)'), 30)).rejects.toMatchObject({ name: 'TimeoutError' });
    await Promise.race([pool.query('select pg_sleep(0.05)'), sleep(10)]);
    await eventually(() => whole(pool));
  });
  await pool.end();
});

test('what still runs when run() ends is stopped', async () => {
  const pool = new Pool({ connectionString: db.url, max: 1 });
  await run(async () => {
    createTask(() => pool.query('select pg_sleep(60)'));
    await untilRunning(db.url, 'pg_sleep');
  });
  expect(pool.statistics()).toMatchObject({ total: 1, idle: 1, cancels: { consumed: 1 } });
  await pool.end();
});

test("pg's own time limits work in a task", async () => {
  const pool = new Pool({ connectionString: db.url, max: 1 });
  await run(async () => {
    const held = await pool.connect();
    pool.options.connectionTimeoutMillis = 300;
    await expect(pool.query('select 1')).rejects.toThrow('timeout exceeded when trying to connect');
    const task = createTask(() => pool.query('select 1'));
    await sleep(0);
    expect(pool.waitingCount).toBe(1);
    task.cancel();
    await expect(task).rejects.toMatchObject(cancelled);
    await sleep(350); // beyond the limit of the cancelled one
    expect(pool.waitingCount).toBe(0);
    pool.options.connectionTimeoutMillis = 0;
    held.release();
    const gate = await closedGate(db.url);
    await expect(pool.query({ text: `select ${gate.waits}`, query_timeout: 30 } as never)).rejects.toThrow(
      'Query read timeout',
    );
    await gate.open();
    expect(await pool.fetchVal('select 1')).toBe(1);
  });
  await pool.end();
});

test("a query's config is not changed, so that it can be used again", async () => {
  await run(async () => {
    const config = { text: 'select $1::int as n' };
    expect((await client.query(config, [1])).rows).toEqual([{ n: 1 }]);
    expect((await client.query(config, [2])).rows).toEqual([{ n: 2 }]);
    expect(config).not.toHaveProperty('callback');
    await expect(client.query('select $1', { not: 'an array' } as never)).rejects.toThrow(
      'Query values must be an array',
    );
    await expect(timeout(20, () => client.query({ text: 'select pg_sleep(60)' }))).rejects.toMatchObject({
      name: 'TimeoutError',
    });
  });
});
