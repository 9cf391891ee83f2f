/**
 * How a call becomes a Future. Everything in this package that waits for the server or for a connection does it in one of
 * these.
 *
 * The task is taken where the user calls: a call that returns a Future waits when it is awaited, a call with a callback (or a
 * cursor, a stream, a COPY) from the call on. What a cancel does depends on how far the call has come:
 *
 *   waiting for a connection     it leaves the line; a connection that arrives late goes back
 *   queued on a client           it is taken out, unsent
 *   behind others in a pipeline  its result is dropped
 *   transaction control          nothing: it returns its value, and the cancel waits for the next `await` (but for a
 *                                connection that is dead: past `cancelGrace` it is given up, only COMMIT never)
 *   running                      cancellation.ts; a statement that ends by itself first returns its value
 */
import { Bridge, type CancelledError, currentScope, Future, type Operation, peekPending, trackIO } from '@aiokit/core';
import pg from 'pg';
import { isBlocked } from './blocked-by.ts';
import type { ResolvedCancelOptions } from './cancel-options.ts';
import type { Cancellation } from './cancellation.ts';
import type { Client } from './client.ts';
import type { Callback, PendingItem, QueuedQuery } from './pg-internals.ts';
import type { Pool } from './pool.ts';
import { isCommit, isTransactionControl } from './statement.ts';

/** How long a statement may take to end by itself before a CancelRequest is worth its connection, in ms from its submission. */
const SHORT = 2;

/** A call that a callback may be told of instead of an awaiter. */
abstract class PgCall<T> extends Bridge<T> {
  private callback: Callback<T> | null = null;

  /** For a call with a callback: it waits from now on. */
  tell(callback: Callback<T>): void {
    this.callback = callback;
    this.waitFromNow();
  }

  protected succeed(value: T): void {
    this.setResult(value);
    this.callback?.(null, value);
  }

  /**
   * An error comes from the socket, and its stack ends there. As pg does, it is given the stack of the code that awaits it:
   * inside of a reaction that leads to the awaiter, the engine can see that far.
   */
  protected fail(error: Error): void {
    const awaiter = this._waiters;
    if (awaiter === null || this.callback !== null) {
      this.setException(error);
      this.callback?.(error);
      return;
    }
    const tell = () => {
      Error.captureStackTrace(error);
      this.setException(error);
    };
    Promise.reject(error)
      .catch(tell)
      .then(awaiter.resolve as () => void, awaiter.reject);
  }

  protected confirmCancel(error: CancelledError): void {
    this.setCancelled(error);
    this.callback?.(error);
  }
}

/** Something that the server does for a caller. */
abstract class ServerCall<T> extends PgCall<T> {
  readonly query: QueuedQuery;
  protected client: Client | null = null;
  protected readonly options: ResolvedCancelOptions | null;
  private cancellation: Cancellation | null = null;
  private operation: Operation | null = null;

  constructor(query: QueuedQuery, options: ResolvedCancelOptions | null) {
    super();
    this.query = query;
    this.options = options;
  }

  /** Whether 57014 may mean something else than that the CancelRequest arrived. */
  protected get isAmbiguous(): boolean {
    return false;
  }

  override get [Symbol.toStringTag](): string {
    return `pg ${this.query.text ?? this.query.name ?? 'query'}`;
  }

  /** The server is about to be asked: virtual time waits for it. */
  protected begin(client: Client): void {
    this.client = client;
    if (this._loop.clock.real) return;
    const label = this.query.text ?? this.query.name ?? '';
    this.operation = trackIO('pg', { label, blockedBy: () => isBlocked(client) });
  }

  protected end(error: Error | null | undefined, result?: T): void {
    const request = this.cancelRequest;
    if (!error) this.succeed(result as T);
    else if (request !== null && this.isCancel(error)) this.confirmCancel(request);
    else this.fail(error);
    this.endOperation();
  }

