import { AttachedServer, type AttachedTo, unreachable } from './attached-server.ts';
import type { PostgresServer } from './postgres.ts';
import { withPostgres } from './postgres-client.ts';
import { createDatabase, type PostgresDatabase, type PostgresDatabaseOptions } from './postgres-database.ts';

/** Uses a running server: in a database of our own, which is dropped at the end. */
export async function attachPostgres(server: AttachedTo): Promise<PostgresServer> {
  try {
    const version = await withPostgres(server.url, async (client) => {
      const { rows } = await client.query<{ server_version: string }>('SHOW server_version');
      return (rows[0] as { server_version: string }).server_version.split(' ')[0] as string;
    });
    return new AttachedPostgres(server, version, await createDatabase(server.url));
  } catch (cause) {
    throw unreachable('PostgreSQL', server, cause);
  }
}

class AttachedPostgres extends AttachedServer implements PostgresServer {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly version: string;
  readonly ca: string | undefined;
  readonly #server: AttachedTo;
  readonly #databases: PostgresDatabase[];

  constructor(server: AttachedTo, version: string, first: PostgresDatabase) {
    super('PostgreSQL', server.because);
    const url = new URL(first.url);
    this.url = first.url;
    this.host = url.hostname;
    this.port = Number(url.port || 5432);
    this.user = decodeURIComponent(url.username);
    this.version = version;
    this.ca = server.ca;
    this.#server = server;
    this.#databases = [first];
  }

  get socketDir(): string {
    throw this.refusal('socketDir');
  }

  async database(options?: PostgresDatabaseOptions): Promise<PostgresDatabase> {
    const database = await createDatabase(this.#server.url, options);
    this.#databases.push(database);
    return database;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // One after the other: each drop is a checkpoint of the server.
    for (const database of this.#databases) await database[Symbol.asyncDispose]();
  }
}
