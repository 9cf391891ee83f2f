/** The inventory over HTTP. */
import { type Pool, sql } from '@aiokit/pg';
import { Hono } from 'hono';
import { type Dependant, type LicenceCount, largestDependants, licences } from './inventory.ts';

/** What `GET /report` answers. */
export interface Report {
  readonly licences: LicenceCount[];
  readonly dependants: Dependant[];
}

/** Two routes. Neither knows of clients who leave: each request is a task, and what it waits for stops with it. */
export function reportApp(pool: Pool): Hono {
  const app = new Hono();
  app.get('/report', async (c) => {
    const report: Report = { licences: await licences(pool), dependants: await largestDependants(pool, 5) };
    return c.json(report);
  });
  app.get('/slow', async (c) => c.json(await pool.fetch(sql`select pg_sleep(30)`)));
  return app;
}
