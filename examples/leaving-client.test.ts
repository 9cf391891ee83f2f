/** A client leaves while its handler waits for PostgreSQL, Redis and another server: all three stop, as these servers see it. */
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { taskGroup } from '@aiokit/core';
import { fetch } from '@aiokit/http';
import { serve } from '@aiokit/http/server';
import { Pool } from '@aiokit/pg';
import { Redis } from '@aiokit/redis';
import { postgres, redis } from '@aiokit/testing/services';
import { Hono } from 'hono';
import { Redis as BareRedis } from 'ioredis';
import pg from 'pg';
import { expect, it } from 'vitest';

/** In ms. */
const SOON = 20;
/** On a loaded machine one try may take long for reasons of its own; a delay that is built in shows in all of them. */
const TRIES = 10;

/** Looks until it is so, and says when that was. */
async function seen(look: () => Promise<boolean>): Promise<number> {
  while (!(await look()));
  return performance.now();
}

it('stops them all at once', { timeout: 120_000 }, async () => {
  await using postgresServer = await postgres({ server: 'private' });
  await using redisServer = await redis({ server: 'private' });
  let upstreamRequests = 0;
  const upstream = createServer((_, response) => {
    upstreamRequests++;
    response.on('close', () => upstreamRequests--);
  }).listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  const upstreamUrl = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  const pool = new Pool({ connectionString: postgresServer.url });
  const cache = new Redis(redisServer.url);

  const app = new Hono();
  app.get('/', async (c) => {
    await taskGroup((group) => {
      group.createTask(() => pool.query('select pg_sleep(60)'));
      group.createTask(() => cache.blpop('nothing', 60));
      group.createTask(() => fetch(upstreamUrl));
    });
    return c.text('late');
  });
  await using server = await serve(app, { port: 0 });

  const observer = new pg.Client({ connectionString: postgresServer.url });
  await observer.connect();
  const cacheObserver = new BareRedis(redisServer.url);
  const activeQueries = async () => {
    const { rowCount } = await observer.query(
      `select from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active'`,
    );
    return rowCount;
  };
  const blockedClients = async () => {
    const clients = (await cacheObserver.client('LIST')) as string;
    return clients.match(/ flags=\w*b/g)?.length ?? 0;
  };
  const waits = {
    'the query': activeQueries,
    'the blocked read': blockedClients,
    'the request': () => new Promise<number>((resolve) => setImmediate(() => resolve(upstreamRequests))),
  };

  const times: Record<string, number[]> = {};
  try {
    for (let i = 0; i < TRIES; i++) {
      const client = get(server.url).on('error', () => {});
      await Promise.all(Object.values(waits).map((count) => seen(async () => (await count()) === 1)));
      const left = performance.now();
      client.destroy();
      const stops = Object.entries(waits).map(async ([what, count]) => {
        const stopped = await seen(async () => (await count()) === 0);
        times[what] ??= [];
        times[what].push(stopped - left);
      });
      await Promise.all(stops);
    }
    const all = { total: TRIES, active: 0, cancelled: TRIES, failed: 0 };
    await expect.poll(() => server.statistics(), { timeout: 20_000 }).toMatchObject(all);
    for (const [what, list] of Object.entries(times)) {
      expect(Math.min(...list), `${what} stopped after ${list.map((ms) => ms.toFixed(1))} ms`).toBeLessThan(SOON);
    }
  } finally {
    await pool.end();
    cache.disconnect();
    cacheObserver.disconnect();
    await observer.end();
    upstream.closeAllConnections();
    upstream.close();
  }
});
