/**
 * What happens to requests, for tracers and logs: free while nobody listens.
 *
 * `tracing:aiokit:http:request:start`, `end`, `asyncStart`, `asyncEnd` and `error` carry one {@link RequestTrace} per call;
 * `aiokit:http:redirect` and `aiokit:http:retry` carry it, too.
 *
 * @see https://nodejs.org/api/diagnostics_channel.html#class-tracingchannel
 */
import { channel, tracingChannel } from 'node:diagnostics_channel';
import type { Future } from '@aiokit/core';
import type { ClientResponse } from './response.ts';

/** A call of a session, filled in as it goes on. */
export interface RequestTrace {
  readonly method: string;
  /** Where it goes now: a redirect changes it. */
  url: string;
  /** How often it was tried again. */
  attempt: number;
  response?: ClientResponse;
  error?: unknown;
}

const requestChannel = tracingChannel<unknown, RequestTrace>('aiokit:http:request');
const redirectChannel = channel('aiokit:http:redirect');
const retryChannel = channel('aiokit:http:retry');

export function isTraced(): boolean {
  return requestChannel.hasSubscribers || redirectChannel.hasSubscribers || retryChannel.hasSubscribers;
}

/** The five events of a tracing channel, by hand: around the send, and around the end. */
export function traceCall(call: Future<ClientResponse>, trace: RequestTrace, send: () => void): void {
  requestChannel.start.runStores(trace, send);
  requestChannel.end.publish(trace);
  call.addDoneCallback(() => {
    try {
      trace.response = call.result();
    } catch (error) {
      trace.error = error;
      requestChannel.error.publish(trace);
    }
    requestChannel.asyncStart.publish(trace);
    requestChannel.asyncEnd.publish(trace);
  });
}

export function traceRedirect(trace: RequestTrace, target: URL): void {
  trace.url = target.href;
  redirectChannel.publish(trace);
}

export function traceRetry(trace: RequestTrace, attempt: number): void {
  trace.attempt = attempt;
  retryChannel.publish(trace);
}
