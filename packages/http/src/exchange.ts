/**
 * Exchange: one request on one connection and its response, as undici tells of it. A call (call.ts) makes one, or several
 * when it is redirected or tried again.
 *
 * It is a dispatch handler by itself instead of a user of `undici.request`: an abort must settle at once also while the
 * request is queued or its connection is being made (undici waits for the connection), the timeouts need to know the
 * phases, and a Readable per response is more than a body that is read as JSON needs.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from '@aiokit/core';
import type { Dispatcher } from 'undici';
import { type Attempt, type Connecting, dispatchFor } from './connecting.ts';
import type { Ticket } from './connection-gate.ts';
import { Decoder } from './decoder.ts';
import { ClientConnectionError, ClientPayloadError, describe } from './errors.ts';
import { headerOf } from './headers.ts';
import { type BodySource, IncomingBody } from './incoming-body.ts';
import { isEventStream } from './server-sent-events.ts';
import type { Timeouts } from './timeouts.ts';

export interface ExchangeOwner {
  /** A new connection is being made for it. */
  connecting(exchange: Exchange): void;
  /** The request has its connection and is being sent. */
  connected(exchange: Exchange): void;
  /** Status and headers are there. */
  responded(exchange: Exchange): void;
  /** It failed before there was a status. */
  failed(exchange: Exchange, error: Error): void;
}

/** What is the same for all exchanges of a call. */
export interface ExchangePlan {
  /** Whether to decode `content-encoding`. */
  readonly decompress: boolean;
  /** Bytes after decompression. */
  readonly maxBodySize: number;
  readonly timeouts: Timeouts;
}

const NONE: IncomingHttpHeaders = {};

export class Exchange implements Dispatcher.DispatchHandler, BodySource, Connecting {
  status = 0;
  statusText = '';
  headers: IncomingHttpHeaders = NONE;
  trailers: IncomingHttpHeaders = NONE;
  body: IncomingBody | null = null;
  /** After an upgrade. */
  upgraded: Duplex | null = null;
  /** The connection that is being made for it: its own, or its part in one. */
  private connecting: Attempt | null = null;
  /** The instant of the last data, if `sockRead` asks for it. */
  lastRead = 0;
  private readonly owner: ExchangeOwner;
  private readonly plan: ExchangePlan;
  private readonly method: string;
  private readonly url: URL;
  private readonly clock: Clock;
  /** Its place among the session's; given back when its connection is free again, or gone. `null` if it shares one. */
  private readonly ticket: Ticket | null;
  private controller: Dispatcher.DispatchController | null = null;
  private decoder: Decoder | null = null;
  private reason: Error | null = null;
  private over = false;
  private hadToConnect = false;

  constructor(owner: ExchangeOwner, plan: ExchangePlan, method: string, url: URL, clock: Clock, ticket: Ticket | null) {
    this.owner = owner;
    this.plan = plan;
    this.method = method;
    this.url = url;
    this.clock = clock;
    this.ticket = ticket;
  }

  get label(): string {
    return `${this.method} ${this.url.href}`;
  }

  start(dispatcher: Dispatcher, options: Dispatcher.DispatchOptions): void {
    dispatchFor(this, dispatcher, options);
  }

  /** It shares an exchange with others: from now on this is what ends its part. */
  boards(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
  }

  connectsWith(attempt: Attempt): void {
    this.connecting = attempt;
    this.hadToConnect = true;
    this.owner.connecting(this);
  }

  /** Whether it was sent on a connection that had been kept. */
  get isOnKept(): boolean {
    return this.controller !== null && !this.hadToConnect;
  }

  /** Whether its connection was given back, or is gone. */
  get ended(): boolean {
    return this.over;
  }

  /** How many bytes the server still owes us, if it said so. */
  get remaining(): number | null {
    const length = this.headers['content-length'];
    return length === undefined || this.body === null ? null : Number(length) - this.body.received;
  }

  /** Node ends an HTTP/2 stream that was reset with NO_ERROR or CANCEL in its middle as if it were whole. */
  private get isCutShort(): boolean {
    return (this.remaining ?? 0) > 0 && this.method !== 'HEAD' && this.status !== 304;
  }

  /** Destroys the connection (HTTP/1.1) or resets the stream (HTTP/2). */
  abort(reason: Error): void {
    if (this.over || this.reason !== null) return;
    this.reason = reason;
    if (this.controller !== null) this.controller.abort(reason);
    else this.connecting?.destroy(reason);
  }

  pause(): void {
    this.controller?.pause();
  }

  resume(): void {
    this.controller?.resume();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.connecting = null;
    this.controller = controller;
    if (this.reason !== null) return controller.abort(this.reason);
    this.noteRead();
    this.owner.connected(this);
  }

  onRequestUpgrade(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    socket: Duplex,
  ) {
    this.status = status;
    this.headers = headers;
    this.upgraded = socket;
    this.owner.responded(this);
    this.end();
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    statusText?: string,
  ): void {
    this.noteRead();
    if (status < 200) return;
    this.status = status;
    this.statusText = statusText ?? '';
    this.headers = headers;
    const encoding = this.plan.decompress && this.method !== 'HEAD' ? headerOf(headers, 'content-encoding') : undefined;
    if (encoding !== undefined) this.decoder = Decoder.for(encoding, this, this.plan.maxBodySize);
    const isOpenEnded = isEventStream(headers['content-type']);
    this.body = new IncomingBody(this.decoder ?? this, this.plan.maxBodySize, isOpenEnded);
    this.decoder?.into(this.body);
    this.owner.responded(this);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const body = this.body as IncomingBody;
    body.received += chunk.length;
    this.noteRead();
    if (this.decoder === null) body.push(chunk);
    else this.decoder.receive(chunk);
  }

  onResponseEnd(_controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    this.trailers = trailers;
    if (this.isCutShort) {
      this.end();
      return this.body?.cut(
        new ClientPayloadError(`${this.label}: the server ended the body before its content-length`),
      );
    }
    if (this.decoder === null) this.body?.end();
    else this.decoder.allReceived();
    this.end();
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    if (this.over) return;
    if (this.body !== null) {
      this.body.cut(
        this.reason ??
          new ClientPayloadError(`${this.label}: the connection broke before the body was complete: ${error.message}`, {
            cause: error,
          }),
      );
    } else {
      this.owner.failed(this, this.reason ?? new ClientConnectionError(`${this.label}: ${describe(error)}`, error));
    }
    this.end();
  }

  private noteRead(): void {
    if (this.plan.timeouts.sockRead !== null) this.lastRead = this.clock.now();
  }

  private end(): void {
    this.over = true;
    this.connecting = null;
    this.ticket?.release();
  }
}
