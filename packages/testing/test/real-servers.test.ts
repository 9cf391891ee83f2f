/** Virtual time beside real servers, through a proxy that delays, splits and holds. */
import { createTask, gather, getRunningLoop, sleep, timeout } from '@aiokit/core';
import { Pool } from '@aiokit/pg';
import { Redis } from '@aiokit/redis';
import { runTest, waitAllTasksBlocked } from '@aiokit/testing';
import {
  type FaultProxy,
  faultProxy,
  type PostgresServer,
  postgres,
  type RedisServer,
  redis,
} from '@aiokit/testing/services';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { notification, poppedElement, publishedMessage, streamEntry } from './arrivals.ts';

/** Runs of each combination. The proof was run with 1,000: `AIOKIT_PROOF_RUNS=1000`. */
const RUNS = Number(process.env.AIOKIT_PROOF_RUNS ?? 60);
/** Loops side by side, each with a clock of its own: none holds another's. */
const LOOPS = 20;
const HOUR = 3_600_000;
const LIMITS = { timeout: 100_000, ioTimeout: 30_000 };

let postgresServer: PostgresServer;
let redisServer: RedisServer;
beforeAll(async () => {
  [postgresServer, redisServer] = await Promise.all([
    postgres({ server: 'private', settings: { max_connections: 60 } }),
    redis({ server: 'private' }),
  ]);
});
afterAll(async () => {
  await postgresServer?.[Symbol.asyncDispose]();
  await redisServer?.[Symbol.asyncDispose]();
});

type Shape = 'whole' | 'split in packets' | 'pipelined';

async function faulty(server: PostgresServer | RedisServer, delay: number, shape: Shape): Promise<FaultProxy> {
  const proxy = await faultProxy(server);
  if (delay > 0) proxy.delay(delay, { direction: 'toClient' });
  if (shape === 'split in packets') proxy.split(7, { direction: 'toClient' });
  return proxy;
}

/** Runs the body in `loops` tests at once. */
function inLoops(loops: number, body: () => Promise<void>): Promise<unknown> {
  const each = () =>
    runTest(async ({ clock }) => {
      await body();
      expect(clock.now()).toBe(0);
    }, LIMITS);
  return Promise.all(Array.from({ length: loops }, each));
}

async function queries(url: string, shape: Shape): Promise<void> {
  const pool = new Pool({ connectionString: url, max: 1 });
  try {
    const query = async (n: number) => {
      const { rows } = await timeout(HOUR, () => pool.query('select $1::int as n', [n]));
      expect(rows).toEqual([{ n }]);
    };
    const each = RUNS / LOOPS;
    if (shape === 'pipelined') await gather(Array.from({ length: each }, (_, n) => () => query(n)));
    else for (let n = 0; n < each; n++) await query(n);
  } finally {
    await pool.end();
  }
}

async function commands(url: string, shape: Shape): Promise<void> {
  const client = new Redis(url);
  try {
    const echo = async (n: number) => {
      expect(await timeout(HOUR, () => client.echo(`${n}`))).toBe(`${n}`);
    };
    const each = RUNS / LOOPS;
    if (shape === 'pipelined') await gather(Array.from({ length: each }, (_, n) => () => echo(n)));
    else for (let n = 0; n < each; n++) await echo(n);
  } finally {
    client.disconnect();
  }
}

describe('a one-hour virtual timeout never beats a real answer', () => {
  for (const shape of ['whole', 'split in packets', 'pipelined'] as const) {
    for (const delay of [0, 1, 5, 20, 200]) {
      test(`a query, ${delay} ms late, ${shape}`, { timeout: 120_000 }, async () => {
        await using proxy = await faulty(postgresServer, delay, shape);
        await inLoops(LOOPS, () => queries(proxy.url(postgresServer.url), shape));
      });
      test(`a command, ${delay} ms late, ${shape}`, { timeout: 120_000 }, async () => {
        await using proxy = await faulty(redisServer, delay, shape);
        await inLoops(LOOPS, () => commands(proxy.url(redisServer.url), shape));
      });
    }
  }
});