  /** It ended without an error while the connection stays busy, as a cursor between two batches: nothing is left to stop. */
  protected endOfPart(): void {
    this.cancellation?.readySeen();
  }

  protected endOperation(): void {
    this.operation?.end();
  }

  /** Whether the error is this call's cancel, or what became of the connection meanwhile. */
  protected isCancel(error: Error): boolean {
    if (error === this.cancelRequest) return true;
    return this.cancellation !== null && (this.cancellation.tookEffect || !(error instanceof pg.DatabaseError));
  }

  /** It was taken out of the queue, unsent. */
  protected withdrawn(error: CancelledError): void {
    this.query.handleError(error, this.client?.connection as never);
  }

  protected override onCancel(error: CancelledError): void {
    const { client, query } = this;
    if (client === null) return;
    const options = this.options ?? client._cancelOptions;
    if (isTransactionControl(query.text)) return this.limit(client, options);
    if (options.cancel === 'ignore') return;
    if (client._withdraw(query)) this.withdrawn(error);
    else if (client.pipeline) this.abandon(error);
    else if (client._isActive(query)) this.interrupt(client, options);
  }

  /** It is waited for, but not on a connection that is dead. Only COMMIT is, for ever: what has become of it must be known. */
  private limit(client: Client, options: ResolvedCancelOptions): void {
    if (isCommit(this.query.text)) return;
    setTimeout(() => {
      if (!this.done()) this.cancellation = client._cancel({ ...options, cancel: 'close' }, false);
    }, options.cancelGrace).unref();
  }

  protected interrupt(client: Client, options: ResolvedCancelOptions): void {
    this.stop(client, options);
  }

  /** Results that are on their way already are cheaper than a second connection: a short wait for them, then the request. */
  protected stop(client: Client, options: ResolvedCancelOptions, short = SHORT): void {
    const begin = () => {
      if (this.done()) client._cancelledWithoutRequest();
      else if (client._isActive(this.query)) this.cancellation = client._cancel(options, this.isAmbiguous);
    };
    const left = short - (performance.now() - client._activeSince);
    if (left > 0) setTimeout(begin, left);
    else begin();
  }

  /** In a pipeline others are behind it: a CancelRequest might stop one of them. Its result is dropped when it comes. */
  private abandon(error: CancelledError): void {
    this.confirmCancel(error);
    this.endOperation();
  }
}

/** A statement on a client. */
export class StatementCall<T = pg.QueryResult> extends ServerCall<T> {
  constructor(query: QueuedQuery, options: ResolvedCancelOptions | null) {
    super(query, options);
    query.callback = (error: Error | null | undefined, result?: never) => {
      if (this.done()) this.abandonedEnd(error);
      else this.end(error, result);
    };
  }

  submit(client: Client): void {
    this.begin(client);
    client._enqueue(this.query);
  }

  /** The answer to a statement that nobody waits for any more. */
  protected abandonedEnd(_error: Error | null | undefined): void {}

  /** The callback, not `handleError`: pg's `query_timeout` has wrapped it to end its timer. */
  protected override withdrawn(error: CancelledError): void {
    this.query.callback?.(error);
  }
}

/** A statement on a connection of the pool, which it takes and gives back. */
export class PoolStatementCall<T = pg.QueryResult> extends StatementCall<T> {
  private readonly place: Place;

  constructor(pool: Pool, query: QueuedQuery, options: ResolvedCancelOptions | null) {
    super(query, options);
    this.place = new Place(pool, this);
  }

  start(): this {
    this.place.enter();
    return this;
  }

  granted(error: Error, client: pg.PoolClient | undefined): void {
    if (client === undefined) return this.fail(error);
    client.on('error', ignore); // A connection that breaks fails the statement; pg would have 'error' end the process, too.
    this.submit(client as unknown as Client);
  }

