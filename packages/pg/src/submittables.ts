/**
 * What pg submits as it is: cursors (pg-cursor, pg-query-stream), COPY (pg-copy-streams), a Query with listeners. Given to a
 * client in a task, each is taught to obey cancels, by itself and without knowing its class: users bring their own copy of
 * these packages.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Readable, Writable } from 'node:stream';
import { currentScope } from '@aiokit/core';
import { CopyInCall, CopyOutCall, CursorReadCall, SubmittedCall } from './bridge/index.ts';
import type { Client } from './client.ts';
import type { Callback, QueuedQuery } from './pg-internals.ts';

/** pg-cursor's Cursor, as far as we must know it. */
interface CursorLike extends QueuedQuery {
  state: string;
  read(rows: number, callback?: Callback<unknown[]>): Promise<unknown[]> | undefined;
  close(callback?: (error?: Error) => void): Promise<void> | undefined;
}

interface CopyOut extends QueuedQuery, Readable {
  _drained: boolean;
  _forward(): void;
  _cleanup(): void;
}

interface CopyIn extends QueuedQuery, Writable {
  _gotCopyInResponse: boolean;
  cb_ReadyForQuery: unknown;
}

/** Prepares a submittable for a client that it is about to be submitted to. */
export function adopt(client: Client, query: QueuedQuery): void {
  if (isCopyOut(query)) adoptCopyOut(client, query);
  else if (isCopyIn(query)) adoptCopyIn(client, query);
  else if (isCursor(query)) adoptCursor(client, query, query);
  else if (isCursor((query as { cursor?: unknown }).cursor))
    adoptCursor(client, query, (query as unknown as { cursor: CursorLike }).cursor);
  else new SubmittedCall(client, query);
}

function isCursor(query: unknown): query is CursorLike {
  const { read, close, state } = (query ?? {}) as Partial<CursorLike>;
  return typeof read === 'function' && typeof close === 'function' && typeof state === 'string';
}

export function isCopyOut(query: unknown): query is CopyOut {
  return typeof (query as Partial<CopyOut>)._forward === 'function' && !('write' in (query as object));
}

export function isCopyIn(query: unknown): query is CopyIn {
  return '_gotCopyInResponse' in (query as object) && !('read' in (query as object));
}

/**
 * A read belongs to the scope it is called in, or, where a stream reads on behalf of its consumer, to that of the query.
 *
 * @param query what stands in the client's queue: the cursor, or the stream around it.
 */
function adoptCursor(client: Client, query: QueuedQuery, cursor: CursorLike): void {
  const inScopeOfQuery = AsyncLocalStorage.snapshot();
  const { read, close } = cursor;
  cursor.read = (rows, callback) => {
    const call = new CursorReadCall<unknown>(query, null).start(client, (done) => {
      read.call(cursor, rows, done as Callback<unknown[]>);
    });
    if (callback === undefined) return call;
    if (currentScope() === null) inScopeOfQuery(() => call.tell(callback));
    else call.tell(callback);
    return undefined;
  };
  cursor.close = (callback) => {
    if (callback === undefined) {
      return new Promise((resolve, reject) => cursor.close((error) => (error ? reject(error) : resolve())));
    }
    // pg-cursor waits for the next ReadyForQuery: none comes if the server has sent it already, or is gone.
    const hasEnded = cursor.state === 'error' && !client._isActive(query) && client.readyForQuery === true;
    if (hasEnded || client._ended) return void setImmediate(callback);
    let told = false;
    const tell = (error?: Error) => {
      if (told) return;
      told = true;
      client.connection.removeListener('end', tell);
      callback(error);
    };
    client.connection.once('end', tell);
    close.call(cursor, tell);
    return undefined;
  };
}

/**
 * The stream reads the socket itself and hands it back to pg only when the data have ended. Destroyed in the middle it never
 * would, so it goes on reading, to nowhere.
 */
export function adoptCopyOut(client: Client, stream: CopyOut): CopyOutCall {
  const drain = () => {
    stream.push = () => true;
    stream._drained = true;
    if (client._isActive(stream)) stream._forward();
  };
  const call = new CopyOutCall(client, stream, drain);
  const { handleError, handleReadyForQuery } = stream;
  stream.handleReadyForQuery = (connection) => {
    handleReadyForQuery.call(stream, connection);
    if (call.drainedFor !== null) stream.destroy(call.drainedFor);
  };
  stream.handleError = (error, connection) => {
    if (!stream.destroyed && stream.listenerCount('error') > 0) return handleError.call(stream, error, connection);
    handleErrorQuietly(stream, () => handleError.call(stream, error, connection));
  };
  stream._destroy = (error, callback) => {
    if (!call.done()) {
      if (client._withdraw(stream))
        handleErrorQuietly(stream, () => stream.handleError(error ?? new Error('destroyed'), client.connection));
      else call.leave();
    }
    callback(error);
  };
  return call;
}

export function adoptCopyIn(client: Client, stream: CopyIn): CopyInCall {
  const call = new CopyInCall(client, stream, (error) => {
    if (stream.cb_ReadyForQuery) return false;
    stream.destroy(error);
    return stream._gotCopyInResponse;
  });
  const destroy = stream._destroy;
  stream._destroy = (error, callback) => {
    // Unsent, it would wait for an answer that never comes.
    if (client._withdraw(stream)) {
      handleErrorQuietly(stream, () => stream.handleError(error ?? new Error('destroyed'), client.connection));
      return callback(error);
    }
    if (call.done()) return callback(error);
    destroy.call(stream, error, (serverError) => callback(error ?? serverError ?? null));
  };
  return call;
}

/** Tells nobody of an error that somebody else is being told of. */
function handleErrorQuietly(stream: Readable | Writable, handle: () => void): void {
  const ignore = () => {};
  stream.on('error', ignore);
  handle();
  stream.removeListener('error', ignore);
}
