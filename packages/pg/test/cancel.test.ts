/** The safe cancel itself: what may go wrong between the request of a cancel and the next statement on the connection. */
import { channel } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, Socket } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import { createServer } from 'node:tls';
import { createTask, isCancelled, run, sleep, timeout } from '@aiokit/core';
import { faultProxy } from '@aiokit/testing/services';
import pg from 'pg';
import { afterEach, describe, expect, test } from 'vitest';
import { CANCEL_CHANNEL, type CancelEvent, Client, Pool } from '../src/index.ts';
import {
  ask,
  closedGate,
  eventually,
  running,
  startServer,
  untilIdle,
  untilRunning,
  useServer,
  whole,
} from './support.ts';

const db = useServer();
afterEach(() => untilIdle(db.url));

/** How many cancels the storms send: 100,000 in the long run (AIOKIT_LONG=1). */
const CANCELS = process.env.AIOKIT_LONG ? 100_000 : 1500;

/** Cancels statements of all lengths, beside neighbours that check every answer they get. */
async function storm(pool: Pool, cancels: number): Promise<{ stray: unknown[]; wrong: number; asked: number }> {
  const stray: unknown[] = [];
  let wrong = 0;
  let asked = 0;
  await run(async () => {
    let over = false;
    const neighbours = Array.from({ length: 3 }, (_, who) =>
      createTask(async () => {
        for (let n = who * 1e6; !over; n++) {
          try {
            const { rows } = await pool.query('select $1::int as n', [n]);
            asked++;
            if (rows[0].n !== n) wrong++;
          } catch (error) {
            stray.push(error);
          }
        }
      }),
    );
    const workers = pool.options.max + 1;
    await Promise.all(
      Array.from({ length: workers }, () =>
        createTask(async () => {
          for (let n = 0; n < cancels / workers; n++) {
            const text = `select pg_sleep(${[0, 0.001, 0.003, 10][n % 4]})`;
            const task = createTask(() => pool.query(text));
            await sleep(Math.random() * 5);
            task.cancel();
            await task.catch((error: unknown) => {
              if (!isCancelled(error)) stray.push(error);
            });
          }
        }),
      ),
    );
    over = true;
    await Promise.all(neighbours);
  });
  return { stray, wrong, asked };
}

describe('a storm of cancels', () => {
  test.each([1, 2, 10])(
    'hits no neighbour in a pool of %d',
    async (max) => {
      const pool = new Pool({ connectionString: db.url, max });
      const { stray, wrong, asked } = await storm(pool, CANCELS / 3);
      expect({ stray, wrong }).toEqual({ stray: [], wrong: 0 });
      expect(asked).toBeGreaterThan(0);
      await eventually(() => whole(pool));
      expect(pool.totalCount).toBeLessThanOrEqual(max);
      const { cancels } = pool.statistics();
      expect(cancels.consumed).toBeGreaterThan(0);
      expect(cancels.dead).toBe(0);
      expect(await running(db.url)).toEqual([]);
      await pool.end();
    },
    600_000,
  );

  test.each(['close-first', { delay: 15, closeFirst: true }] as const)(
    'hits no neighbour through a proxy that lies: %j',
    async (fault) => {
      await using proxy = await faultProxy(db.server, { onCancelRequest: fault });
      const pool = new Pool({ connectionString: proxy.url(db.url), max: 2 });
      const { stray, wrong } = await storm(pool, CANCELS / 5);
      expect({ stray, wrong }).toEqual({ stray: [], wrong: 0 });
      await eventually(() => whole(pool));
      await pool.end();
    },
    600_000,
  );
});

