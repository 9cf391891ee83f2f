/**
 * The parts of pg and pg-pool that are not in their types and that a safe cancel cannot do without. Everything underscored
 * that this package touches is declared here, and looked for once when the package is loaded.
 *
 * @see https://github.com/brianc/node-postgres/blob/master/packages/pg/lib/client.js
 * @see https://github.com/brianc/node-postgres/blob/master/packages/pg-pool/index.js
 */
import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';

export type Callback<T> = (error: Error | null | undefined, result?: T) => void;

/** What stands in a client's queue: pg's Query, a cursor, a COPY. */
export interface QueuedQuery {
  text?: string;
  name?: string | undefined;
  callback?: Callback<never> | undefined;
  query_timeout?: number | undefined;
  submit(connection: WireConnection): unknown;
  handleError(error: Error, connection: WireConnection): void;
  handleReadyForQuery(connection: WireConnection): void;
}

/** pg's `Connection`: the messages of the wire protocol. */
export interface WireConnection extends EventEmitter {
  readonly stream: Socket;
  _ending: boolean;
  connect(port: number | string, host?: string): void;
  requestSsl(): void;
  cancel(processId: number, secretKey: number): void;
  sendCopyFail(reason: string): void;
  parse(message: { text: string; name?: string; types?: unknown }): void;
  bind(message: { values: unknown[]; valueMapper: (value: unknown) => unknown }): void;
  execute(message: object): void;
  flush(): void;
  sync(): void;
}

export interface WireConnectionConfig {
  ssl?: boolean | ConnectionOptions;
  sslNegotiation?: string;
}

export interface BackendMessage extends Error {
  code?: string;
  status?: string;
}

export interface ClientInternals {
  readonly connection: WireConnection;
  readonly processID: number | null;
  readonly secretKey: number | null;
  readonly sslNegotiation: string;
  readonly connectionParameters: { statement_timeout?: number | string | false };
  readyForQuery?: boolean;
  _activeQuery: QueuedQuery | null | undefined;
  _queryQueue: QueuedQuery[];
  _connecting: boolean;
  _connected: boolean;
  _queryable: boolean;
  _ending: boolean;
  _ended: boolean;
  _handleReadyForQuery(message: BackendMessage): void;
  _handleErrorMessage(message: BackendMessage): void;
  _pulseQueryQueue(): void;
}

/** A place in pg-pool's line. */
export interface PendingItem {
  callback(error: Error | undefined, client?: pg.PoolClient, release?: (error?: Error | boolean) => void): void;
  /** Set: the connection goes straight back to the pool. */
  timedOut?: boolean;
  /** Set by us: the callback may be called in anybody's context. */
  isOurs?: boolean;
}

export interface PoolInternals {
  Client: new (config?: pg.ClientConfig) => pg.Client;
  _clients: pg.PoolClient[];
  _pendingQueue: PendingItem[];
  newClient(item: PendingItem): void;
  _pulseQueue(): void;
  _release(client: pg.PoolClient, idleListener: (error: Error) => void, error?: Error | boolean): void;
  _remove(client: pg.PoolClient, callback?: () => void): void;
}

export const PgClient = pg.Client as unknown as new (config?: string | pg.ClientConfig) => pg.Client & ClientInternals;

export const PgPool = pg.Pool as unknown as new (config?: pg.PoolConfig) => pg.Pool & PoolInternals;

export const PgQuery = pg.Query as unknown as new (config: unknown, values?: unknown) => QueuedQuery;

export const PgConnection = pg.Connection as unknown as new (config: WireConnectionConfig) => WireConnection;

/** A pg that has moved what we stand on would make cancels unsafe without a sound: better an error at import. */
function requireInternals(prototype: object, names: readonly string[], what: string): void {
  const missing = names.filter((name) => typeof (prototype as Record<string, unknown>)[name] !== 'function');
  if (missing.length === 0) return;
  throw new Error(
    `@aiokit/pg does not know this version of pg: its ${what} has no ${missing.join(', ')}. Install pg 8.21 or newer, below 9.`,
  );
}

requireInternals(
  PgClient.prototype,
  ['query', 'getTransactionStatus', '_handleReadyForQuery', '_handleErrorMessage', '_pulseQueryQueue'],
  'Client',
);
requireInternals(PgPool.prototype, ['connect', 'query', 'newClient', '_pulseQueue', '_release', '_remove'], 'Pool');
requireInternals(PgConnection.prototype, ['connect', 'requestSsl', 'cancel', 'sendCopyFail'], 'Connection');
