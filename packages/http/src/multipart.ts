/** @see https://www.rfc-editor.org/rfc/rfc7578 */
import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import { type OutgoingBody, streamOf } from './outgoing-body.ts';

/** A part that is streamed, or whose name or type has to be said. */
export interface MultipartPart {
  content: string | Uint8Array | Blob | AsyncIterable<string | Uint8Array>;
  filename?: string | undefined;
  /** Default: the Blob's own, else `application/octet-stream` for what is not text. */
  contentType?: string | undefined;
}

type PartInput = string | number | boolean | Uint8Array | Blob | MultipartPart;

export type MultipartInput = FormData | Readonly<Record<string, PartInput | readonly PartInput[]>>;

interface Part {
  readonly head: Buffer;
  readonly content: MultipartPart['content'];
  readonly length: number | null;
}

const CRLF = Buffer.from('\r\n');

/** A `multipart/form-data` body: files and streams are read while it is sent. */
export class MultipartBody implements OutgoingBody {
  readonly contentType: string;
  readonly length: number | null;
  readonly isStream = true;
  readonly replayable: boolean;
  private readonly parts: Part[];
  private readonly tail: Buffer;

  constructor(input: MultipartInput) {
    const boundary = `aiokit-${randomUUID()}`;
    this.contentType = `multipart/form-data; boundary=${boundary}`;
    this.parts = [...partsOf(input)].map(([name, part]) => encodePart(boundary, name, part));
    this.tail = Buffer.from(`--${boundary}--\r\n`);
    this.replayable = this.parts.every(({ length }) => length !== null);
    this.length = this.parts.reduce<number | null>(
      (sum, { head, length }) => (sum === null || length === null ? null : sum + head.length + length + CRLF.length),
      this.tail.length,
    );
  }

  open(): Readable {
    return streamOf(this.bytes());
  }

  private async *bytes(): AsyncGenerator<string | Uint8Array, void, undefined> {
    for (const { head, content } of this.parts) {
      yield head;
      if (typeof content === 'string' || content instanceof Uint8Array) yield content;
      else yield* content instanceof Blob ? content.stream() : content;
      yield CRLF;
    }
    yield this.tail;
  }
}

function* partsOf(input: MultipartInput): Generator<[string, MultipartPart]> {
  if (input instanceof FormData) {
    for (const [name, value] of input) {
      yield [name, typeof value === 'string' ? { content: value } : { content: value, filename: value.name }];
    }
    return;
  }
  for (const [name, value] of Object.entries(input)) {
    for (const item of (Array.isArray(value) ? value : [value]) as PartInput[]) yield [name, toPart(item)];
  }
}

function toPart(input: PartInput): MultipartPart {
  if (typeof input !== 'object') return { content: String(input) };
  if (input instanceof Uint8Array) return { content: input };
  if (input instanceof Blob) return { content: input, filename: (input as Partial<File>).name ?? 'blob' };
  return input;
}

function encodePart(boundary: string, name: string, { content, filename, contentType }: MultipartPart): Part {
  const isText = typeof content === 'string';
  const type =
    contentType ?? ((content instanceof Blob && content.type) || (isText ? null : 'application/octet-stream'));
  let head = `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(name)}"`;
  if (filename !== undefined) head += `; filename="${quoted(filename)}"`;
  if (type !== null) head += `\r\nContent-Type: ${type.replace(/[\r\n]/g, '')}`;
  return { head: Buffer.from(`${head}\r\n\r\n`), content, length: lengthOf(content) };
}

function lengthOf(content: MultipartPart['content']): number | null {
  if (typeof content === 'string') return Buffer.byteLength(content);
  if (content instanceof Uint8Array) return content.byteLength;
  return content instanceof Blob ? content.size : null;
}

/** As browsers do: a name must not be able to end its own header. */
function quoted(name: string): string {
  return name.replace(/\r\n|\r|\n/g, '%0D%0A').replaceAll('"', '%22');
}
