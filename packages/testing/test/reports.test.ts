/**
 * Each report of an operation is needed: what it is there for works with it, and fails when it alone is taken away. What is
 * waited for is late by a tenth of a second, which a clock that knows nothing of it does not wait.
 */
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createTask, sleep, timeout } from '@aiokit/core';
import { ThreadPoolExecutor, toThread } from '@aiokit/core/threads';
import { ClientSession, fetch } from '@aiokit/http';
import { serve } from '@aiokit/http/server';
import { Pool } from '@aiokit/pg';
import { Redis } from '@aiokit/redis';
import { type RunTestOptions, runTest, waitAllTasksBlocked } from '@aiokit/testing';
import {
  type FaultProxy,
  faultProxy,
  type PostgresServer,
  postgres,
  type RedisServer,
  redis,
} from '@aiokit/testing/services';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { notification, poppedElement, publishedMessage } from './arrivals.ts';
import { collect, findReports, type Report, remove } from './reports.ts';

const HOUR = 3_600_000;
/** Real ms. */
const LATE = 100;

let postgresServer: PostgresServer;
let redisServer: RedisServer;
/** Where answers are late. */
let latePostgres: FaultProxy;
let lateRedis: FaultProxy;
let lateHttp: Server;
beforeAll(async () => {
  [postgresServer, redisServer] = await Promise.all([postgres({ server: 'private' }), redis({ server: 'private' })]);
  [latePostgres, lateRedis] = await Promise.all([faultProxy(postgresServer), faultProxy(redisServer)]);
  for (const proxy of [latePostgres, lateRedis]) proxy.delay(LATE, { direction: 'toClient' });
  lateHttp = await lateServer();
});
afterAll(async () => {
  lateHttp?.closeAllConnections();
  lateHttp?.close();
  for (const each of [latePostgres, lateRedis, postgresServer, redisServer]) await each?.[Symbol.asyncDispose]();
});

/** What reports are there for. */
const scenarios: Record<string, () => Promise<void>> = {
  'a job in a thread': async () => {
    expect(await timeout(HOUR, () => toThread(sleepInThread, LATE))).toBe('awake');
  },
  'the end of a pool of threads': async () => {
    const pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    await pool.submit(sleepAtExit, LATE);
    await timeout(HOUR, () => pool.shutdown());
  },

  'an answer': () =>
    inSession(async (session) => {
      expect((await timeout(HOUR, () => session.get(urlOf('/late')))).status).toBe(200);
    }),
  'the body of an answer': () =>
    inSession(async (session) => {
      const response = await session.get(urlOf('/late-body'));
      expect(await timeout(HOUR, () => response.text())).toBe('late');
    }),
  'an answer to fetch': async () => {
    const response = await timeout(HOUR, () => fetch(urlOf('/late')));
    expect(await response.text()).toBe('late');
  },
  'a WebSocket that is being opened': () =>
    inSession(async (session) => {
      const socket = await timeout(HOUR, () => session.wsConnect(urlOf('/late-upgrade')));
      await socket.close();
    }),
  'a message of a WebSocket': () =>
    inSession(async (session) => {
      const socket = await session.wsConnect(urlOf('/late-message'));
      expect(await socket.receive()).toBe('late'); // Nobody else can wake it: no deadlock.
      await socket.close();
    }),
  'a handler that sleeps in virtual time': async () => {
    await using server = await serve(sleepyHandler, { port: 0 });
    await inSession(async (session) => {
      expect(await (await session.get(server.url)).text()).toBe('awake');
    });
  },
  'an app that is called in this process, and sleeps in virtual time': async () => {
    await using session = new ClientSession({ app: sleepyHandler, baseUrl: 'http://app' });
    expect(await (await session.get('/')).text()).toBe('awake');
  },

  'a connection to PostgreSQL': () =>
    inPool(async (pool) => {
      const client = await timeout(HOUR, () => pool.connect());
      client.release();
    }),
  'a statement': () =>
    inPool(async (pool) => {
      expect((await timeout(HOUR, () => pool.query('select 1 as n'))).rows).toEqual([{ n: 1 }]);
    }),
  'a request to cancel a statement that ends by itself': async () => {
    await using proxy = await faultProxy(postgresServer, { onCancelRequest: { delay: 5 * LATE } });
    await inPool(async (pool) => {
      await cancelAndRelease(pool, `select pg_sleep(${(2 * LATE) / 1_000})`);
      await waitAllTasksBlocked();
      expect(pool.totalCount).toBe(0); // Nobody knows what the request has hit: the connection is gone.
    }, proxy);
  },
  'the question whether a connection leads straight to the server': () =>
    inPool(async (pool) => {
      await cancelAndRelease(pool, 'select pg_sleep(60)');
      await waitAllTasksBlocked();
      expect(pool.totalCount).toBe(0); // It does not, and is gone.
    }),
  'a connection that is closed before the next one is made': () =>
    inPool(async (pool) => {
      const client = await pool.connect();
      const next = createTask(() => timeout(HOUR, () => pool.query('select 1')));
      await sleep(0);
      client.release(true); // The server's goodbye is late.
      await next;
    }),
  'the beginning of LISTEN': () => inPool((pool) => timeout(HOUR, () => pool.listen('jobs').ready())),
  'a notification': () => notification(latePostgres.url(postgresServer.url), postgresServer.url),

  'a command': () =>
    inRedis(async (client) => {
      expect(await timeout(HOUR, () => client.echo('hello'))).toBe('hello');
    }),
  'an element for BLPOP': () => poppedElement(lateRedis.url(redisServer.url), redisServer.url),
  'the beginning of a subscription': () => inRedis((client) => timeout(HOUR, () => client.listen('news').ready())),
  'the end of a subscription': () =>
    inRedis(async (client) => {
      const subscription = client.listen('news');
      await subscription.ready();
      await timeout(HOUR, () => subscription.close());
    }),
  'a message of pub/sub': () => publishedMessage(lateRedis.url(redisServer.url), redisServer.url),
};

