import { inspect } from 'node:util';
import { currentScope, detached, getRunningLoop, trackIO } from '@aiokit/core';
import type pg from 'pg';
import { AcquireCall, PoolStatementCall } from './bridge/index.ts';
import { cancelOptions, type ResolvedCancelOptions } from './cancel-options.ts';
import { Client, makeQuery, ownCancelOptions } from './client.ts';
import { type Lease, leaseFrom, type Source } from './lease.ts';
import { type Listener, ListenHub, type ListenOptions } from './listen.ts';
import { type Callback, type PendingItem, PgPool } from './pg-internals.ts';
import { type Queries, queries } from './queries.ts';
import { ambientTransaction } from './transaction.ts';
import { noVerdicts, type Verdict, type VerdictCounts } from './verdict.ts';

/** A pool's state at one instant. */
export interface PoolStatistics {
  /** The most connections there may be. */
  readonly max: number;
  readonly total: number;
  readonly idle: number;
  readonly waiting: number;
  /** What cancels did to connections, since the pool was made. */
  readonly cancels: Readonly<VerdictCounts>;
  /** Connections that were released in the middle of a transaction, and therefore destroyed. */
  readonly leftInTransaction: number;
}

/** A connection of a pool, until it is released: a {@link Client}. */
export interface PoolClient extends pg.PoolClient, Omit<Queries, 'copyFrom' | 'copyTo'> {}

export interface Pool extends Queries {}

