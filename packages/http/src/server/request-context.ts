import { AsyncLocalStorage } from 'node:async_hooks';
import { InvalidStateError, type Task } from '@aiokit/core';
import type { AcceptOptions, WebSocketHandler } from './accept-websocket.ts';
import type { NodeBindings } from './app.ts';

/** Why a request's task was cancelled, if it was. */
export type Ending = 'client left' | 'timeout' | 'shutdown' | 'body too large';

/** What is known of the request that is being handled. */
export interface RequestContext {
  readonly bindings: NodeBindings;
  /** `GET /path` */
  readonly name: string;
  readonly task: Task<unknown> | null;
  cancelOnDisconnect: boolean;
  /** Why it ends before its time. */
  ending: Ending | null;
  /** Set if the client asks for a WebSocket. */
  readonly upgrade: { accept(handler: WebSocketHandler, options: AcceptOptions): void } | null;
  background(fn: () => unknown, name: string | undefined): Task<unknown>;
}

/** Children of the request's task inherit it. */
export const requests = new AsyncLocalStorage<RequestContext>();

export function currentRequest(caller: string): RequestContext {
  const context = requests.getStore();
  if (context !== undefined) return context;
  throw new InvalidStateError(`${caller}() outside of a request: it is for handlers that serve() runs`);
}