/** What passes in virtual time by itself. */
const elapses: Record<string, number> = {
  'a handler that sleeps in virtual time': 60_000,
  'an app that is called in this process, and sleeps in virtual time': 60_000,
};

/** What a test ends with whose clock has gone on, or has not. */
const WITHOUT = /timed out|ms elapsed|Deadlock|in flight for|to be \+?0/;
const reports = findReports();
/** Which reports each scenario makes. */
const made = new Map(Object.keys(scenarios).map((name) => [name, new Set<Report>()]));

test.for(Object.entries(scenarios))('%s', ([name, scenario]) =>
  inTest(
    name,
    () => {
      collect(reports, made.get(name) as Set<Report>);
      return scenario();
    },
    { timeout: 15_000 },
  ),
);

test.for(reports)('$name is missed', async (report) => {
  const concerned = Object.entries(scenarios).filter(([name]) => made.get(name)?.has(report));
  const outcomes: string[] = [];
  // On a busy machine this process may not get its turn for a tenth of a second: then what is late is there in time.
  for (const [name, scenario] of Array.from({ length: 3 }, () => concerned).flat()) {
    const without = () => {
      remove(report);
      return scenario();
    };
    const run = inTest(name, without, { timeout: 3_000, ioTimeout: 1_000, allowLeaks: true });
    const outcome = await run.then(() => 'went well', String);
    if (WITHOUT.test(outcome)) return;
    outcomes.push(`${name}: ${outcome}`);
  }
  expect.fail(`Nothing fails without it. Is there a scenario for it? ${outcomes.join('; ')}`);
});

function inTest(name: string, scenario: () => Promise<void>, options: RunTestOptions): Promise<void> {
  return runTest(async ({ clock }) => {
    await scenario();
    expect(clock.now()).toBe(elapses[name] ?? 0);
  }, options);
}

async function inSession(body: (session: ClientSession) => Promise<void>): Promise<void> {
  await using session = new ClientSession({ timeout: null });
  await body(session);
}

async function inPool(body: (pool: Pool) => Promise<void>, proxy: FaultProxy = latePostgres): Promise<void> {
  const pool = new Pool({ connectionString: proxy.url(postgresServer.url), max: 1 });
  try {
    await body(pool);
  } finally {
    await pool.end();
  }
}

async function inRedis(body: (client: Redis) => Promise<void>): Promise<void> {
  const client = new Redis(lateRedis.url(redisServer.url));
  try {
    await body(client);
  } finally {
    client.disconnect();
  }
}

/** The pool's only connection is given back while something is still to be found out about it. */
async function cancelAndRelease(pool: Pool, text: string): Promise<void> {
  const client = await pool.connect();
  const query = createTask(() => client.query(text));
  await sleep(0);
  await sleep(0); // It has been sent.
  query.cancel();
  await query.catch(() => {});
  client.release();
}

async function sleepyHandler(): Promise<Response> {
  await sleep(60_000);
  return new Response('awake');
}

function sleepInThread(ms: number): string {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  return 'awake';
}

function sleepAtExit(ms: number): void {
  process.on('exit', () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms));
}

function urlOf(path: string): string {
  return `http://127.0.0.1:${(lateHttp.address() as AddressInfo).port}${path}`;
}

/** Outside of any test: a server like any other, whose time is real. */
async function lateServer(): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.url === '/late-body') response.flushHeaders();
    setTimeout(() => response.end('late'), LATE);
  });
  server.on('upgrade', (request, socket) => {
    const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash('sha1').update(key).digest('base64');
    const answer = `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`;
    const isLate = request.url === '/late-upgrade';
    const send = (bytes: string | Buffer) => socket.writable && socket.write(bytes);
    setTimeout(send, isLate ? LATE : 0, answer);
    if (!isLate) setTimeout(send, LATE, Buffer.from('\x81\x04late', 'latin1'));
    socket.on('error', () => {}); // A client that has timed out leaves.
    socket.on('data', (frame: Buffer) => frame[0] === 0x88 && socket.end(Buffer.from([0x88, 0])));
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return server;
}
