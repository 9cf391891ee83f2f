import { rethrowCancelled, sleep } from '@aiokit/core';
import { ClientError, ClientResponseError } from './errors.ts';
import { mergeHeaders } from './headers.ts';
import type { RequestOptions } from './request.ts';
import { eventsIn, type ServerSentEvent } from './server-sent-events.ts';
import type { ClientSession } from './session.ts';

export interface EventsOptions extends RequestOptions {
  /** Default: GET. */
  method?: string | undefined;
  /** Whether to connect again when the stream ends or breaks, as browsers do. Default: true. */
  reconnect?: boolean | undefined;
  /** How long to wait before that, in ms, until the server says otherwise. Default: 1,000. */
  reconnectDelay?: number | undefined;
}

/**
 * The events of an address, across connections: after a break it connects again and says which event was the last one. What a
 * server does not repeat then is lost. A status of 204 ends it, an error status is thrown.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#the-eventsource-interface
 */
export async function* eventsFrom(
  session: ClientSession,
  url: string | URL,
  { method = 'GET', reconnect = true, reconnectDelay = 1_000, ...options }: EventsOptions,
): AsyncGenerator<ServerSentEvent, void, undefined> {
  let lastId = '';
  let delay = reconnectDelay;
  for (;;) {
    try {
      const id = lastId === '' ? {} : { 'last-event-id': lastId };
      const headers = mergeHeaders(
        { accept: 'text/event-stream', 'cache-control': 'no-cache', ...id },
        options.headers,
      );
      // A stream has no total.
      const timeout = options.timeout === undefined ? null : options.timeout;
      const response = await session.request(method, url, {
        ...options,
        timeout,
        headers,
      });
      if (response.status === 204) return response.release();
      response.raiseForStatus();
      const setDelay = (ms: number) => {
        delay = ms;
      };
      // Leaving this loop releases the response.
      for await (const event of eventsIn(response, setDelay)) {
        lastId = event.id;
        yield event;
      }
    } catch (error) {
      rethrowCancelled(error);
      if (!reconnect || session.closed || error instanceof ClientResponseError || !isBreak(error)) throw error;
    }
    if (!reconnect) return;
    await sleep(delay);
  }
}

/** The connection broke; anything else is a mistake that would come again. */
function isBreak(error: unknown): boolean {
  return error instanceof ClientError || (error as { code?: unknown }).code === 'ETIMEDOUT';
}
