import type { NodeBindings } from './app.ts';

/**
 * Calls `exceeded` when the client sends more than `limit` bytes, or says that it will. Who reads the body then gets an error,
 * never a body that is short; the connection stays open for the answer that says why.
 */
export function limitBody(incoming: NodeBindings['incoming'], limit: number, exceeded: () => void): void {
  const length = incoming.headers['content-length'];
  if (length !== undefined) {
    if (Number(length) > limit) exceeded();
    return; // Node holds the client to what it said.
  }
  if (limit === Infinity || !mayHaveBody(incoming)) return;
  let size = 0;
  const push = incoming.push;
  incoming.push = (chunk: Buffer | null, encoding?: BufferEncoding): boolean => {
    if (chunk !== null) size += chunk.length;
    if (size <= limit) return push.call(incoming, chunk, encoding);
    if (!incoming.destroyed) {
      // As it is, destroying a request destroys its connection.
      incoming._destroy = (error, done) => done(error);
      incoming.on('error', () => {});
      exceeded();
      incoming.destroy(new Error(`The request's body is larger than limits.bodySize (${limit} bytes)`));
    }
    return false;
  };
}

/**
 * A stream of HTTP/2 that is reset in the middle of an upload fails the reading of the body. Node ends it as if it were whole
 * if the code of the reset is NO_ERROR, and keeps what has happened to itself if it is another.
 */
export function failWhenReset(incoming: NodeBindings['incoming']): void {
  if (incoming.httpVersionMajor < 2 || !mayHaveBody(incoming)) return;
  incoming.on('aborted', () => {
    if (incoming.readableEnded || incoming.destroyed) return;
    incoming.on('error', () => {});
    incoming.destroy(new Error('The client left in the middle of its upload'));
  });
}

function mayHaveBody({ headers, httpVersionMajor, method }: NodeBindings['incoming']): boolean {
  if (httpVersionMajor >= 2) return method !== 'GET' && method !== 'HEAD';
  return headers['transfer-encoding'] !== undefined;
}
