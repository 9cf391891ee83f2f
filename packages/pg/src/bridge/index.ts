/**
 * How a call becomes a Future. Everything in this package that waits for the server or for a connection does it in one of
 * these.
 *
 * The task is taken where the user calls: a call that returns a Future waits when it is awaited, a call with a callback (or a
 * cursor, a stream, a COPY) from the call on. What a cancel does depends on how far the call has come:
 *
 *   waiting for a connection     it leaves the line; a connection that arrives late goes back
 *   queued on a client           it is taken out, unsent
 *   behind others in a pipeline  its result is dropped
 *   transaction control          nothing: it returns its value, and the cancel waits for the next `await` (but for a
 *                                connection that is dead: past `cancelGrace` it is given up, only COMMIT never)
 *   running                      cancellation.ts; a statement that ends by itself first returns its value
 */
export { AcquireCall } from './acquire-call.ts';
export { ConnectCall } from './connect-call.ts';
export { CopyInCall } from './copy-in-call.ts';
export { CopyOutCall } from './copy-out-call.ts';
export { CursorReadCall } from './cursor-read-call.ts';
export { PoolStatementCall } from './pool-statement-call.ts';
export { StatementCall } from './statement-call.ts';
export { SubmittedCall } from './submitted-call.ts';
