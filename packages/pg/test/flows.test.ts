import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createTask, run, sleep, timeout } from '@aiokit/core';
import { from as copyFromStream, to as copyToStream } from 'pg-copy-streams';
import Cursor from 'pg-cursor';
import QueryStream from 'pg-query-stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Pool } from '../src/index.ts';
import { eventually, running, untilRunning, useServer, whole } from './support.ts';

const db = useServer();
let pool: Pool;
beforeEach(() => {
  pool = new Pool({ connectionString: db.url, max: 1 });
});
afterEach(async () => {
  await eventually(() => whole(pool));
  expect(await running(db.url)).toEqual([]);
  expect(pool.statistics().cancels.dead).toBe(0);
  await pool.end();
});
const works = async () => expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);

const SLOW_ROWS = 'select n, pg_sleep(case when n > 250 then 60 else 0 end) from generate_series(1, 1000) n';

describe('stream', () => {
  test('gives the rows in batches', async () => {
    await run(async () => {
      let sum = 0;
      for await (const { n } of pool.stream<{ n: number }>('select n from generate_series(1, 1234) n', { batch: 100 }))
        sum += n;
      expect(sum).toBe((1234 * 1235) / 2);
      await works();
    });
  });

  test('leaves the connection usable when the loop is left, by break or by an error', async () => {
    await run(async () => {
      for await (const _ of pool.stream('select * from generate_series(1, 100000)')) break;
      await works();
      await expect(
        (async () => {
          for await (const _ of pool.stream('select * from generate_series(1, 100000)')) throw new Error('enough');
        })(),
      ).rejects.toThrow('enough');
      await works();
      await expect(pool.stream('select 1/(n - 5) from generate_series(1, 10) n').next()).rejects.toMatchObject({
        code: '22012',
      });
      await works();
      expect(pool.totalCount).toBe(1);
    });
  });

  test('is stopped on the server by a cancel', async () => {
    await run(async () => {
      let seen = 0;
      const task = createTask(async () => {
        for await (const _ of pool.stream(SLOW_ROWS, { batch: 100 })) seen++;
      });
      await eventually(() => seen === 200); // the third batch never comes
      task.cancel();
      await expect(task).rejects.toMatchObject({ name: 'CancelledError' });
      expect(seen).toBe(200);
      await works();
    });
  });

  test('can be cancelled between two batches', async () => {
    await run(async () => {
      await expect(
        timeout(50, async () => {
          for await (const _ of pool.stream('select * from generate_series(1, 1000)', { batch: 10 })) await sleep(20);
        }),
      ).rejects.toMatchObject({ name: 'TimeoutError' });
      await works();
      expect(pool.totalCount).toBe(1);
    });
  });
});

test('stream, copyTo and copyFrom work outside of a task, too', async () => {
  await pool.query('drop table if exists sink; create table sink (n int)');
  expect(await pool.copyFrom('copy sink from stdin', ['1\n2\n', '3\n'])).toBe(3);
  expect((await Array.fromAsync(pool.copyTo('copy sink to stdout'))).join('')).toBe('1\n2\n3\n');
  expect(await Array.fromAsync(pool.stream('select n from sink', { batch: 2 }))).toEqual([
    { n: 1 },
    { n: 2 },
    { n: 3 },
  ]);
  for await (const _ of pool.stream('select generate_series(1, 1000)')) break;
  for await (const _ of pool.copyTo('copy (select generate_series(1, 100000)) to stdout')) break;
  await expect(pool.stream('select 1/(n - 2) from sink').next()).rejects.toMatchObject({ code: '22012' });
  await expect(pool.copyFrom('copy sink from stdin', ['x\n'])).rejects.toMatchObject({ code: '22P02' });
  await works();
  expect(pool.totalCount).toBe(1);
});

describe("others' cursors and streams", () => {
  test('a Cursor is stopped by a cancel, and can be closed then', async () => {
    await run(async () => {
      const task = createTask(async () => {
        const client = await pool.connect();
        const cursor = client.query(new Cursor(SLOW_ROWS));
        try {
          for (;;) if ((await cursor.read(100)).length === 0) return;
        } finally {
          await cursor.close();
          client.release();
        }
      });
      await untilRunning(db.url, 'generate_series');
      await sleep(50);
      task.cancel();
      await expect(timeout(10_000, () => task)).rejects.toMatchObject({ name: 'CancelledError' });
      await works();
    });
  });

  test('a QueryStream is stopped by a cancel', async () => {
    await run(async () => {
      const task = createTask(async () => {
        const client = await pool.connect();
        try {
          for await (const _ of client.query(new QueryStream(SLOW_ROWS, [], { batchSize: 50 }))) await sleep(0);
        } finally {
          client.release();
        }
      });
      await untilRunning(db.url, 'generate_series');
      await sleep(100);
      task.cancel();
      await expect(timeout(10_000, () => task)).rejects.toMatchObject({ name: 'CancelledError' });
      await works();
    });
  });

  test('COPY streams are stopped by a cancel, out and in', async () => {
    await run(async () => {
      const out = createTask(async () => {
        const client = await pool.connect();
        try {
          for await (const _ of client.query(copyToStream(`copy (${SLOW_ROWS}) to stdout`)));
        } finally {
          client.release();
        }
      });
      await untilRunning(db.url, 'copy');
      await sleep(50);
      out.cancel();
      await expect(timeout(10_000, () => out)).rejects.toMatchObject({ name: 'CancelledError' });
      await eventually(() => whole(pool));
      await works();
      await pool.query('drop table if exists sink; create table sink (n int)');
      const into = createTask(async () => {
        const client = await pool.connect();
        try {
          await pipeline(Readable.from(endless()), client.query(copyFromStream('copy sink from stdin')));
        } finally {
          client.release();
        }
      });
      await untilRunning(db.url, 'copy');
      await sleep(30);
      into.cancel();
      await expect(timeout(10_000, () => into)).rejects.toMatchObject({ name: 'CancelledError' });
      await eventually(() => whole(pool));
      expect(await pool.fetchVal('select count(*)::int from sink')).toBe(0);
    });
  });
});