describe('a cancel through a proxy', () => {
  const sleepThrough = async (url: string, options: pg.PoolConfig = {}) => {
    const pool = new Pool({ connectionString: url, max: 1, ...options });
    const events: CancelEvent[] = [];
    const hear = (event: unknown) => void events.push(event as CancelEvent);
    channel(CANCEL_CHANNEL).subscribe(hear);
    try {
      await run(async () => {
        const task = createTask(() => pool.query('select pg_sleep(60)'));
        await untilRunning(db.url, 'pg_sleep');
        task.cancel();
        await expect(timeout(4000, () => task)).rejects.toMatchObject({ name: 'CancelledError' });
      });
      return { statistics: pool.statistics(), verdicts: events.map(({ verdict }) => verdict) };
    } finally {
      channel(CANCEL_CHANNEL).unsubscribe(hear);
      await pool.end();
      await ask(
        db.url,
        "select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(60)%' and pid <> pg_backend_pid()",
      );
      await untilIdle(db.url);
    }
  };

  test('that is lost destroys the connection within cancelGrace', async () => {
    await using proxy = await faultProxy(db.server, { onCancelRequest: 'drop' });
    expect(await sleepThrough(proxy.url(db.url), { cancelGrace: 300 })).toMatchObject({
      statistics: { total: 0, waiting: 0 },
      verdicts: ['dead'],
    });
    expect(proxy.cancelRequests).toBeGreaterThan(1); // it was tried again
  });

  test('that never answers destroys the connection within cancelGrace', async () => {
    const never = new Promise(() => {});
    await using proxy = await faultProxy(db.server, { onCancelRequest: { until: never } });
    expect(await sleepThrough(proxy.url(db.url), { cancelGrace: 200 })).toMatchObject({
      statistics: { total: 0 },
      verdicts: ['dead'],
    });
  });

  test('that refuses the second connection destroys the first', async () => {
    await using proxy = await faultProxy(db.server);
    const pool = new Pool({ connectionString: proxy.url(db.url), max: 1 });
    const gate = await closedGate(db.url);
    await run(async () => {
      const task = createTask(() => pool.query(`select ${gate.waits}`));
      await untilRunning(db.url, gate.waits);
      proxy.refuse();
      task.cancel();
      await expect(timeout(4000, () => task)).rejects.toMatchObject({ name: 'CancelledError' });
      expect(pool.statistics()).toMatchObject({ total: 0, cancels: { dead: 1 } });
    });
    await gate.open();
    await pool.end();
  });

  test('whose connection is cut in the middle ends it', async () => {
    await using proxy = await faultProxy(db.server, { onCancelRequest: { until: new Promise(() => {}) } });
    const pool = new Pool({ connectionString: proxy.url(db.url), max: 1 });
    const gate = await closedGate(db.url);
    await run(async () => {
      const task = createTask(() => pool.query(`select ${gate.waits}`));
      await untilRunning(db.url, gate.waits);
      task.cancel();
      await eventually(() => proxy.cancelRequests === 1);
      proxy.cut();
      await expect(timeout(4000, () => task)).rejects.toMatchObject({ name: 'CancelledError' });
      expect(pool.totalCount).toBe(0);
      await gate.open();
      await eventually(async () => (await running(db.url)).length === 0);
    });
    await pool.end();
  });

  test('that came too late taints the connection: its holder may go on, the pool does not take it back', async () => {
    await using proxy = await faultProxy(db.server, { onCancelRequest: 'drop' });
    for (const afterCancel of ['destroy', 'trust'] as const) {
      const pool = new Pool({ connectionString: proxy.url(db.url), max: 1, afterCancel });
      await run(async () => {
        const client = await pool.connect();
        await client.query('begin');
        const gate = await closedGate(db.url);
        const seen: unknown[] = [];
        const task = createTask(async () => {
          seen.push((await client.query(`select ${gate.waits}, 7 as n`)).rows[0].n);
          await sleep(60_000);
        });
        await untilRunning(db.url, gate.waits);
        const requests = proxy.cancelRequests;
        task.cancel();
        await eventually(() => proxy.cancelRequests > requests);
        await gate.open();
        await expect(task).rejects.toMatchObject({ name: 'CancelledError' });
        expect(seen).toEqual([7]);
        expect((await client.query('rollback')).command).toBe('ROLLBACK');
        client.release();
        await eventually(() => pool.statistics().cancels.tainted === 1);
        expect(pool.totalCount).toBe(afterCancel === 'destroy' ? 0 : 1);
      });
      await pool.end();
    }
  });

  // Up to PostgreSQL 17 a request is two signals. Here pg_cancel_backend() is the second, as late as can be.
  test('that closes first: a second signal of the same request hits nobody', async () => {
    await using proxy = await faultProxy(db.server, { onCancelRequest: 'close-first' });
    const pool = new Pool({ connectionString: proxy.url(db.url), max: 1 });
    await run(async () => {
      const pid = await pool.fetchVal<number>('select pg_backend_pid()');
      const task = createTask(() => pool.query('select pg_sleep(60)'));
      await untilRunning(db.url, 'pg_sleep');
      task.cancel();
      await expect(task).rejects.toMatchObject({ name: 'CancelledError' });
      expect(pool.statistics()).toMatchObject({ total: 0, cancels: { consumed: 1 } });
      const gate = await closedGate(db.url);
      const neighbour = createTask(() => pool.query(`select ${gate.waits}, 7 as n`));
      await untilRunning(db.url, gate.waits);
      await ask(db.url, 'select pg_cancel_backend($1)', [pid]);
      await gate.open();
      expect((await neighbour).rows).toMatchObject([{ n: 7 }]);
    });
    await pool.end();
  });

  test("that is trusted (afterCancel: 'trust') costs no connection", async () => {
    await using proxy = await faultProxy(db.server);
    const pool = new Pool({ connectionString: proxy.url(db.url), max: 1, afterCancel: 'trust' });
    await run(async () => {
      const pid = await pool.fetchVal('select pg_backend_pid()');
      const task = createTask(() => pool.query('select pg_sleep(60)'));
      await untilRunning(db.url, 'pg_sleep');
      task.cancel();
      await expect(task).rejects.toMatchObject({ name: 'CancelledError' });
      expect(await pool.fetchVal('select pg_backend_pid()')).toBe(pid);
    });
    await pool.end();
  });

  test('whose answer to where it leads does not come destroys the connection within cancelGrace', async () => {
    await using proxy = await faultProxy(db.server);
    const pool = new Pool({ connectionString: proxy.url(db.url), max: 1, cancelGrace: 300 });
    await run(async () => {
      const task = createTask(() => pool.query('select pg_sleep(60)'));
      await untilRunning(db.url, 'pg_sleep');
      const verdicts = channel(CANCEL_CHANNEL);
      const hold = () => {
        verdicts.unsubscribe(hold);
        proxy.hold({ direction: 'toServer' });
      };
      verdicts.subscribe(hold);
      task.cancel();
      await expect(timeout(4000, () => task)).rejects.toMatchObject({ name: 'CancelledError' });
      expect(pool.statistics()).toMatchObject({ total: 0, waiting: 0, cancels: { consumed: 1 } });
      await proxy.restore();
      expect(await pool.fetchVal('select 1')).toBe(1);
    });
    await pool.end();
  });

  test('without key data closes the connection', async () => {
    class Keyless extends Client {
      constructor(config?: pg.ClientConfig) {
        super(config);
        Object.defineProperty(this, 'processID', { get: () => null, set: () => {} });
      }
    }
    const result = await sleepThrough(db.url, { Client: Keyless as never });
    expect(result).toMatchObject({ statistics: { total: 0 }, verdicts: ['dead'] });
  });
});

