import type { Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw, createZstdDecompress } from 'node:zlib';
import { ClientPayloadError } from './errors.ts';
import type { BodySource, IncomingBody } from './incoming-body.ts';

/** Some servers send raw deflate, without the zlib header that the RFC asks for: the first byte tells. */
const inflate = (first: number): Transform => ((first & 0x0f) === 0x08 ? createInflate() : createInflateRaw());

const DECODERS: Record<string, (firstByte: number) => Transform> = {
  gzip: () => createGunzip(),
  'x-gzip': () => createGunzip(),
  deflate: inflate,
  br: () => createBrotliDecompress(),
  zstd: () => createZstdDecompress(),
};

/** What we can decode, as `accept-encoding` says it. */
export const ACCEPT_ENCODING = 'gzip, deflate, br, zstd';

/** Undoes `content-encoding` between a connection and a body, in pieces, with backpressure both ways. */
export class Decoder implements BodySource {
  private readonly make: (firstByte: number) => Transform;
  private readonly source: BodySource;
  private stream: Transform | null = null;
  private body: IncomingBody | null = null;

  /** `null` for an encoding that we do not know: its bytes are passed on as they are. */
  static for(encoding: string, source: BodySource): Decoder | null {
    const make = DECODERS[encoding.trim().toLowerCase()];
    return make === undefined ? null : new Decoder(make, source);
  }

  private constructor(make: (firstByte: number) => Transform, source: BodySource) {
    this.make = make;
    this.source = source;
  }

  get label(): string {
    return this.source.label;
  }

  into(body: IncomingBody): void {
    this.body = body;
  }

  write(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.stream ??= this.open(chunk[0] as number);
    if (!this.stream.destroyed && !this.stream.write(chunk)) this.source.pause();
  }

  end(): void {
    if (this.stream === null) this.body?.end();
    else this.stream.end();
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

  private open(firstByte: number): Transform {
    const body = this.body as IncomingBody;
    return this.make(firstByte)
      .on('data', (chunk: Buffer) => body.push(chunk))
      .on('drain', () => this.source.resume())
      .on('end', () => body.end())
      .on('error', (error) => {
        const what = `${this.label}: the body cannot be decoded: ${error.message}`;
        body.cut(new ClientPayloadError(what, { cause: error }));
      });
  }
}
