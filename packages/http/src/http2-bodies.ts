import { Readable } from 'node:stream';
import type { OutgoingBody } from './outgoing-body.ts';
import type { PreparedRequest } from './request.ts';

/** The methods whose bodies undici 7 sends over HTTP/2 as they are. */
const WITH_BODY = new Set(['POST', 'PUT', 'PATCH']);

/**
 * A request whose body undici 7 can send over HTTP/2: it leaves out that of a GET, without a word, and breaks over one in
 * memory with DELETE and its kin. A stream does.
 *
 * @throws `TypeError` for a GET or HEAD with a body.
 */
export function fitForHttp2(request: PreparedRequest): PreparedRequest {
  const { method, url, body } = request;
  if (body === null || WITH_BODY.has(method)) return request;
  if (method === 'GET' || method === 'HEAD') {
    throw new TypeError(`${method} ${url.href} has a body, which a session with http2 cannot send: use one without it`);
  }
  return body.isStream ? request : { ...request, body: asStream(body) };
}

function asStream(body: OutgoingBody): OutgoingBody {
  const { contentType, length, replayable } = body;
  return { contentType, length, replayable, isStream: true, open: () => Readable.from([body.open()], NO_OBJECTS) };
}

const NO_OBJECTS = { objectMode: false };
