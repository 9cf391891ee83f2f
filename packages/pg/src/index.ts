/**
 * A drop-in pg whose queries are cancelled on the server.
 *
 *   connections   pool.ts, client.ts          pg's Pool and Client
 *   cancelling    bridge/, cancellation.ts    how a call becomes a Future, and what its cancel does
 *   statements    sql.ts, queries.ts          sql`…`, fetch, execute, …
 *   transactions  transaction.ts
 *   flows         stream.ts, copy.ts, listen.ts
 *
 * All else that pg exports is here, too, as it is.
 */
export * from 'pg';
export type { CancelOptions } from './cancel-options.ts';
export { Client } from './client.ts';
export { default } from './drop-in.ts';
export type { Listener, ListenOptions, Notification, NotificationGap } from './listen.ts';
export { Pool, type PoolClient, type PoolStatistics } from './pool.ts';
export type { ExecuteResult, Queries, Statement } from './queries.ts';
export { InvalidRowError } from './rows.ts';
export { type Sql, type SqlPart, type SqlTag, sql } from './sql.ts';
export type { StreamOptions } from './stream.ts';
export { type Transaction, TransactionAbortedError, type TransactionOptions } from './transaction.ts';
export { CANCEL_CHANNEL, type CancelEvent, type Verdict, type VerdictCounts } from './verdict.ts';
