/**
 * Who a connection is made for. undici does not say: its connectors are told of an address alone. But they are called
 * within the dispatch of a request, and whose that is we know.
 */
import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';

/** A connection that is being made: a socket, a tunnel, or one's part in what others wait for, too. */
export interface Attempt {
  /** Ends it with this error; does nothing when it has ended. */
  destroy(reason: Error): unknown;
}

/** Who is told of the connection that is being made for it. */
export interface Connecting {
  connectsWith(attempt: Attempt): void;
  onResponseError(controller: null, error: Error): void;
}

/** Whose dispatch runs right now, if any: a connector that is called meanwhile connects for it. */
let dispatching: Connecting | null = null;

function setDispatching(connecting: Connecting | null): void {
  dispatching = connecting;
}

export function whoseDispatch(): Connecting | null {
  return dispatching;
}

/** What is dispatched, or connected, within the call is done for it. */
export function actingFor(connecting: Connecting | null, work: () => void): void {
  const before = dispatching;
  dispatching = connecting;
  try {
    work();
  } finally {
    dispatching = before;
  }
}

export function dispatchFor(
  exchange: Connecting & Dispatcher.DispatchHandler,
  dispatcher: Dispatcher,
  options: Dispatcher.DispatchOptions,
): void {
  // undici connects within the call, or for a streamed body in the next microtask.
  const isStream = options.body instanceof Readable;
  if (isStream) queueMicrotask(() => setDispatching(exchange));
  const before = dispatching;
  dispatching = exchange;
  try {
    dispatcher.dispatch(options, exchange);
  } catch (error) {
    exchange.onResponseError(null, error as Error);
  } finally {
    dispatching = before;
  }
  if (isStream) queueMicrotask(() => setDispatching(null));
}
