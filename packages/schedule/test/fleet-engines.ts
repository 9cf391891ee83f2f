import { getRunningLoop, run, sleep } from '@aiokit/core';
import { type FaultProxy, faultProxy, postgres, redis } from '@aiokit/testing/services';
import { bullmq } from '../src/bullmq.ts';
import type { Backend } from '../src/fleet/engine.ts';
import { Scheduler, type SchedulerOptions } from '../src/index.ts';
import { pgBoss } from '../src/pg-boss.ts';

export type EngineName = 'bullmq' | 'pg-boss';
export const ENGINES: EngineName[] = ['bullmq', 'pg-boss'];

/** A real server, and backends on it. */
export interface TestEngine extends AsyncDisposable {
  readonly url: string;
  backend(options?: object): Backend;
  /** A way to it that can be cut. */
  proxy(): Promise<FaultProxy>;
  backendThrough(proxy: FaultProxy, options?: object): Backend;
  /** Ends the server, and starts it again with its data. */
  restart(): Promise<void>;
  /** Ends the server for good, without a word to anybody. */
  kill(): Promise<void>;
  /** As if the engine had given the queue's run to somebody else: an operator did, or the network stood still for too long. */
  takeAway(queue: string): Promise<void>;
}

export async function startEngine(name: EngineName): Promise<TestEngine> {
  return name === 'bullmq' ? await startBullmq() : await startPgBoss();
}

async function startBullmq(): Promise<TestEngine> {
  const server = await redis({ settings: { appendonly: 'yes' } });
  return {
    url: server.url,
    backend: (options) => backendOn('bullmq', server.url, options),
    proxy: () => faultProxy(server.url),
    backendThrough: (proxy, options) => backendOn('bullmq', proxy.url(server.url), options),
    restart: () => server.restart(),
    kill: () => server.kill(),
    takeAway: async (queue) => {
      const { Redis } = await import('ioredis');
      const client = new Redis(server.url);
      for (const key of await client.keys(`bull:${queue}:*:lock`)) await client.del(key);
      await client.quit();
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function startPgBoss(): Promise<TestEngine> {
  const server = await postgres();
  const database = await server.database();
  return {
    url: database.url,
    backend: (options) => backendOn('pg-boss', database.url, options),
    proxy: () => faultProxy(database.url),
    backendThrough: (proxy, options) => backendOn('pg-boss', proxy.url(database.url), options),
    restart: () => server.restart(),
    kill: () => server.kill(),
    takeAway: async (queue) => {
      const { default: pg } = await import('pg');
      const client = new pg.Client(database.url);
      await client.connect();
      await client.query(`update pgboss.job set state = 'completed' where state = 'active' and name = $1`, [queue]);
      await client.end();
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** Also for processes of their own, which are given the address. */
export function backendOn(name: EngineName, url: string, options: object = {}): Backend {
  if (name === 'pg-boss') return pgBoss({ connectionString: url, lockDuration: 10_000, pollEvery: 200, ...options });
  const { hostname, port } = new URL(url);
  return bullmq({ connection: { host: hostname, port: Number(port) }, lockDuration: 2_000, ...options });
}

/** Runs the body on a loop of its own in real time, where schedulers end with it. The queue is what makes them a fleet. */
export async function instances(
  engine: TestEngine,
  queue: string,
  body: (instance: (declare: (scheduler: Scheduler) => void, options?: SchedulerOptions) => Scheduler) => Promise<void>,
): Promise<void> {
  await run(async () => {
    // A server that is restarted is missed, and that is told: not what these tests are about.
    getRunningLoop().setExceptionHandler(() => {});
    const all: Scheduler[] = [];
    const instance = (declare: (scheduler: Scheduler) => void, options: SchedulerOptions = {}) => {
      const scheduler = new Scheduler({ backend: engine.backend({ queue }), timeZone: 'UTC', ...options });
      declare(scheduler);
      all.push(scheduler.start());
      return scheduler;
    };
    try {
      await body(instance);
    } finally {
      await Promise.all(all.map((scheduler) => scheduler.stop({ drain: 0 })));
    }
  });
}

/** Looks until it is so; a test that never sees it fails by its time limit. */
export async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(20);
}

export function now(): number {
  return getRunningLoop().clock.wallTime();
}
