import type { Duplex } from 'node:stream';
import {
  Bridge,
  type CancelledError,
  type ClockTimer,
  currentTask,
  detached,
  getRunningLoop,
  type Operation,
  trackIO,
} from '@aiokit/core';
import type { buildConnector } from 'undici';
import { type ClientOptions, WebSocket as RawWebSocket } from 'ws';
import type { Attempt } from './connecting.ts';
import { ClientConnectionError, ClientError, ClientResponseError, ClientTimeoutError } from './errors.ts';
import { type HeaderRecord, type HeadersLike, toHeaders } from './headers.ts';
import { releaseWithTask } from './leftovers.ts';
import { unbracketed } from './proxy.ts';
import type { Connect } from './tunnel.ts';
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
  private attempt: Attempt | null = null;
  private timer: ClockTimer | null = null;
  private connection: WebSocketConnection | null = null;
  private readonly onEnd: (ended: WsConnecting) => void;

  /** @internal @param onEnd called when there is no connection any more, or will be none. */
  constructor(
    url: URL,
    headers: HeaderRecord,
    options: WsConnectOptions,
    connect: Connect,
    onEnd: (ended: WsConnecting) => void,
  ) {
    super();
    this.onEnd = onEnd;
    const { protocols = [], compress = false, maxMessageSize = 16 * 2 ** 20, timeout } = options;
    const createConnection = (_: unknown, callback: (error: Error | null, socket: Duplex) => void) => {
      this.attempt = connect(targetOf(url), callback as buildConnector.Callback);
    };
    this.raw = detached(
      () =>
        new RawWebSocket(url, [...protocols], {
          createConnection: createConnection as unknown as ClientOptions['createConnection'],
          headers: headers as Record<string, string>, // ws takes lists, too.
          perMessageDeflate: compress,
          maxPayload: maxMessageSize,
        }),
    );
    this.operation = trackIO('websocket', { label: url.href });
    if (timeout != null) this.limit(timeout, url);
    this.raw.on('error', (error) => {
      if (!this.done()) this.setException(new ClientConnectionError(`${url.href}: ${error.message}`, error));
      this.end();
    });
    this.raw.on('unexpected-response', (request, response) => {
      const { statusCode: status = 0, statusMessage: statusText = '', headers } = response;
      if (!this.done()) {
        const answer = { method: 'GET', url: url.href, status, statusText, headers: toHeaders(headers) };
        this.setException(new ClientResponseError(answer));
      }
      request.destroy();
      this.end();
    });
    this.raw.on('open', () => {
      if (!this.done()) this.setResult(this.opened(url, options));
      this.end();
    });
  }

  protected override onCancel(error: CancelledError): void {
    this.setCancelled();
    this.stop(new ClientError(`${this.raw.url} was cancelled`, { cause: error }));
  }

  /** @internal Ends it wherever it is: its session closes. */
  async _end(): Promise<void> {
    if (this.connection !== null) return this.connection._sayGoodbye(1001);
    const error = new ClientError(`${this.raw.url}: the session was closed while the WebSocket was being opened`);
    if (!this.done()) this.setException(error);
    this.stop(error);
  }

  private limit(ms: number, { href }: URL): void {
    const { clock } = getRunningLoop();
    const started = clock.now();
    this.timer = clock.setTimer(started + ms, () => {
      const error = new ClientTimeoutError('sockConnect', ms, 'GET', href, clock.now() - started);
      this.setException(error);
      this.stop(error);
    });
  }

  private stop(reason: Error): void {
    this.raw.terminate();
    this.attempt?.destroy(reason);
    this.end();
  }

  private end(): void {
    this.timer?.cancel();
    this.operation.end();
    if (this.connection === null) this.onEnd(this);
  }

  private opened(url: URL, options: WsConnectOptions): WebSocketConnection {
    const connection = new WebSocketConnection(this.raw, url.href, options);
    const leftover = this.task === null || this.task.done() ? null : releaseWithTask(this.task, connection);
    connection._onEnd = () => {
      leftover?.forget();
      this.onEnd(this);
    };
    this.connection = connection;
    return connection;
  }
}

function targetOf({ protocol, hostname, host, port }: URL): buildConnector.Options {
  const plain = unbracketed(hostname);
  return { protocol: protocol === 'wss:' ? 'https:' : 'http:', hostname: plain, host, port };
}
