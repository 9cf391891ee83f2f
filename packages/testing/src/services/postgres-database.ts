import { randomBytes } from 'node:crypto';
import { withPostgres } from './postgres-client.ts';

/** A database of its own for a test. Disposing of it ends the sessions that are still open in it, and drops it. */
export interface PostgresDatabase extends AsyncDisposable {
  /** Where a client connects to. */
  readonly url: string;
  readonly name: string;
}

export interface PostgresDatabaseOptions {
  /**
   * The database to copy, or its name; an empty one by default. Nobody may be connected to it while it is copied.
   */
  readonly template?: string | Pick<PostgresDatabase, 'name'>;
}

/** Creates a database on the server that `adminUrl` leads to. */
export async function createDatabase(
  adminUrl: string,
  { template = 'template1' }: PostgresDatabaseOptions = {},
  strategy?: 'FILE_COPY',
): Promise<PostgresDatabase> {
  const name = `aiokit_${randomBytes(6).toString('hex')}`;
  const source = typeof template === 'string' ? template : template.name;
  const how = strategy === undefined ? '' : `STRATEGY ${strategy}`;
  await withPostgres(adminUrl, (client) =>
    client.query(`CREATE DATABASE ${quoted(name)} TEMPLATE ${quoted(source)} ${how}`),
  );
  let dropped: Promise<void> | undefined;
  return {
    name,
    url: withDatabase(adminUrl, name),
    [Symbol.asyncDispose]: () => {
      dropped ??= withPostgres(adminUrl, async (client) => {
        await client.query(`DROP DATABASE IF EXISTS ${quoted(name)} WITH (FORCE)`);
      });
      return dropped;
    },
  };
}

function withDatabase(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.href;
}

function quoted(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}
