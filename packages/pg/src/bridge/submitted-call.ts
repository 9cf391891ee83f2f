import { Future } from '@aiokit/core';
import type { ResolvedCancelOptions } from '../cancel-options.ts';
import type { Client } from '../client.ts';
import type { QueuedQuery } from '../pg-internals.ts';
import { ServerCall } from './server-call.ts';

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
