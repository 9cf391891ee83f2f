import { type CancelledError, currentScope, peekPending } from '@aiokit/core';
import type { Client } from '../client.ts';
import { ServerCall } from './server-call.ts';

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
