import { peekPending, type Scope } from '@aiokit/core';
import type pg from 'pg';
import type { PendingItem } from '../pg-internals.ts';
import type { Pool } from '../pool.ts';

interface PlaceOwner {
  /** Told of a connection or an error, unless the place is left before. */
  granted(error: Error, client: pg.PoolClient | undefined): void;
}

/** A place in the pool's line, until a connection or an error comes, or it is left. */
export class Place {
  private readonly pool: Pool;
  private readonly owner: PlaceOwner;
  private item: PendingItem | null = null;
  private isOver = false;

  constructor(pool: Pool, owner: PlaceOwner) {
    this.pool = pool;
    this.owner = owner;
  }

  enter(scope: Scope): void {
    if (peekPending(scope) === null) return this.enterNow();
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
      if (this.isOver) return client?.release(); // Left while the pool's option `verify` was busy with the connection.
      this.isOver = true;
      this.owner.granted(error as Error, client);
    });
  }
}
