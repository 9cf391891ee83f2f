import { type PostgresOptions, type PostgresServer, postgres } from '@aiokit/testing/services';
import pg from 'pg';
import { afterAll, beforeAll } from 'vitest';
import type { Pool } from '../src/index.ts';

/** PostgreSQL of the machine, or the version that AIOKIT_TEST_POSTGRES_VERSION names. */
export function startServer(options: PostgresOptions = {}): Promise<PostgresServer> {
  const version = Number(process.env.AIOKIT_TEST_POSTGRES_VERSION ?? 0);
  return postgres({ server: 'private', ...(version > 0 ? { version } : {}), ...options });
}

/** The server of this test file. */
export function useServer(): { readonly url: string; readonly server: PostgresServer } {
  let server: PostgresServer | undefined;
  beforeAll(async () => {
    server = await startServer();
  });
  afterAll(async () => {
    for (const observer of observers.values()) await (await observer).end();
    await server?.[Symbol.asyncDispose]();
  });
  return {
    get url() {
      return this.server.url;
    },
    get server() {
      if (server === undefined) throw new Error('The server has not started yet');
      return server;
    },
  };
}

const observers = new Map<string, Promise<pg.Client>>();

/** Looks at the server from a connection of its own. */
export async function ask(url: string, text: string, values?: unknown[]): Promise<Record<string, unknown>[]> {
  let observer = observers.get(url);
  if (observer === undefined) {
    const client = new pg.Client({ connectionString: url, application_name: 'observer' });
    client.on('error', () => observers.delete(url)); // a test has killed the server
    observer = client.connect().then(() => client);
    observers.set(url, observer);
  }
  return (await (await observer).query(text, values)).rows;
}

/** The statements that run on the server, ours aside. */
export async function running(url: string): Promise<string[]> {
  const rows = await ask(
    url,
    `select query from pg_stat_activity
     where backend_type = 'client backend' and state <> 'idle' and application_name <> 'observer'`,
  );
  return rows.map(({ query }) => String(query));
}

/** Waits until the server runs a statement that contains the text. */
export async function untilRunning(url: string, text: string): Promise<void> {
  await eventually(async () => (await running(url)).some((query) => query.includes(text)));
}

/** Waits until nothing of ours runs on the server. */
export async function untilIdle(url: string): Promise<void> {
  await eventually(async () => (await running(url)).length === 0);
}

/** A statement that waits until the test lets it go: `select ${gate.waits}` is seen by `untilRunning(url, gate.waits)`. */
export async function closedGate(url: string): Promise<{ readonly waits: string; open(): Promise<void> }> {
  const key = ++gates;
  await ask(url, 'select pg_advisory_lock($1)', [key]);
  return {
    waits: `pg_advisory_xact_lock(${key})`,
    open: async () => void (await ask(url, 'select pg_advisory_unlock($1)', [key])),
  };
}

let gates = 1000;

/** How long anything may take that must come true, in ms: a hang is a failure, a busy machine is none. */
const PATIENCE = 15_000;

export async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + PATIENCE;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`It did not come true within ${PATIENCE} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** A pool is whole: nobody waits, all its connections are idle, and none has a listener left. */
export function whole(pool: Pool): boolean {
  const { total, idle, waiting } = pool.statistics();
  return waiting === 0 && idle === total;
}