  protected override onCancel(error: CancelledError): void {
    if (this.client !== null) return super.onCancel(error);
    this.place.leave();
    this.confirmCancel(error);
  }

  protected override abandonedEnd(error: Error | null | undefined): void {
    this.release(error);
  }

  /** The caller goes on when the connection is back in the pool, or gone: it sees a whole pool. */
  protected override end(error: Error | null | undefined, result?: T): void {
    const client = this.client as Client;
    const isOurs = error && !(error instanceof pg.DatabaseError) && !this.isCancel(error);
    this.release(isOurs ? error : null);
    if (isOurs || client._isSettled()) super.end(error, result);
    else client._whenSettled(() => super.end(error, result));
  }

  private release(error: Error | null | undefined): void {
    const client = this.client as unknown as pg.PoolClient;
    client.removeListener('error', ignore);
    client.release(error ?? undefined);
  }
}

/**
 * Something that is submitted as it is and answers in ways of its own: a Query with listeners, a COPY. It waits from the call
 * on, and ends when the server has answered or its error has been told.
 */
export class SubmittedCall extends ServerCall<void> {
  /** The server's own error, if it ended with one. */
  failure: Error | null = null;
  private readonly ended = new Future<void>();

  constructor(client: Client, query: QueuedQuery, options: ResolvedCancelOptions | null = null) {
    super(query, options);
    this.begin(client);
    const { handleError, handleReadyForQuery } = query;
    query.handleError = (error, connection) => {
      const told = this.cancelRequest !== null && this.isCancel(error) ? this.cancelRequest : error;
      if (!this.done()) this.end(error);
      handleError.call(query, told, connection);
    };
    query.handleReadyForQuery = (connection) => {
      if (!this.done()) this.end(null);
      handleReadyForQuery.call(query, connection);
    };
    this.waitFromNow();
  }

  /** Resolves when it has ended, whatever the end. */
  settled(): Future<void> {
    return this.ended;
  }

  protected override end(error: Error | null | undefined): void {
    if (error && !this.isCancel(error)) this.failure = error;
    super.end(error);
    this.ended.setResult();
  }
}

/** One batch of a cursor. Between batches nothing runs, so nothing can be cancelled. */
export class CursorReadCall<Row> extends ServerCall<Row[]> {
  private hasBegun = false;

  start(client: Client, read: (callback: (error: Error | null | undefined, rows: Row[]) => void) => void): this {
    this.begin(client);
    const begin = () => {
      if (this.done()) return;
      this.hasBegun = true;
      client._activeSince = performance.now();
      read((error, rows) => {
        if (this.done()) return;
        if (!error && client._isActive(this.query)) this.endOfPart();
        this.end(error, rows);
      });
    };
    // A CancelRequest that came too late for the batch before must be gone first; a pending cancel is about to be met.
    const whenSafe = () => client._whenCancelEnded(begin);
    if (peekPending(currentScope()) === null) whenSafe();
    else setImmediate(whenSafe);
    return this;
  }

  protected override onCancel(error: CancelledError): void {
    if (this.hasBegun) return super.onCancel(error);
    this.confirmCancel(error);
    this.endOperation();
  }
}

/** A connection of the pool, for the caller to release. */
export class AcquireCall extends PgCall<pg.PoolClient> {
  private readonly place: Place;

  constructor(pool: Pool) {
    super();
    this.place = new Place(pool, this);
  }

  start(): this {
    this.place.enter();
    return this;
  }

  granted(error: Error, client: pg.PoolClient | undefined): void {
    if (client === undefined) this.fail(error);
    else this.succeed(client);
  }

  override get [Symbol.toStringTag](): string {
    return 'pool.connect()';
  }

  protected override onCancel(error: CancelledError): void {
    this.place.leave();
    this.confirmCancel(error);
  }
}

interface PlaceOwner {
  /** Told of a connection or an error, unless the place is left before. */
  granted(error: Error, client: pg.PoolClient | undefined): void;
}

