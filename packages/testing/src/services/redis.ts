import { attachRedis } from './attached-redis.ts';
import { dockerRuns } from './docker.ts';
import { REDIS_VARIABLE, urlFromEnvironment } from './environment.ts';
import { installAdvice } from './install-advice.ts';
import { startRedis, startRedisContainer } from './own-redis.ts';
import { findRedisBinary } from './redis-binary.ts';
import type { RedisDatabase } from './redis-database.ts';
import type { ServerControl } from './server-process.ts';
import { type SharedLife, shareable, sharedServer } from './shared-server.ts';

/** Directives of redis.conf, written as there; a list gives a directive several times, such as `user`. */
export type RedisSettings = Readonly<Record<string, string | number | readonly string[]>>;

export interface RedisOptions {
  /**
   * Whose server it is. `'private'`: this call's alone, so it can be killed and paused. `'shared'`: one for all test files of
   * the run that ask with the same options; each gets databases of its own. By default the server that the environment names, else a private one.
   */
  readonly server?: 'private' | 'shared';
  /**
   * Directives of redis.conf, such as `{ appendonly: 'yes', user: ['bob on >secret ~* +@all'] }`. They win over ours, which write nothing to disk.
   * `requirepass` becomes part of `url`.
   */
  readonly settings?: RedisSettings;
  /** Speak TLS only, with a new self-signed certificate that `ca` holds. Needs the program openssl. False by default. */
  readonly tls?: boolean;
}

/** A running Redis. Disposing of it ends the server and removes its data; of a shared one, empties the databases reserved here. */
export interface RedisServer extends ServerControl, AsyncDisposable {
  /** Leads to database 0; on a server that others use too, to a database of our own. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** The path of the unix socket. */
  readonly socket: string;
  /** Such as '7.0.15'. */
  readonly version: string;
  /** The server's process id; undefined while it does not run, and for a server that we did not start. */
  readonly pid: number | undefined;
  /** With `tls`, the certificate to trust, as PEM: `new Redis(server.url, { tls: { ca: server.ca } })`. */
  readonly ca: string | undefined;
  /** Reserves an empty numbered database. */
  database(): Promise<RedisDatabase>;
  /** A key prefix that no other test has: for clusters, and for what cannot `SELECT`. */
  prefix(): string;
}

/**
 * Gives a Redis that lives for a test: on a random port of 127.0.0.1, with nothing on disk.
 * It ends when it is disposed of, and with this process at the latest, SIGKILL included. A plain promise: a cancel does not interrupt the start,
 * and what was started is then ended with the process.
 *
 * Looked for in this order: the URL in `AIOKIT_TEST_REDIS_URL` (unless a server of its own is needed: `server: 'private'`, `settings` or
 * `tls`), redis-server or valkey-server on the PATH and in the usual places, docker.
 *
 * @throws {Error} when none is found, with what to install; when the URL leads nowhere; when the server does not start, with its log
 * @throws {TypeError} for a bad option
 * @example
 * await using server = await redis();
 * const client = new Redis(server.url);
 * await server.pause(); // does the client's timeout work?
 * @see https://redis.io/docs/latest/operate/oss_and_stack/management/config/
 */
export async function redis(options: RedisOptions = {}): Promise<RedisServer> {
  check(options);
  const url = needsItsOwn(options) ? undefined : urlFromEnvironment(REDIS_VARIABLE, ['redis:', 'rediss:']);
  if (url !== undefined) return attachRedis({ url, because: `${REDIS_VARIABLE} names it` });
  if (options.server !== 'shared') return start(options);
  const shared = await sharedServer('redis', options, (life) => start(options, life).then(shareable));
  return attachRedis({ ...shared, because: 'all test files of this run share it' });
}

function needsItsOwn({ server, settings, tls }: RedisOptions): boolean {
  return server === 'private' || (settings ?? tls) !== undefined;
}

async function start(options: RedisOptions, life?: SharedLife): Promise<RedisServer> {
  const binary = await findRedisBinary();
  if (binary) return startRedis(binary, { ...options, life });
  if (!options.tls && (await dockerRuns())) return startRedisContainer({ ...options, life });
  throw new Error(`No Redis was found on this machine. ${installAdvice('redis')}`);
}

function check({ server }: RedisOptions): void {
  if (server === undefined || server === 'private' || server === 'shared') return;
  throw new TypeError(`server must be 'private' or 'shared', received ${JSON.stringify(server)}.`);
}
