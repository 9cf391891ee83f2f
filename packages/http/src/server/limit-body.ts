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

function mayHaveBody({ headers, httpVersionMajor, method }: NodeBindings['incoming']): boolean {
  if (httpVersionMajor >= 2) return method !== 'GET' && method !== 'HEAD';
  return headers['transfer-encoding'] !== undefined;
}
