import { type CancelledError, type Future, getRunningLoop, type Operation, trackIO } from '@aiokit/core';
import { BodyRead } from './body-read.ts';
import { ClientPayloadError } from './errors.ts';

/** Who delivers the bytes: a connection. */
export interface BodySource {
  readonly label: string;
  pause(): void;
  resume(): void;
  /** Ends the exchange, whatever is still to come. */
  abort(reason: Error): void;
}

export interface BodyOwner {
  bodyEnded(): void;
}

/** What is read ahead before the connection has to wait for the reader. */
const HIGH_WATER_MARK = 64 * 1024;
/** A rest as small as this is cheaper to read than a new connection is to make. */
const WORTH_DRAINING = 128 * 1024;
/** And only if it comes soon, in ms: an event stream never ends. */
const DRAIN_TIME = 250;

type Reader = { kind: 'chunk'; future: BodyRead<Uint8Array | null> } | { kind: 'all'; future: BodyRead<Buffer> };

/** The bytes of one response, for one reader, with backpressure. */
export class IncomingBody {
  /** Who is told, once, that nothing more will come. (A closure instead outlived its request: a fourth of a small one.) */
  owner: BodyOwner | null = null;
  /** Bytes received from the server, as sent (compressed, say). */
  received = 0;
  private readonly source: BodySource;
  private readonly limit: number;
  private readonly isOpenEnded: boolean;
  private chunks: Uint8Array[] = [];
  private size = 0;
  private total = 0;
  private state: 'open' | 'ended' | 'failed' = 'open';
  private error: Error | null = null;
  /** How its end was given to somebody. */
  private taken: 'whole' | 'in pieces' | null = null;
  private reader: Reader | null = null;
  private operation: Operation | null = null;
  private paused = false;
  private dumping = false;
  private drainTimer: NodeJS.Timeout | undefined;

  /** @param isOpenEnded whether the server may take as long as it likes for the next piece: virtual time goes on then. */
  constructor(source: BodySource, limit: number, isOpenEnded = false) {
    this.source = source;
    this.limit = limit;
    this.isOpenEnded = isOpenEnded;
  }

  /** Whether everything has arrived, or will never. */
  get over(): boolean {
    return this.state !== 'open';
  }

  /** Whether the server may send: then it owes us data. */
  get flowing(): boolean {
    return this.state === 'open' && !this.paused;
  }

  push(chunk: Uint8Array): void {
    if (this.state !== 'open') return;
    this.total += chunk.byteLength;
    if (this.dumping) {
      if (this.total > WORTH_DRAINING) this.cut(releasedEarly(this.source.label));
      return;
    }
    if (this.total > this.limit) {
      return this.cut(
        new ClientPayloadError(
          `${this.source.label}: the body is larger than maxBodySize (${this.limit} bytes, counted after decompression)`,
        ),
      );
    }
    if (this.reader?.kind === 'chunk') return this.settle(chunk);
    this.chunks.push(chunk);
    this.size += chunk.byteLength;
    if (this.reader === null && this.size >= HIGH_WATER_MARK) this.pause();
  }

  end(): void {
    if (this.state !== 'open') return;
    this.state = 'ended';
    clearTimeout(this.drainTimer);
    if (this.reader?.kind === 'chunk') this.settle(null);
    else if (this.reader?.kind === 'all') this.settle(this.takeAll());
    this.owner?.bodyEnded();
  }

  fail(error: Error): void {
    if (this.state !== 'open') return;
    this.state = 'failed';
    clearTimeout(this.drainTimer);
    this.error = error;
    this.chunks = [];
    const { reader } = this;
    this.reader = null;
    if (reader !== null && !reader.future.done()) reader.future.setException(error);
    this.endWait();
    this.owner?.bodyEnded();
  }

  /** The next piece; `null` at the end. */
  read(): Future<Uint8Array | null> {
    this.requireFree();
    if (this.taken === 'whole') throw this.alreadyRead();
    const future = new BodyRead<Uint8Array | null>(this);
    const chunk = this.chunks.shift();
    if (chunk !== undefined) {
      this.size -= chunk.byteLength;
      if (this.size < HIGH_WATER_MARK) this.resume();
      future.setResult(chunk);
    } else if (this.state === 'open') {
      this.wait({ kind: 'chunk', future });
    } else {
      this.taken = 'in pieces';
      this.finish(future, null);
    }
    return future;
  }

  /** Everything that was not read yet. */
  readAll(): Future<Buffer> {
    this.requireFree();
    if (this.taken !== null && this.error === null) throw this.alreadyRead();
    this.taken = 'whole';
    const future = new BodyRead<Buffer>(this);
    if (this.state === 'open') this.wait({ kind: 'all', future });
    else this.finish(future, this.error === null ? this.takeAll() : EMPTY);
    return future;
  }

  /** Nobody will read on: a short rest is read to nowhere, so that the connection can be used again; a long one is cut. */
  release(remaining: number | null): void {
    if (this.state !== 'open' || this.dumping) return;
    if (remaining !== null && remaining > WORTH_DRAINING) {
      return this.cut(releasedEarly(this.source.label));
    }
    this.dumping = true;
    this.drainTimer = setTimeout(() => this.cut(releasedEarly(this.source.label)), DRAIN_TIME).unref();
    this.total = 0;
    this.chunks = [];
    this.resume();
  }

  /** Ends it now: who reads gets the error. */
  cut(error: Error): void {
    if (this.state !== 'open') return;
    this.fail(error);
    this.source.abort(error);
  }

  /** @internal */
  readCancelled(error: CancelledError): void {
    this.reader = null;
    this.cut(
      new ClientPayloadError(`${this.source.label}: the connection was cut when a read was cancelled`, {
        cause: error,
      }),
    );
  }

  private wait(reader: Reader): void {
    this.reader = reader;
    // A real clock has no use for it, and a request is not to pay for it.
    if (!getRunningLoop().clock.real) {
      this.operation = trackIO('http', { label: `${this.source.label} (body)`, open: this.isOpenEnded });
    }
    this.resume();
  }

  private settle(value: Uint8Array | null): void {
    const { reader } = this;
    this.reader = null;
    if (value === null) this.taken = 'in pieces';
    (reader?.future as Future<unknown> | undefined)?.setResult(value);
    this.endWait();
  }

  private finish<T>(future: Future<T>, value: T): void {
    if (this.error === null) future.setResult(value);
    else future.setException(this.error);
  }

  private endWait(): void {
    this.operation?.end();
    this.operation = null;
  }

  private takeAll(): Buffer {
    const { chunks } = this;
    this.chunks = [];
    this.size = 0;
    if (chunks.length === 1) return asBuffer(chunks[0] as Uint8Array);
    return chunks.length === 0 ? EMPTY : Buffer.concat(chunks);
  }

  private pause(): void {
    if (this.paused || this.state !== 'open') return;
    this.paused = true;
    this.source.pause();
  }

  private resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.source.resume();
  }

  private requireFree(): void {
    if (this.reader !== null) {
      throw new TypeError(`${this.source.label}: the body has one reader at a time, and another task is reading it`);
    }
    if (this.dumping) throw releasedEarly(this.source.label);
  }

  private alreadyRead(): TypeError {
    return new TypeError(`${this.source.label}: the body has been read already`);
  }
}

function releasedEarly(label: string): ClientPayloadError {
  return new ClientPayloadError(`${label}: the response was released before its end`);
}

const EMPTY = Buffer.alloc(0);

function asBuffer(chunk: Uint8Array): Buffer {
  return Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}
