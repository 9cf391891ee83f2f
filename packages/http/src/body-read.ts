/**
 * The bridge of the client, as three kinds of Future: a call (call.ts), one wait for a body's data (here), and a promise of the
 * platform's `fetch` (fetch.ts). Each ends what it waits for when it is cancelled; nothing else in the package knows tasks.
 */
import { Bridge, type CancelledError } from '@aiokit/core';

/** One wait for data of a response. A cancel cuts the connection: half a body is of use to nobody. */
export class BodyRead<T> extends Bridge<T> {
  private readonly body: { readCancelled(error: CancelledError): void };

  constructor(body: { readCancelled(error: CancelledError): void }) {
    super();
    this.body = body;
  }

  protected override onCancel(error: CancelledError): void {
    this.setCancelled();
    this.body.readCancelled(error);
  }
}