describe('the clock never jumps past what is on its way on another connection', () => {
  for (const delay of [0, 1, 5, 20, 200]) {
    test.for([
      ['an element for BLPOP', poppedElement],
      ['a message of pub/sub', publishedMessage],
      ['an entry of a stream', streamEntry],
    ] as const)(`%s, ${delay} ms late`, { timeout: 60_000 }, async ([, arrival]) => {
      await using proxy = await faulty(redisServer, delay, 'whole');
      await inLoops(5, () => arrival(proxy.url(redisServer.url), redisServer.url));
    });
    test(`a notification of PostgreSQL, ${delay} ms late`, { timeout: 60_000 }, async () => {
      await using proxy = await faulty(postgresServer, delay, 'whole');
      await inLoops(3, () => notification(proxy.url(postgresServer.url), postgresServer.url));
    });
  }
});

test('a virtual timeout of 50 ms is sent to no server', async () => {
  await runTest(async () => {
    const pool = new Pool({ connectionString: postgresServer.url, max: 1 });
    const client = new Redis(redisServer.url);
    try {
      await timeout(50, async () => {
        await pool.query('select pg_sleep(0.2)');
        const { rows } = await pool.query("select current_setting('statement_timeout') as limit");
        expect(rows).toEqual([{ limit: '0' }]);
      });
      // 50 ms of our time, for ever of the server's: nothing is there, and our clock ends it.
      expect(await client.blpop('nothing', 0.05)).toBe(null);
      expect(getRunningLoop().time()).toBe(50);
    } finally {
      client.disconnect();
      await pool.end();
    }
  }, LIMITS);
});

test('a statement that waits for the row lock of a task that sleeps does not stop the clock', async () => {
  await using database = await postgresServer.database();
  await runTest(async ({ clock }) => {
    const pool = new Pool({ connectionString: database.url });
    try {
      await pool.query('create table account (id int primary key, balance int)');
      await pool.query('insert into account values (1, 100)');
      const holder = createTask(() =>
        pool.transaction(async (tx) => {
          await tx.query('update account set balance = balance - 10 where id = 1');
          await sleep(60_000);
        }),
      );
      await waitAllTasksBlocked();
      await pool.query('update account set balance = balance - 10 where id = 1');
      expect(clock.now()).toBe(60_000);
      await holder;
    } finally {
      await pool.end();
    }
  }, LIMITS);
});

describe('a server that does not answer fails the test by the name of', () => {
  test('the statement', async () => {
    const run = runTest(
      async () => {
        const pool = new Pool({ connectionString: postgresServer.url, max: 1 });
        try {
          await pool.query('select 1');
          await postgresServer.pause();
          await timeout(HOUR, () => pool.query('select 2'));
        } finally {
          await postgresServer.resume();
          await pool.end();
        }
      },
      { ioTimeout: 300 },
    );
    await expect(run).rejects.toThrow(/^pg select 2 at .+:\d+, in flight for \d+ ms of real time/);
  });

  test('the command, and what waits for the server', async () => {
    const client = new Redis(redisServer.url);
    const stalled = (body: () => Promise<unknown>) =>
      runTest(
        async () => {
          await client.ping();
          try {
            await body();
          } finally {
            await redisServer.resume();
          }
        },
        { ioTimeout: 300 },
      );
    try {
      const command = stalled(async () => {
        await redisServer.pause();
        await timeout(HOUR, () => client.get('key'));
      });
      await expect(command).rejects.toThrow(/^redis get at 127\.0\.0\.1:\d+, in flight for \d+ ms of real time/i);
      const wait = stalled(async () => {
        const popped = createTask(() => client.blpop('key', 0));
        await waitAllTasksBlocked();
        await redisServer.pause();
        await timeout(HOUR, () => popped);
      });
      await expect(wait).rejects.toThrow(/redis BLPOP key 0.* in flight for \d+ ms of real time/i);
    } finally {
      client.disconnect();
    }
  });
});
