import { createTask, run, sleep, timeout } from '@aiokit/core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Pool } from '../src/index.ts';
import { ask, eventually, useServer } from './support.ts';

const db = useServer();
let pool: Pool;
beforeEach(() => {
  pool = new Pool({ connectionString: db.url, max: 2, application_name: 'listening' });
});
afterEach(() => pool.end());
const listening = () =>
  ask(db.url, "select pid from pg_stat_activity where query like '%LISTEN%' and application_name = 'listening'");

test('listen gives the notifications of its channels', async () => {
  await run(async () => {
    const listener = pool.listen(['Jobs', 'mail']);
    await listener.ready();
    await pool.notify('Jobs', 'one');
    await pool.notify('other', 'not for us');
    await pool.notify('mail');
    const seen: unknown[] = [];
    for await (const { channel, payload } of listener) {
      seen.push([channel, payload]);
      if (seen.length === 2) break;
    }
    expect(seen).toEqual([
      ['Jobs', 'one'],
      ['mail', ''],
    ]);
    await eventually(async () => (await listening()).length === 0);
  });
});

test('listeners share a connection, which is closed with the last', async () => {
  await run(async () => {
    const [a, b] = [pool.listen('a'), pool.listen(['a', 'b'])];
    await Promise.all([a.ready(), b.ready()]);
    expect(await listening()).toHaveLength(1);
    await b.close();
    await pool.notify('a', '1');
    expect((await a[Symbol.asyncIterator]().next()).value).toMatchObject({ channel: 'a', payload: '1' });
    await a.close();
    await eventually(async () => (await listening()).length === 0);
    expect(pool.totalCount).toBeLessThanOrEqual(2);
  });
});

test('a cancel ends it, and nothing is left', async () => {
  await run(async () => {
    await expect(
      timeout(50, async () => {
        for await (const _ of pool.listen('quiet'));
      }),
    ).rejects.toMatchObject({ name: 'TimeoutError' });
    await eventually(async () => (await listening()).length === 0);
  });
});

test('it connects again, listens again and says that there is a gap', async () => {
  await run(async () => {
    const listener = pool.listen('jobs');
    await listener.ready();
    const seen: unknown[] = [];
    const task = createTask(async () => {
      for await (const { payload, gap } of listener) seen.push(gap ?? payload);
    });
    await pool.notify('jobs', 'before');
    await eventually(() => seen.length === 1);
    for (const { pid } of await listening()) await ask(db.url, 'select pg_terminate_backend($1)', [pid]);
    await eventually(() => seen.length === 2);
    await pool.notify('jobs', 'after');
    await eventually(() => seen.length === 3);
    expect(seen).toEqual(['before', 'reconnected', 'after']);
    task.cancel();
    await expect(task).rejects.toMatchObject({ name: 'CancelledError' });
  });
});

test('a slow consumer loses the oldest, and is told how many', async () => {
  await run(async () => {
    const listener = pool.listen('fast', { buffer: 3 });
    const witness = pool.listen('fast');
    await Promise.all([listener.ready(), witness.ready()]);
    await pool.transaction(async (tx) => {
      for (let n = 1; n <= 5; n++) await tx.notify('fast', String(n));
    });
    let heard = 0;
    for await (const _ of witness) if (++heard === 5) break;
    const seen: unknown[] = [];
    for await (const { payload, gap, lost } of listener as AsyncIterable<{
      payload?: string;
      gap?: string;
      lost?: number;
    }>) {
      seen.push(gap === undefined ? payload : [gap, lost]);
      if (seen.length === 4) break;
    }
    expect(seen).toEqual([['overflow', 2], '3', '4', '5']);
  });
});

test('a pool that is ended ends its listeners', async () => {
  const other = new Pool({ connectionString: db.url });
  await run(async () => {
    const listener = other.listen('x');
    await listener.ready();
    const task = createTask(async () => {
      for await (const _ of listener);
      return 'ended';
    });
    await sleep(10);
    await other.end();
    expect(await task).toBe('ended');
  });
});

test('a server that cannot be reached is told at once, and mistakes too', async () => {
  const nowhere = new Pool({ host: '127.0.0.1', port: 1 });
  await run(async () => {
    await expect(nowhere.listen('x').ready()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
  expect(() => pool.listen([])).toThrow('channels must be a name or an array of names, got []');
  expect(() => pool.listen('x', { buffer: 0 })).toThrow('buffer must be a number >= 1, got 0');
});
