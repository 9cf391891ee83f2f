import type { CancelledError, EventLoop } from '@aiokit/core';
import type pg from 'pg';
import type { ResolvedCancelOptions } from '../cancel-options.ts';
import type { Client } from '../client.ts';
import type { QueuedQuery } from '../pg-internals.ts';
import { ServerCall } from './server-call.ts';

/** A statement on a client. */
export class StatementCall<T = pg.QueryResult> extends ServerCall<T> {
  constructor(query: QueuedQuery, options: ResolvedCancelOptions | null, loop?: EventLoop) {
    super(query, options, loop);
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
