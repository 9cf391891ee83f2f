/** WebSocket as an async iterable, for both sides. The protocol itself is `ws`. */
import { Bridge, type CancelledError, Future, type Operation, shield, trackIO } from '@aiokit/core';
import type { WebSocket as RawWebSocket } from 'ws';
import { WebSocketClosedError } from './errors.ts';
import { Heartbeat } from './heartbeat.ts';
import { toJson } from './outgoing-body.ts';
import { type StandardSchema, validated } from './schema.ts';

/** A text arrives as a string, everything else as bytes. */
export type Message = string | Buffer;

export interface WebSocketOptions {
  /** A ping this often, in ms; a peer that does not answer within half of it is gone. `null` for none. Default: 30,000. */
  heartbeat?: number | null | undefined;
  /** How long `close` waits for the peer's own close, in ms, before it destroys the connection. Default: 5,000. */
  closeTimeout?: number | undefined;
}

/** What is read ahead before the peer has to wait for the reader. */
const MAX_BUFFERED = 64;
const ORDERLY = new Set([1000, 1001, 1005]);

/**
 * An open WebSocket: `for await` gives its messages until the peer closes.
 *
 * A cancelled `receive` loses no message, and the connection stays open. It is closed by `close`, by `await using`, and at
 * the latest when the task that opened it ends.
 *
 * @example
 * ```ts
 * await using socket = await session.wsConnect('/chat');
 * await socket.send('hello');
 * for await (const message of socket) console.log(message);
 * ```
 *
 * @see https://docs.aiohttp.org/en/stable/client_reference.html#clientwebsocketresponse
 */
export class WebSocketConnection implements AsyncDisposable, AsyncIterable<Message> {
  readonly url: string;
  private readonly raw: RawWebSocket;
  private readonly heartbeat: Heartbeat | null = null;
  private readonly closeTimeout: number;
  private readonly messages: Message[] = [];
  private receiving: Receive | null = null;
  private error: unknown;
  private ended: { code: number; reason: string } | null = null;
  private readonly goodbye = new Future<void>();
  /** @internal Somebody waits for the end in close(). */ _isClosing = false;
  /** @internal Called when the connection has ended. */ _onEnd: (() => void) | null = null;

  /** @internal */
  constructor(raw: RawWebSocket, url: string, options: WebSocketOptions = {}) {
    const { heartbeat = 30_000, closeTimeout = 5_000 } = options;
    this.raw = raw;
    this.url = url;
    this.closeTimeout = closeTimeout;
    raw.on('message', (data: Buffer, isBinary) => this.arrive(isBinary ? data : data.toString()));
    raw.on('error', (error) => {
      this.error = error;
    });
    raw.on('close', (code, reason) => this.end(code, reason.toString()));
    if (heartbeat !== null) this.heartbeat = new Heartbeat(raw, heartbeat, (error) => this.isGone(error));
  }

  /** The subprotocol that both sides agreed on; `''` for none. */
  get protocol(): string {
    return this.raw.protocol;
  }

  /** Whether it was closed, by whichever side. */
  get closed(): boolean {
    return this.raw.readyState >= CLOSING;
  }

  /** The code it was closed with; `null` while it is open. */
  get closeCode(): number | null {
    return this.ended?.code ?? null;
  }

  get closeReason(): string {
    return this.ended?.reason ?? '';
  }

  /**
   * The next message; `null` when the peer has closed.
   *
   * @throws {@link WebSocketClosedError} if the connection broke.
   */
  receive(): Promise<Message | null> {
    if (this.receiving !== null)
      throw new TypeError(`${this.url}: another task is receiving; messages have one reader`);
    const future = new Receive(() => {
      this.receiving = null;
    });
    const message = this.messages.shift();
    if (message !== undefined) {
      if (this.raw.isPaused && this.messages.length < MAX_BUFFERED / 2) this.raw.resume();
      future.setResult(message);
    } else if (this.ended !== null) {
      this.tellEnd(future);
    } else {
      future.operation = trackIO('websocket', { label: this.url, open: true, fence: () => this.fence() });
      this.receiving = future;
    }
    return future;
  }

