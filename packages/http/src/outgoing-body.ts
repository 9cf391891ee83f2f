/** Request bodies: what a user may give, and how it becomes bytes. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { Readable } from 'node:stream';
import type { HeaderRecord } from './headers.ts';
import { MultipartBody, type MultipartInput } from './multipart.ts';
import { addParams, type Params } from './params.ts';

type Bytes = Uint8Array | ArrayBuffer;
type Chunk = string | Uint8Array;
/** A stream can be sent once: a request whose body is one is neither redirected with it nor tried again. A function makes a new one each time. */
type Streamed = AsyncIterable<Chunk> | ReadableStream<Chunk>;

/** At most one of them. */
export interface BodyInput {
  /** Sent as `application/json`. */
  json?: unknown;
  /** Sent as `application/x-www-form-urlencoded`. A list gives the name several times; `null` and `undefined` leave it out. */
  form?: Params | undefined;
  /** Sent as `multipart/form-data`: a FormData, or names with texts, files (Blob, File) and streams. */
  multipart?: MultipartInput | undefined;
  /** Sent as it is. An async iterable is pulled as fast as the server takes it. */
  body?: string | Bytes | Blob | URLSearchParams | FormData | Streamed | (() => Streamed) | null | undefined;
}

/** A body that is ready to be sent, perhaps several times. */
export interface OutgoingBody {
  readonly contentType: string | null;
  /** In bytes; `null` if it is known only at the end. */
  readonly length: number | null;
  /** Whether `open` gives a stream. */
  readonly isStream: boolean;
  /** Whether `open` may be called again. */
  readonly replayable: boolean;
  open(): string | Uint8Array | Readable;
}

/** A body in memory has its length from undici, a stream has it from here. */
export function withLength(headers: HeaderRecord, body: OutgoingBody | null): HeaderRecord {
  if (body === null || !body.isStream || body.length === null) return headers;
  return { ...headers, 'content-length': String(body.length) };
}

export function encodeBody({ json, form, multipart, body }: BodyInput): OutgoingBody | null {
  if (json === undefined && form === undefined && multipart === undefined && body == null) return null;
  const given = [json, form, multipart, body ?? undefined].filter((input) => input !== undefined).length;
  if (given > 1) throw new TypeError('A request has one body: give one of json, form, multipart and body');
  if (json !== undefined) return encodeJson(json);
  if (form !== undefined) return encodeForm(form);
  if (multipart !== undefined) return new MultipartBody(multipart);
  return encodeRaw(body);
}

function encodeJson(json: unknown): OutgoingBody {
  return inMemory(toJson(json), 'application/json');
}

export function toJson(value: unknown): string {
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError(`json must be a value that JSON can express, got ${typeof value}`);
  return text;
}

function encodeForm(form: NonNullable<BodyInput['form']>): OutgoingBody {
  const params = new URLSearchParams();
  addParams(params, form, 'form');
  return inMemory(params.toString(), 'application/x-www-form-urlencoded;charset=UTF-8');
}

function encodeRaw(body: BodyInput['body']): OutgoingBody {
  if (typeof body === 'string') return inMemory(body, 'text/plain;charset=UTF-8');
  if (ArrayBuffer.isView(body)) return inMemory(new Uint8Array(body.buffer, body.byteOffset, body.byteLength), null);
  if (body instanceof ArrayBuffer) return inMemory(new Uint8Array(body), null);
  if (body instanceof URLSearchParams) return encodeForm(body);
  if (body instanceof FormData) return new MultipartBody(body);
  if (body instanceof Blob) {
    const { size, type } = body;
    return {
      contentType: type || null,
      length: size,
      isStream: true,
      replayable: true,
      open: () => streamOf(body.stream()),
    };
  }
  if (typeof body === 'function') {
    return { contentType: null, length: null, isStream: true, replayable: true, open: () => streamOf(body()) };
  }
  if (isAsyncIterable(body)) {
    return { contentType: null, length: null, isStream: true, replayable: false, open: () => streamOf(body) };
  }
  throw new TypeError(
    `body must be a string, bytes, a Blob, URLSearchParams, a FormData or an async iterable, got ${typeof body}. ` +
      'An object is sent with the option json',
  );
}

function inMemory(content: string | Uint8Array, contentType: string | null): OutgoingBody {
  const length = typeof content === 'string' ? Buffer.byteLength(content) : content.byteLength;
  return { contentType, length, isStream: false, replayable: true, open: () => content };
}

function isAsyncIterable(value: unknown): value is AsyncIterable<Chunk> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

/**
 * The source is pulled in the context of the caller, whoever's turn it is when the connection takes more: its own waits
 * belong to the task that sends it.
 */
export function streamOf(source: Streamed): Readable {
  if (source instanceof Readable) return source;
  if (!isAsyncIterable(source)) throw new TypeError(`body() must return an async iterable, got ${typeof source}`);
  const iterator = source[Symbol.asyncIterator]();
  const inContext = AsyncLocalStorage.snapshot();
  const iterable: AsyncIterableIterator<Chunk> = {
    next: () => inContext(() => iterator.next()),
    return: (value) => inContext(async () => (await iterator.return?.(value)) ?? { done: true as const, value }),
    [Symbol.asyncIterator]: () => iterable,
  };
  return Readable.from(iterable, { objectMode: false });
}