/**
 * pg's `Pool`, whose statements stop on the server when the task that waits for them is cancelled, and whose line is left
 * when the wait for a connection is. Outside of tasks and timeouts it is pg's `Pool`.
 *
 * In both cases a connection that is released in the middle of a transaction is destroyed. In tasks, a statement that fails
 * does not cost its connection.
 *
 * @example
 * ```ts
 * const pool = new Pool({ max: 10 });
 * await timeout(1000, () => pool.query('select pg_sleep(60)')); // TimeoutError, and nothing runs on
 * ```
 *
 * @see https://node-postgres.com/apis/pool
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the methods are assigned below
export class Pool extends PgPool implements Source {
  static {
    // An accessor in pg, a property in its types.
    Object.defineProperty(Pool.prototype, 'waitingCount', {
      configurable: true,
      get: function waitingCount(this: Pool) {
        return this._pendingQueue.length - this.left.size;
      },
    });
  }

  /** @internal How many are open: without any, `query` need not look for one. */ _ambientTransactions = 0;
  private readonly cancelOptions: ResolvedCancelOptions;
  private readonly cancels = noVerdicts();
  private leftInTransaction = 0;
  private hub: ListenHub | null = null;
  private isOutside = false;
  /** The place in the line that the latest `connect` took. */
  private entered: PendingItem | null = null;
  /** Places in the line whose callers have gone. They are skipped, and swept out when they are the majority. */
  private readonly left = new Set<PendingItem>();
  /** Places that a connection is being made for. */
  private readonly connecting = new WeakSet<PendingItem>();

  constructor(config?: pg.PoolConfig) {
    super(config);
    this.cancelOptions = cancelOptions(config ?? {});
    if (config?.Client === undefined) this.Client = Client as unknown as typeof pg.Client;
  }

  statistics(): PoolStatistics {
    return {
      max: this.options.max,
      total: this.totalCount,
      idle: this.idleCount,
      waiting: this.waitingCount,
      cancels: { ...this.cancels },
      leftInTransaction: this.leftInTransaction,
    };
  }

  override connect(): Promise<PoolClient>;
  override connect(
    // biome-ignore lint/suspicious/noExplicitAny: pg's signature
    callback: (error: Error | undefined, client: PoolClient | undefined, done: (release?: any) => void) => void,
  ): void;
  override connect(callback?: PendingItem['callback']): Promise<PoolClient> | void {
    const scope = this.isOutside ? null : currentScope();
    if (scope === null) return pgConnect.call(this, callback) as Promise<PoolClient> | void;
    const call = new AcquireCall(this, scope);
    if (callback === undefined) return call as Promise<pg.PoolClient> as Promise<PoolClient>;
    call.tell((error, client) => callback(error ?? undefined, client, client?.release ?? ignore));
  }

  /** @internal `query`. */
  _query(config: unknown, values?: unknown, callback?: unknown): unknown {
    const tx = this._ambientTransactions > 0 ? ambientTransaction(this) : null;
    if (tx !== null) return (tx.query as (...args: unknown[]) => unknown)(config, values, callback);
    const scope = currentScope();
    if (scope === null) return this.queryOutside(config, values, callback);
    if (!isPlainQuery(config)) return pgQuery.call(this, config, values, callback);
    const { query, told } = makeQuery(config, values, callback);
    const call = new PoolStatementCall(this, query, ownCancelOptions(config, this.cancelOptions), scope);
    if (told === undefined) return call;
    call.tell(told as Callback<pg.QueryResult>);
    return undefined;
  }

  /**
   * The notifications of one or several channels, until the loop is left. All listeners of a pool share one connection, which
   * is none of the pool's; it is made again when it breaks, and a `gap` says that notifications may be missing.
   *
   * A consumer that is slower than they come loses the oldest, and is told how many.
   *
   * @param channels names as they are, case and all
   * @param options `buffer`: how many notifications are kept for a slow consumer (1000)
   * @example
   * ```ts
   * for await (const { channel, payload, gap } of pool.listen('jobs')) {
   *   if (gap) await lookForJobs();
   *   else await start(payload);
   * }
   * ```
   *
   * @see https://www.postgresql.org/docs/current/sql-listen.html
   */
  listen(channels: string | readonly string[], options: ListenOptions = {}): Listener {
    const all = typeof channels === 'string' ? [channels] : channels;
    if (!Array.isArray(all) || all.length === 0 || !all.every((name) => typeof name === 'string' && name !== '')) {
      throw new TypeError(`channels must be a name or an array of names, got ${inspect(channels)}`);
    }
    const { buffer = 1000 } = options;
    if (!(buffer >= 1)) throw new RangeError(`buffer must be a number >= 1, got ${inspect(buffer)}`);
    this.hub ??= new ListenHub(this.options);
    return this.hub.listener([...new Set(all)], buffer);
  }

  override end(): Promise<void>;
  override end(callback: () => void): void;
  /** As pg's; callers that wait for a connection are refused, and listeners end. */
  override end(callback?: () => void): Promise<void> | void {
    const hubClosed = this.hub?.close();
    const ended = pgEnd.call(this, callback) as Promise<void> | void;
    for (const place of this._pendingQueue.splice(0)) {
      if (!this.left.delete(place)) place.callback(new Error('Cannot use a pool after calling end on the pool'));
    }
    if (ended === undefined || hubClosed === undefined) return ended;
    return ended.then(() => hubClosed);
  }

  /** @internal */
  async _lease(): Promise<Lease> {
    const tx = ambientTransaction(this);
    return tx === null ? leaseFrom(this) : tx._lease();
  }

  /** @internal Joins the line. Returns the place in it, or null if the answer was there at once. */
  _enter(callback: PendingItem['callback']): PendingItem | null {
    this.entered = null;
    const queue = this._pendingQueue;
    const before = queue.length;
    pgConnect.call(this, callback);
    const place = queue.length > before ? (queue[queue.length - 1] as PendingItem) : this.entered;
    if (place !== null) place.isOurs = true;
    return place;
  }

  /** @internal Leaves the line. A connection that is being made for this place goes to the pool when it is there. */
  _leave(place: PendingItem): void {
    place.timedOut = true;
    place.callback(undefined); // pg-pool's own time limit of this place ends here.
    if (this.connecting.has(place)) return;
    if (place === this._pendingQueue.at(-1)) this._pendingQueue.pop();
    else this.left.add(place);
    this.sweep();
  }

  /** @internal The connection outlives the task that happened to need it first. */
  override newClient(place: PendingItem): void {
    this.entered = place;
    this.connecting.add(place);
    detached(() => super.newClient(place));
    const client = this._clients.at(-1);
    if (client instanceof Client) client._onVerdict = this.countVerdict;
  }

  /** @internal Nobody's callback is called, and no 'acquire' told, in somebody else's task. */
  override _pulseQueue(): void {
    if (this.left.size > 0) this.skipThoseWhoLeft();
    if (this.ending || this.listenerCount('acquire') > 0) return this.pulseDetached();
    const next = this._pendingQueue[0];
    // To leave a task costs more than all else here: not for a call of ours, which does not care where it is told.
    if (next?.isOurs || currentScope() === null) super._pulseQueue();
    else if (next !== undefined) this.pulseDetached();
  }

  /** @internal */
  override _release(client: pg.PoolClient, idleListener: (error: Error) => void, error?: Error | boolean): void {
    if (error || !(client instanceof Client)) return super._release(client, idleListener, error);
    if (client._isSettled() && !needsProof(client)) return this.takeBack(client, idleListener);
    // What the connection's state is will be known soon: decided then. Until then nobody else may have it.
    const bound = setTimeout(() => client._destroy(), client._cancelOptions.cancelGrace).unref();
    client.on('error', ignore);
    const takeBack = () => {
      clearTimeout(bound);
      client.removeListener('error', ignore);
      this.takeBack(client, idleListener);
    };
    client._whenSettled(() => (needsProof(client) ? client._prove(takeBack) : takeBack()));
  }

  /** pg's, which connects at once: no need to look for a scope again. */
  private queryOutside(config: unknown, values: unknown, callback: unknown): unknown {
    this.isOutside = true;
    try {
      return pgQuery.call(this, config, values, callback);
    } finally {
      this.isOutside = false;
    }
  }

  private pulseDetached(): void {
    if (currentScope() === null) super._pulseQueue();
    else detached(() => super._pulseQueue());
  }

  /** @internal Who waits for a connection gets a new one when this one is closed: virtual time waits for that. */
  override _remove(client: pg.PoolClient, callback?: () => void): void {
    const { host, port } = client as pg.PoolClient & Client;
    const operation = getRunningLoop().clock.real ? null : trackIO('pg close', { label: `${host}:${port}` });
    super._remove(client, () => {
      callback?.();
      operation?.end();
    });
  }

  private readonly countVerdict = (verdict: Verdict): void => {
    this.cancels[verdict]++;
  };

  private takeBack(client: pg.PoolClient & Client, idleListener: (error: Error) => void): void {
    const isLeft = isAlive(client) && isInTransaction(client);
    if (isLeft) this.leftInTransaction++;
    super._release(client, idleListener, isLeft || client._tainted ? true : undefined);
  }

  private skipThoseWhoLeft(): void {
    while (this._pendingQueue[0] !== undefined && this.left.delete(this._pendingQueue[0])) this._pendingQueue.shift();
  }

  private sweep(): void {
    if (this.left.size < 64 || this.left.size * 2 < this._pendingQueue.length) return;
    this._pendingQueue = this._pendingQueue.filter((place) => !this.left.has(place));
    this.left.clear();
  }
}

Object.assign(Pool.prototype, queries);
// So that pg's types stay: an override would have to repeat all its overloads.
Pool.prototype.query = Pool.prototype._query as Pool['query'];

const pgEnd = PgPool.prototype.end as (this: Pool, ...args: unknown[]) => unknown;
const pgConnect = PgPool.prototype.connect as (this: Pool, ...args: unknown[]) => unknown;
const pgQuery = PgPool.prototype.query as (this: Pool, ...args: unknown[]) => unknown;

/** Not a cursor or a stream, and not one of the mistakes that pg has messages for. */
function isPlainQuery(config: unknown): boolean {
  return typeof config === 'string' || (typeof config === 'object' && config !== null && !('submit' in config));
}

/** Whether it is worth to ask the server about it. */
function needsProof(client: Client): boolean {
  return client._needsProof && !client._tainted && isAlive(client) && !isInTransaction(client);
}

function isAlive(client: Client): boolean {
  return client._queryable && !client._ending;
}

function isInTransaction(client: Client): boolean {
  const status = client.getTransactionStatus();
  return status === 'T' || status === 'E';
}

function ignore(): void {}
