import type { CancelledError } from '@aiokit/core';
import type { ResolvedCancelOptions } from '../cancel-options.ts';
import type { Client } from '../client.ts';
import type { QueuedQuery } from '../pg-internals.ts';
import { SubmittedCall } from './submitted-call.ts';

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
