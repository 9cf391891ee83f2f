import { type CancelledError, type EventLoop, type Operation, trackIO } from '@aiokit/core';
import pg from 'pg';
import { isBlocked } from '../blocked-by.ts';
import type { ResolvedCancelOptions } from '../cancel-options.ts';
import type { Cancellation } from '../cancellation.ts';
import type { Client } from '../client.ts';
import type { QueuedQuery } from '../pg-internals.ts';
import { isCommit, isTransactionControl } from '../statement.ts';
import { PgCall } from './call.ts';

/** How long a statement may take to end by itself before a CancelRequest is worth its connection, in ms from its submission. */
const SHORT = 2;

/** Something that the server does for a caller. */
export abstract class ServerCall<T> extends PgCall<T> {
  readonly query: QueuedQuery;
  protected client: Client | null = null;
  protected readonly options: ResolvedCancelOptions | null;
  private cancellation: Cancellation | null = null;
  private operation: Operation | null = null;

  constructor(query: QueuedQuery, options: ResolvedCancelOptions | null, loop?: EventLoop) {
    super(loop);
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
    client._isTimed = true;
    if (this._loop.clock.real) return;
    const label = this.query.text ?? this.query.name ?? '';
    const peer = () => `${client.host}:${client.port}`;
    this.operation = trackIO('pg', { label, peer, blockedBy: () => isBlocked(client) });
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