async function* endless(): AsyncGenerator<string> {
  for (let n = 0; ; n++) {
    yield `${n}\n`;
    if (n % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

describe('copyTo', () => {
  test('gives everything', async () => {
    await run(async () => {
      let text = '';
      for await (const chunk of pool.copyTo('copy (select generate_series(1, 50000)) to stdout')) text += chunk;
      expect(
        text
          .trim()
          .split('\n')
          .map(Number)
          .reduce((a, b) => a + b),
      ).toBe((50_000 * 50_001) / 2);
      await works();
    });
  });

  test('leaves the connection usable when the loop is left', async () => {
    await run(async () => {
      for await (const _ of pool.copyTo('copy (select generate_series(1, 10000000)) to stdout')) break;
      await works();
      await expect(
        (async () => {
          for await (const _ of pool.copyTo('copy (select generate_series(1, 10000000)) to stdout'))
            throw new Error('enough');
        })(),
      ).rejects.toThrow('enough');
      await works();
      await expect(pool.copyTo('copy nowhere to stdout').next()).rejects.toMatchObject({ code: '42P01' });
      await works();
    });
  });

  test('is stopped on the server by a cancel', async () => {
    await run(async () => {
      await expect(
        timeout(100, async () => {
          for await (const _ of pool.copyTo(`copy (${SLOW_ROWS}) to stdout`));
        }),
      ).rejects.toMatchObject({ name: 'TimeoutError' });
      await works();
    });
  });
});

describe('copyFrom', () => {
  beforeEach(async () => {
    await pool.query('drop table if exists sink; create table sink (n int)');
  });
  const count = () => pool.fetchVal('select count(*)::int from sink');

  test('copies what it is given, at the pace of the server', async () => {
    await run(async () => {
      function* lines() {
        for (let n = 0; n < 100_000; n++) yield `${n}\n`;
      }
      expect(await pool.copyFrom('copy sink from stdin', lines())).toBe(100_000);
      expect(await pool.copyFrom('copy sink from stdin', Readable.from([Buffer.from('1\n2\n')]))).toBe(2);
      expect(await count()).toBe(100_002);
    });
  });

  test('copies nothing when the data end with an error, the server refuses them, or the task is cancelled', async () => {
    await run(async () => {
      await expect(
        pool.copyFrom(
          'copy sink from stdin',
          (function* () {
            yield '1\n';
            throw new Error('no more');
          })(),
        ),
      ).rejects.toThrow('no more');
      await works();
      await expect(pool.copyFrom('copy sink from stdin', ['1\n', 'x\n'])).rejects.toMatchObject({ code: '22P02' });
      await works();
      await expect(pool.copyFrom('copy nowhere from stdin', endless())).rejects.toMatchObject({ code: '42P01' });
      await works();
      await expect(timeout(50, () => pool.copyFrom('copy sink from stdin', endless()))).rejects.toMatchObject({
        name: 'TimeoutError',
      });
      expect(await count()).toBe(0);
    });
  });

  test('is stopped while it waits for a lock', async () => {
    const locker = new Pool({ connectionString: db.url });
    await run(async () => {
      await locker.transaction(async (tx) => {
        await tx.query('lock table sink');
        await expect(timeout(100, () => pool.copyFrom('copy sink from stdin', ['1\n']))).rejects.toMatchObject({
          name: 'TimeoutError',
        });
      });
      expect(await count()).toBe(0);
    });
    await locker.end();
  });
});

describe('cancels at random instants', () => {
  const flows: Record<string, () => Promise<unknown>> = {
    stream: async () => {
      const text = 'select n, pg_sleep(case when n > 100 then 60 else 0.0001 end) from generate_series(1, 200) n';
      for await (const _ of pool.stream(text, { batch: 10 }));
    },
    copyTo: async () => {
      const text =
        'copy (select n, pg_sleep(case when n > 3000 then 60 else 0 end) from generate_series(1, 4000) n) to stdout';
      for await (const _ of pool.copyTo(text)) await sleep(0);
    },
    copyFrom: () => pool.copyFrom('copy sink from stdin', endless()),
    executeMany: () =>
      pool.executeMany(
        'select pg_sleep($1)',
        Array.from({ length: 1000 }, (_, n) => [n > 900 ? 60 : 0]),
      ),
  };

  test.each(Object.keys(flows))('leave the connection of %s usable', async (name) => {
    const flow = flows[name] as () => Promise<unknown>;
    await pool.query('create table if not exists sink (n int)');
    await run(async () => {
      for (let round = 0; round < 50; round++) {
        const task = createTask(flow);
        await sleep(Math.random() * 15);
        task.cancel();
        await expect(timeout(10_000, () => task)).rejects.toMatchObject({ name: 'CancelledError' });
        await eventually(() => whole(pool));
      }
      await works();
    });
  });
});
