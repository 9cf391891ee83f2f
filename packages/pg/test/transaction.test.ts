import { Barrier, createTask, getRunningLoop, run, sleep, taskGroup, timeout } from '@aiokit/core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Client, Pool, type Transaction } from '../src/index.ts';
import { ask, eventually, running, untilRunning, useServer, whole } from './support.ts';

const db = useServer();
let pool: Pool;
beforeAll(async () => {
  pool = new Pool({ connectionString: db.url, max: 4 });
  await pool.query('create table accounts (id int primary key, balance int)');
});
beforeEach(async () => {
  await pool.query('truncate accounts; insert into accounts values (1, 100), (2, 100)');
});
afterAll(() => pool.end());

const balance = (id: number) => pool.fetchVal('select balance from accounts where id = $1', [id]);
const add = (tx: Pick<Transaction, 'execute'>, id: number, amount: number) =>
  tx.execute('update accounts set balance = balance + $2 where id = $1', [id, amount]);

describe('a transaction', () => {
  test('commits when its body returns, and returns its value', async () => {
    expect(
      await pool.transaction(async (tx) => {
        await add(tx, 1, -10);
        await add(tx, 2, 10);
        return 'moved';
      }),
    ).toBe('moved');
    expect(await balance(2)).toBe(110);
    expect(whole(pool)).toBe(true);
  });

  test('is rolled back when its body throws, and its error comes through', async () => {
    await run(async () => {
      await expect(
        pool.transaction(async (tx) => {
          await add(tx, 1, -10);
          throw new RangeError('too little');
        }),
      ).rejects.toThrow(new RangeError('too little'));
      expect(await balance(1)).toBe(100);
      expect(whole(pool)).toBe(true);
    });
  });

  test('is rolled back when its task is cancelled, and its connection is used again', async () => {
    await run(async () => {
      const task = createTask(() =>
        pool.transaction(async (tx) => {
          await add(tx, 1, -10);
          await tx.query('select pg_sleep(60)');
        }),
      );
      await untilRunning(db.url, 'pg_sleep');
      task.cancel();
      await expect(task).rejects.toMatchObject({ name: 'CancelledError' });
      expect(await running(db.url)).toEqual([]);
      expect(await balance(1)).toBe(100);
      expect(whole(pool)).toBe(true);
      expect(pool.statistics().leftInTransaction).toBe(0);
    });
  });

  test('commits in spite of a cancel that comes during COMMIT, and the cancel waits for the next await', async () => {
    await pool.query(`create table slow (n int);
      create function wait() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(7); return null; end $$;
      create constraint trigger slow_commit after insert on slow deferrable initially deferred for each row execute function wait()`);
    await ask(db.url, 'select pg_advisory_lock(7)');
    await run(async () => {
      let committed = false;
      const task = createTask(async () => {
        await pool.transaction((tx) => tx.query('insert into slow values (1)'));
        committed = true;
        await sleep(10_000);
      });
      await untilRunning(db.url, 'COMMIT');
      task.cancel();
      await sleep(20);
      await ask(db.url, 'select pg_advisory_unlock(7)');
      await expect(task).rejects.toMatchObject({ name: 'CancelledError' });
      expect(committed).toBe(true);
      expect(await pool.fetchVal('select count(*)::int from slow')).toBe(1);
    });
  });

  test('sets its isolation and access mode', async () => {
    const show = async (tx: Transaction) =>
      tx.fetchRow(
        "select current_setting('transaction_isolation') as i, current_setting('transaction_read_only') as r, current_setting('transaction_deferrable') as d",
      );
    expect(await pool.transaction(show, { isolation: 'serializable', readOnly: true, deferrable: true })).toEqual({
      i: 'serializable',
      r: 'on',
      d: 'on',
    });
    expect(await pool.transaction(show, { isolation: 'repeatable read' })).toEqual({
      i: 'repeatable read',
      r: 'off',
      d: 'off',
    });
    await expect(pool.transaction(show, { isolation: 'chaos' as never })).rejects.toThrow(
      "isolation must be one of 'read uncommitted'",
    );
  });

  test('whose body swallowed an error is not taken for committed', async () => {
    await expect(
      pool.transaction(async (tx) => {
        await add(tx, 1, -10);
        await tx.query('select 1/0').catch(() => {});
      }),
    ).rejects.toMatchObject({ code: 'ERR_TRANSACTION_ABORTED' });
    expect(await balance(1)).toBe(100);
  });

  test('whose COMMIT fails tells so', async () => {
    await pool.query('create table if not exists deferred (n int unique deferrable initially deferred)');
    await expect(pool.transaction((tx) => tx.query('insert into deferred values (1), (1)'))).rejects.toMatchObject({
      code: '23505',
    });
    await eventually(() => whole(pool));
  });

  test('whose connection dies tells the error of the body, not that of ROLLBACK', async () => {
    await run(async () => {
      await expect(
        pool.transaction(async (tx) => {
          const pid = await tx.fetchVal('select pg_backend_pid()');
          await ask(db.url, 'select pg_terminate_backend($1)', [pid]);
          await sleep(50);
          throw new Error('of the body');
        }),
      ).rejects.toThrow('of the body');
      await eventually(() => whole(pool));
    });
  });

  test('has a limit for everything', async () => {
    await expect(pool.transaction((tx) => tx.query('select pg_sleep(60)'), { timeout: 50 })).rejects.toMatchObject({
      name: 'TimeoutError',
    });
    expect(await running(db.url)).toEqual([]);
    expect(whole(pool)).toBe(true);
  });

  test("gives the task's deadline to the server, with a margin, at no cost of a round trip", async () => {
    const limit = (tx: Transaction) =>
      tx.fetchVal<number>("select setting::int from pg_settings where name = 'statement_timeout'");
    await timeout(60_000, async (limited) => {
      const given = await pool.transaction(limit);
      const left = (limited.when() as number) - getRunningLoop().time();
      expect(given).toBeGreaterThanOrEqual(left + 1000);
      expect(given).toBeLessThanOrEqual(61_000);
    });
    expect(await pool.transaction(limit)).toBe(0);
  });

  test('works on a client', async () => {
    const client = new Client(db.url);
    await client.connect();
    await client.transaction(async (tx) => {
      await add(tx, 1, 1);
      await expect(
        client.transaction(async (inner) => {
          await add(inner, 1, 1);
          throw new Error('undo');
        }),
      ).rejects.toThrow('undo');
    });
    expect(await balance(1)).toBe(101);
    await client.end();
  });
});

