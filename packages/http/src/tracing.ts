/**
 * What happens to requests, for tracers and logs: free while nobody listens.
 *
 * `tracing:aiokit:http:request:start`, `end`, `asyncStart`, `asyncEnd` and `error` carry one {@link RequestTrace} per call;
 * `aiokit:http:redirect` and `aiokit:http:retry` carry it, too.
 *
 * @see https://nodejs.org/api/diagnostics_channel.html#class-tracingchannel
 */
import { channel, tracingChannel } from 'node:diagnostics_channel';
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

export const requestChannel = tracingChannel<unknown, RequestTrace>('aiokit:http:request');
export const redirectChannel = channel('aiokit:http:redirect');
export const retryChannel = channel('aiokit:http:retry');

export function isTraced(): boolean {
  return requestChannel.hasSubscribers || redirectChannel.hasSubscribers || retryChannel.hasSubscribers;
}
