import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import {
  type FaultProxy,
  faultProxy,
  type PostgresServer,
  postgres,
  type RedisServer,
  redis,
} from '@aiokit/testing/services';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { eventually } from './support/eventually.ts';
import { connected as connectedPg, query } from './support/pg.ts';
import { connected } from './support/redis.ts';

let store: RedisServer;
let sql: PostgresServer;

beforeAll(async () => {
  [store, sql] = await Promise.all([redis({ server: 'private' }), postgres({ server: 'private' })]);
});

afterAll(async () => {
  await store[Symbol.asyncDispose]();
  await sql[Symbol.asyncDispose]();
});

const through = (proxy: FaultProxy) => connected(proxy.url(store.url));

async function timed<T>(body: () => Promise<T>): Promise<{ value: T; ms: number }> {
  const start = performance.now();
  return { value: await body(), ms: performance.now() - start };
}

/** The ids of the server's connections, but for the asker's. */
async function clients(): Promise<string[]> {
  await using admin = await connected(store.url);
  const [list, own] = [String(await admin.client('LIST')), await admin.client('ID')];
  return Array.from(list.matchAll(/^id=(\d+)/gm), ([, id]) => id as string).filter((id) => id !== String(own));
}

/** A socket, and all that it received as it came. */
async function raw(port: number, host = '127.0.0.1'): Promise<{ socket: Socket; chunks: Buffer[] }> {
  const socket = connect({ port, host, noDelay: true });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('error', () => {});
  await once(socket, 'connect');
  return { socket, chunks };
}

