import type { CancelledError, Scope } from '@aiokit/core';
import type pg from 'pg';
import type { Pool } from '../pool.ts';
import { PgCall } from './call.ts';
import { Place } from './place.ts';

/** A connection of the pool, for the caller to release. */
export class AcquireCall extends PgCall<pg.PoolClient> {
  private readonly place: Place;

  constructor(pool: Pool, scope: Scope) {
    super(scope.loop);
    this.place = new Place(pool, this);
    this.place.enter(scope);
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
