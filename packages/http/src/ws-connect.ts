import { Bridge, type CancelledError, currentTask, detached, type Operation, trackIO } from '@aiokit/core';
import { type ClientOptions, WebSocket as RawWebSocket } from 'ws';
import { ClientConnectionError, ClientResponseError } from './errors.ts';
import { type HeaderRecord, type HeadersLike, toHeaders } from './headers.ts';
import { releaseWithTask } from './leftovers.ts';
import { WebSocketConnection, type WebSocketOptions } from './websocket.ts';

export interface WsConnectOptions extends WebSocketOptions {
  /** Subprotocols, the preferred one first. */
  protocols?: readonly string[] | undefined;
  headers?: HeadersLike | undefined;
  /** Whether to compress messages, if the server agrees. Default: false. */
  compress?: boolean | undefined;
  /** The largest message that is accepted, in bytes. Default: 16 MiB. */
  maxMessageSize?: number | undefined;
  /** How long the connection may take to be open, in ms. Default: the session's `sockConnect`. */
  timeout?: number | null | undefined;
}

/** A WebSocket that is being opened. A cancel ends the attempt at once. */
export class WsConnecting extends Bridge<WebSocketConnection> {
  private readonly raw: RawWebSocket;
  private readonly operation: Operation;
  private readonly task = currentTask();

  constructor(url: URL, headers: HeaderRecord, options: WsConnectOptions, connection: ClientOptions) {
    super();
    const { protocols = [], compress = false, maxMessageSize = 16 * 2 ** 20, timeout } = options;
    this.operation = trackIO('websocket', { label: url.href });
    this.raw = detached(
      () =>
        new RawWebSocket(url, [...protocols], {
          ...connection,
          headers: headers as Record<string, string>, // ws takes lists, too.
          perMessageDeflate: compress,
          maxPayload: maxMessageSize,
          ...(timeout == null ? {} : { handshakeTimeout: timeout }),
        }),
    );
    this.raw.on('error', (error) => {
      if (!this.done()) this.setException(new ClientConnectionError(`${url.href}: ${error.message}`, error));
      this.operation.end();
    });
    this.raw.on('unexpected-response', (request, response) => {
      const { statusCode: status = 0, statusMessage: statusText = '', headers } = response;
      if (!this.done()) {
        const answer = { method: 'GET', url: url.href, status, statusText, headers: toHeaders(headers) };
        this.setException(new ClientResponseError(answer));
      }
      request.destroy();
      this.operation.end();
    });
    this.raw.on('open', () => {
      if (!this.done()) this.setResult(this.opened(url, options));
      this.operation.end();
    });
  }

  protected override onCancel(_error: CancelledError): void {
    this.setCancelled();
    this.raw.terminate();
    this.operation.end();
  }

  private opened(url: URL, options: WsConnectOptions): WebSocketConnection {
    const connection = new WebSocketConnection(this.raw, url.href, options);
    if (this.task !== null && !this.task.done()) {
      const leftover = releaseWithTask(this.task, connection);
      connection._onEnd = () => leftover.forget();
    }
    return connection;
  }
}