describe('a cancel on a client', () => {
  const connected = async (config: pg.ClientConfig = {}) => {
    const client = new Client({ connectionString: db.url, ...config });
    await client.connect();
    return client;
  };

  test('takes a queued statement out, unsent', async () => {
    const client = await connected();
    await run(async () => {
      await client.query('create table if not exists unsent (n int)');
      const gate = await closedGate(db.url);
      const first = createTask(() => client.query(`select ${gate.waits}`));
      await sleep(0);
      const second = createTask(() => client.query('insert into unsent values (1)'));
      await sleep(0);
      second.cancel();
      await expect(second).rejects.toMatchObject({ name: 'CancelledError' });
      await gate.open();
      await first;
      expect(await client.fetch('select * from unsent')).toEqual([]);
    });
    await client.end();
  });

  test('is sent again while the server shows no effect, and costs no connection for that', async () => {
    const pool = new Pool({ connectionString: db.url, max: 1 });
    await run(async () => {
      const pid = (await pool.fetchVal<number>('select pg_backend_pid()')) as number;
      const task = createTask(() => pool.query('select pg_sleep(60)'));
      await untilRunning(db.url, 'pg_sleep');
      let requests = 0;
      const count = () => void requests++;
      process.kill(pid, 'SIGSTOP'); // as slow as a server can be
      channel('net.client.socket').subscribe(count);
      try {
        task.cancel();
        await eventually(() => requests > 2);
      } finally {
        channel('net.client.socket').unsubscribe(count);
        process.kill(pid, 'SIGCONT');
      }
      await expect(task).rejects.toMatchObject({ name: 'CancelledError' });
      expect(pool.statistics()).toMatchObject({ total: 1, idle: 1, cancels: { consumed: 1 } });
      expect(await pool.fetchVal('select pg_backend_pid()')).toBe(pid);
    });
    await pool.end();
  });

  test('in a transaction keeps the connection, when the transaction has been rolled back', async () => {
    const pool = new Pool({ connectionString: db.url, max: 1 });
    await run(async () => {
      const pid = await pool.fetchVal('select pg_backend_pid()');
      const task = createTask(() => pool.transaction((tx) => tx.query('select pg_sleep(60)')));
      await untilRunning(db.url, 'pg_sleep');
      task.cancel();
      await expect(task).rejects.toMatchObject({ name: 'CancelledError' });
      expect(pool.statistics()).toMatchObject({ total: 1, idle: 1, cancels: { consumed: 1 } });
      expect(await pool.fetchVal('select pg_backend_pid()')).toBe(pid);
    });
    await pool.end();
  });

  test('lets transaction control pass, even queued', async () => {
    const client = await connected();
    await run(async () => {
      const gate = await closedGate(db.url);
      const blocking = client.query(`select ${gate.waits}`);
      const task = createTask(async () => {
        await client.query('/* open */ begin');
        done = true;
        await sleep(60_000);
      });
      let done = false;
      await untilRunning(db.url, gate.waits);
      task.cancel();
      await gate.open();
      await expect(task).rejects.toMatchObject({ name: 'CancelledError' });
      await blocking;
      expect(done).toBe(true);
      expect(client.getTransactionStatus()).toBe('T');
    });
    await client.end();
  });

  test('gives up a client that is still connecting', async () => {
    await using proxy = await faultProxy(db.server);
    proxy.hold({ direction: 'toClient' });
    const client = new Client(proxy.url(db.url));
    await run(() => expect(timeout(50, () => client.connect())).rejects.toMatchObject({ name: 'TimeoutError' }));
    await eventually(() => proxy.open === 0);
  });

  test('drops the result of a statement in a pipeline, and hits nobody', async () => {
    const client = await connected({ pipeline: true });
    await run(async () => {
      const gate = await closedGate(db.url);
      const head = createTask(() => client.query(`select ${gate.waits}`));
      const others = [1, 2, 3].map((n) => createTask(() => client.query('select $1::int as n', [n])));
      await untilRunning(db.url, gate.waits);
      head.cancel();
      await expect(head).rejects.toMatchObject({ name: 'CancelledError' });
      await gate.open();
      expect((await Promise.all(others)).map(({ rows }) => rows[0].n)).toEqual([1, 2, 3]);
    });
    await client.end();
  });

  test('keeps named statements', async () => {
    const client = await connected();
    const named = { name: 'nap', text: 'select pg_sleep($1), 1 as one' };
    await run(async () => {
      await client.query({ ...named, values: [0] });
      await expect(timeout(30, () => client.query({ ...named, values: [60] }))).rejects.toMatchObject({
        name: 'TimeoutError',
      });
      expect((await client.query({ ...named, values: [0] })).rows[0].one).toBe(1);
    });
    await client.end();
  });

  test('stops a Query with listeners, which is told by its error event', async () => {
    const client = await connected();
    await run(async () => {
      const task = createTask(async () => {
        const query = client.query(new pg.Query('select pg_sleep(60)'));
        return await new Promise((resolve) => query.on('error', resolve));
      });
      await untilRunning(db.url, 'pg_sleep');
      task.cancel();
      expect(await task).toMatchObject({ name: 'CancelledError' });
      expect(await client.fetchVal('select 1')).toBe(1);
    });
    await client.end();
  });

  test('leaves the text of errors and their stacks as useful as outside', async () => {
    const client = await connected();
    async function theCaller() {
      return await client.query('select 1/0');
    }
    const error = await run(() => createTask(theCaller)).catch((e) => e);
    expect(error).toBeInstanceOf(pg.DatabaseError);
    expect(error.stack).toContain('theCaller');
    await client.end();
  });
});

