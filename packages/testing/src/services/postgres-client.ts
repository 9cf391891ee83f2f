import type { Client } from 'pg';
import { missing } from './optional-package.ts';

/** Runs `body` with a connection of its own: a lasting one would be seen in pg_stat_activity, and die when the test kills the server. */
export async function withPostgres<T>(url: string, body: (client: Client) => Promise<T>): Promise<T> {
  const { default: pg } = await import('pg').catch(missing('pg'));
  const client = new pg.Client({ connectionString: url, application_name: 'aiokit services' });
  // A connection that breaks is told by the query; without a listener it would end the process as well.
  client.on('error', () => {});
  try {
    await client.connect();
    return await body(client);
  } finally {
    await client.end();
  }
}
