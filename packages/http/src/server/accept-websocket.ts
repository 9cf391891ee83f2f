import type { WebSocketConnection, WebSocketOptions } from '../websocket.ts';
import { currentRequest } from './request-context.ts';

export interface AcceptOptions extends WebSocketOptions {
  /** Subprotocols that are spoken here, the preferred one first. */
  protocols?: readonly string[] | undefined;
}

export type WebSocketHandler = (socket: WebSocketConnection) => unknown;

/**
 * Makes a WebSocket of the request: `handler` runs in the request's task once the connection is open, and the connection is
 * closed when it returns (1000) or throws (1011). When the peer closes, the handler's `for await` ends; a handler that waits
 * for something else then is cancelled.
 *
 * @returns what the request handler has to return. A request that asks for no WebSocket is answered with 426.
 *
 * @example
 * ```ts
 * app.get('/echo', () =>
 *   acceptWebSocket(async (socket) => {
 *     for await (const message of socket) await socket.send(message);
 *   }),
 * );
 * ```
 */
export function acceptWebSocket(handler: WebSocketHandler, options: AcceptOptions = {}): Response {
  const request = currentRequest('acceptWebSocket');
  if (request.upgrade === null) {
    return new Response('Upgrade Required', { status: 426, headers: { upgrade: 'websocket', connection: 'upgrade' } });
  }
  request.upgrade.accept(handler, options);
  return new Response(null);
}
