import { detached } from '@aiokit/core';
import type pg from 'pg';
import { Client } from './client.ts';

/** A connection for a while. */
export interface Lease {
  readonly client: Client;
  /** Gives it back. Resolves when it is back, or gone: whoever goes on then sees a whole pool. */
  release(): Promise<void> | undefined;
}

/** Where a connection comes from: a pool, a client, a transaction. */
export interface Source {
  /** @internal */
  _lease(): Promise<Lease>;
  /** @internal */
  _ambientTransactions?: number;
}

/** A connection of the pool. One that breaks meanwhile fails its statements; its 'error' event is nobody's. */
export async function leaseFrom(pool: pg.Pool): Promise<Lease> {
  const client = await pool.connect();
  if (!(client instanceof Client)) {
    client.release();
    throw new TypeError(`The pool's connections must be Clients of @aiokit/pg: leave out its option Client`);
  }
  client.on('error', ignore);
  return {
    client,
    release: () => {
      client.removeListener('error', ignore);
      client.release();
      return client._isSettled() ? undefined : new Promise((resolve) => client._whenSettled(resolve));
    },
  };
}

/**
 * Waits for the last steps on a connection (closing a cursor, a ROLLBACK), which no cancel interrupts. A server that does not
 * answer within `cancelGrace` loses the connection.
 */
export async function finish(client: Client, steps: () => PromiseLike<unknown> | unknown): Promise<void> {
  const bound = setTimeout(() => client._destroy(), client._cancelOptions.cancelGrace);
  try {
    await detached(async () => steps());
  } finally {
    clearTimeout(bound);
  }
}

function ignore(): void {}
