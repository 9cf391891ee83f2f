import { rethrowCancelled, sleep } from '@aiokit/core';
import { ClientError, isBreak } from './errors.ts';
import { type HeaderRecord, mergeHeaders } from './headers.ts';
import type { RequestOptions } from './request.ts';
import type { ClientResponse } from './response.ts';
import { type EventStreamState, eventsIn, isEventStream, type ServerSentEvent } from './server-sent-events.ts';
import type { ClientSession } from './session.ts';

export interface EventsOptions extends RequestOptions {
  /** Default: GET. */
  method?: string | undefined;
  /** Whether to connect again when the stream ends or breaks, as browsers do. Default: true. */
  reconnect?: boolean | undefined;
  /** How long to wait before that, in ms, until the server says otherwise. Default: 1,000. */
  reconnectDelay?: number | undefined;
  /** The largest event that is accepted, in characters. Default: 16 Mi. (There is no `total` and no `maxBodySize` for all of them.) */
  maxEventSize?: number | undefined;
}

/**
 * The events of an address, across connections: after a break it connects again and says which event was the last one. What a
 * server does not repeat then is lost. A status of 204 ends it; an error status, or an answer that is no event stream, is
 * thrown.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#the-eventsource-interface
 */
export async function* eventsFrom(
  session: ClientSession,
  url: string | URL,
  {
    method = 'GET',
    reconnect = true,
    reconnectDelay: delay = 1_000,
    maxEventSize = 16 * 2 ** 20,
    timeout = null,
    maxBodySize = Infinity,
    ...options
  }: EventsOptions,
): AsyncGenerator<ServerSentEvent, void, undefined> {
  const state = { lastId: '', delay };
  do {
    try {
      const headers = mergeHeaders(headersFor(state), options.headers);
      const response = await session.request(method, url, { ...options, timeout, maxBodySize, headers });
      if (response.status === 204) return response.release();
      requireEventStream(response.raiseForStatus());
      // Leaving this loop releases the response.
      yield* eventsIn(response, state, maxEventSize);
    } catch (error) {
      rethrowCancelled(error);
      if (!reconnect || session.closed || !isBreak(error)) throw error;
    }
    if (reconnect) await sleep(state.delay);
  } while (reconnect);
}

function headersFor({ lastId }: EventStreamState): HeaderRecord {
  const headers = { accept: 'text/event-stream', 'cache-control': 'no-cache' };
  // In UTF-8, whatever a header is in.
  return lastId === '' ? headers : { ...headers, 'last-event-id': Buffer.from(lastId).toString('latin1') };
}

/** Whatever answers otherwise would do so again. */
function requireEventStream(response: ClientResponse): void {
  const { method, url, status, contentType } = response;
  if (isEventStream(contentType)) return;
  response.release();
  const got = contentType === '' ? 'a body without a content-type' : contentType;
  throw new ClientError(`${method} ${url}: the answer (${status}) is ${got}, and no text/event-stream`);
}
