import { Readable } from 'node:stream';
import type { OutgoingBody } from './outgoing-body.ts';
import type { PreparedRequest } from './request.ts';

/** The methods whose bodies undici 7 sends over HTTP/2 as they are. */
const WITH_BODY = new Set(['POST', 'PUT', 'PATCH']);

/** A server that answers in the middle of it, with a 413 say, ends the stream, and its answer is lost if all was written at once. */
const LARGE = 2 ** 20;
const PIECE = 64 * 1024;

/**
 * A request whose body undici 7 can send over HTTP/2: it leaves out that of a GET, without a word, and breaks over one in
 * memory with DELETE and its kin. A stream does.
 *
 * @throws `TypeError` for a GET or HEAD with a body.
 */
export function fitForHttp2(request: PreparedRequest): PreparedRequest {
  const { method, url, body } = request;
  if (body === null) return request;
  if (method === 'GET' || method === 'HEAD') {
    throw new TypeError(`${method} ${url.href} has a body, which a session with http2 cannot send: use one without it`);
  }
  const isFine = body.isStream || (WITH_BODY.has(method) && (body.length ?? 0) <= LARGE);
  return isFine ? request : { ...request, body: asStream(body) };
}

function asStream(body: OutgoingBody): OutgoingBody {
  const { contentType, length, replayable } = body;
  const open = () => Readable.from(piecesOf(body.open() as string | Uint8Array), { objectMode: false });
  return { contentType, length, replayable, isStream: true, open };
}

function* piecesOf(content: string | Uint8Array): Generator<Uint8Array, void, undefined> {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  for (let start = 0; start < bytes.length; start += PIECE) yield bytes.subarray(start, start + PIECE);
}
