/**
 * Stopping what a connection is working on, safely.
 *
 * A CancelRequest names a connection, not a statement: one that arrives late stops whatever runs there by then. So the
 * connection is closed to new statements from the moment the request is made until BOTH are there: the server's close of
 * the second connection (it has sent its signal) and ReadyForQuery of the statement. With either alone, one in eight hit a
 * neighbour when it was tried. psycopg and asyncpg wait for the same two.
 *
 * A request may also be too early: overtaking the statement on its way, it finds an idle connection and does nothing. So while
 * the statement goes on it is sent again.
 *
 * That suffices for a server. A proxy may close the second connection before it passes the request on. Then nothing proves
 * that it is used up, not even 57014: up to PostgreSQL 17 one request is two signals, `kill(pid)` and `kill(-pid)`, and on a busy
 * machine the second comes so much later that it hits the next statement (tried, with the two 5 ms apart: 52 of 122). So after 57014 the
 * connection is `consumed`, and goes back to its pool once it is known to lead straight to the server (direct.ts); without 57014 it
 * is `tainted`.
 */
import { getRunningLoop, trackIO } from '@aiokit/core';
import type { ResolvedCancelOptions } from './cancel-options.ts';
import { canRequestCancel, requestCancel } from './cancel-request.ts';
import type { Client } from './client.ts';
import type { BackendMessage } from './pg-internals.ts';
import type { Verdict } from './verdict.ts';

const QUERY_CANCELED = '57014';
const BY_REQUEST = 'canceling statement due to user request';
const BY_TIMEOUT = 'canceling statement due to statement timeout';

/** How long the server has to show an effect before the request is sent again, in ms; then twice as long, and so on. */
const FIRST_WAIT = 10;

export class Cancellation {
  private readonly client: Client;
  private readonly options: ResolvedCancelOptions;
  private readonly isAmbiguous: boolean;
  private readonly startedAt = performance.now();
  private readonly operation = getRunningLoop().clock.real ? null : trackIO('pg cancel');
  private bound: NodeJS.Timeout | undefined;
  private again: NodeJS.Timeout | undefined;
  private abort: (() => void) | null = null;
  private sent = 0;
  private stopped = false;
  private reason = '';
  private sideClosed = false;
  /** A second connection broke: nobody knows what has become of the request on it. */
  private isLost = false;
  private targetReady = false;
  private verdict: Verdict | null = null;

  /** @param isAmbiguous whether 57014 may come from something else than a CancelRequest, as COPY's own failure does. */
  constructor(client: Client, options: ResolvedCancelOptions, isAmbiguous = false) {
    this.client = client;
    this.options = options;
    this.isAmbiguous = isAmbiguous;
  }

  start(): void {
    if (this.options.cancel === 'close' || !canRequestCancel(this.client)) return this.destroy();
    this.bound = setTimeout(() => this.destroy(), this.options.cancelGrace).unref();
    this.request();
  }

  private request(): void {
    let written = false;
    this.sideClosed = false;
    this.abort = requestCancel(this.client, {
      mayWrite: () => this.verdict === null && !this.targetReady,
      written: () => {
        written = true;
        this.sent++;
      },
      closed: (byError) => {
        this.sideClosed = true;
        if (byError && written) this.isLost = true;
        this.settle();
        if (this.verdict !== null || this.targetReady) return;
        if (!written) return this.destroy(); // It could not be sent, and the statement goes on.
        this.again = setTimeout(() => this.request(), Math.min(500, FIRST_WAIT * 2 ** (this.sent - 1)));
      },
    });
  }

  /** Whether the error that ended the statement is this cancel's doing. */
  get tookEffect(): boolean {
    return this.stopped || this.verdict === 'dead';
  }

  /** The statement ended with an error. */
  errorSeen(message: BackendMessage): void {
    if (this.sent === 0 || message.code !== QUERY_CANCELED) return;
    this.stopped = true;
    this.reason = message.message;
  }

  /** The statement has ended. */
  readySeen(): void {
    this.targetReady = true;
    clearTimeout(this.again);
    this.settle();
  }

  /** The connection is gone. */
  connectionEnded(): void {
    this.finish('dead');
  }

  private settle(): void {
    if (!this.targetReady || (this.sent > 0 && !this.sideClosed)) return;
    if (this.sent === 0) this.finish('clean');
    else this.finish(this.isSeenAtWork() ? 'consumed' : 'tainted');
  }

  /** Whether a request itself has been seen at work. The server's own time limits raise the same code. */
  private isSeenAtWork(): boolean {
    if (!this.stopped || this.isLost || this.isAmbiguous || this.reason === BY_TIMEOUT) return false;
    return this.reason === BY_REQUEST || !this.client._mayTimeOut; // Another text: the server speaks another language.
  }

  private destroy(): void {
    if (this.verdict !== null) return;
    this.client._destroy();
    this.finish('dead');
  }

  private finish(verdict: Verdict): void {
    if (this.verdict !== null) return;
    this.verdict = verdict;
    clearTimeout(this.bound);
    clearTimeout(this.again);
    this.abort?.();
    this.client._cancellationEnded(verdict, this.options.afterCancel, performance.now() - this.startedAt);
    this.operation?.end();
  }
}
