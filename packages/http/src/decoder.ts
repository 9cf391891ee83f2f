import type { Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw, createZstdDecompress } from 'node:zlib';
import { ClientPayloadError } from './errors.ts';
import type { BodySource } from './incoming-body.ts';

/** Some servers send raw deflate, without the zlib header that the RFC asks for: the first byte tells. */
const inflate = (first: number): Transform => ((first & 0x0f) === 0x08 ? createInflate() : createInflateRaw());

type MakeDecoder = (firstByte: number) => Transform;

const DECODERS = new Map<string, MakeDecoder>([
  ['gzip', () => createGunzip()],
  ['x-gzip', () => createGunzip()],
  ['deflate', inflate],
  ['br', () => createBrotliDecompress()],
  ['zstd', () => createZstdDecompress()],
]);

/** What we can decode, as `accept-encoding` says it. */
export const ACCEPT_ENCODING = 'gzip, deflate, br, zstd';

/** More layers than anybody has a use for; each could blow the one below up a thousandfold. curl stops there, too. */
const MAX_LAYERS = 5;

/** Where decoded bytes go: into the body, or into the next decoder. */
interface BodySink {
  push(chunk: Uint8Array): void;
  end(): void;
  /** Ends it and all that it comes from. */
  cut(error: Error): void;
}

/**
 * Undoes `content-encoding` between a connection and a body, in pieces, with backpressure both ways. Several encodings are
 * as many decoders in a row.
 */
export class Decoder implements BodySource, BodySink {
  private readonly make: MakeDecoder;
  private readonly source: BodySource;
  /** What a decoder may be given by another one, in bytes. */
  private readonly limit: number;
  /** The one that the connection's bytes go into. */
  private readonly outermost: Decoder;
  private stream: Transform | null = null;
  private sink: BodySink | null = null;
  private received = 0;

  /**
   * The last decoder, which is to be put `into` the body; `null` if there is an encoding that we do not know: the bytes are
   * passed on as they are.
   *
   * @param encodings in the order in which they were applied.
   * @param limit in bytes, for what is between two decoders.
   */
  static for(encodings: string, source: BodySource, limit: number): Decoder | null {
    const names = encodings
      .toLowerCase()
      .split(',')
      .map((name) => name.trim());
    const makers = names.filter((name) => name !== '' && name !== 'identity').map((name) => DECODERS.get(name));
    if (makers.length > MAX_LAYERS) return new Decoder(tooMany, source, limit);
    if (makers.includes(undefined)) return null;
    let last: Decoder | null = null;
    for (const make of makers.reverse() as MakeDecoder[]) {
      const decoder: Decoder = new Decoder(make, last ?? source, limit);
      last?.into(decoder);
      last = decoder;
    }
    return last;
  }

  private constructor(make: MakeDecoder, source: BodySource, limit: number) {
    this.make = make;
    this.source = source;
    this.limit = limit;
    this.outermost = source instanceof Decoder ? source.outermost : this;
  }

  get label(): string {
    return this.source.label;
  }

  into(sink: BodySink): void {
    this.sink = sink;
  }

  /** Bytes of the connection. */
  receive(chunk: Buffer): void {
    this.outermost.write(chunk);
  }

  /** The connection has no more of them. */
  allReceived(): void {
    this.outermost.end();
  }

  /** Bytes of the decoder before. */
  push(chunk: Buffer): void {
    this.received += chunk.length;
    if (this.received <= this.limit) return this.write(chunk);
    const what = `between two decodings the body is larger than maxBodySize (${this.limit} bytes)`;
    this.cut(new ClientPayloadError(`${this.label}: ${what}`));
  }

  end(): void {
    if (this.stream === null) this.sink?.end();
    else this.stream.end();
  }

  cut(error: Error): void {
    this.sink?.cut(error);
  }

  pause(): void {
    this.stream?.pause();
  }

  resume(): void {
    this.stream?.resume();
  }

  abort(reason: Error): void {
    this.stream?.destroy();
    this.source.abort(reason);
  }

  private write(chunk: Buffer): void {
    if (chunk.length === 0) return;
    try {
      this.stream ??= this.open(chunk[0] as number);
    } catch (error) {
      return this.failed(error as Error);
    }
    if (!this.stream.destroyed && !this.stream.write(chunk)) this.source.pause();
  }

  private open(firstByte: number): Transform {
    return this.make(firstByte)
      .on('data', (chunk: Buffer) => this.sink?.push(chunk))
      .on('drain', () => this.source.resume())
      .on('end', () => this.sink?.end())
      .on('error', (error) => this.failed(error));
  }

  private failed(error: Error): void {
    const what = `${this.label}: the body cannot be decoded: ${error.message}`;
    this.cut(new ClientPayloadError(what, { cause: error }));
  }
}

function tooMany(): never {
  throw new Error(`it was encoded more than ${MAX_LAYERS} times`);
}