  /** The next message, parsed as JSON and validated if there is a schema; `null` when the peer has closed. */
  receiveJson<T = unknown>(): Promise<T | null>;
  receiveJson<T>(schema: StandardSchema<T>): Promise<T | null>;
  async receiveJson<T>(schema?: StandardSchema<T>): Promise<T | null> {
    const message = await this.receive();
    if (message === null) return null;
    const value: unknown = JSON.parse(message.toString());
    return schema === undefined ? (value as T) : validated(schema, value, this.url);
  }

  /**
   * Sends a text (a string) or bytes, and waits until the network has taken it: a slow peer slows the sender. A cancel stops
   * the waiting; the message is on its way.
   *
   * @throws {@link WebSocketClosedError} if it is closed.
   */
  send(data: string | Uint8Array | ArrayBuffer): Promise<void> {
    const future = new Sent();
    if (this.raw.readyState !== OPEN) {
      future.setException(this.closedError());
      return future;
    }
    this.raw.send(data, (error) => {
      if (future.done()) return;
      if (error) future.setException(this.ended === null ? error : this.closedError());
      else future.setResult();
    });
    return future;
  }

  sendJson(value: unknown): Promise<void> {
    return this.send(toJson(value));
  }

  /** Closes: tells the peer, and waits for its answer, at most `closeTimeout`. Messages not received yet are lost. */
  async close(code = 1000, reason = ''): Promise<void> {
    if (this.ended !== null) return;
    this._isClosing = true;
    await this._sayGoodbye(code, reason);
  }

  /** @internal As `close`, but on nobody's behalf who would wait for it. */
  async _sayGoodbye(code: number, reason = ''): Promise<void> {
    this.raw.close(code, reason);
    const terminate = setTimeout(() => this.raw.terminate(), this.closeTimeout);
    this.raw.resume();
    try {
      await shield(this.goodbye); // Others may wait for it, too.
    } finally {
      if (this.ended !== null) clearTimeout(terminate);
      else terminate.unref();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Message, void, undefined> {
    for (let message = await this.receive(); message !== null; message = await this.receive()) yield message;
  }

  /** @internal Whether somebody waits for messages, and will so be told of the end. */
  get _isReceiving(): boolean {
    return this.receiving !== null;
  }

  /** @internal Its task has ended. */
  release(): void {
    if (this.ended === null) this._sayGoodbye(1001).catch(() => {});
  }

  /** Everything that the peer sent before has arrived, or nothing will. */
  private fence(): Promise<void> {
    const { raw } = this;
    return new Promise((resolve) => {
      const answered = () => {
        raw.off('pong', answered).off('close', answered);
        resolve();
      };
      raw.on('pong', answered).on('close', answered);
      if (this.closed) answered();
      else raw.ping();
    });
  }

  private arrive(message: Message): void {
    const { receiving } = this;
    if (receiving !== null) {
      this.receiving = null;
      receiving.deliver(message);
      return;
    }
    this.messages.push(message);
    if (this.messages.length >= MAX_BUFFERED) this.raw.pause();
  }

  private end(code: number, reason: string): void {
    this.ended = { code, reason };
    this.heartbeat?.stop();
    const { receiving } = this;
    this.receiving = null;
    if (receiving !== null) this.tellEnd(receiving);
    if (!this.goodbye.done()) this.goodbye.setResult();
    this._onEnd?.();
  }

  private isGone(error: Error): void {
    this.error = error;
    this.raw.terminate();
  }

  private tellEnd(future: Receive): void {
    const { code } = this.ended as { code: number };
    if (ORDERLY.has(code)) future.deliver(null);
    else future.fail(this.closedError());
  }

  private closedError(): WebSocketClosedError {
    const { code, reason } = this.ended ?? { code: 1005, reason: 'it is closing' };
    return new WebSocketClosedError(this.url, code, reason, this.error);
  }
}

const OPEN = 1;
const CLOSING = 2;

/** One wait for a message. A cancel leaves the line; the message stays for the next one. */
class Receive extends Bridge<Message | null> {
  operation: Operation | null = null;
  private readonly leave: () => void;

  constructor(leave: () => void) {
    super();
    this.leave = leave;
  }

  deliver(message: Message | null): void {
    this.setResult(message);
    this.operation?.end();
  }

  fail(error: Error): void {
    this.setException(error);
    this.operation?.end();
  }

  protected override onCancel(_error: CancelledError): void {
    this.leave();
    this.setCancelled();
    this.operation?.end();
  }
}

class Sent extends Bridge<void> {
  protected override onCancel(_error: CancelledError): void {
    this.setCancelled();
  }
}