describe('a cancel of a connection elsewhere', () => {
  test('works through TLS with a verified certificate', async () => {
    await using server = await startServer({ tls: true });
    const pool = new Pool({ connectionString: server.url, ssl: { ca: server.ca as string }, max: 1 });
    await pool.query('select 1'); // connected
    const tls = await pool.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()');
    expect(tls.rows).toEqual([{ ssl: true }]);
    for (const consumed of [1, 2]) {
      await expect(timeout(200, () => pool.query('select pg_sleep(60)'))).rejects.toMatchObject({
        name: 'TimeoutError',
      });
      expect(pool.statistics()).toMatchObject({ total: 1, idle: 1, cancels: { consumed } });
    }
    await pool.end();
  });

  test('shows the client certificate of the connection', async () => {
    await using certified = await startServer({ tls: true }); // for its certificate
    const [cert, key] = ['server.crt', 'server.key'].map((file) => readFileSync(join(certified.socketDir, file)));
    const credentials = { ca: cert as Buffer, cert: cert as Buffer, key: key as Buffer };
    const options = { ...credentials, requestCert: true, ALPNProtocols: ['postgresql'] };
    const proxy = createServer(options, (socket) => {
      const server = connect(db.server.port, db.server.host);
      pipeline(socket, server, socket, () => {});
    });
    await once(proxy.listen(0), 'listening');
    const { port } = proxy.address() as AddressInfo;
    const { user } = db.server;
    const config = { host: 'localhost', port, user, database: 'postgres', ssl: credentials, max: 1 };
    const pool = new Pool({ ...config, sslnegotiation: 'direct', afterCancel: 'trust' });
    await pool.query('select 1'); // connected
    await expect(timeout(200, () => pool.query('select pg_sleep(60)'))).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(pool.statistics()).toMatchObject({ total: 1, idle: 1, cancels: { consumed: 1 } });
    await pool.end();
    proxy.close();
  });

  test('gives the connection up when its TLS files are no longer valid', async () => {
    await using server = await startServer({ tls: true });
    const { host, port, user, ca } = server;
    const ssl: { ca: string; cert?: string } = { ca: ca as string };
    const pool = new Pool({ host, port, user, database: 'postgres', ssl, max: 1 });
    await pool.query('select 1'); // connected
    ssl.cert = 'no certificate';
    await expect(timeout(200, () => pool.query('select pg_sleep(60)'))).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(pool.statistics()).toMatchObject({ total: 0, cancels: { dead: 1 } });
    await pool.end();
  });

  test('goes to the server that the connection has, whatever its name leads to by now', async () => {
    await using other = await startServer();
    const stream = () => {
      const socket = new Socket();
      const connectTo = socket.connect as (port: number, host: string) => Socket;
      socket.connect = (() => connectTo.call(socket, db.server.port, db.server.host)) as never;
      return socket;
    };
    const pool = new Pool({ connectionString: other.url, stream: stream as never, max: 1 });
    await run(async () => {
      const task = createTask(() => pool.query('select pg_sleep(60)'));
      await untilRunning(db.url, 'pg_sleep');
      task.cancel();
      await expect(task).rejects.toMatchObject({ name: 'CancelledError' });
      expect(pool.statistics()).toMatchObject({ total: 1, idle: 1, cancels: { consumed: 1 } });
    });
    await pool.end();
  });

  test('works through a unix socket', async () => {
    const { socketDir, port, user } = db.server;
    const pool = new Pool({ host: socketDir, port, user, database: 'postgres', max: 1 });
    await pool.query('select 1'); // connected
    await expect(timeout(100, () => pool.query('select pg_sleep(60)'))).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(pool.statistics()).toMatchObject({ total: 1, idle: 1, cancels: { consumed: 1 } });
    await pool.end();
  });

  test('works through TLS without negotiation (PostgreSQL 17 and newer)', async () => {
    await using server = await startServer({ version: 18, tls: true });
    const ssl = { ca: server.ca as string };
    const pool = new Pool({ connectionString: server.url, ssl, sslnegotiation: 'direct', max: 1 });
    await pool.query('select 1'); // connected
    await expect(timeout(200, () => pool.query('select pg_sleep(60)'))).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(pool.statistics()).toMatchObject({ total: 1, idle: 1, cancels: { consumed: 1 } });
    await pool.end();
  });
});

test('client_connection_check_interval ends what a closed connection has left behind', async () => {
  const pool = new Pool({
    connectionString: db.url,
    cancel: 'close',
    options: '-c client_connection_check_interval=50',
  });
  await pool.query('select 1'); // connected
  await expect(timeout(100, () => pool.query('select pg_sleep(60)'))).rejects.toMatchObject({ name: 'TimeoutError' });
  expect(pool.statistics()).toMatchObject({ total: 0, cancels: { dead: 1 } });
  await untilIdle(db.url);
  await pool.end();
});