describe('a nested transaction', () => {
  test('is a savepoint, through tx or through the pool', async () => {
    await pool.transaction(async (tx) => {
      await add(tx, 1, 1);
      await tx.transaction((inner) => add(inner, 1, 10));
      await expect(
        tx.transaction(async (inner) => {
          await add(inner, 1, 100);
          throw new Error('undo');
        }),
      ).rejects.toThrow('undo');
      await pool.transaction((inner) => add(inner, 1, 1000));
    });
    expect(await balance(1)).toBe(100 + 1 + 10 + 1000);
  });

  test('runs after another one beside it', async () => {
    await run(() =>
      pool.transaction((tx) =>
        taskGroup((group) => {
          for (let n = 1; n <= 5; n++) {
            group.createTask(() =>
              tx.transaction(async (inner) => {
                await add(inner, 1, 10 ** n);
                await sleep(1);
                if (n % 2 === 0)
                  await inner
                    .transaction(async () => {
                      throw new Error('undo');
                    })
                    .catch(() => {});
              }),
            );
          }
        }),
      ),
    );
    expect(await balance(1)).toBe(100 + 111_110);
  });

  test('may use the outer transaction', async () => {
    await pool.transaction((tx) => tx.transaction(() => tx.transaction(() => add(tx, 1, 1))));
    expect(await balance(1)).toBe(101);
  });

  test('that is cancelled is undone alone', async () => {
    await run(() =>
      pool.transaction(async (tx) => {
        await add(tx, 1, 1);
        await expect(
          timeout(50, () =>
            tx.transaction(async (inner) => {
              await add(inner, 1, 10);
              await inner.query('select pg_sleep(60)');
            }),
          ),
        ).rejects.toMatchObject({ name: 'TimeoutError' });
        await add(tx, 1, 100);
      }),
    );
    expect(await balance(1)).toBe(201);
    expect(pool.statistics().leftInTransaction).toBe(0);
  });

  test('takes no options of the outermost', async () => {
    await expect(pool.transaction((tx) => tx.transaction(() => {}, { isolation: 'serializable' }))).rejects.toThrow(
      'isolation cannot be set for a nested transaction',
    );
  });
});

describe('retry', () => {
  test('runs the body again after a serialization failure', async () => {
    let attempts = 0;
    const bothHaveRead = new Barrier(2);
    await Promise.all(
      [1, 2].map((id) =>
        pool.transaction(
          async (tx) => {
            attempts++;
            await tx.fetch('select sum(balance) from accounts');
            if (attempts <= 2) await bothHaveRead.wait();
            await add(tx, id, 1);
          },
          { isolation: 'serializable', retry: 5 },
        ),
      ),
    );
    expect(attempts).toBeGreaterThan(2);
    expect(await pool.fetchVal('select sum(balance)::int from accounts')).toBe(202);
  });

  test('gives up after so many times', async () => {
    let attempts = 0;
    await expect(
      pool.transaction(
        (tx) => {
          attempts++;
          return tx.query("do $$ begin raise exception 'no' using errcode = '40001'; end $$");
        },
        { retry: 2 },
      ),
    ).rejects.toMatchObject({ code: '40001' });
    expect(attempts).toBe(3);
  });

  test('ends with a cancel', async () => {
    await run(async () => {
      let attempts = 0;
      const task = createTask(() =>
        pool.transaction(
          (tx) => {
            attempts++;
            return tx.query("do $$ begin raise exception 'no' using errcode = '40P01'; end $$");
          },
          { retry: 1e6 },
        ),
      );
      await eventually(() => attempts > 3);
      task.cancel();
      await expect(task).rejects.toMatchObject({ name: 'CancelledError' });
      const before = attempts;
      await sleep(30);
      expect(attempts).toBe(before);
      expect(whole(pool)).toBe(true);
    });
  });
});

test('an ambient transaction takes in what others send to the pool', async () => {
  const elsewhere = (amount: number) => pool.query('update accounts set balance = balance + $1 where id = 1', [amount]);
  await pool
    .transaction(
      async () => {
        await elsewhere(1);
        throw new Error('undo');
      },
      { ambient: true },
    )
    .catch(() => {});
  expect(await balance(1)).toBe(100);
  await expect(
    pool.transaction(async () => {
      await elsewhere(1);
      throw new Error('undo');
    }),
  ).rejects.toThrow('undo');
  expect(await balance(1)).toBe(101);
});
