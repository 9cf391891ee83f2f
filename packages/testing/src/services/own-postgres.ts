import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Certificate, createCertificate } from './certificate.ts';
import { startContainer } from './docker.ts';
import { type Guard, guardedDirectory } from './guard.ts';
import { OwnServer, type RunningProgram, startOnFreePort } from './own-server.ts';
import type { PostgresServer, PostgresSettings } from './postgres.ts';
import { majorOf, type PostgresBinaries } from './postgres-binaries.ts';
import { withPostgres } from './postgres-client.ts';
import { createDataDirectory, SUPERUSER } from './postgres-data.ts';
import { createDatabase, type PostgresDatabase, type PostgresDatabaseOptions } from './postgres-database.ts';
import { runnableBinaries } from './runnable-postgres.ts';
import type { SharedLife } from './shared-server.ts';
import { unprivilegedUser } from './system-user.ts';

// A server that lives for a test need not survive a power cut, and does its housekeeping when it is told to. It does survive kill():
// what is committed has been written, though not flushed, so synchronous_commit and full_page_writes stay as they are.
const THROW_AWAY: PostgresSettings = {
  fsync: 'off',
  checkpoint_timeout: '1h',
  autovacuum: 'off',
  jit: 'off',
  shared_buffers: '32MB',
  dynamic_shared_memory_type: 'mmap', // files among its data: others would stay in /dev/shm after kill()
  listen_addresses: '127.0.0.1',
};

const DOCKER_VERSION = 18;

export interface OwnPostgresOptions {
  readonly settings?: PostgresSettings | undefined;
  readonly tls?: boolean | undefined;
  readonly life?: SharedLife | undefined;
}

/** Starts a server from installed programs. */
export async function startPostgres(found: PostgresBinaries, options: OwnPostgresOptions): Promise<PostgresServer> {
  const user = await unprivilegedUser();
  const binaries = await runnableBinaries(found, user);
  const command = join(binaries.directory, 'postgres');
  const guard = await guardedDirectory({ prefix: 'aiokit-postgres-', signal: 'QUIT', owner: user, ...options.life });
  const data = join(guard.directory, 'data');
  try {
    await createDataDirectory(data, binaries, user);
    const certificate = options.tls ? await createCertificate(guard.directory, user) : undefined;
    const settings = { ...THROW_AWAY, ...paths(guard, certificate), ...options.settings };
    await appendFile(join(data, 'postgresql.conf'), configuration(settings));
    const running = await startOnFreePort(guard, (port) => ({
      name: `PostgreSQL ${binaries.version}`,
      command,
      args: ['-D', data, '-p', String(port)],
      directory: guard.directory,
      user,
      stopSignal: 'SIGINT', // "fast": sessions are ended, data are kept
      isReady: (pid) => isReady(data, pid),
    }));
    return new OwnPostgres(running, { version: binaries.version, socketDir: guard.directory, certificate });
  } catch (error) {
    await guard[Symbol.asyncDispose]();
    throw error;
  }
}

/** Starts a server in a container. */
export async function startPostgresContainer(
  version: number | undefined,
  { settings, life }: OwnPostgresOptions,
): Promise<PostgresServer> {
  const urlOn = (port: number) => `postgresql://${SUPERUSER}@127.0.0.1:${port}/postgres`;
  const lines = Object.entries({ ...THROW_AWAY, listen_addresses: '*', ...settings });
  const running = await startContainer({
    image: `postgres:${version ?? DOCKER_VERSION}-alpine`,
    port: 5432,
    environment: { POSTGRES_HOST_AUTH_METHOD: 'trust' },
    args: lines.flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    life,
    isReady: (port) => answers(urlOn(port)),
  });
  return new OwnPostgres(running, {
    version: String(version ?? DOCKER_VERSION),
    socketDir: undefined,
    certificate: undefined,
  });
}

interface Details {
  readonly version: string;
  readonly socketDir: string | undefined;
  readonly certificate: Certificate | undefined;
}

class OwnPostgres extends OwnServer implements PostgresServer {
  readonly user = SUPERUSER;
  readonly url: string;
  readonly version: string;
  readonly ca: string | undefined;
  readonly #socketDir: string | undefined;

  constructor(running: RunningProgram, { version, socketDir, certificate }: Details) {
    super(running);
    const tls = certificate ? `?sslmode=verify-full&sslrootcert=${encodeURIComponent(certificate.certFile)}` : '';
    this.url = `postgresql://${this.user}@${this.host}:${this.port}/postgres${tls}`;
    this.version = version;
    this.ca = certificate?.ca;
    this.#socketDir = socketDir;
  }

  get socketDir(): string {
    if (this.#socketDir === undefined)
      throw new Error('socketDir: a PostgreSQL in a container has no unix socket here.');
    return this.#socketDir;
  }

  async database(options?: PostgresDatabaseOptions): Promise<PostgresDatabase> {
    // Copying files beats writing pages to the log where nothing is flushed: 10 against 22 ms. Before 15 there was no choice.
    const strategy = majorOf(this.version) >= 15 ? 'FILE_COPY' : undefined;
    const database = await createDatabase(this.url, options, strategy);
    const drop = async () => {
      if (this.running) await database[Symbol.asyncDispose]();
    };
    return { ...database, [Symbol.asyncDispose]: drop };
  }
}

async function answers(url: string): Promise<boolean> {
  return withPostgres(url, (client) => client.query('SELECT 1')).then(
    () => true,
    () => false,
  );
}

/** As pg_ctl does it: a line of postmaster.pid says so. A killed server leaves an old file, with another pid. */
async function isReady(data: string, pid: number): Promise<boolean> {
  const lines = (await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  return lines[0] === String(pid) && lines[7]?.trim() === 'ready';
}

function paths(guard: Guard, certificate: Certificate | undefined): PostgresSettings {
  const socket = { unix_socket_directories: guard.directory };
  if (!certificate) return socket;
  return { ...socket, ssl: 'on', ssl_cert_file: certificate.certFile, ssl_key_file: certificate.keyFile };
}

function configuration(settings: PostgresSettings): string {
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'`);
  return `\n# @aiokit/testing\n${lines.join('\n')}\n`;
}