describe('faultProxy()', () => {
  it('passes everything on, and counts', async () => {
    await using proxy = await faultProxy(store);
    {
      await using client = await through(proxy);
      const big = 'x'.repeat(3 * 1024 ** 2);
      await client.set('big', big);
      expect(await client.get('big')).toBe(big);
      expect([proxy.connections, proxy.open, proxy.waiting]).toEqual([1, 1, 0]);
    }
    await eventually(() => proxy.open).toBe(0);
    await eventually(clients).toEqual([]);
    expect(proxy.connections).toBe(1);
  });

  it.each([
    ['a URL', () => store.url],
    ['host and port', () => ({ host: store.host, port: store.port })],
    ['a unix socket', () => ({ path: store.socket })],
  ])('leads to %s', async (_, target) => {
    await using proxy = await faultProxy(target());
    await using client = await through(proxy);
    expect(await client.ping()).toBe('PONG');
  });

  it('listens on a unix socket too', async () => {
    const path = join(sql.socketDir, '.s.PGSQL.9');
    await using proxy = await faultProxy({ path: join(sql.socketDir, `.s.PGSQL.${sql.port}`) }, { path });
    expect(await query({ host: sql.socketDir, port: 9, user: sql.user }, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(proxy.connections).toBe(1);
    expect(() => proxy.url(sql.url)).toThrow(
      'url(): a proxy on a unix socket has no URL; give its directory as the host.',
    );
  });

  it('keeps the rest of a URL, so TLS is verified through it', async () => {
    await using server = await postgres({ tls: true });
    await using proxy = await faultProxy(server);
    expect(await query(proxy.url(server.url), 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')).toEqual([
      { ssl: true },
    ]);
    expect(proxy.connections).toBe(1);
  });

  it('resets a client whose server is down', async () => {
    await using server = await redis({ server: 'private' });
    await using proxy = await faultProxy(server);
    await server.kill();
    const socket = connect(proxy.port, proxy.host);
    const [error] = await once(socket, 'error');
    expect(error).toMatchObject({ code: 'ECONNRESET' });
  });

  it('ends its connections and frees its port when it is closed, also twice', async () => {
    const proxy = await faultProxy(store);
    const { socket } = await raw(proxy.port);
    await eventually(() => proxy.open).toBe(1);
    const closed = once(socket, 'close');
    await proxy.close();
    await proxy.close();
    await closed;
    expect(proxy.open).toBe(0);
    await eventually(clients).toEqual([]);
    await expect(raw(proxy.port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('says what a bad argument is', async () => {
    await expect(faultProxy('nowhere')).rejects.toThrow(
      'target must be a URL with a host, { host, port } or { path }, received "nowhere".',
    );
    await using proxy = await faultProxy(store);
    expect(() => proxy.delay(-1)).toThrow('ms must be a number of milliseconds from 0 on, received -1.');
    expect(() => proxy.split(0)).toThrow('bytes must be a number from 1 on, received 0.');
  });
});

describe('delay()', () => {
  it('delays both directions, or one, until restore()', async () => {
    await using proxy = await faultProxy(store);
    await using client = await through(proxy);
    proxy.delay(600);
    expect((await timed(() => client.ping())).ms).toBeGreaterThanOrEqual(1_199);
    await proxy.restore();
    proxy.delay(600, { direction: 'toServer' });
    const { ms } = await timed(() => client.ping());
    expect(ms).toBeGreaterThanOrEqual(599);
    expect(ms).toBeLessThan(1_199);
    await proxy.restore();
    expect((await timed(() => client.ping())).ms).toBeLessThan(599);
  });

  it('takes real time, whatever a test has put in its place', async () => {
    await using proxy = await faultProxy(store);
    proxy.delay(20);
    await using client = await through(proxy);
    vi.useFakeTimers(); // process.hrtime, too
    try {
      expect(await client.ping()).toBe('PONG');
    } finally {
      vi.useRealTimers();
    }
  });

  it('delays each byte by as much, not one after the other', async () => {
    await using proxy = await faultProxy(store);
    await using client = await through(proxy);
    proxy.delay(300, { direction: 'toServer' });
    const { ms } = await timed(async () => {
      const answers = [];
      for (let i = 0; i < 5; i++) {
        answers.push(client.ping());
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      await Promise.all(answers);
    });
    expect(ms).toBeGreaterThanOrEqual(339);
    expect(ms).toBeLessThan(1_500);
  });
});

describe('split()', () => {
  it('sends at most so many bytes at once', async () => {
    await using proxy = await faultProxy(store);
    const { socket, chunks } = await raw(proxy.port);
    proxy.split(7, { direction: 'toClient' });
    socket.write('ECHO 0123456789012345678901234567890123456789\r\n');
    const answer = '$40\r\n0123456789012345678901234567890123456789\r\n';
    await eventually(() => Buffer.concat(chunks).toString()).toBe(answer);
    expect(chunks.map((chunk) => chunk.length)).toEqual([7, 7, 7, 7, 7, 7, 5]);
    socket.destroy();
  });

  it('does not break a protocol', async () => {
    await using proxy = await faultProxy(sql);
    proxy.split(1);
    expect(await query(proxy.url(sql.url), "SELECT repeat('x', 100) AS x")).toEqual([{ x: 'x'.repeat(100) }]);
  });
});

describe('hold() and release()', () => {
  it('keeps requests from the server until then', async () => {
    await using proxy = await faultProxy(store);
    await using client = await through(proxy);
    await using admin = await connected(store.url);
    proxy.hold({ direction: 'toServer' });
    const counted = client.incr('held');
    await eventually(() => proxy.waiting).toBeGreaterThan(0);
    expect(await admin.exists('held')).toBe(0);
    proxy.release();
    expect(await counted).toBe(1);
    expect(proxy.waiting).toBe(0);
  });

  it('lets what was done by the server be answered only then', async () => {
    await using proxy = await faultProxy(store);
    await using client = await through(proxy);
    await using admin = await connected(store.url);
    proxy.hold({ direction: 'toClient' });
    const counted = client.incr('done');
    await eventually(() => proxy.waiting).toBeGreaterThan(0);
    expect(await admin.get('done')).toBe('1');
    proxy.release({ direction: 'toClient' });
    expect(await counted).toBe(1);
  });

  it('keeps the order, and the news of a close behind the data', async () => {
    await using proxy = await faultProxy(store);
    const { socket } = await raw(proxy.port);
    await using admin = await connected(store.url);
    proxy.hold();
    socket.end('RPUSH order a\r\nRPUSH order b\r\nRPUSH order c\r\n');
    await eventually(() => proxy.open).toBe(0);
    expect(await admin.exists('order')).toBe(0);
    proxy.release();
    await eventually(() => admin.lrange('order', 0, -1)).toEqual(['a', 'b', 'c']);
  });
});

describe('halfOpen()', () => {
  it('loses what is sent, and the news that the client is gone, but not new connections', async () => {
    await using proxy = await faultProxy(store);
    const client = await through(proxy);
    const before = await clients();
    proxy.halfOpen();
    let answered = false;
    client.ping().then(
      () => {
        answered = true;
      },
      () => {},
    );
    await using other = await through(proxy);
    expect(await other.ping()).toBe('PONG');
    expect(answered).toBe(false);
    client.disconnect();
    await eventually(() => proxy.open).toBe(1);
    expect(await clients()).toEqual(expect.arrayContaining(before));
    await proxy.close();
    await eventually(clients).toEqual([]);
  });
});

describe('oneWay()', () => {
  it("'toServer' lets a command run whose answer is lost", async () => {
    await using proxy = await faultProxy(store);
    await using client = await through(proxy);
    await using admin = await connected(store.url);
    proxy.oneWay('toServer');
    const answer = client.incr('unanswered').then(
      () => 'answered',
      () => 'closed',
    );
    await eventually(() => admin.get('unanswered')).toBe('1');
    await proxy.close();
    expect(await answer).toBe('closed');
  });

  it("'toClient' lets messages come, while requests are lost", async () => {
    await using proxy = await faultProxy(store);
    await using client = await through(proxy);
    await using admin = await connected(store.url);
    await client.subscribe('news');
    proxy.oneWay('toClient');
    const message = once(client, 'message');
    await admin.publish('news', 'hello');
    expect(await message).toEqual(['news', 'hello']);
    client.subscribe('more').catch(() => {});
    await admin.publish('news', 'again');
    expect(await admin.pubsub('NUMSUB', 'more')).toEqual(['more', 0]);
  });
});

describe('cut()', () => {
  it('resets the connections of now', async () => {
    await using proxy = await faultProxy(store);
    const { socket } = await raw(proxy.port);
    socket.write('PING\r\n');
    await once(socket, 'data');
    const failed = once(socket, 'error');
    proxy.cut();
    expect((await failed)[0]).toMatchObject({ code: 'ECONNRESET' });
    await eventually(() => proxy.open).toBe(0);
    await eventually(clients).toEqual([]);
    await using client = await through(proxy);
    expect(await client.ping()).toBe('PONG');
  });
});

describe('refuse()', () => {
  it('refuses new connections, not those of now, until restore()', async () => {
    await using proxy = await faultProxy(store);
    await using client = await through(proxy);
    proxy.refuse();
    await expect(raw(proxy.port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect(await client.ping()).toBe('PONG');
    await proxy.restore();
    await using other = await through(proxy);
    expect(await other.ping()).toBe('PONG');
  });
});

describe('onCancelRequest', () => {
  interface Sleeper {
    readonly proxy: FaultProxy;
    readonly pid: number;
    /** 'cancelled' or 'done'. */
    readonly outcome: Promise<string>;
    /** Sends a CancelRequest; resolves when its connection is closed. */
    cancel(): Promise<void>;
  }

  /** Runs a long statement through the proxy. */
  async function sleeping(proxy: FaultProxy, client: pg.Client): Promise<Sleeper> {
    const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
    const outcome = client.query('SELECT pg_sleep(600)').then(
      () => 'done',
      (error: Error) => error.message,
    );
    await eventually(() => stateOf(processID)).toBe('active');
    const cancel = async () => {
      const { socket } = await raw(proxy.port);
      const closed = once(socket, 'close');
      socket.write(cancelRequest(processID, int32(secretKey)));
      await closed;
    };
    return { proxy, pid: processID, outcome, cancel };
  }

  async function stateOf(pid: number): Promise<unknown> {
    const [row] = await query(sql.url, `SELECT state FROM pg_stat_activity WHERE pid = ${pid}`);
    return row?.state;
  }

  /** Ends the statement beside the proxy. */
  const end = (pid: number) => query(sql.url, `SELECT pg_cancel_backend(${pid})`);

  it("'forward' cancels the statement, and is counted", async () => {
    await using proxy = await faultProxy(sql);
    await using client = await connectedPg(proxy.url(sql.url));
    const sleeper = await sleeping(proxy, client);
    await sleeper.cancel();
    expect(await sleeper.outcome).toBe('canceling statement due to user request');
    expect([proxy.connections, proxy.cancelRequests]).toEqual([2, 1]);
  });

  it("'drop' closes its connection as usual, and the statement goes on", async () => {
    await using proxy = await faultProxy(sql, { onCancelRequest: 'drop' });
    await using client = await connectedPg(proxy.url(sql.url));
    const sleeper = await sleeping(proxy, client);
    await sleeper.cancel();
    expect(proxy.cancelRequests).toBe(1);
    expect(await stateOf(sleeper.pid)).toBe('active');
    await end(sleeper.pid);
    await sleeper.outcome;
  });

  it("'close-first' closes its connection before the server gets it", async () => {
    await using proxy = await faultProxy(sql, { onCancelRequest: 'close-first' });
    await using client = await connectedPg(proxy.url(sql.url));
    const sleeper = await sleeping(proxy, client);
    await sleeper.cancel();
    expect(await sleeper.outcome).toBe('canceling statement due to user request');
  });

  it('{ until, closeFirst } hits the statement after the one it was meant for', async () => {
    await using proxy = await faultProxy(sql);
    const second = Promise.withResolvers<void>();
    proxy.onCancelRequest = { until: second.promise, closeFirst: true };
    await using client = await connectedPg(proxy.url(sql.url));
    const first = await sleeping(proxy, client);
    await first.cancel();
    await end(first.pid);
    expect(await first.outcome).toBe('canceling statement due to user request');
    const innocent = client.query('SELECT pg_sleep(600)');
    await eventually(() => stateOf(first.pid)).toBe('active');
    second.resolve();
    await expect(innocent).rejects.toMatchObject({ code: '57014' });
  });

  it('{ delay } lets its client wait', async () => {
    await using proxy = await faultProxy(sql, { onCancelRequest: { delay: 100 } });
    await using client = await connectedPg(proxy.url(sql.url));
    const sleeper = await sleeping(proxy, client);
    expect((await timed(sleeper.cancel)).ms).toBeGreaterThanOrEqual(99);
    expect(await sleeper.outcome).toBe('canceling statement due to user request');
  });

  it('reaches the server even if its client is gone before', async () => {
    const gone = Promise.withResolvers<void>();
    await using proxy = await faultProxy(sql, { onCancelRequest: { until: gone.promise } });
    await using client = await connectedPg(proxy.url(sql.url));
    const sleeper = await sleeping(proxy, client);
    const { socket } = await raw(proxy.port);
    const { secretKey } = client as unknown as { secretKey: number };
    socket.write(cancelRequest(sleeper.pid, int32(secretKey)));
    await eventually(() => proxy.cancelRequests).toBe(1);
    socket.destroy();
    await eventually(() => proxy.open).toBe(1);
    gone.resolve();
    expect(await sleeper.outcome).toBe('canceling statement due to user request');
  });

  it('is seen in small packets, and after the server has declined encryption', async () => {
    await using proxy = await faultProxy(sql, { onCancelRequest: 'drop' });
    const { socket, chunks } = await raw(proxy.port);
    socket.write(Buffer.concat([int32(8), int32(80877103)]));
    await eventually(() => Buffer.concat(chunks).toString()).toBe('N');
    for (const byte of cancelRequest(1, int32(1))) {
      expect(proxy.cancelRequests).toBe(0);
      socket.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await once(socket, 'close');
    expect(proxy.cancelRequests).toBe(1);
  });

  it('is seen with the longer key of PostgreSQL 18', async () => {
    await using server = await postgres({ version: 18 });
    await using proxy = await faultProxy(server);
    const { pid, key } = await startupWithProtocol32(server);
    expect(key.length).toBe(32);
    proxy.onCancelRequest = 'drop';
    const { socket } = await raw(proxy.port);
    socket.write(cancelRequest(pid, key));
    await once(socket, 'close');
    expect(proxy.cancelRequests).toBe(1);
  });
});

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function cancelRequest(pid: number, key: Buffer): Buffer {
  return Buffer.concat([int32(12 + key.length), int32(80877102), int32(pid), key]);
}

/** What a client that speaks protocol 3.2 is given to cancel with. */
async function startupWithProtocol32(server: PostgresServer): Promise<{ pid: number; key: Buffer }> {
  const { socket, chunks } = await raw(server.port);
  const parameters = Buffer.from(`user\0${server.user}\0database\0postgres\0\0`);
  socket.write(Buffer.concat([int32(8 + parameters.length), int32(0x0003_0002), parameters]));
  const ready = () => Buffer.concat(chunks).includes('Z\0\0\0\x05I');
  await eventually(ready).toBe(true);
  socket.destroy();
  const bytes = Buffer.concat(chunks);
  for (let at = 0; at < bytes.length; at += 1 + bytes.readInt32BE(at + 1)) {
    if (bytes[at] !== 'K'.charCodeAt(0)) continue;
    return { pid: bytes.readInt32BE(at + 5), key: bytes.subarray(at + 9, at + 1 + bytes.readInt32BE(at + 1)) };
  }
  throw new Error('no BackendKeyData');
}
