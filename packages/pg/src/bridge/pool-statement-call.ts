import type { CancelledError, Scope } from '@aiokit/core';
import pg from 'pg';
import type { ResolvedCancelOptions } from '../cancel-options.ts';
import type { Client } from '../client.ts';
import type { QueuedQuery } from '../pg-internals.ts';
import type { Pool } from '../pool.ts';
import { Place } from './place.ts';
import { StatementCall } from './statement-call.ts';

/** A statement on a connection of the pool, which it takes and gives back. */
export class PoolStatementCall<T = pg.QueryResult> extends StatementCall<T> {
  private readonly place: Place;

  constructor(pool: Pool, query: QueuedQuery, options: ResolvedCancelOptions | null, scope: Scope) {
    super(query, options, scope.loop);
    this.place = new Place(pool, this);
    this.place.enter(scope);
  }

  granted(error: Error, client: pg.PoolClient | undefined): void {
    if (client === undefined) return this.fail(error);
    client.on('error', ignore); // A connection that breaks fails the statement; pg would have 'error' end the process, too.
    this.begin(client as unknown as Client);
    this.client?._submit(this.query);
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

function ignore(): void {}
