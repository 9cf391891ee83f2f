import type { CancelledError } from '@aiokit/core';
import pg from 'pg';
import type { ResolvedCancelOptions } from '../cancel-options.ts';
import type { Client } from '../client.ts';
import type { QueuedQuery } from '../pg-internals.ts';
import { SubmittedCall } from './submitted-call.ts';

/** How long a server may take to see CopyFail before it is interrupted, in ms. It sees it at once unless it waits or works. */
const COPY_FAIL = 50;

/** A COPY … FROM STDIN whose stream somebody writes. */
export class CopyInCall extends SubmittedCall {
  private readonly abort: (error: Error) => boolean;

  /** @param abort destroys the stream, which sends CopyFail. False if everything has been written already. */
  constructor(client: Client, query: QueuedQuery, abort: (error: Error) => boolean) {
    super(client, query);
    this.abort = abort;
  }

  /** CopyFail is answered with 57014, too. */
  protected override get isAmbiguous(): boolean {
    return true;
  }

  protected override isCancel(error: Error): boolean {
    return super.isCancel(error) || (error instanceof pg.DatabaseError && error.code === '57014');
  }

  protected override interrupt(client: Client, options: ResolvedCancelOptions): void {
    if (!this.abort(this.cancelRequest as CancelledError)) return this.stop(client, options);
    setTimeout(() => {
      if (!this.done() && client._isActive(this.query)) this.stop(client, options, 0);
    }, COPY_FAIL);
  }
}