/** A place in the pool's line, until a connection or an error comes, or it is left. */
class Place {
  private readonly pool: Pool;
  private readonly owner: PlaceOwner;
  private item: PendingItem | null = null;
  private isOver = false;

  constructor(pool: Pool, owner: PlaceOwner) {
    this.pool = pool;
    this.owner = owner;
  }

  enter(): void {
    if (peekPending(currentScope()) === null) return this.enterNow();
    // A cancel is pending that the caller's `await` is about to meet: not worth a new connection.
    setImmediate(() => {
      if (!this.isOver) this.enterNow();
    });
  }

  leave(): void {
    if (this.isOver) return;
    this.isOver = true;
    if (this.item !== null) this.pool._leave(this.item);
  }

  private enterNow(): void {
    this.item = this.pool._enter((error, client) => {
      if (this.isOver) return;
      this.isOver = true;
      this.owner.granted(error as Error, client);
    });
  }
}

/** The first connection of a client. A cancel gives the client up. */
export class ConnectCall<C extends Client> extends PgCall<C> {
  private readonly client: C;

  constructor(client: C) {
    super();
    this.client = client;
  }

  start(connect: (callback: (error: Error | null | undefined) => void) => void): this {
    connect((error) => {
      if (this.done()) return;
      if (!error) this.succeed(this.client);
      else if (this.cancelRequest !== null) this.confirmCancel(this.cancelRequest);
      else this.fail(error);
    });
    return this;
  }

  override get [Symbol.toStringTag](): string {
    return 'client.connect()';
  }

  protected override onCancel(): void {
    this.client._destroy();
  }
}

/** A COPY … TO STDOUT whose stream somebody reads. */
export class CopyOutCall extends SubmittedCall {
  /** Set once the rest of the data flows to nowhere. */
  drainedFor: CancelledError | null = null;
  private readonly drain: () => void;

  /** @param drain lets the rest of the data flow to nowhere: pg sees no ReadyForQuery before it has read them. */
  constructor(client: Client, query: QueuedQuery, drain: () => void) {
    super(client, query);
    this.drain = drain;
  }

  /** The reader has gone: the server need not go on. */
  leave(): void {
    const { client } = this;
    if (this.done() || client === null) return;
    this.drain();
    this.stop(client, { ...(this.options ?? client._cancelOptions), cancel: 'server' }, 0);
  }

  protected override interrupt(client: Client, options: ResolvedCancelOptions): void {
    this.drainedFor = this.cancelRequest;
    this.drain();
    this.stop(client, options);
  }

  /** What the server had sent before it could be stopped has been thrown away: there is no value to deliver. */
  protected override end(error: Error | null | undefined): void {
    super.end(error ?? this.drainedFor);
  }
}

/** How long a server may take to see CopyFail before it is interrupted, in ms. It sees it at once unless it waits or works. */
const COPY_FAIL = 50;

/** A COPY … FROM STDIN whose stream somebody writes. */
export class CopyInCall extends SubmittedCall {
  private readonly abort: (error: Error) => boolean;

  /** @param abort destroys the stream, which sends CopyFail. False if everything has been written already. */
  constructor(client: Client, query: QueuedQuery, abort: (error: Error) => boolean) {
    super(client, query);
    this.abort = abort;
  }

  /** CopyFail is answered with 57014, too. */
  protected override get isAmbiguous(): boolean {
    return true;
  }

  protected override isCancel(error: Error): boolean {
    return super.isCancel(error) || (error instanceof pg.DatabaseError && error.code === '57014');
  }

  protected override interrupt(client: Client, options: ResolvedCancelOptions): void {
    if (!this.abort(this.cancelRequest as CancelledError)) return this.stop(client, options);
    setTimeout(() => {
      if (!this.done() && client._isActive(this.query)) this.stop(client, options, 0);
    }, COPY_FAIL);
  }
}

function ignore(): void {}
