/**
 * The platform's fetch, bound to the ambient task: its own Request, Response, FormData and streams. What is returned is the platform's Response; only its methods that wait, and those of its body, wait as a Future does.
 */
import { Bridge, type CancelledError } from '@aiokit/core';
import { FetchConnection } from './fetch-connection.ts';
import { bindResponse, trackOnVirtualTime } from './fetch-response.ts';
import { isEventStream } from './server-sent-events.ts';

/** `install()` puts our own in its place. */
const platformFetch = globalThis.fetch;

/**
 * The platform's `fetch`, with its signature and its result. A cancel of the awaiting task aborts the request at once, also
 * while the body is being read (`json()`, `text()`, `body`, …). The connection is destroyed (HTTP/1.1) or the stream reset
 * (HTTP/2). Whether the server has acted on the request by then, nobody can know.
 *
 * `init.signal` works as ever and rejects with its own reason.
 *
 * @example
 * ```ts
 * const response = await fetch('http://localhost:8000/users/1');
 * const user = await timeout(500, () => response.json());
 * ```
 *
 * @see https://developer.mozilla.org/docs/Web/API/Window/fetch
 */
export function fetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
  return new FetchCall(current(), input, init);
}

/** The global one may be replaced by a test or by a tracer, and that is to be obeyed; our own is not to call itself. */
function current(): typeof globalThis.fetch {
  return globalThis.fetch === fetch ? platformFetch : globalThis.fetch;
}

class FetchCall extends Bridge<Response> {
  private readonly connection: FetchConnection;

  constructor(send: typeof globalThis.fetch, input: string | URL | Request, init: RequestInit | undefined) {
    super();
    const connection = FetchConnection.for(send, input, init);
    this.connection = connection;
    const operation = trackOnVirtualTime(connection, 'response');
    send(input, connection.init).then(
      (response) => {
        if (operation !== null) connection.isOpenEnded = isEventStream(response.headers.get('content-type'));
        if (response.body === null) connection.complete();
        if (!this.done()) this.setResult(bindResponse(response, connection));
        operation?.end();
      },
      (error) => {
        connection.stop();
        if (!this.done()) this.setException(error ?? new Error(`fetch was aborted with the reason ${error}`));
        operation?.end();
      },
    );
  }

  protected override onCancel(error: CancelledError): void {
    this.setCancelled();
    this.connection.abort(error);
  }
}
